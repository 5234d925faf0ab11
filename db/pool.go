package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"strings"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/stdlib"
	_ "github.com/mattn/go-sqlite3" // registers "sqlite3"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
)

// openPools opens the pool for writing and the one for reading.
func openPools(ctx context.Context, d *dsn, cfg Config) (write, read *gorm.DB, err error) {
	readers := cfg.MaxOpen / 2
	writers := cfg.MaxOpen - readers
	if d.engine == engineSQLite {
		writers = 1 // SQLite has one writer: queueing here is fair and needs no polling of its lock
	}
	write, err = openPool(ctx, d, cfg, writers, session{
		sqlite: "_txlock=immediate&_journal_mode=WAL",
		mysql:  "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
	})
	if err != nil {
		return nil, nil, err
	}
	read, err = openPool(ctx, d, cfg, readers, session{
		sqlite: "_query_only=1",
		mysql:  "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
		reads:  true,
	})
	if err != nil {
		if pool, e := write.DB(); e == nil {
			_ = pool.Close()
		}
		return nil, nil, err
	}
	return write, read, nil
}

// session is how the connections of a pool are set up.
type session struct {
	sqlite string // options of the driver
	mysql  string // first statement; what it sets has other names as a variable in each version
	reads  bool   // its transactions only read
}

// openPool opens one pool and reaches the server.
func openPool(ctx context.Context, d *dsn, cfg Config, size int, set session) (*gorm.DB, error) {
	pool, err := sqlPool(d, set)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	pool.SetConnMaxIdleTime(cfg.IdleTimeout)
	err = ping(ctx, pool)
	var g *gorm.DB
	if err == nil {
		g, err = gorm.Open(dialector(d.engine, pool), &gorm.Config{
			SkipDefaultTransaction: true,
			DisableAutomaticPing:   true,
			Logger:                 tracer{cfg.Trace},
		})
	}
	if err != nil {
		_ = pool.Close()
		return nil, err
	}
	return g, nil
}

// ping reaches the server. The first processes to open a new SQLite file race for
// switching it to WAL, for which SQLite does not wait by itself.
func ping(ctx context.Context, pool *sql.DB) error {
	for try := 0; ; try++ {
		err := pool.PingContext(ctx)
		if err == nil || try == maxAttempts || !lostRace(err) {
			return err
		}
		if sleep(ctx, longestWait/10) != nil {
			return err
		}
	}
}

func sqlPool(d *dsn, set session) (*sql.DB, error) {
	switch d.engine {
	case engineMySQL:
		connector, err := mysqldriver.NewConnector(d.mysql)
		if err != nil {
			return nil, err
		}
		if set.reads {
			return sql.OpenDB(&implicit{&preparing{connector, set.mysql}}), nil
		}
		return sql.OpenDB(&preparing{connector, set.mysql}), nil
	case enginePostgres:
		return stdlib.OpenDB(*d.pg), nil
	}
	file := url.URL{Scheme: "file", Opaque: (&url.URL{Path: d.path}).EscapedPath()}
	// FULL: what was answered must survive a power cut, or what was built for it leaks.
	return sql.Open("sqlite3", fmt.Sprintf("%s?_busy_timeout=10000&_foreign_keys=on&_synchronous=FULL&%s",
		file.String(), set.sqlite))
}

func dialector(engine string, pool *sql.DB) gorm.Dialector {
	switch engine {
	case engineMySQL:
		return mysql.New(mysql.Config{Conn: pool, SkipInitializeWithVersion: true})
	case enginePostgres:
		return postgres.New(postgres.Config{Conn: pool})
	}
	return sqlite.New(sqlite.Config{Conn: pool})
}

// hasSkipLocked asks for what PostgreSQL always has, MariaDB since 10.6 and MySQL since 8.
func hasSkipLocked(ctx context.Context, g *gorm.DB, engine string) (bool, error) {
	if engine != engineMySQL {
		return engine == enginePostgres, nil
	}
	var version string
	if err := g.WithContext(ctx).Raw("SELECT VERSION()").Scan(&version).Error; err != nil {
		return false, err
	}
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return false, nil // unheard of: do without
	}
	if strings.Contains(version, "MariaDB") {
		return major > 10 || major == 10 && minor >= 6, nil
	}
	return major >= 8, nil
}

// preparing runs a first statement on every connection.
type preparing struct {
	driver.Connector
	statement string
}

// Connect implements driver.Connector.
func (p *preparing) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	execer, ok := conn.(driver.ExecerContext)
	if !ok {
		return nil, errors.Join(errors.New("driver cannot run statements"), conn.Close())
	}
	if _, err := execer.ExecContext(ctx, p.statement, nil); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}
