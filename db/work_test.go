package db_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ottavino/ottavino/db"
)

func (w *world) claim(owner string, n int) []db.Lease {
	w.t.Helper()
	leases, err := w.Claim(w.t.Context(), owner, n, time.Minute)
	if err != nil {
		w.t.Fatal(err)
	}
	return leases
}

// claimOne claims the only due load balancer.
func (w *world) claimOne(owner string) *db.Lease {
	w.t.Helper()
	leases := w.claim(owner, 10)
	if len(leases) != 1 {
		w.t.Fatalf("got %d leases, want 1", len(leases))
	}
	return &leases[0]
}

func (w *world) finish(l *db.Lease, o db.Outcome) {
	w.t.Helper()
	if err := w.Finish(w.t.Context(), l, o); err != nil {
		w.t.Fatal(err)
	}
}

func TestClaimOrderAndLimit(t *testing.T) {
	each(t, func(w *world) {
		var want []string
		for range 5 {
			want = append(want, w.work(1)...)
			w.clock.Pass(time.Millisecond)
		}
		var got []string
		for _, n := range []int{2, 10, 10} {
			for _, l := range w.claim("a", n) {
				got = append(got, l.LoadBalancerID)
			}
		}
		if !slices.Equal(got, want) {
			w.t.Errorf("got %v, want the longest waiting first, each once: %v", got, want)
		}
	})
}

func TestLeaseRunsOut(t *testing.T) {
	each(t, func(w *world) {
		w.work(1)
		old := w.claimOne("a")
		w.clock.Pass(59 * time.Second)
		if got := w.claim("b", 1); len(got) != 0 {
			w.t.Fatalf("claimed under a live lease: %+v", got)
		}
		if err := w.Extend(w.t.Context(), old, 2*time.Minute); err != nil {
			w.t.Fatal(err)
		}
		w.clock.Pass(time.Minute)
		if got := w.claim("b", 1); len(got) != 0 {
			w.t.Fatalf("claimed under an extended lease: %+v", got)
		}
		w.clock.Pass(time.Minute)
		got := w.claimOne("a") // the same name again: a restarted process
		if got.Token <= old.Token {
			w.t.Errorf("got token %d after %d, want a higher one", got.Token, old.Token)
		}
		if got.Attempts != 1 {
			w.t.Errorf("got %d attempts after a worker that died, want 1", got.Attempts)
		}
		assertLost(w, old)
		w.finish(got, db.Outcome{Done: true})
		assertLost(w, got)
	})
}

// assertLost tries all that the holder of a lost lease may try.
func assertLost(w *world, l *db.Lease) {
	w.t.Helper()
	ran := false
	for what, err := range map[string]error{
		"Extend": w.Extend(w.t.Context(), l, time.Minute),
		"Finish": w.Finish(w.t.Context(), l, db.Outcome{Done: true}),
		"LeaseTx": w.LeaseTx(w.t.Context(), l, func(context.Context, *db.Tx) error {
			ran = true
			return nil
		}),
	} {
		if !errors.Is(err, db.ErrLeaseLost) {
			w.t.Errorf("%s of a lost lease: got %v, want ErrLeaseLost", what, err)
		}
	}
	if ran {
		w.t.Error("LeaseTx ran its function without the lease")
	}
}

func TestFinish(t *testing.T) {
	type step struct {
		during func(ctx context.Context, tx *db.Tx, id string, now time.Time) error // while leased
		o      db.Outcome
		wait   time.Duration // until due again; negative: never
		errs   int           // Attempts at the next claim
		text   string        // LastError at the next claim
	}
	touch := func(ctx context.Context, tx *db.Tx, id string, _ time.Time) error { return tx.Touch(ctx, id) }
	in := func(d time.Duration) func(context.Context, *db.Tx, string, time.Time) error {
		return func(ctx context.Context, tx *db.Tx, id string, now time.Time) error {
			return tx.Schedule(ctx, id, now.Add(d))
		}
	}
	for name, s := range map[string]step{
		"done for ever":          {o: db.Outcome{Done: true}, wait: -1},
		"done until drift":       {o: db.Outcome{Done: true, Again: time.Minute}, wait: time.Minute},
		"again at once":          {o: db.Outcome{}, wait: 0},
		"again later":            {o: db.Outcome{Again: 1500 * time.Millisecond}, wait: 1500 * time.Millisecond},
		"failed":                 {o: db.Outcome{Again: time.Second, Err: "no quota"}, wait: time.Second, errs: 1, text: "no quota"},
		"changed meanwhile":      {during: touch, o: db.Outcome{Done: true, Again: time.Hour}, wait: 0},
		"failed while changed":   {during: touch, o: db.Outcome{Again: time.Hour, Err: "x"}, wait: 0, errs: 1, text: "x"},
		"scheduled sooner":       {during: in(time.Second), o: db.Outcome{Done: true, Again: time.Hour}, wait: time.Second},
		"scheduled later":        {during: in(2 * time.Hour), o: db.Outcome{Done: true, Again: time.Hour}, wait: time.Hour},
		"scheduled, else never":  {during: in(2 * time.Hour), o: db.Outcome{Done: true}, wait: 2 * time.Hour},
		"done forgives failures": {o: db.Outcome{Done: true, Again: time.Second, Err: "x"}, wait: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *world) {
				id := w.work(1)[0]
				l := w.claimOne("a")
				if s.during != nil {
					w.tx(func(ctx context.Context, tx *db.Tx) error { return s.during(ctx, tx, id, w.clock.Now()) })
				}
				w.finish(l, s.o)
				if s.wait != 0 {
					w.clock.Pass(max(s.wait, 1000*time.Hour*time.Duration(btoi(s.wait < 0))) - time.Millisecond)
					if got := w.claim("a", 1); len(got) != 0 {
						w.t.Fatalf("due too early: %+v", got)
					}
				}
				if s.wait < 0 {
					return
				}
				w.clock.Pass(time.Millisecond)
				if next := w.claimOne("a"); next.Attempts != s.errs || next.LastError != s.text {
					w.t.Errorf("got %d attempts and error %q, want %d and %q", next.Attempts, next.LastError, s.errs, s.text)
				}
			})
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestManyClaimers has workers of three processes, one of them without SKIP LOCKED, take everything while changes keep coming in,
// and asserts that no two ever held the same load balancer at once, and that none was missed.
func TestManyClaimers(t *testing.T) {
	each(t, func(w *world) {
		const jobs, workers = 40, 2
		var mu sync.Mutex
		held := map[string]string{}
		done := map[string]int64{}
		ids := w.work(jobs)
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
		defer cancel()
		one := func(s *db.Store, owner string, l *db.Lease) error {
			mu.Lock()
			if other := held[l.LoadBalancerID]; other != "" {
				w.t.Errorf("%s and %s both hold %s", owner, other, l.LoadBalancerID)
			}
			held[l.LoadBalancerID] = owner
			mu.Unlock()
			err := s.LeaseTx(ctx, l, func(ctx context.Context, tx *db.Tx) error {
				_, err := tx.CurrentGeneration(ctx, l.LoadBalancerID)
				return err
			})
			mu.Lock()
			delete(held, l.LoadBalancerID)
			done[l.LoadBalancerID] = max(done[l.LoadBalancerID], l.Generation)
			mu.Unlock()
			return errors.Join(err, s.Finish(ctx, l, db.Outcome{Done: true}))
		}
		finished := func() bool {
			mu.Lock()
			defer mu.Unlock()
			for _, id := range ids {
				if done[id] < 2 {
					return false
				}
			}
			return true
		}
		var all sync.WaitGroup
		old := w.second()
		old.DoWithoutSkipLocked()
		for i, s := range []*db.Store{w.Store, w.second(), old} {
			for j := range workers {
				owner := fmt.Sprintf("%d-%d", i, j)
				all.Go(func() {
					for !finished() {
						leases, err := s.Claim(ctx, owner, 3, time.Hour)
						for k := range leases {
							err = errors.Join(err, one(s, owner, &leases[k]))
						}
						if err != nil {
							w.t.Error(err)
							return
						}
					}
				})
			}
		}
		for _, id := range ids { // the second generation comes in while the first is worked on
			w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.Touch(ctx, id) })
		}
		all.Wait()
	})
}

func TestWake(t *testing.T) {
	each(t, func(w *world) {
		wake := w.Wake()
		drain := func() {
			for len(wake) > 0 {
				<-wake
			}
		}
		await := func(what string) {
			w.t.Helper()
			select {
			case <-wake:
			case <-time.After(10 * time.Second):
				w.t.Fatalf("not woken by %s", what)
			}
		}
		if w.Engine() == "postgresql" {
			await("starting to listen")
		}
		err := w.Tx(w.t.Context(), func(ctx context.Context, tx *db.Tx) error {
			return errors.Join(tx.Touch(ctx, w.id()), errors.New("rolled back"))
		})
		if err == nil || len(wake) != 0 {
			w.t.Fatalf("woken by a transaction that ended with %v", err)
		}
		w.work(1)
		await("a commit")
		if w.Engine() != "postgresql" {
			return
		}
		drain()
		other := world{Store: w.second(), t: w.t}
		other.work(1)
		await("another process")
	})
}

func TestRequestOfChange(t *testing.T) {
	each(t, func(w *world) {
		id := w.id()
		for _, request := range []string{"req-1", "req-2"} {
			w.tx(func(ctx context.Context, tx *db.Tx) error {
				return tx.Touch(db.WithRequestID(ctx, request), id)
			})
		}
		w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.Touch(ctx, id) })
		if l := w.claimOne("a"); l.RequestID != "req-2" || l.Generation != 3 {
			w.t.Errorf("got request %q and generation %d, want the newest: req-2 and 3", l.RequestID, l.Generation)
		}
		w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.ForgetWork(ctx, id) })
		err := w.Read(w.t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.CurrentGeneration(ctx, id)
			return err
		})
		_ = wantError[*db.NotFoundError](w.t, err)
	})
}

func TestEvents(t *testing.T) {
	each(t, func(w *world) {
		emit := func(object, reason, message string) {
			w.t.Helper()
			w.tx(func(ctx context.Context, tx *db.Tx) error {
				return tx.Emit(ctx, db.Event{
					LoadBalancerID: "lb", ProjectID: "p", ObjectKind: string(db.KindListener), ObjectID: object,
					Type: "Warning", Reason: reason, Message: message,
				})
			})
			w.clock.Pass(time.Second)
		}
		emit("l1", "Failed", "x")
		emit("l2", "Failed", "x")
		emit("l1", "Failed", "x")
		emit("l1", "Failed", "y")
		emit("l1", "Failed", "x")
		got := texts(w.t, w.Store, "SELECT CONCAT(object_id, ' ', message, ' ', count) FROM ottavino_event ORDER BY id")
		want := []string{"l1 x 2", "l2 x 1", "l1 y 1", "l1 x 1"}
		if !slices.Equal(got, want) {
			w.t.Errorf("got %q, want %q", got, want)
		}
		w.see(func(ctx context.Context, tx *db.Tx) error {
			events, err := db.Where[db.Event](ctx, tx, "count = ?", 2)
			if len(events) != 1 || events[0].LastAt.Sub(events[0].FirstAt) != 2*time.Second {
				w.t.Errorf("got %+v, want one event that lasted 2s", events)
			}
			return err
		})
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			e := db.Event{LoadBalancerID: "lb", ObjectKind: string(db.KindListener), ObjectID: "l1", Type: "Warning", Reason: "Failed", Message: "y"}
			if err := tx.Repeat(ctx, e, tx.Now().Add(-3*time.Second)); err != nil { // y was 2 s ago
				return err
			}
			e.Message = "x"
			return tx.Repeat(ctx, e, tx.Now().Add(time.Second))
		})
		got = texts(w.t, w.Store, "SELECT CONCAT(object_id, ' ', message, ' ', count) FROM ottavino_event ORDER BY id")
		if want = []string{"l1 x 2", "l2 x 1", "l1 y 2", "l1 x 2"}; !slices.Equal(got, want) {
			w.t.Errorf("after repeats: got %q, want %q", got, want)
		}
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			for i := range 210 {
				e := db.Event{LoadBalancerID: "lb", ObjectID: "l3", Reason: "Many", Message: fmt.Sprint(i)}
				if err := tx.Emit(ctx, e); err != nil {
					return err
				}
			}
			return nil
		})
		if got := texts(w.t, w.Store, "SELECT COUNT(*) FROM ottavino_event"); got[0] != "200" {
			w.t.Errorf("got %s events, want the newest 200", got[0])
		}
	})
}

// TestBuildSlots: amphorae that build take slots for as long as they build, or may.
func TestBuildSlots(t *testing.T) {
	each(t, func(w *world) {
		take := func(want bool) db.Amphora {
			w.t.Helper()
			a := db.Amphora{ID: uuid.NewString(), Status: db.PendingCreate}
			w.tx(func(ctx context.Context, tx *db.Tx) error {
				if err := db.Insert(ctx, tx, &a); err != nil {
					return err
				}
				got, err := tx.TakeBuildSlot(ctx, &a, 2, time.Minute)
				if got != want || (a.Status == db.Booting) != want {
					w.t.Errorf("got %t and status %s, want %t", got, a.Status, want)
				}
				return err
			})
			return a
		}
		a, b := take(true), take(true)
		take(false)
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			ip := "192.0.2.1"
			a.LBNetworkIP = &ip
			return db.Update(ctx, tx, &a, "lb_network_ip")
		})
		take(true)
		take(false)
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			b.Status = db.Error
			return db.Update(ctx, tx, &b, "status")
		})
		take(true)
		take(false)
		w.clock.Pass(2 * time.Minute)
		take(true)
	})
}
