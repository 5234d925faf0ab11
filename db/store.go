// Package db owns Octavia's tables: models, transactions, queries, legal status
// transitions, quotas, the work queue, events and migrations, on SQLite, MariaDB and
// PostgreSQL. It knows nothing of HTTP, JSON or OpenStack.
//
// Transactions take row locks in this order: ottavino_work, load_balancer, children, quotas.
// One that does not may be chosen as the victim of a deadlock, which Store.Tx hides by
// running it again.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"gorm.io/gorm"
)

// Config says which database to use and how patiently.
type Config struct {
	// URL is [database] connection as SQLAlchemy writes it:
	// mysql+pymysql://user:pw@host:3306/octavia?charset=utf8mb4&unix_socket=…,
	// postgresql://…, postgresql+psycopg2://…, sqlite:////var/lib/ottavino/ottavino.db.
	URL string
	// MaxOpen is the most connections held at once, half of them for reading; 0 means 20,
	// the least is 2.
	MaxOpen int
	// IdleTimeout closes connections unused for so long; 0 means 1h ([database] connection_recycle_time).
	IdleTimeout time.Duration
	// MaxRetries is how often opening is tried ([database] max_retries); 0 means 10, -1 for ever.
	MaxRetries int
	// RetryInterval is the wait between those; 0 means 10s.
	RetryInterval time.Duration
	// Trace is told of each statement, as the engine gets it, but of no BEGIN or COMMIT; nil means nobody is.
	Trace func(ctx context.Context, statement string)
	// Now is the clock; nil means time.Now. Rows get its UTC second.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if c.MaxOpen == 0 {
		c.MaxOpen = 20
	}
	c.MaxOpen = max(c.MaxOpen, 2)
	if c.IdleTimeout == 0 {
		c.IdleTimeout = time.Hour
	}
	if c.MaxRetries == 0 {
		c.MaxRetries = 10
	}
	if c.RetryInterval == 0 {
		c.RetryInterval = 10 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Engines, as Store.Engine returns them. MariaDB is "mysql".
const (
	engineSQLite   = "sqlite"
	engineMySQL    = "mysql"
	enginePostgres = "postgresql"
)

// Store is an open database. It is safe for concurrent use.
type Store struct {
	db     *gorm.DB // writes
	read   *gorm.DB // reads; connections of its own, so that readers never queue behind writers
	dsn    *dsn
	engine string
	log    *slog.Logger
	now    func() time.Time

	skipLocked bool // the engine has SKIP LOCKED

	wake        chan struct{}
	moved       broadcast
	startListen func() // does something the first time only
	stopListen  context.CancelFunc
	listening   sync.WaitGroup
}

// Open connects, retrying as Config says. It does not migrate.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Store, error) {
	cfg = cfg.withDefaults()
	d, err := parseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		s, err := connect(ctx, d, cfg, log)
		if err == nil {
			return s, nil
		}
		err = fmt.Errorf("open %s database: %w", d.engine, d.redact(err))
		if ctx.Err() != nil || (cfg.MaxRetries >= 0 && try >= cfg.MaxRetries) {
			return nil, err
		}
		log.WarnContext(ctx, "database not reachable", slog.Int("try", try), slog.Any("error", err))
		if sleep(ctx, cfg.RetryInterval) != nil {
			return nil, err
		}
	}
}

func connect(ctx context.Context, d *dsn, cfg Config, log *slog.Logger) (*Store, error) {
	write, read, err := openPools(ctx, d, cfg)
	if err != nil {
		return nil, err
	}
	s := &Store{
		db: write, read: read, dsn: d, engine: d.engine, log: log, now: cfg.Now,
		wake: make(chan struct{}, 1),
	}
	listen, stop := context.WithCancel(context.WithoutCancel(ctx)) // until Close
	s.stopListen = stop
	s.startListen = sync.OnceFunc(func() { s.listening.Go(func() { s.listen(listen) }) })
	if s.skipLocked, err = hasSkipLocked(ctx, write, d.engine); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close closes all connections.
func (s *Store) Close() error {
	s.stopListen()
	s.listening.Wait()
	var errs []error
	for _, g := range []*gorm.DB{s.read, s.db} {
		pool, err := g.DB()
		if err == nil {
			err = pool.Close()
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close database: %w", err)
	}
	return nil
}

// Engine is "sqlite", "mysql" or "postgresql".
func (s *Store) Engine() string { return s.engine }

// Ping asks the database for a sign of life.
func (s *Store) Ping(ctx context.Context) error {
	pool, err := s.read.DB()
	if err == nil {
		err = pool.PingContext(ctx)
	}
	if err != nil {
		return fmt.Errorf("ping database: %w", s.dsn.redact(err))
	}
	return nil
}

// Tx is one transaction. It is valid until the function it was given to returns.
type Tx struct {
	db     *gorm.DB
	engine string
	now    func() time.Time
	woke   bool // the commit makes work due
	moved  bool // the commit changes the provisioning status of a load balancer
	// fresh are the ids of the rows that this transaction has inserted: nothing belongs to them that it did not insert, too.
	fresh map[string]bool

	skipLocked bool
}

const (
	// maxAttempts and maxRetrying bound how often and how long Store.Tx runs a transaction
	// again that lost against others.
	maxAttempts = 40
	maxRetrying = 30 * time.Second
	// The waits between attempts grow from firstWait to longestWait, halved to one and a
	// half times at random.
	firstWait   = 2 * time.Millisecond
	longestWait = 300 * time.Millisecond
)

// Tx runs fn in a read-write transaction and commits when it returns nil. A deadlock, a
// serialization failure or a locked SQLite file runs fn again (bounded, with jitter; then
// ErrBusy), so fn must have no effect outside the transaction. On SQLite the transaction is
// BEGIN IMMEDIATE. A value that the engine cannot store: *UnfitError. Transactions do not nest. After an error of the database the transaction
// cannot go on (PostgreSQL forbids it), so fn must return it.
func (s *Store) Tx(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	started := time.Now()
	wait := firstWait
	for attempt := 1; ; attempt++ {
		tx := &Tx{engine: s.engine, now: s.now, skipLocked: s.skipLocked}
		err := s.db.WithContext(ctx).Transaction(func(g *gorm.DB) error {
			tx.db = g
			return fn(ctx, tx)
		})
		switch {
		case err == nil:
			if tx.woke {
				s.signal()
			}
			if tx.moved {
				s.moved.announce()
			}
			return nil
		case unfit(err):
			return &UnfitError{Err: err}
		case !lostRace(err):
			return err
		case attempt == maxAttempts || time.Since(started) > maxRetrying:
			return fmt.Errorf("%w: %w", ErrBusy, err)
		}
		if sleep(ctx, wait/2+rand.N(wait)) != nil { //nolint:gosec // nothing secret
			return fmt.Errorf("%w: %w", ErrBusy, err)
		}
		wait = min(2*wait, longestWait)
	}
}

// Read runs fn in a transaction that never writes and never waits for writers. All its
// queries see the database as it was at the first.
func (s *Store) Read(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	var snapshot sql.TxOptions // on MariaDB and SQLite the connections are set so
	if s.engine == enginePostgres {
		snapshot = sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	return s.read.WithContext(ctx).Transaction(func(g *gorm.DB) error {
		return fn(ctx, &Tx{db: g, engine: s.engine, now: s.now})
	}, &snapshot)
}

// Now is the store's clock, UTC, whole seconds.
func (tx *Tx) Now() time.Time { return tx.now().UTC().Truncate(time.Second) }

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
