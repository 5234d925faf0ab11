package db_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbtest"
	"github.com/ottavino/ottavino/internal/clocktest"
)

// world is a store with what tests do to it.
type world struct {
	*db.Store
	t     *testing.T
	cfg   db.Config
	clock *clocktest.Clock
	n     atomic.Int64
}

// each runs fn on a fresh database of each engine.
func each(t *testing.T, fn func(w *world)) {
	t.Helper()
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		t.Helper()
		c := clocktest.New(time.Date(2026, 3, 1, 12, 0, 0, 250_000_000, time.FixedZone("CET", 3600)))
		cfg.Now = c.Now
		fn(&world{Store: dbtest.Open(t, cfg), t: t, cfg: cfg, clock: c})
	})
}

// second opens the same database as another process would.
func (w *world) second() *db.Store {
	w.t.Helper()
	return dbtest.Open(w.t, w.cfg)
}

// tx runs fn in a transaction that must succeed.
func (w *world) tx(fn func(ctx context.Context, tx *db.Tx) error) {
	w.t.Helper()
	if err := w.Tx(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

// see runs fn in a reading transaction that must succeed.
func (w *world) see(fn func(ctx context.Context, tx *db.Tx) error) {
	w.t.Helper()
	if err := w.Read(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

// must adds a row.
func must[M any](w *world, row *M) *M {
	w.t.Helper()
	w.tx(func(ctx context.Context, tx *db.Tx) error { return db.Insert(ctx, tx, row) })
	return row
}

// id returns ids in ascending order that say what they are for.
func (w *world) id() string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", w.n.Add(1)) }

func (w *world) balancer(project string, status db.ProvisioningStatus) *db.LoadBalancer {
	w.t.Helper()
	return must(w, &db.LoadBalancer{
		ID: w.id(), ProjectID: &project, Name: ptr("lb"), ProvisioningStatus: status,
		OperatingStatus: db.Offline, Enabled: true, Provider: ptr("amphora"), Topology: ptr("SINGLE"),
	})
}

func (w *world) listener(lb *db.LoadBalancer, port int) *db.Listener {
	w.t.Helper()
	return must(w, &db.Listener{
		ID: w.id(), ProjectID: lb.ProjectID, LoadBalancerID: &lb.ID, Protocol: "HTTP", ProtocolPort: port,
		ProvisioningStatus: db.Active, OperatingStatus: db.Offline, ClientAuthentication: "NONE",
	})
}

func (w *world) pool(lb *db.LoadBalancer) *db.Pool {
	w.t.Helper()
	return must(w, &db.Pool{
		ID: w.id(), ProjectID: lb.ProjectID, LoadBalancerID: &lb.ID, Protocol: "HTTP", LBAlgorithm: "ROUND_ROBIN",
		ProvisioningStatus: db.Active, OperatingStatus: db.Offline,
	})
}

func (w *world) member(p *db.Pool, address string) *db.Member {
	w.t.Helper()
	return must(w, &db.Member{
		ID: w.id(), ProjectID: p.ProjectID, PoolID: p.ID, IPAddress: &address, ProtocolPort: 80,
		ProvisioningStatus: db.Active, OperatingStatus: db.NoMonitor, VNICType: "normal",
	})
}

func (w *world) policy(l *db.Listener, position int) *db.L7Policy {
	w.t.Helper()
	return must(w, &db.L7Policy{
		ID: w.id(), ListenerID: l.ID, Action: "REJECT", Position: position, Enabled: true,
		ProvisioningStatus: db.Active, OperatingStatus: db.Online,
	})
}

func (w *world) rule(p *db.L7Policy) *db.L7Rule {
	w.t.Helper()
	return must(w, &db.L7Rule{
		ID: w.id(), L7policyID: p.ID, Type: "PATH", CompareType: "EQUAL_TO", Value: "/",
		ProvisioningStatus: db.Active, OperatingStatus: db.Online,
	})
}

func (w *world) amphora(lb *db.LoadBalancer, status string) *db.Amphora {
	w.t.Helper()
	return must(w, &db.Amphora{ID: w.id(), LoadBalancerID: &lb.ID, Status: status})
}

// work makes n load balancers due and returns their ids.
func (w *world) work(n int) []string {
	w.t.Helper()
	ids := make([]string, n)
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		for i := range ids {
			ids[i] = uuid.NewString()
			if err := tx.Touch(ctx, ids[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return ids
}

func ptr[T any](v T) *T { return &v }

// wantError fails unless err is an E, and returns it.
func wantError[E error](t *testing.T, err error) E {
	t.Helper()
	var e E
	if !errors.As(err, &e) {
		t.Fatalf("got error %v (%T), want %T", err, err, e)
	}
	return e
}
