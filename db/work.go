package db

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"gorm.io/gorm/clause"
)

// Work is a row of ottavino_work: one per load balancer. It is the queue, the lock and the
// retry counter at once.
type Work struct {
	LoadBalancerID    string     `gorm:"column:load_balancer_id;primaryKey"`
	Generation        int64      `gorm:"column:generation"`         // raised by every change, in the change's transaction
	AppliedGeneration int64      `gorm:"column:applied_generation"` // last generation that reached its end state
	RunAfter          *time.Time `gorm:"column:run_after"`          // UTC with milliseconds; null = nothing to do, or leased and nothing new since
	Attempts          int        `gorm:"column:attempts"`           // failures and deaths in a row
	LastError         string     `gorm:"column:last_error"`
	LeaseOwner        string     `gorm:"column:lease_owner"`
	LeaseToken        int64      `gorm:"column:lease_token"` // raised by every claim; fences writes of older holders
	LeaseUntil        *time.Time `gorm:"column:lease_until"` // null = not leased
	RequestID         string     `gorm:"column:request_id"`  // of the newest change, joins worker logs to API requests
	Cancelled         *string    `gorm:"column:cancelled"`   // the load balancer's status when CancelWork stopped it; null = not stopped
	NotBefore         *time.Time `gorm:"column:not_before"`  // until then a worker may still be at it whose lease was taken away
}

// TableName implements gorm's Tabler.
func (Work) TableName() string { return "ottavino_work" }

// Lease is a worker's right to work on one load balancer until Until.
type Lease struct {
	LoadBalancerID string
	Owner          string
	Token          int64
	Generation     int64 // as read when claimed
	Attempts       int   // passes that failed, or whose worker died, in a row
	LastError      string
	RequestID      string
	Until          time.Time
}

// maxText bounds texts for people, in bytes; MariaDB's text holds 64 KiB.
const maxText = 8 << 10

// Touch raises the load balancer's work generation and makes it due now, creating its row. Work that CancelWork stopped
// goes on.
// The commit of this transaction wakes local workers (see Store.Wake). The row gets the
// request id that WithRequestID put into ctx.
func (tx *Tx) Touch(ctx context.Context, lbID string) error {
	request, _ := ctx.Value(requestKey{}).(string)
	return tx.due(ctx, lbID, tx.millis(), touched, request, request)
}

type requestKey struct{}

// WithRequestID returns a context whose Touch (BeginChange, BeginDelete …) remembers the id of
// the API request that made the change, for Lease.RequestID.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// Schedule makes the load balancer due at the given time at the latest, without raising the
// generation (drift checks, amphora replacement). Work that CancelWork stopped stays stopped.
func (tx *Tx) Schedule(ctx context.Context, lbID string, at time.Time) error {
	return tx.due(ctx, lbID, at.UTC().Truncate(time.Millisecond), scheduled)
}

// Record makes the row of a load balancer that has none, due at the given time.
func (tx *Tx) Record(ctx context.Context, lbID string, at time.Time) error {
	at = at.UTC().Truncate(time.Millisecond)
	return Insert(ctx, tx, &Work{LoadBalancerID: lbID, RunAfter: &at})
}

// touched and scheduled bring run_after forward to the time that both arguments say, but not before a worker that was
// fenced out is surely gone. MariaDB assigns from left to right: what is read comes before it is written.
const (
	touched = `UPDATE ottavino_work SET generation = generation + 1, request_id = CASE WHEN ? = '' THEN request_id ELSE ? END,
run_after = CASE WHEN run_after < ? THEN run_after WHEN not_before > ? THEN not_before ELSE ? END,
cancelled = NULL WHERE load_balancer_id = ?`
	scheduled = `UPDATE ottavino_work SET
run_after = CASE WHEN cancelled IS NOT NULL THEN NULL WHEN run_after < ? THEN run_after
WHEN not_before > ? THEN not_before ELSE ? END WHERE load_balancer_id = ?`
)

// due makes a load balancer's row due as the statement says, creating it. Args come first in the statement.
func (tx *Tx) due(ctx context.Context, lbID string, at time.Time, earlier string, args ...any) error {
	g := tx.db.WithContext(ctx)
	args = append(args, at, at, at, lbID)
	// Update first: it takes one lock on a row that nearly always exists. An insert that
	// finds the key taken also locks the gap before it on MariaDB.
	update := g.Exec(earlier, args...)
	err := update.Error
	if err == nil && update.RowsAffected == 0 {
		row := Work{LoadBalancerID: lbID}
		err = g.Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "load_balancer_id"}},
			DoUpdates: clause.Set{{Column: clause.Column{Name: "load_balancer_id"}, Value: lbID}},
		}).Create(&row).Error
		if err == nil {
			err = g.Exec(earlier, args...).Error
		}
	}
	if err == nil && !at.After(tx.now()) {
		err = tx.wake(ctx)
	}
	if err != nil {
		return fmt.Errorf("make load balancer %s due: %w", lbID, err)
	}
	return nil
}

// Claim leases up to n due load balancers for d. A row is due when run_after has passed and
// no live lease holds it, or when its lease ran out. Uses SKIP LOCKED where the engine has it,
// a guarded UPDATE always. Without due rows it writes nothing.
func (s *Store) Claim(ctx context.Context, owner string, n int, d time.Duration) ([]Lease, error) {
	var due []string
	err := s.Read(ctx, func(ctx context.Context, tx *Tx) (err error) {
		// More than wanted: other workers look at the same rows at the same time.
		due, err = tx.dueIDs(ctx, 2*n+10)
		return err
	})
	if err != nil || len(due) == 0 {
		return nil, err
	}
	var leases []Lease
	err = s.Tx(ctx, func(ctx context.Context, tx *Tx) (err error) {
		leases, err = tx.claim(ctx, owner, due, n, d)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim work: %w", err)
	}
	return leases, nil
}

// dueIDs finds due rows, the longest waiting first, without locking any.
func (tx *Tx) dueIDs(ctx context.Context, n int) ([]string, error) {
	// Two branches: each is a range of an index.
	const due = `SELECT load_balancer_id FROM (
SELECT load_balancer_id, run_after AS since FROM ottavino_work
WHERE run_after <= ? AND (lease_until IS NULL OR lease_until <= ?)
UNION ALL SELECT load_balancer_id, lease_until AS since FROM ottavino_work
WHERE lease_until <= ? AND run_after IS NULL) AS due ORDER BY since, load_balancer_id LIMIT ?`
	now := tx.millis()
	var ids []string
	if err := tx.db.WithContext(ctx).Raw(due, now, now, now, n).Scan(&ids).Error; err != nil {
		return nil, fmt.Errorf("find due work: %w", err)
	}
	return ids, nil
}

// isDue guards a claim; its three arguments are the time.
const isDue = `((run_after <= ? AND (lease_until IS NULL OR lease_until <= ?)) OR (run_after IS NULL AND lease_until <= ?))`

// claim leases the first n of the given rows that are still due and that nobody else holds locked.
func (tx *Tx) claim(ctx context.Context, owner string, ids []string, n int, d time.Duration) ([]Lease, error) {
	now := tx.millis()
	read := tx.db.WithContext(ctx)
	if tx.skipLocked {
		read = read.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate, Options: clause.LockingOptionsSkipLocked})
	}
	var rows []Work
	if err := read.Where("load_balancer_id IN ? AND "+isDue, ids, now, now, now).Find(&rows).Error; err != nil {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b Work) int {
		return cmp.Compare(slices.Index(ids, a.LoadBalancerID), slices.Index(ids, b.LoadBalancerID))
	})
	var leases []Lease
	for _, w := range rows[:min(n, len(rows))] {
		l := Lease{
			LoadBalancerID: w.LoadBalancerID, Owner: owner, Token: w.LeaseToken + 1, Generation: w.Generation,
			Attempts: w.Attempts, LastError: w.LastError, RequestID: w.RequestID, Until: now.Add(d).Truncate(time.Millisecond),
		}
		if w.LeaseOwner != "" { // who had it died on the way: like after a failure, nothing that was begun is taken for done
			l.Attempts++
		}
		// A null run_after during the lease: what is there at its end was asked for meanwhile.
		update := tx.db.WithContext(ctx).Model(&Work{}).
			Where("load_balancer_id = ? AND lease_token = ? AND "+isDue, w.LoadBalancerID, w.LeaseToken, now, now, now).
			UpdateColumns(map[string]any{
				"lease_owner": owner, "lease_token": l.Token, "lease_until": l.Until, "run_after": nil, "attempts": l.Attempts,
			})
		if update.Error != nil {
			return nil, update.Error
		}
		if update.RowsAffected == 1 {
			leases = append(leases, l)
		}
	}
	return leases, nil
}

// Extend prolongs a lease. ErrLeaseLost when it is another's now.
func (s *Store) Extend(ctx context.Context, l *Lease, d time.Duration) error {
	var until time.Time
	err := s.Tx(ctx, func(ctx context.Context, tx *Tx) error {
		until = tx.millis().Add(d).Truncate(time.Millisecond)
		update := tx.db.WithContext(ctx).Model(&Work{}).
			Where("load_balancer_id = ? AND lease_token = ? AND lease_owner = ?", l.LoadBalancerID, l.Token, l.Owner).
			UpdateColumn("lease_until", until)
		if update.Error == nil && update.RowsAffected == 0 {
			return ErrLeaseLost
		}
		return update.Error
	})
	if err != nil {
		return fmt.Errorf("extend lease of load balancer %s: %w", l.LoadBalancerID, err)
	}
	l.Until = until
	return nil
}

// LeaseTx is Tx for the holder of a lease: its first statement locks the work row and repeats the token,
// so nothing is written by a worker that lost it (ErrLeaseLost).
func (s *Store) LeaseTx(ctx context.Context, l *Lease, fn func(ctx context.Context, tx *Tx) error) error {
	return s.Tx(ctx, func(ctx context.Context, tx *Tx) error {
		if _, err := tx.fence(ctx, l); err != nil {
			return err
		}
		return fn(ctx, tx)
	})
}

// fence locks the work row of a lease that still holds.
func (tx *Tx) fence(ctx context.Context, l *Lease) (*Work, error) {
	w, err := Lock[Work](ctx, tx, l.LoadBalancerID)
	if isNotFound(err) {
		return nil, ErrLeaseLost
	}
	if err != nil {
		return nil, err
	}
	if w.LeaseToken != l.Token || w.LeaseOwner != l.Owner {
		return nil, ErrLeaseLost
	}
	return w, nil
}

// Outcome is how a reconcile pass ended.
type Outcome struct {
	// Again is when to run again; 0 with Done false means at once. With Done it is the next
	// drift check; 0 then means never.
	Again time.Duration
	// Done says that Lease.Generation reached its end state. The row stays due when the
	// generation has moved on meanwhile.
	Done bool
	// Err is why the pass failed, shown to operators; it raises Attempts. Done clears both.
	Err string
}

// Finish gives the lease back with its outcome. ErrLeaseLost when it is another's now, or was taken away; then nobody
// waits any more for its holder to notice.
func (s *Store) Finish(ctx context.Context, l *Lease, o Outcome) error {
	err := s.Tx(ctx, func(ctx context.Context, tx *Tx) error {
		w, err := tx.fence(ctx, l)
		if err != nil {
			return err
		}
		next := tx.apply(w, l, o)
		update := tx.db.WithContext(ctx).Model(&Work{}).Where("load_balancer_id = ?", l.LoadBalancerID).
			UpdateColumns(map[string]any{
				"applied_generation": w.AppliedGeneration, "attempts": w.Attempts, "last_error": w.LastError,
				"lease_owner": "", "lease_until": nil, "run_after": next,
			})
		if update.Error == nil && next != nil && !next.After(tx.now()) {
			return tx.wake(ctx)
		}
		return update.Error
	})
	if errors.Is(err, ErrLeaseLost) {
		err = errors.Join(err, s.Tx(ctx, func(ctx context.Context, tx *Tx) error { return tx.leave(ctx, l) }))
	}
	if err != nil {
		return fmt.Errorf("finish work on load balancer %s: %w", l.LoadBalancerID, err)
	}
	return nil
}

// apply puts an outcome into the row and returns when it is due next: nil for never.
func (tx *Tx) apply(w *Work, l *Lease, o Outcome) *time.Time {
	now := tx.millis()
	next := now.Add(o.Again).Truncate(time.Millisecond)
	switch {
	case o.Done:
		w.AppliedGeneration, w.Attempts, w.LastError = max(w.AppliedGeneration, l.Generation), 0, ""
	case o.Err != "":
		w.Attempts, w.LastError = w.Attempts+1, clip(o.Err)
	}
	switch {
	case o.Done && w.Generation > l.Generation:
		next = now
	case o.Done && o.Again == 0:
		return w.RunAfter
	}
	if w.RunAfter != nil && w.RunAfter.Before(next) { // asked for during the lease
		next = w.RunAfter.UTC()
	}
	return &next
}

// CurrentGeneration reads the load balancer's generation; inside LeaseTx it is stable until commit.
// Absent: *NotFoundError.
func (tx *Tx) CurrentGeneration(ctx context.Context, lbID string) (int64, error) {
	w, err := Get[Work](ctx, tx, lbID)
	if err != nil {
		return 0, err
	}
	return w.Generation, nil
}

// ForgetWork removes the work row (after the load balancer is DELETED).
func (tx *Tx) ForgetWork(ctx context.Context, lbID string) error {
	if _, err := DeleteWhere[Work](ctx, tx, "load_balancer_id = ?", lbID); err != nil {
		return fmt.Errorf("forget work on load balancer %s: %w", lbID, err)
	}
	return nil
}

// millis is the store's clock as work rows have it: UTC, whole milliseconds.
func (tx *Tx) millis() time.Time { return tx.now().UTC().Truncate(time.Millisecond) }

// clip bounds a text for people, cutting no character in two.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	s = s[:maxText]
	for !utf8.ValidString(s) && len(s) > maxText-utf8.UTFMax {
		s = s[:len(s)-1]
	}
	return s
}
