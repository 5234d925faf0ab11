package db_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ottavino/ottavino/db"
)

func TestBegin(t *testing.T) {
	const (
		immutable = "immutable"
		absent    = "absent"
		again     = "again" // PENDING_DELETE, and it was already
	)
	type modes = map[db.Pending]string
	both := func(s string) modes { return modes{db.AcceptPending: s, db.RejectPending: s} }
	tables := map[string]map[db.ProvisioningStatus]modes{
		"change": {
			db.Active:        both(db.PendingUpdate),
			db.Error:         {db.AcceptPending: db.PendingUpdate, db.RejectPending: immutable},
			db.PendingCreate: {db.AcceptPending: db.PendingCreate, db.RejectPending: immutable},
			db.PendingUpdate: {db.AcceptPending: db.PendingUpdate, db.RejectPending: immutable},
			db.PendingDelete: both(immutable),
			db.Deleted:       both(absent),
		},
		"failover": {
			db.Active:        both(db.PendingUpdate),
			db.Error:         both(db.PendingUpdate),
			db.PendingUpdate: {db.AcceptPending: db.PendingUpdate, db.RejectPending: immutable},
			db.PendingDelete: both(immutable),
		},
		"delete": {
			db.Active:        both(db.PendingDelete),
			db.Error:         both(db.PendingDelete),
			db.PendingCreate: {db.AcceptPending: db.PendingDelete, db.RejectPending: immutable},
			db.PendingUpdate: {db.AcceptPending: db.PendingDelete, db.RejectPending: immutable},
			db.PendingDelete: {db.AcceptPending: again, db.RejectPending: immutable},
			db.Deleted:       both(absent),
		},
	}
	each(t, func(w *world) {
		begin := func(verb, id string, mode db.Pending) (got string) {
			err := w.Tx(w.t.Context(), func(ctx context.Context, tx *db.Tx) error {
				var lb *db.LoadBalancer
				var err error
				repeated := false
				switch verb {
				case "change":
					lb, err = tx.BeginChange(ctx, id, mode)
				case "failover":
					lb, err = tx.BeginFailover(ctx, id, mode)
				default:
					lb, repeated, err = tx.BeginDelete(ctx, id, mode)
				}
				if err == nil {
					got = lb.ProvisioningStatus
				}
				if repeated {
					got = again
				}
				return err
			})
			var locked *db.ImmutableError
			var missing *db.NotFoundError
			switch {
			case errors.As(err, &locked):
				return immutable
			case errors.As(err, &missing):
				return absent
			case err == nil:
				return got
			}
			return err.Error()
		}
		for verb, statuses := range tables {
			for status, byMode := range statuses {
				for mode, want := range byMode {
					lb := w.balancer("p", status)
					if got := begin(verb, lb.ID, mode); got != want {
						w.t.Errorf("%s %s, %s: got %s, want %s", verb, status, mode, got, want)
					}
					stored, due := get[db.LoadBalancer](w, lb.ID).ProvisioningStatus, len(w.claim("a", 10)) == 1
					began := want != immutable && want != absent
					if due != began || began && want != again && stored != want || !began && stored != status {
						w.t.Errorf("%s %s, %s: stored %s, due %v", verb, status, mode, stored, due)
					}
				}
			}
		}
		if got := begin("change", "nope", db.AcceptPending); got != absent {
			w.t.Errorf("got %s, want %s", got, absent)
		}
	})
}

func TestMarkPending(t *testing.T) {
	each(t, func(w *world) {
		p := w.pool(w.balancer("p", db.Active))
		var ids []string
		for i, status := range []string{db.Active, db.Error, db.PendingCreate, db.PendingDelete} {
			m := w.member(p, "192.0.2."+string(rune('1'+i)))
			m.ProvisioningStatus = status
			w.tx(func(ctx context.Context, tx *db.Tx) error { return db.Update(ctx, tx, m, "provisioning_status") })
			ids = append(ids, m.ID)
		}
		for _, c := range []struct {
			status string
			want   []string
		}{
			{db.PendingUpdate, []string{db.PendingUpdate, db.PendingUpdate, db.PendingCreate, db.PendingDelete}},
			{db.PendingDelete, []string{db.PendingDelete, db.PendingDelete, db.PendingDelete, db.PendingDelete}},
			{db.PendingCreate, []string{db.PendingDelete, db.PendingDelete, db.PendingDelete, db.PendingDelete}},
		} {
			w.tx(func(ctx context.Context, tx *db.Tx) error {
				return tx.MarkPending(ctx, db.KindMember, c.status, ids...)
			})
			if got := texts(w.t, w.Store, "SELECT provisioning_status FROM member ORDER BY id"); !slices.Equal(got, c.want) {
				w.t.Errorf("marking %s: got %v, want %v", c.status, got, c.want)
			}
		}
		w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.MarkPending(ctx, db.KindPool, db.PendingUpdate) })
		err := w.Tx(w.t.Context(), func(ctx context.Context, tx *db.Tx) error {
			return tx.MarkPending(ctx, db.KindAmphora, db.PendingUpdate, "x")
		})
		if err == nil {
			w.t.Error("marked an amphora")
		}
	})
}

func TestQuotaCounts(t *testing.T) {
	each(t, func(w *world) {
		lb := w.balancer("p", db.Active)
		w.balancer("p", db.Deleted)
		w.balancer("other", db.Active)
		w.listener(lb, 80)
		take := func(r db.QuotaResource, n int, defaults db.QuotaDefaults) error {
			return w.Tx(w.t.Context(), func(ctx context.Context, tx *db.Tx) error {
				return tx.TakeQuota(ctx, "p", r, n, defaults)
			})
		}
		limit := func(sql string) { run(w, "UPDATE quotas SET "+sql+" WHERE project_id = 'p'") }
		three := db.QuotaDefaults{db.QuotaLoadBalancer: 3, db.QuotaListener: -1}
		for i, c := range []struct {
			do   string
			r    db.QuotaResource
			n    int
			full bool
			used string
		}{
			{"", db.QuotaLoadBalancer, 3, true, ""},   // one is there already
			{"", db.QuotaLoadBalancer, 2, false, "3"}, // recounted: the deleted and the other project's do not count
			{"", db.QuotaLoadBalancer, 1, true, "3"},
			{"", db.QuotaLoadBalancer, -1, false, "2"},
			{"load_balancer = 2", db.QuotaLoadBalancer, 1, true, "2"}, // the row's limit goes before the default
			{"load_balancer = -1", db.QuotaLoadBalancer, 50, false, "52"},
			{"", db.QuotaLoadBalancer, -99, false, "0"},
			{"", db.QuotaLoadBalancer, 1, false, "2"}, // zero is recounted
			{"", db.QuotaListener, 1000, false, "1001"},
			{"", db.QuotaPool, 7, false, "7"}, // no default: unlimited
			{"l7rule = 0", db.QuotaL7Rule, 1, true, ""},
		} {
			if c.do != "" {
				limit(c.do)
			}
			err := take(c.r, c.n, three)
			if c.full {
				if e := wantError[*db.QuotaError](w.t, err); e.Resource != c.r {
					w.t.Errorf("step %d: got %v", i, e)
				}
			} else if err != nil {
				w.t.Fatalf("step %d: %v", i, err)
			}
			got := append(texts(w.t, w.Store, "SELECT in_use_"+string(c.r)+" FROM quotas WHERE project_id = 'p'"), "")
			if got[0] != c.used {
				w.t.Errorf("step %d: got %q in use, want %q", i, got[0], c.used)
			}
		}
	})
}

// TestChangeWhileWorking has the API change a load balancer that a worker writes. Both lock
// in the same order, so neither is ever the victim of a deadlock and runs twice.
func TestChangeWhileWorking(t *testing.T) {
	each(t, func(w *world) {
		const times = 50
		lb := w.balancer("p", db.Active)
		w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.Touch(ctx, lb.ID) })
		l := w.claimOne("w")
		var runs atomic.Int32
		api := func(ctx context.Context, tx *db.Tx) error {
			runs.Add(1)
			if _, err := db.Lock[db.LoadBalancer](ctx, tx, lb.ID); err != nil {
				return err
			}
			if _, err := tx.BeginChange(ctx, lb.ID, db.AcceptPending); err != nil {
				return err
			}
			return tx.TakeQuota(ctx, "p", db.QuotaPool, 1, nil)
		}
		worker := func(ctx context.Context, tx *db.Tx) error {
			runs.Add(1)
			lb, err := db.Lock[db.LoadBalancer](ctx, tx, lb.ID)
			if err != nil {
				return err
			}
			lb.ProvisioningStatus = db.Active
			if err := db.Update(ctx, tx, lb, "provisioning_status"); err != nil {
				return err
			}
			return tx.TakeQuota(ctx, "p", db.QuotaPool, -1, nil)
		}
		w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.TakeQuota(ctx, "p", db.QuotaPool, 1, nil) })
		other := w.second()
		var both sync.WaitGroup
		both.Go(func() {
			for range times {
				if err := w.Tx(w.t.Context(), api); err != nil {
					w.t.Error(err)
				}
			}
		})
		both.Go(func() {
			for range times {
				if err := other.LeaseTx(w.t.Context(), l, worker); err != nil {
					w.t.Error(err)
				}
			}
		})
		both.Wait()
		if got := runs.Load(); got != 2*times && w.Engine() != "sqlite" { // there the file is the lock
			w.t.Errorf("got %d runs of %d transactions", got, 2*times)
		}
	})
}

// TestCreateManyAtOnce is what two servers do when a hundred load balancers are made at once:
// quota, rows, work and, at the same time, workers that write what they learned. No deadlock
// may come up, the quota must hold exactly, and no load balancer may be claimed twice.
func TestCreateManyAtOnce(t *testing.T) {
	each(t, func(w *world) {
		const wanted, limit, clients, workers = 120, 100, 12, 4
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
		defer cancel()
		stores := []*db.Store{w.Store, w.second()}
		jobs := make(chan int, wanted)
		for i := range wanted {
			jobs <- i
		}
		close(jobs)
		var mu sync.Mutex
		refused, active := 0, map[string]int{}
		var making, working sync.WaitGroup
		for i := range clients {
			making.Go(func() {
				for range jobs {
					err := createOne(ctx, stores[i%2], limit)
					if e := (*db.QuotaError)(nil); errors.As(err, &e) {
						mu.Lock()
						refused++
						mu.Unlock()
					} else if err != nil {
						w.t.Error(err)
					}
				}
			})
		}
		done := make(chan struct{})
		for i := range workers {
			working.Go(func() {
				for last := false; ; {
					leases, err := stores[i%2].Claim(ctx, "w", 5, time.Hour)
					for k := range leases {
						l := &leases[k]
						err = errors.Join(err, activate(ctx, stores[i%2], l))
						mu.Lock()
						active[l.LoadBalancerID]++
						mu.Unlock()
					}
					if err != nil {
						w.t.Error(err)
						return
					}
					if len(leases) == 0 && last {
						return
					}
					select {
					case <-done:
						last = true
					case <-stores[i%2].Wake():
					case <-time.After(20 * time.Millisecond):
					}
				}
			})
		}
		making.Wait()
		close(done)
		working.Wait()
		if refused != wanted-limit || len(active) != limit {
			w.t.Errorf("got %d refused and %d active, want %d and %d", refused, len(active), wanted-limit, limit)
		}
		for id, n := range active {
			if n != 1 {
				w.t.Errorf("%s was worked on %d times", id, n)
			}
		}
		if got := texts(w.t, w.Store, "SELECT COUNT(*) FROM load_balancer WHERE provisioning_status = 'ACTIVE'"); got[0] != "100" {
			w.t.Errorf("got %s active load balancers, want 100", got[0])
		}
	})
}

// createOne is a POST of a load balancer with a listener, and of another listener while it is pending.
func createOne(ctx context.Context, s *db.Store, limit int) error {
	lb := &db.LoadBalancer{
		ID: uuid.NewString(), ProjectID: ptr("p"), ProvisioningStatus: db.PendingCreate, OperatingStatus: db.Offline,
	}
	listener := func(port int) *db.Listener {
		return &db.Listener{
			ID: uuid.NewString(), ProjectID: lb.ProjectID, LoadBalancerID: &lb.ID, Protocol: "TCP", ProtocolPort: port,
			ProvisioningStatus: db.PendingCreate, OperatingStatus: db.Offline, ClientAuthentication: "NONE",
		}
	}
	return s.Tx(ctx, func(ctx context.Context, tx *db.Tx) error {
		err := tx.TakeQuota(ctx, "p", db.QuotaLoadBalancer, 1, db.QuotaDefaults{db.QuotaLoadBalancer: limit})
		if err != nil {
			return err
		}
		for _, insert := range []func() error{
			func() error { return db.Insert(ctx, tx, lb) },
			func() error { return db.Insert(ctx, tx, &db.VIP{LoadBalancerID: lb.ID, VNICType: "normal"}) },
			func() error { return db.Insert(ctx, tx, listener(80)) },
			func() error { return tx.SetTags(ctx, lb.ID, []string{"x"}) },
			func() error { return tx.Touch(ctx, lb.ID) },
		} {
			if err := insert(); err != nil {
				return err
			}
		}
		return nil
	})
}

// activate is a worker's pass over a load balancer.
func activate(ctx context.Context, s *db.Store, l *db.Lease) error {
	err := s.LeaseTx(ctx, l, func(ctx context.Context, tx *db.Tx) error {
		lb, err := db.Lock[db.LoadBalancer](ctx, tx, l.LoadBalancerID)
		if err != nil {
			return err
		}
		lb.ProvisioningStatus = db.Active
		if err := db.Update(ctx, tx, lb, "provisioning_status"); err != nil {
			return err
		}
		if err := tx.TakeQuota(ctx, "p", db.QuotaMember, 1, nil); err != nil {
			return err
		}
		return tx.Emit(ctx, db.Event{LoadBalancerID: lb.ID, ObjectID: lb.ID, Reason: "Active"})
	})
	return errors.Join(err, s.Finish(ctx, l, db.Outcome{Done: true}))
}
