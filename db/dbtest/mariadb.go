package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/go-sql-driver/mysql"
)

// mariadb is a MariaDB server with a data directory in memory. It runs without system tables:
// no accounts, so any user and password will do, and it is up in a tenth of a second.
//
// A database with a schema takes half a second to make, so those given back are emptied and
// handed out again.
type mariadb struct {
	mu     sync.Mutex
	dir    string
	server *process
	admin  *sql.DB
	n      int
	free   []string
}

func (m *mariadb) socket() string { return filepath.Join(m.dir, "sock") }

func (m *mariadb) url(name string) string {
	return fmt.Sprintf("mysql+pymysql://octavia:secret@localhost/%s?charset=utf8mb4&unix_socket=%s", name, m.socket())
}

// run starts the server if it is not running.
func (m *mariadb) run() error {
	if m.server != nil {
		return nil
	}
	dir, err := privateDir("mariadb")
	if err != nil {
		return err
	}
	m.dir = dir
	// Killed: nothing of it is kept.
	m.server, err = start(syscall.SIGKILL, dir, "mariadbd", "--no-defaults", "--datadir="+dir, "--tmpdir="+dir,
		"--socket="+m.socket(), "--pid-file="+filepath.Join(dir, "pid"), "--skip-networking", "--skip-grant-tables",
		"--skip-log-bin", "--max-connections=500", "--performance-schema=OFF", "--character-set-server=utf8mb4",
		"--innodb-stats-persistent=0", "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0",
		"--innodb-log-file-size=16M", "--innodb-buffer-pool-size=64M", "--innodb-use-native-aio=0",
		"--innodb-file-per-table=0", "--innodb-fast-shutdown=2", "--key-buffer-size=1M")
	if err != nil {
		return fmt.Errorf("start mariadbd (Debian package mariadb-server-core): %w", err)
	}
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.Logger = "unix", m.socket(), "root", &mysql.NopLogger{}
	c.InterpolateParams = true
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return err
	}
	m.admin = sql.OpenDB(connector)
	return m.server.ready(m.admin.PingContext)
}

func (m *mariadb) create(ctx context.Context) (string, error) {
	if err := m.run(); err != nil {
		return "", err
	}
	m.n++
	name := fmt.Sprintf("octavia%d", m.n)
	_, err := m.admin.ExecContext(ctx, "CREATE DATABASE "+name)
	return name, err
}

func (m *mariadb) empty() (string, func() error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ctx, cancel := patience()
	defer cancel()
	name, err := m.create(ctx)
	return m.url(name), func() error { return m.drop(name) }, err
}

func (m *mariadb) drop(name string) error {
	ctx, cancel := patience()
	defer cancel()
	_, err := m.admin.ExecContext(ctx, "DROP DATABASE "+name)
	return err
}

func (m *mariadb) migrated() (string, func() error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ctx, cancel := patience()
	defer cancel()
	if n := len(m.free); n > 0 {
		name := m.free[n-1]
		m.free = m.free[:n-1]
		return m.url(name), func() error { return m.recycle(name) }, nil
	}
	name, err := m.create(ctx)
	if err == nil {
		err = migrate(m.url(name))
	}
	return m.url(name), func() error { return m.recycle(name) }, err
}

// recycle empties a database of all that the schema did not put there.
func (m *mariadb) recycle(name string) error {
	ctx, cancel := patience()
	defer cancel()
	conn, err := m.admin.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for _, sql := range append([]string{"USE " + name, "SET foreign_key_checks = 0"}, leftovers()...) {
		if _, err := conn.ExecContext(ctx, sql); err != nil {
			return fmt.Errorf("empty database: %w", err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = append(m.free, name)
	return nil
}

// leftovers are the statements that remove what a test may have put into a schema.
func leftovers() []string {
	const placeholder = "00000000-0000-0000-0000-000000000000"
	var out []string
	for _, t := range []string{
		"load_balancer", "vip", "additional_vip", "vip_security_group", "vrrp_group", "listener", "listener_cidr",
		"sni", "listener_statistics", "pool", "member", "health_monitor", "session_persistence", "l7policy", "l7rule",
		"amphora", "amphora_member_port", "amphora_health", "amphora_build_request", "quotas", "tags",
		"ottavino_work", "ottavino_event", "ottavino_request_key", "ottavino_amphora_request",
	} {
		out = append(out, "DELETE FROM "+t)
	}
	for _, t := range []string{"flavor", "flavor_profile", "availability_zone_profile"} {
		out = append(out, "DELETE FROM "+t+" WHERE id <> '"+placeholder+"'")
	}
	return append(out, "DELETE FROM availability_zone WHERE name <> '"+placeholder+"'",
		"UPDATE amphora_build_slots SET slots_used = 0", "ALTER TABLE ottavino_event AUTO_INCREMENT = 1")
}

func (m *mariadb) stop() error {
	if m.server == nil {
		return nil
	}
	var err error
	if m.admin != nil {
		err = m.admin.Close()
	}
	return errors.Join(err, m.server.stop(), os.RemoveAll(m.dir))
}
