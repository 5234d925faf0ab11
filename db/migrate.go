package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pressly/goose/v3"
	"golang.org/x/sys/unix"
)

const (
	// versionTable keeps the applied migrations; alembic_version stays upstream's.
	versionTable = "ottavino_schema"
	// migrationLock is the key of the lock that migrating processes take in turn.
	migrationLock = 0x6f74746176696e6f // "ottavino"
)

// Migrate brings the schema to the newest version; it is safe to run from several processes.
//
// A database of Octavia at its newest revision is adopted: its tables stay as they are, ours
// are added.
func (s *Store) Migrate(ctx context.Context) error {
	p, err := s.migrations()
	if err == nil {
		_, err = p.Up(ctx)
	}
	if err != nil {
		return fmt.Errorf("migrate database: %w", err)
	}
	return nil
}

// MigrateDown takes migrations back until version is the newest applied one; 0 takes back all.
// Octavia's own tables are dropped only while they hold nothing.
func (s *Store) MigrateDown(ctx context.Context, version int64) error {
	p, err := s.migrations()
	if err == nil {
		_, err = p.DownTo(ctx, version)
	}
	if err != nil {
		return fmt.Errorf("migrate database down to %d: %w", version, err)
	}
	return nil
}

// SchemaVersion returns the applied and the newest known migration.
func (s *Store) SchemaVersion(ctx context.Context) (applied, newest int64, err error) {
	p, err := s.migrations()
	if err == nil {
		applied, newest, err = p.GetVersions(ctx)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("read schema version: %w", err)
	}
	return applied, newest, nil
}

func (s *Store) migrations() (*goose.Provider, error) {
	pool, err := s.db.DB()
	if err != nil {
		return nil, err
	}
	dialect := map[string]goose.Dialect{
		engineSQLite: goose.DialectSQLite3, engineMySQL: goose.DialectMySQL, enginePostgres: goose.DialectPostgres,
	}[s.engine]
	m := migrator{engine: s.engine}
	return goose.NewProvider(dialect, pool, nil,
		goose.WithTableName(versionTable),
		goose.WithDisableGlobalRegistry(true),
		goose.WithSessionLocker(&locker{dsn: s.dsn}),
		goose.WithGoMigrations(
			goose.NewGoMigration(1, &goose.GoFunc{RunTx: m.octaviaUp}, &goose.GoFunc{RunTx: m.octaviaDown}),
			goose.NewGoMigration(2, &goose.GoFunc{RunTx: m.ottavinoUp}, &goose.GoFunc{RunTx: m.ottavinoDown}),
			goose.NewGoMigration(3, &goose.GoFunc{RunTx: m.indexesUp}, &goose.GoFunc{RunTx: m.indexesDown}),
			m.tables(4, amphoraRequestTables()),
			m.tables(5, requestKeyTables()),
			goose.NewGoMigration(6, &goose.GoFunc{RunTx: m.steeringUp}, &goose.GoFunc{RunTx: m.steeringDown}),
			m.tables(7, secretCopyTables()),
		))
}

// migrator holds the migrations. A shipped one is never changed; change the schema with a new one.
type migrator struct{ engine string }

// octaviaUp makes Octavia's tables, or finds them.
func (m migrator) octaviaUp(ctx context.Context, tx *sql.Tx) error {
	revision, err := m.alembicRevision(ctx, tx)
	switch {
	case err != nil:
		return err
	case revision == octaviaHead:
		return nil
	case revision != "":
		return fmt.Errorf("database is at Octavia's revision %s; upgrade it to %s with octavia-db-manage first",
			revision, octaviaHead)
	}
	if err := m.create(ctx, tx, octaviaTables()); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO spares_pool (updated_at)
SELECT CURRENT_TIMESTAMP FROM provisioning_status WHERE name = 'ACTIVE' AND NOT EXISTS (SELECT 1 FROM spares_pool)`); err != nil {
		return fmt.Errorf("fill spares_pool: %w", err)
	}
	// Last: its row says that all else is there.
	return m.create(ctx, tx, []table{{
		name: "alembic_version", primary: "version_num", columns: []column{text("version_num", 32)},
		rows: [][]any{{octaviaHead}},
	}})
}

// alembicRevision returns "" where Octavia's schema is not or not completely there.
func (m migrator) alembicRevision(ctx context.Context, tx *sql.Tx) (string, error) {
	there := "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'alembic_version' AND table_schema = "
	switch m.engine {
	case engineSQLite:
		there = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
	case engineMySQL:
		there += "DATABASE()"
	case enginePostgres:
		there += "current_schema()"
	}
	var n int
	if err := tx.QueryRowContext(ctx, there).Scan(&n); err != nil || n == 0 {
		return "", err
	}
	var revision string
	err := tx.QueryRowContext(ctx, "SELECT version_num FROM alembic_version").Scan(&revision)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return revision, err
}

func (m migrator) octaviaDown(ctx context.Context, tx *sql.Tx) error {
	for _, t := range []string{"load_balancer", "amphora", "quotas"} {
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+t).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return fmt.Errorf("table %s is not empty; drop the database by hand if its load balancers are to be forgotten", t)
		}
	}
	return m.drop(ctx, tx, append([]table{{name: "alembic_version"}}, octaviaTables()...))
}

func (m migrator) ottavinoUp(ctx context.Context, tx *sql.Tx) error {
	return m.create(ctx, tx, ottavinoTables())
}

func (m migrator) ottavinoDown(ctx context.Context, tx *sql.Tx) error {
	return m.drop(ctx, tx, ottavinoTables())
}

// tables is a migration that adds tables.
func (m migrator) tables(version int64, added []table) *goose.Migration {
	return goose.NewGoMigration(version,
		&goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error { return m.create(ctx, tx, added) }},
		&goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error { return m.drop(ctx, tx, added) }})
}

func (m migrator) indexesUp(ctx context.Context, tx *sql.Tx) error {
	for table, i := range projectIndexes() {
		if _, err := tx.ExecContext(ctx, createIndex(m.engine, table, i)); err != nil {
			return fmt.Errorf("create index %s: %w", i.name, err)
		}
	}
	return nil
}

func (m migrator) indexesDown(ctx context.Context, tx *sql.Tx) error {
	for table, i := range projectIndexes() {
		if _, err := tx.ExecContext(ctx, dropIndex(m.engine, table, i)); err != nil {
			return fmt.Errorf("drop index %s: %w", i.name, err)
		}
	}
	return nil
}

func (m migrator) create(ctx context.Context, tx *sql.Tx, tables []table) error {
	for i := range tables {
		t := &tables[i]
		for _, ddl := range createTable(m.engine, t) {
			if _, err := tx.ExecContext(ctx, ddl); err != nil {
				return fmt.Errorf("create table %s: %w", t.name, err)
			}
		}
		for _, row := range t.rows {
			insert, args := insertRow(m.engine, t, row)
			if _, err := tx.ExecContext(ctx, insert, args...); err != nil {
				return fmt.Errorf("fill table %s: %w", t.name, err)
			}
		}
	}
	return nil
}

func (m migrator) drop(ctx context.Context, tx *sql.Tx, tables []table) error {
	for _, t := range slices.Backward(tables) {
		if _, err := tx.ExecContext(ctx, "DROP TABLE IF EXISTS "+quote(m.engine, t.name)); err != nil {
			return fmt.Errorf("drop table %s: %w", t.name, err)
		}
	}
	return nil
}

// locker lets one process migrate at a time. The lock ends with the process or its connection.
type locker struct {
	dsn *dsn
	dir *os.File // SQLite: the locked directory of the file
}

// lockPoll is the wait between tries for the lock.
const lockPoll = 50 * time.Millisecond

// SessionLock implements goose's lock.SessionLocker.
func (l *locker) SessionLock(ctx context.Context, conn *sql.Conn) error {
	if l.dsn.engine == engineSQLite {
		// Not the file itself: closing it again would drop SQLite's own locks on it.
		dir, err := os.Open(filepath.Dir(l.dsn.path))
		if err != nil {
			return err
		}
		l.dir = dir
	}
	for {
		got, err := l.try(ctx, conn)
		if got {
			return nil
		}
		if err == nil {
			err = sleep(ctx, lockPoll)
		}
		if err != nil {
			if l.dir != nil {
				_ = l.dir.Close()
			}
			return fmt.Errorf("lock database for migration: %w", err)
		}
	}
}

func (l *locker) try(ctx context.Context, conn *sql.Conn) (got bool, err error) {
	switch l.dsn.engine {
	case engineMySQL: // such locks are the server's, not the database's
		err = conn.QueryRowContext(ctx, "SELECT GET_LOCK(CONCAT('ottavino-', DATABASE()), 0) = 1").Scan(&got)
	case enginePostgres:
		err = conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", int64(migrationLock)).Scan(&got)
	default:
		err = unix.Flock(int(l.dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		got = err == nil
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = nil
		}
	}
	return got, err
}

// SessionUnlock implements goose's lock.SessionLocker.
func (l *locker) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	var err error
	switch l.dsn.engine {
	case engineMySQL:
		_, err = conn.ExecContext(ctx, "DO RELEASE_LOCK(CONCAT('ottavino-', DATABASE()))")
	case enginePostgres:
		_, err = conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", int64(migrationLock))
	default:
		err = l.dir.Close()
	}
	return err
}
