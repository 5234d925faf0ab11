package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	_ "github.com/jackc/pgx/v5/stdlib" // registers "pgx"

	"github.com/ottavino/ottavino/db/dbserver"
)

// postgres is a PostgreSQL server with a data directory in memory. Databases with a schema
// are copies of a template.
type postgres struct {
	mu       sync.Mutex
	dir      string
	server   *dbserver.Process
	admin    *sql.DB
	n        int
	template string
}

// url names the socket's directory, as libpq wants it.
func (p *postgres) url(name string) string {
	return fmt.Sprintf("postgresql+psycopg2://octavia:secret@/%s?host=%s", name, p.dir)
}

// program finds a PostgreSQL program; Debian keeps them off the PATH.
func program(name string) (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) > 0 {
		return slices.Max(found), nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w (Debian package postgresql)", err)
	}
	return path, nil
}

// run starts the server if it is not running.
func (p *postgres) run(ctx context.Context) error {
	if p.server != nil {
		return nil
	}
	dir, err := dbserver.NobodysDir("dbtest-postgres")
	if err != nil {
		return err
	}
	p.dir = dir
	initdb, err := program("initdb")
	if err != nil {
		return err
	}
	data := filepath.Join(dir, "data")
	cmd := exec.CommandContext(ctx, initdb, "-D", data, "-U", "octavia", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync",
		"--no-instructions")
	cmd.Dir = dir
	dbserver.AsNobody(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	server, err := program("postgres")
	if err != nil {
		return err
	}
	cmd = exec.Command(server, "-D", //nolint:noctx // ended by stop
		data, "-k", dir, "-c", "listen_addresses=",
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "shared_buffers=32MB",
		"-c", "max_connections=300", "-c", "autovacuum=off", "-c", "dynamic_shared_memory_type=mmap")
	cmd.Dir = dir
	dbserver.AsNobody(cmd)
	// SIGQUIT is PostgreSQL's "at once, but take your children along".
	if p.server, err = dbserver.Start(cmd, syscall.SIGQUIT); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	p.admin, err = sql.Open("pgx", fmt.Sprintf("postgres://octavia@/postgres?host=%s", dir))
	if err != nil {
		return err
	}
	return p.server.Ready(ctx, p.admin.PingContext)
}

func (p *postgres) create(ctx context.Context, template string) (string, error) {
	p.n++
	name := fmt.Sprintf("octavia%d", p.n)
	_, err := p.admin.ExecContext(ctx, "CREATE DATABASE "+name+" TEMPLATE "+template+" STRATEGY FILE_COPY")
	return name, err
}

func (p *postgres) empty() (string, func() error, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ctx, cancel := patience()
	defer cancel()
	if err := p.run(ctx); err != nil {
		return "", nil, err
	}
	return p.handOut(ctx, "template0")
}

func (p *postgres) migrated() (string, func() error, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ctx, cancel := patience()
	defer cancel()
	if err := p.run(ctx); err != nil {
		return "", nil, err
	}
	if p.template == "" {
		name, err := p.create(ctx, "template0")
		if err == nil {
			err = migrate(p.url(name))
		}
		if err != nil {
			return "", nil, err
		}
		p.template = name
	}
	return p.handOut(ctx, p.template)
}

func (p *postgres) handOut(ctx context.Context, template string) (string, func() error, error) {
	name, err := p.create(ctx, template)
	return p.url(name), func() error { return p.drop(name) }, err
}

func (p *postgres) drop(name string) error {
	ctx, cancel := patience()
	defer cancel()
	_, err := p.admin.ExecContext(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
	return err
}

func (p *postgres) stop() error {
	if p.server == nil {
		return nil
	}
	var err error
	if p.admin != nil {
		err = p.admin.Close()
	}
	return errors.Join(err, p.server.Stop(), os.RemoveAll(p.dir))
}
