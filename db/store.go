// Package db owns Octavia's tables: models, transactions, queries, legal status
// transitions, quotas, the work queue, events and migrations, on SQLite, MariaDB and
// PostgreSQL. It knows nothing of HTTP, JSON or OpenStack.
package db

import (
	"context"
	"log/slog"
	"time"

	"gorm.io/gorm"
)

// Config says which database to use and how patiently.
type Config struct {
	// URL is [database] connection as SQLAlchemy writes it:
	// mysql+pymysql://user:pw@host:3306/octavia?charset=utf8mb4&unix_socket=…,
	// postgresql://…, postgresql+psycopg2://…, sqlite:////var/lib/ottavino/ottavino.db.
	URL string
	// MaxOpen is the most connections held at once; 0 means 20.
	MaxOpen int
	// IdleTimeout closes connections unused for so long; 0 means 1h ([database] connection_recycle_time).
	IdleTimeout time.Duration
	// MaxRetries is how often opening is tried ([database] max_retries); 0 means 10, -1 for ever.
	MaxRetries int
	// RetryInterval is the wait between those; 0 means 10s.
	RetryInterval time.Duration
	// Now is the clock; nil means time.Now. Rows get its UTC second.
	Now func() time.Time
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	db     *gorm.DB
	engine string
	log    *slog.Logger
	now    func() time.Time
}

// Open connects, retrying as Config says. It does not migrate.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Store, error) { panic("todo") }

// Close closes all connections.
func (s *Store) Close() error { panic("todo") }

// Engine is "sqlite", "mysql" or "postgresql".
func (s *Store) Engine() string { return s.engine }

// Ping asks the database for a sign of life.
func (s *Store) Ping(ctx context.Context) error { panic("todo") }

// Migrate brings the schema to the newest version; it is safe to run from several processes.
func (s *Store) Migrate(ctx context.Context) error { panic("todo") }

// SchemaVersion returns the applied and the newest known migration.
func (s *Store) SchemaVersion(ctx context.Context) (applied, newest int64, err error) { panic("todo") }

// Tx is one transaction. It is valid until the function it was given to returns.
type Tx struct {
	db     *gorm.DB
	engine string
	now    func() time.Time
}

// Tx runs fn in a read-write transaction and commits when it returns nil. A deadlock, a
// serialization failure or a locked SQLite file runs fn again (bounded, with jitter), so fn
// must have no effect outside the transaction. On SQLite the transaction is BEGIN IMMEDIATE.
func (s *Store) Tx(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	panic("todo")
}

// Read runs fn in a transaction that never writes and never waits for writers.
func (s *Store) Read(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	panic("todo")
}

// Now is the store's clock, UTC, whole seconds.
func (tx *Tx) Now() time.Time { panic("todo") }

// Get reads one row by primary key. Absent: *NotFoundError.
func Get[M any](ctx context.Context, tx *Tx, id string) (*M, error) { panic("todo") }

// Lock is Get with SELECT … FOR UPDATE where the engine has it.
func Lock[M any](ctx context.Context, tx *Tx, id string) (*M, error) { panic("todo") }

// Where reads the rows matching a gorm condition, in no promised order.
func Where[M any](ctx context.Context, tx *Tx, query string, args ...any) ([]M, error) {
	panic("todo")
}

// Insert adds a row and sets created_at where the model has it.
// A unique key already there: *DuplicateError.
func Insert[M any](ctx context.Context, tx *Tx, row *M) error { panic("todo") }

// Update writes the named columns of row, and updated_at where the model has it.
// Zero rows changed: *NotFoundError. No columns: does nothing.
func Update[M any](ctx context.Context, tx *Tx, row *M, columns ...string) error { panic("todo") }

// Delete removes one row by primary key together with what upstream's ORM cascades to
// (tags included). Removing what is not there is no error.
func Delete[M any](ctx context.Context, tx *Tx, id string) error { panic("todo") }
