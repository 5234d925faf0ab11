package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ottavino/ottavino/db/dbserver"
)

// patience bounds starting the servers and making their databases. Python takes half a minute of CPU time for each process.
const patience = 10 * time.Minute

// lab is a database server with the APIs that are compared.
type lab struct {
	dir      string
	database *dbserver.MariaDB
	peers    []*peer
}

// peer is an API that is measured.
type peer struct {
	name    string
	url     string
	process *dbserver.Process
	db      *sql.DB
	client  *http.Client
	own     []string           // tables beside Octavia's, emptied between measurements
	cost    map[string]float64 // CPU seconds that one request took when there was one client, by operation
}

// newLab starts all servers. A lab that comes with an error is to be closed, too.
func newLab(ctx context.Context, o options) (*lab, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	bin, err := filepath.Abs(o.bin)
	if err != nil {
		return nil, err
	}
	programs := []program{ottavino(bin)}
	if !o.alone {
		programs = append(programs, upstream(o.processes))
	}
	if err := missing(programs); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "ottavino-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{dir: dir}
	// More memory than for tests, so that it is not disks that are measured.
	if l.database, err = dbserver.StartMariaDB(ctx, "--innodb-buffer-pool-size=256M", "--innodb-log-file-size=64M"); err != nil {
		return l, err
	}
	for _, program := range programs {
		p, err := l.start(ctx, program)
		if err != nil {
			return l, fmt.Errorf("start %s: %w%s", program.name, err, tail(program.logIn(dir)))
		}
		l.peers = append(l.peers, p)
	}
	return l, nil
}

// missing says what is not installed.
func missing(programs []program) error {
	for _, p := range programs {
		for _, path := range p.needs {
			if _, err := exec.LookPath(path); err != nil {
				return fmt.Errorf("%s: %s is missing; %s", p.name, path, p.hint)
			}
		}
	}
	return nil
}

func (l *lab) start(ctx context.Context, program program) (*peer, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := l.database.Admin().ExecContext(ctx, "CREATE DATABASE "+program.database+" CHARACTER SET utf8"); err != nil {
		return nil, err
	}
	place := place{dir: l.dir, address: address, database: l.database.URL(program.database)}
	place.config = filepath.Join(l.dir, program.name+".conf")
	if err := os.WriteFile(place.config, []byte(octaviaConf(place, program.settings)), 0o600); err != nil {
		return nil, err
	}
	if out, err := program.migrate(ctx, place.config).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("create tables: %w: %s", err, out)
	}
	p := &peer{name: program.name, url: "http://" + address.String(), own: program.own, cost: map[string]float64{}, client: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableKeepAlives: program.closes},
	}}
	if p.db, err = l.database.Open(program.database); err != nil {
		return nil, err
	}
	if err := plant(ctx, p.db); err != nil {
		return nil, errors.Join(fmt.Errorf("plant rows: %w", err), p.db.Close())
	}
	return p, p.run(ctx, program, place)
}

// run starts the server and waits until it is warm.
func (p *peer) run(ctx context.Context, program program, place place) error {
	cmd, err := program.serve(place)
	if err != nil {
		return err
	}
	log, err := os.Create(program.logIn(place.dir))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, place.dir
	if p.process, err = dbserver.Start(cmd, syscall.SIGTERM); err != nil {
		return err
	}
	up := operation{path: func(int) string { return "/" }, status: http.StatusOK}
	if err = p.process.Ready(ctx, func(ctx context.Context) error { return p.ask(ctx, up, 0) }); err == nil {
		err = p.process.Ready(ctx, p.warmUp)
	}
	if err != nil {
		err = errors.Join(err, p.close())
	}
	return err
}

func (p *peer) close() error {
	p.client.CloseIdleConnections()
	return errors.Join(p.db.Close(), p.process.Stop())
}

func (l *lab) close() error {
	var errs []error
	for _, p := range l.peers {
		errs = append(errs, p.close())
	}
	if l.database != nil {
		errs = append(errs, l.database.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(l.dir))...)
}

// freeAddress is a port of the loopback that was free just now.
func freeAddress(ctx context.Context) (net.Addr, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return l.Addr(), l.Close()
}

// tail is the end of a log, for an error.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return "\n" + string(text[max(0, len(text)-3000):])
}
