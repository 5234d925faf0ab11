package db

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

// wakeChannel is the PostgreSQL channel on which due work is announced.
const wakeChannel = "ottavino_work"

// Waits between attempts to listen for announcements again.
const (
	firstRelisten   = 100 * time.Millisecond
	longestRelisten = 10 * time.Second
)

// Wake receives a value soon after a local commit made work due, and after a PostgreSQL
// NOTIFY of another process. Waiters must also poll: other engines have no wake-up. All
// callers share one channel, and a value wakes one of them. On PostgreSQL the first call
// opens a connection that stays open until Close.
func (s *Store) Wake() <-chan struct{} {
	if s.engine == enginePostgres {
		s.startListen()
	}
	return s.wake
}

// signal wakes a waiter, unless one is about to wake anyway.
func (s *Store) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// wake makes the commit of the transaction wake workers, here and in other processes.
func (tx *Tx) wake(ctx context.Context) error {
	announce := tx.engine == enginePostgres && !tx.woke
	tx.woke = true
	if !announce {
		return nil
	}
	return tx.db.WithContext(ctx).Exec("SELECT pg_notify(?, '')", wakeChannel).Error
}

// listen signals what other processes announce until ctx ends.
func (s *Store) listen(ctx context.Context) {
	wait := firstRelisten
	for ctx.Err() == nil {
		heard, err := s.listenOn(ctx)
		if heard {
			wait = firstRelisten
		}
		if ctx.Err() != nil {
			return
		}
		s.log.WarnContext(ctx, "cannot listen for work, polling goes on", slog.Any("error", s.dsn.redact(err)))
		if sleep(ctx, wait) != nil {
			return
		}
		wait = min(2*wait, longestRelisten)
	}
}

// listenOn signals announcements heard on one connection; it always ends with an error.
func (s *Store) listenOn(ctx context.Context) (heard bool, err error) {
	conn, err := pgx.ConnectConfig(ctx, s.dsn.pg.Copy())
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN "+wakeChannel); err != nil {
		return false, err
	}
	s.signal() // for what was announced while nobody listened
	for {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return heard, err
		}
		heard = true
		s.signal()
	}
}
