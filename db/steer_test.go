package db_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ottavino/ottavino/db"
)

// steered is a load balancer with a listener that a worker holds, after two failures.
type steered struct {
	*world
	lb    *db.LoadBalancer
	lease db.Lease
}

func newSteered(w *world, status db.ProvisioningStatus) *steered {
	w.t.Helper()
	s := &steered{world: w, lb: w.balancer("p", status)}
	w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.Touch(ctx, s.lb.ID) })
	for range 2 {
		s.lease = s.claim()
		if err := w.Finish(w.t.Context(), &s.lease, db.Outcome{Err: "no", Again: time.Second}); err != nil {
			w.t.Fatal(err)
		}
		w.clock.Pass(time.Second)
	}
	s.lease = s.claim()
	return s
}

// claim takes the one row there is, which must be due.
func (s *steered) claim() db.Lease {
	s.t.Helper()
	leases, err := s.Claim(s.t.Context(), "w", 1, 30*time.Second)
	if err != nil || len(leases) != 1 {
		s.t.Fatalf("got leases %v, %v, want one", leases, err)
	}
	return leases[0]
}

// idle says that nothing is due.
func (s *steered) idle(when string) {
	s.t.Helper()
	leases, err := s.Claim(s.t.Context(), "w", 1, 30*time.Second)
	if err != nil || len(leases) != 0 {
		s.t.Fatalf("%s: got leases %v, %v, want none", when, leases, err)
	}
}

func (s *steered) status(want db.ProvisioningStatus) {
	s.t.Helper()
	s.see(func(ctx context.Context, tx *db.Tx) error {
		got, err := tx.Statuses(ctx, db.KindLoadBalancer, []string{s.lb.ID})
		if err == nil && got[s.lb.ID] != want {
			s.t.Errorf("got status %s, want %s", got[s.lb.ID], want)
		}
		return err
	})
}

// lost says that the first lease can write nothing any more.
func (s *steered) lost() {
	s.t.Helper()
	nothing := func(context.Context, *db.Tx) error { return nil }
	for what, err := range map[string]error{
		"write":  s.LeaseTx(s.t.Context(), &s.lease, nothing),
		"extend": s.Extend(s.t.Context(), &s.lease, time.Second),
	} {
		if !errors.Is(err, db.ErrLeaseLost) {
			s.t.Errorf("%s with the old lease: got %v, want that it is lost", what, err)
		}
	}
}

func TestRetryForgetsFailures(t *testing.T) {
	each(t, func(w *world) {
		s := newSteered(w, db.Error)
		if err := w.Finish(w.t.Context(), &s.lease, db.Outcome{Err: "no", Again: time.Hour}); err != nil {
			w.t.Fatal(err)
		}
		s.idle("during the backoff")
		w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.RetryWork(ctx, s.lb.ID) })
		s.status(db.PendingUpdate)
		if l := s.claim(); l.Attempts != 0 || l.LastError != "" || l.Generation != s.lease.Generation+1 {
			w.t.Errorf("got %+v, want a new generation without failures", l)
		}
	})
}

// TestRetryWaitsForThePass: a pass that is under way is neither cut nor lost, and another follows at once.
func TestRetryWaitsForThePass(t *testing.T) {
	each(t, func(w *world) {
		s := newSteered(w, db.PendingUpdate)
		w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.RetryWork(ctx, s.lb.ID) })
		s.idle("during the pass")
		if err := w.Finish(w.t.Context(), &s.lease, db.Outcome{Err: "no", Again: time.Hour}); err != nil {
			w.t.Fatal(err)
		}
		if l := s.claim(); l.Attempts != 1 {
			w.t.Errorf("got %d attempts, want the one since the retry", l.Attempts)
		}
	})
}

func TestResetFencesOut(t *testing.T) {
	each(t, func(w *world) {
		for status, want := range map[db.ProvisioningStatus]db.ProvisioningStatus{
			db.PendingCreate: db.PendingCreate, db.PendingUpdate: db.PendingUpdate, db.PendingDelete: db.PendingDelete,
			db.Error: db.PendingUpdate, db.Active: db.PendingUpdate,
		} {
			s := newSteered(w, status)
			w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.ResetWork(ctx, s.lb.ID) })
			s.lost()
			s.status(want)
			s.idle("before the fenced worker knows")
			w.clock.Pass(16 * time.Second) // half of the lease's length
			if l := s.claim(); l.Attempts != 0 || l.LastError != "" {
				w.t.Errorf("%s: got %+v, want no failures", status, l)
			}
			w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.ForgetWork(ctx, s.lb.ID) })
		}
	})
}

// TestResetGoesOnOnceNoticed: nobody waits longer than the fenced worker needs to notice.
func TestResetGoesOnOnceNoticed(t *testing.T) {
	each(t, func(w *world) {
		s := newSteered(w, db.PendingUpdate)
		w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.ResetWork(ctx, s.lb.ID) })
		s.idle("before the fenced worker knows")
		noticed := func() {
			if err := w.Finish(w.t.Context(), &s.lease, db.Outcome{Done: true}); !errors.Is(err, db.ErrLeaseLost) {
				w.t.Errorf("got %v, want that the lease is lost", err)
			}
		}
		noticed()
		next := s.claim()
		noticed() // again is nothing
		if err := w.Finish(w.t.Context(), &next, db.Outcome{Done: true}); err != nil {
			w.t.Errorf("the next worker: %v", err)
		}
	})
}

func TestCancelStopsUntilRetryOrChange(t *testing.T) {
	for name, goOn := range map[string]func(ctx context.Context, tx *db.Tx, id string) error{
		"retry": func(ctx context.Context, tx *db.Tx, id string) error { return tx.RetryWork(ctx, id) },
		"reset": func(ctx context.Context, tx *db.Tx, id string) error { return tx.ResetWork(ctx, id) },
		"change": func(ctx context.Context, tx *db.Tx, id string) error {
			_, err := tx.BeginChange(ctx, id, db.AcceptPending)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *world) {
				s := newSteered(w, db.PendingUpdate)
				cancel := func(ctx context.Context, tx *db.Tx) error { return tx.CancelWork(ctx, s.lb.ID) }
				w.tx(cancel)
				s.lost()
				s.status(db.Error)
				w.tx(cancel) // again is nothing
				w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.Schedule(ctx, s.lb.ID, tx.Now()) })
				w.clock.Pass(time.Hour)
				s.idle("while cancelled")
				w.tx(func(ctx context.Context, tx *db.Tx) error { return goOn(ctx, tx, s.lb.ID) })
				s.claim()
			})
		})
	}
}

// TestCancelKeepsWishes: what was to go is remembered, below the load balancer and for itself.
func TestCancelKeepsWishes(t *testing.T) {
	each(t, func(w *world) {
		s := newSteered(w, db.PendingDelete)
		kept, made := w.listener(s.lb, 80), w.listener(s.lb, 81)
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			return errors.Join(tx.MarkPending(ctx, db.KindListener, db.PendingDelete, kept.ID),
				tx.MarkPending(ctx, db.KindListener, db.PendingUpdate, made.ID))
		})
		w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.CancelWork(ctx, s.lb.ID) })
		s.status(db.Error)
		w.see(func(ctx context.Context, tx *db.Tx) error {
			for id, want := range map[string]db.ProvisioningStatus{kept.ID: db.PendingDelete, made.ID: db.Error} {
				l, err := db.Get[db.Listener](ctx, tx, id)
				if err != nil {
					return err
				}
				if l.ProvisioningStatus != want {
					w.t.Errorf("got a listener that is %s, want %s", l.ProvisioningStatus, want)
				}
			}
			return nil
		})
		w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.RetryWork(ctx, s.lb.ID) })
		s.status(db.PendingDelete)
	})
}

func TestCancelNeedsWork(t *testing.T) {
	each(t, func(w *world) {
		lb, gone := w.balancer("p", db.Active), w.balancer("p", db.Deleted)
		err := w.Tx(w.t.Context(), func(ctx context.Context, tx *db.Tx) error { return tx.CancelWork(ctx, lb.ID) })
		if !errors.Is(err, db.ErrNoWork) {
			w.t.Errorf("got %v, want that there is no work", err)
		}
		for _, steer := range []func(*db.Tx, context.Context, string) error{
			(*db.Tx).CancelWork, (*db.Tx).RetryWork, (*db.Tx).ResetWork,
		} {
			err := w.Tx(w.t.Context(), func(ctx context.Context, tx *db.Tx) error { return steer(tx, ctx, gone.ID) })
			_ = wantError[*db.NotFoundError](w.t, err)
		}
	})
}

// TestMovedTellsOfStatuses: waiters hear of commits that change a load balancer's status, and of no others.
func TestMovedTellsOfStatuses(t *testing.T) {
	each(t, func(w *world) {
		lb := w.balancer("p", db.PendingCreate)
		moved := w.Moved()
		heard := func() bool {
			select {
			case <-moved:
				return true
			default:
				return false
			}
		}
		w.tx(func(ctx context.Context, tx *db.Tx) error { return db.Update(ctx, tx, lb, "name") })
		if heard() {
			w.t.Error("heard of a new name")
		}
		lb.ProvisioningStatus = db.Active
		w.tx(func(ctx context.Context, tx *db.Tx) error { return db.Update(ctx, tx, lb, "provisioning_status") })
		if !heard() {
			w.t.Error("heard nothing of a new status")
		}
	})
}
