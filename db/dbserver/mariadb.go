package dbserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/go-sql-driver/mysql"
)

// MariaDB is a MariaDB server with a data directory in memory. It runs without system tables: no accounts, so any user
// and password will do, and it is up in a tenth of a second.
type MariaDB struct {
	*Process
	dir   string
	admin *sql.DB
}

// StartMariaDB starts a server and waits until it answers. More arguments are options of mariadbd. The caller stops it
// with Close.
func StartMariaDB(ctx context.Context, options ...string) (*MariaDB, error) {
	dir, err := NobodysDir("mariadb")
	if err != nil {
		return nil, err
	}
	m := &MariaDB{dir: dir}
	cmd := exec.Command("mariadbd", append([]string{ //nolint:noctx // ended by Close
		"--no-defaults", "--datadir=" + dir, "--tmpdir=" + dir,
		"--socket=" + m.Socket(), "--pid-file=" + filepath.Join(dir, "pid"), "--skip-networking", "--skip-grant-tables",
		"--skip-log-bin", "--max-connections=500", "--performance-schema=OFF", "--character-set-server=utf8mb4",
		"--innodb-stats-persistent=0", "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0",
		"--innodb-log-file-size=16M", "--innodb-buffer-pool-size=64M", "--innodb-use-native-aio=0",
		"--innodb-file-per-table=0", "--innodb-fast-shutdown=2", "--key-buffer-size=1M",
	}, options...)...)
	cmd.Dir = dir
	AsNobody(cmd)
	// Killed: nothing of it is kept.
	if m.Process, err = Start(cmd, syscall.SIGKILL); err != nil {
		return nil, errors.Join(fmt.Errorf("start mariadbd (Debian package mariadb-server-core): %w", err), os.RemoveAll(dir))
	}
	if m.admin, err = m.Open(""); err == nil {
		err = m.Ready(ctx, m.admin.PingContext)
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Socket is where the server listens.
func (m *MariaDB) Socket() string { return filepath.Join(m.dir, "sock") }

// URL names a database of the server as octavia.conf does.
func (m *MariaDB) URL(name string) string {
	return fmt.Sprintf("mysql+pymysql://octavia:secret@localhost/%s?charset=utf8mb4&unix_socket=%s", name, m.Socket())
}

// Open gives connections to a database of the server; "" is none. The caller closes them.
func (m *MariaDB) Open(name string) (*sql.DB, error) {
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.DBName, c.Logger = "unix", m.Socket(), "root", name, &mysql.NopLogger{}
	c.InterpolateParams = true
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// Admin are connections to no database. They end with the server.
func (m *MariaDB) Admin() *sql.DB { return m.admin }

// Close ends the server and removes what it stored.
func (m *MariaDB) Close() error {
	var err error
	if m.admin != nil {
		err = m.admin.Close()
	}
	return errors.Join(err, m.Stop(), os.RemoveAll(m.dir))
}
