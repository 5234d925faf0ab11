// Package dbtest gives tests real databases: SQLite files, and MariaDB and PostgreSQL servers
// of the machine, started once per test binary on first use, reachable through sockets in a
// private directory, and gone with it.
//
//	func TestMain(m *testing.M) { dbtest.Main(m) }
//
//	func TestX(t *testing.T) {
//		dbtest.Each(t, func(t *testing.T, cfg db.Config) {
//			store := dbtest.Open(t, cfg)
//			…
//		})
//	}
package dbtest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbserver"
)

// Engine is a database engine, by the name that db.Store.Engine gives it.
type Engine string

// Engines.
const (
	SQLite     Engine = "sqlite"
	MariaDB    Engine = "mysql"
	PostgreSQL Engine = "postgresql"
)

// Engines are all of them.
func Engines() []Engine { return []Engine{SQLite, MariaDB, PostgreSQL} }

// Main runs a package's tests, stops the servers they started, and fails when goroutines are
// left. It does not return.
func Main(m *testing.M) {
	code := m.Run()
	if err := Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "dbtest:", err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "dbtest:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// Each runs fn once for each engine, in parallel, with the config of a fresh migrated database.
func Each(t *testing.T, fn func(t *testing.T, cfg db.Config)) {
	t.Helper()
	for _, e := range Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			fn(t, db.Config{URL: Server(t, e)})
		})
	}
}

// EachEmpty is Each with databases that hold nothing, not even a schema.
func EachEmpty(t *testing.T, fn func(t *testing.T, cfg db.Config)) {
	t.Helper()
	for _, e := range Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			fn(t, db.Config{URL: Empty(t, e)})
		})
	}
}

// Open opens a store and closes it when the test ends.
func Open(tb testing.TB, cfg db.Config) *db.Store {
	tb.Helper()
	cfg.MaxRetries = 1 // a database that is not there fails the test at once
	s, err := db.Open(tb.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// Server returns the SQLAlchemy URL of a fresh migrated database for the test alone. On the
// test's end the database is emptied or dropped, so whatever uses it must have stopped by
// then: register its stop after this call.
func Server(tb testing.TB, e Engine) string {
	tb.Helper()
	url, done, err := servers.of(e).migrated()
	return handOut(tb, e, url, done, err)
}

// Empty is Server without a schema.
func Empty(tb testing.TB, e Engine) string {
	tb.Helper()
	url, done, err := servers.of(e).empty()
	return handOut(tb, e, url, done, err)
}

func handOut(tb testing.TB, e Engine, url string, done func() error, err error) string {
	tb.Helper()
	if err != nil {
		tb.Fatalf("%s: %v", e, err)
	}
	tb.Cleanup(func() {
		if err := done(); err != nil {
			tb.Errorf("%s: %v", e, err)
		}
	})
	return url
}

// Stop ends the servers that were started and removes their files. Only for programs without Main.
func Stop() error { return servers.stop() }

// engine hands out databases; done gives one back.
type engine interface {
	migrated() (url string, done func() error, err error)
	empty() (url string, done func() error, err error)
	stop() error
}

// servers are the engines in use, one of each per test binary.
var servers fleet

type fleet struct {
	mu      sync.Mutex
	engines map[Engine]engine
}

func (f *fleet) of(e Engine) engine {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.engines == nil {
		f.engines = map[Engine]engine{}
	}
	if f.engines[e] == nil {
		switch e {
		case MariaDB:
			f.engines[e] = &mariadb{}
		case PostgreSQL:
			f.engines[e] = &postgres{}
		default:
			f.engines[e] = &sqlite{}
		}
	}
	return f.engines[e]
}

func (f *fleet) stop() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.engines {
		if err := e.stop(); err != nil {
			return err
		}
	}
	f.engines = nil
	return nil
}

// patience bounds starting a server and making a database.
func patience() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Minute)
}

// migrate brings the schema of a new database up.
func migrate(url string) error {
	ctx, cancel := patience()
	defer cancel()
	s, err := db.Open(ctx, db.Config{URL: url, MaxRetries: 1}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	err = s.Migrate(ctx)
	if e := s.Close(); err == nil {
		err = e
	}
	return err
}

// sqlite hands out files: copies of a migrated one.
type sqlite struct {
	mu       sync.Mutex
	dir      string
	template []byte
	n        int
}

func (s *sqlite) empty() (string, func() error, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file(nil)
}

func (s *sqlite) migrated() (string, func() error, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.template == nil {
		url, done, err := s.file(nil)
		if err != nil {
			return "", nil, err
		}
		if err := migrate(url); err != nil {
			return "", nil, err
		}
		if s.template, err = os.ReadFile(s.path(s.n)); err != nil {
			return "", nil, err
		}
		if err := done(); err != nil {
			return "", nil, err
		}
	}
	return s.file(s.template)
}

func (s *sqlite) path(n int) string {
	return filepath.Join(s.dir, fmt.Sprintf("db%d", n), "octavia.db")
}

func (s *sqlite) file(content []byte) (string, func() error, error) {
	if s.dir == "" {
		dir, err := dbserver.Dir("dbtest-sqlite")
		if err != nil {
			return "", nil, err
		}
		s.dir = dir
	}
	s.n++
	path := s.path(s.n)
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		return "", nil, err
	}
	if content != nil {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return "", nil, err
		}
	}
	return "sqlite:///" + path, func() error { return os.RemoveAll(filepath.Dir(path)) }, nil
}

func (s *sqlite) stop() error {
	if s.dir == "" {
		return nil
	}
	return os.RemoveAll(s.dir)
}
