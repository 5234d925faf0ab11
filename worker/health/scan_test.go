package health_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/compute"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbtest"
	"github.com/ottavino/ottavino/worker/health"
)

// silence makes amphorae stale at once.
func silence(c *health.Config) { c.Timeout = 50 * time.Millisecond }

// change writes columns of the amphora.
func (r *rig) change(set func(a *db.Amphora), columns ...string) {
	r.t.Helper()
	err := r.store.Tx(r.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		a, err := db.Lock[db.Amphora](ctx, tx, r.amphora)
		if err != nil {
			return err
		}
		set(a)
		return db.Update(ctx, tx, a, columns...)
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) status() string {
	r.t.Helper()
	return r.tree().Amphorae[0].Status
}

// awaitScan waits until a companion, whose amphora is surely dead, is condemned: whoever scans as often has scanned too.
func awaitScan(t *testing.T) {
	t.Helper()
	companion := newRig(t, dbtest.SQLite, agents{silent: true}, silence)
	companion.until("a companion is condemned", func() bool { return companion.status() == db.Error })
}

func TestSilentAmphoraIsCondemned(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite, agents{silent: true}, silence)
	r.until("the amphora is marked for replacement", func() bool {
		return r.status() == db.Error && r.tree().LoadBalancer.ProvisioningStatus == db.PendingUpdate
	})
	leases, err := r.store.Claim(t.Context(), "worker", 10, time.Minute)
	if err != nil || len(leases) != 1 || leases[0].LoadBalancerID != r.lb {
		t.Errorf("got work %v, %v, want the load balancer", leases, err)
	}
	var events []db.Event
	err = r.store.Read(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		events, err = db.Where[db.Event](ctx, tx, "load_balancer_id = ?", r.lb)
		return err
	})
	if err != nil || len(events) != 1 || events[0].Reason != "AmphoraSilent" {
		t.Errorf("got events %v, %v, want one that says why", events, err)
	}
}

// nova does not answer.
type nova struct{ *compute.Noop }

func (nova) Server(context.Context, string) (compute.Server, error) {
	return compute.Server{}, &cloud.Error{Op: "read server", Class: cloud.Unavailable}
}

// TestWhatSilenceDoesNotProve: nobody is replaced whose agent answers, or for whom Nova cannot be asked, or when so
// many are silent that it looks like our own trouble, or while the load balancer is on its way out.
func TestWhatSilenceDoesNotProve(t *testing.T) {
	t.Parallel()
	rigs := map[string]*rig{
		"the agent answers":            prepare(t, dbtest.SQLite),
		"Nova does not answer":         prepare(t, dbtest.SQLite),
		"the load balancer is leaving": prepare(t, dbtest.SQLite),
		"the amphora is leaving":       prepare(t, dbtest.SQLite),
		"the rest is not heard":        prepare(t, dbtest.SQLite),
	}
	dead := agents{silent: true}
	rigs["the agent answers"].run(agents{}, compute.NewNoop(), silence)
	rigs["Nova does not answer"].change(func(a *db.Amphora) { a.ComputeID = ptr(uuid.NewString()) }, "compute_id")
	rigs["Nova does not answer"].run(dead, nova{}, silence)
	leaving := rigs["the load balancer is leaving"]
	if err := leaving.store.Tx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, _, err := tx.BeginDelete(ctx, leaving.lb, db.AcceptPending)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	leaving.run(dead, compute.NewNoop(), silence)
	rigs["the amphora is leaving"].change(func(a *db.Amphora) { a.Status = db.PendingDelete }, "status")
	rigs["the amphora is leaving"].run(dead, compute.NewNoop(), silence)
	rigs["the rest is not heard"].add(time.Now().Add(time.Hour)) // another process hears this one
	rigs["the rest is not heard"].run(dead, compute.NewNoop(), silence)
	awaitScan(t)
	for name, r := range rigs {
		if got := r.status(); got == db.Error {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

// add adds an amphora that was last heard at a time.
func (r *rig) add(heard time.Time) (id string) {
	r.t.Helper()
	id = uuid.NewString()
	err := r.store.Tx(r.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		lb := uuid.NewString()
		if err := db.Insert(ctx, tx, &db.LoadBalancer{ID: lb, ProvisioningStatus: db.Active, OperatingStatus: db.Offline, Enabled: true}); err != nil {
			return err
		}
		return db.Insert(ctx, tx, &db.Amphora{ID: id, LoadBalancerID: &lb, Status: db.Allocated})
	})
	if err == nil {
		err = r.store.Heard(r.t.Context(), map[string]time.Time{id: heard})
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// TestBreaker: with failover_threshold silent amphorae none is replaced, and operators see which; those that are heard
// again are in service again.
func TestBreaker(t *testing.T) {
	t.Parallel()
	for _, e := range dbtest.Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, e, agents{silent: true}, func(c *health.Config) { silence(c); c.Threshold = 1 })
			r.until("the amphora is stopped", func() bool { return r.status() == db.FailoverStopped })
			r.until("it is in service again", func() bool { r.beat("UP", "UP"); return r.status() == db.Allocated })
		})
	}
}

// TestTheRationIsKept: more dead amphorae than the budget has tokens wait.
func TestTheRationIsKept(t *testing.T) {
	t.Parallel()
	r := prepare(t, dbtest.SQLite)
	r.add(time.Now().Add(-time.Hour))
	r.add(time.Now().Add(-time.Hour))
	r.run(agents{silent: true}, compute.NewNoop(), func(c *health.Config) { silence(c); c.Burst, c.BurstWindow = 2, time.Hour })
	condemned := func() int {
		var rows []db.Amphora
		err := r.store.Read(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
			rows, err = db.Where[db.Amphora](ctx, tx, "status = ?", db.Error)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return len(rows)
	}
	r.until("two are condemned", func() bool { return condemned() >= 2 })
	awaitScan(t)
	if got := condemned(); got != 2 {
		t.Errorf("got %d condemned, want 2", got)
	}
}

// TestDeathWhileBooting: an amphora that spoke once and then died before it was in service is replaced, too.
func TestDeathWhileBooting(t *testing.T) {
	t.Parallel()
	r := prepare(t, dbtest.SQLite)
	r.change(func(a *db.Amphora) { a.Status = db.Booting }, "status")
	r.run(agents{silent: true}, compute.NewNoop(), silence)
	awaitScan(t)
	if got := r.status(); got != db.Booting {
		t.Errorf("got %s before it ever spoke", got)
	}
	r.beat("UP", "UP")
	r.until("the booting amphora is condemned", func() bool { return r.status() == db.Error })
}
