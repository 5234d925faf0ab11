package housekeeping_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/certs"
	"github.com/ottavino/ottavino/compute"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbtest"
	"github.com/ottavino/ottavino/network"
	"github.com/ottavino/ottavino/worker/housekeeping"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const day = 24 * time.Hour

// agents take certificates, or not.
type agents struct {
	*amphora.Noop
	broken bool
	taken  map[string][]byte
}

func (a *agents) UploadCertificate(_ context.Context, t amphora.Target, pem []byte) error {
	if a.broken {
		return &amphora.AgentError{Op: "upload certificate", Status: 500, Err: errors.New("HTTP 500")}
	}
	a.taken[t.AmphoraID] = pem
	return nil
}

type rig struct {
	t       *testing.T
	now     time.Time
	store   *db.Store
	servers *compute.Noop
	network *network.Noop
	agents  *agents
	log     bytes.Buffer
	keeper  *housekeeping.Keeper
}

func newRig(t *testing.T, e dbtest.Engine, cfg housekeeping.Config) *rig {
	t.Helper()
	r := &rig{
		t: t, now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), servers: compute.NewNoop(), network: network.NewNoop(),
		agents: &agents{Noop: amphora.NewNoop(), taken: map[string][]byte{}},
	}
	clock := func() time.Time { return r.now }
	r.store = dbtest.Open(t, db.Config{URL: dbtest.Server(t, e), Now: clock})
	root, err := certs.NewCA("root", r.now, 1000*day)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := certs.LoadCA(root.CertPEM, root.KeyPEM, "")
	if err != nil {
		t.Fatal(err)
	}
	r.keeper, err = housekeeping.New(cfg, housekeeping.Deps{
		Store: r.store, Servers: r.servers, Network: r.network, Agent: r.agents, CA: ca,
		Log: slog.New(slog.NewTextHandler(&r.log, nil)), Now: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ptr[T any](v T) *T { return &v }

func (r *rig) tx(fn func(ctx context.Context, tx *db.Tx) error) {
	r.t.Helper()
	if err := r.store.Tx(r.t.Context(), fn); err != nil {
		r.t.Fatal(err)
	}
}

// deleted makes a load balancer with an amphora that are DELETED now.
func (r *rig) deleted() (lb string) {
	lb = uuid.NewString()
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		balancer := db.LoadBalancer{ID: lb, ProvisioningStatus: db.PendingDelete, OperatingStatus: db.Offline}
		a := db.Amphora{ID: uuid.NewString(), LoadBalancerID: &lb, Status: db.PendingDelete}
		if err := errors.Join(db.Insert(ctx, tx, &balancer), db.Insert(ctx, tx, &a)); err != nil {
			return err
		}
		if err := db.Insert(ctx, tx, &db.AmphoraMemberPort{PortID: uuid.NewString(), AmphoraID: a.ID}); err != nil {
			return err
		}
		balancer.ProvisioningStatus, a.Status = db.Deleted, db.Deleted
		return errors.Join(db.Update(ctx, tx, &balancer, "provisioning_status"), db.Update(ctx, tx, &a, "status"))
	})
	return lb
}

func (r *rig) has(lb string) bool {
	r.t.Helper()
	err := r.store.Read(r.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := db.Get[db.LoadBalancer](ctx, tx, lb)
		return err
	})
	var absent *db.NotFoundError
	if err != nil && !errors.As(err, &absent) {
		r.t.Fatal(err)
	}
	return err == nil
}

func TestPurge(t *testing.T) {
	for _, e := range dbtest.Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, e, housekeeping.Config{})
			old := r.deleted()
			r.now = r.now.Add(5 * day)
			young := r.deleted()
			r.now = r.now.Add(3 * day)
			r.keeper.Purge(t.Context())
			if r.has(old) || !r.has(young) {
				t.Errorf("after 8 and 3 days: got %t and %t, want the older one purged\n%s", r.has(old), r.has(young), &r.log)
			}
		})
	}
}

func (r *rig) serving(expires time.Time) string {
	id := uuid.NewString()
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		return db.Insert(ctx, tx, &db.Amphora{ID: id, Status: db.Allocated, LBNetworkIP: ptr("192.0.2.1"), CertExpiration: &expires})
	})
	return id
}

func (r *rig) amphora(id string) *db.Amphora {
	r.t.Helper()
	var a *db.Amphora
	err := r.store.Read(r.t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		a, err = db.Get[db.Amphora](ctx, tx, id)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

func TestRotate(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite, housekeeping.Config{CertRetryInterval: time.Hour})
	soon, later := r.serving(r.now.Add(10*day)), r.serving(r.now.Add(20*day))
	r.agents.broken = true
	r.keeper.Rotate(t.Context())
	if a := r.amphora(soon); a.Status != db.Allocated || a.CertBusy {
		t.Errorf("after a failure: got status %s, busy %t, want it serving", a.Status, a.CertBusy)
	}
	r.agents.broken = false
	r.keeper.Rotate(t.Context())
	if len(r.agents.taken) != 0 {
		t.Error("tried again before cert_retry_interval")
	}
	r.now = r.now.Add(time.Hour)
	r.keeper.Rotate(t.Context())
	if got := r.amphora(soon).CertExpiration; len(r.agents.taken[soon]) == 0 || !got.Equal(r.now.Add(30*day)) {
		t.Errorf("got expiration %s, want in 30 days", got)
	}
	if len(r.agents.taken[later]) != 0 {
		t.Error("renewed a certificate that is good for 20 days")
	}
}

func TestHunt(t *testing.T) {
	t.Parallel()
	for _, remove := range []bool{false, true} {
		r := newRig(t, dbtest.SQLite, housekeeping.Config{RemoveOrphans: remove, OrphanGrace: time.Hour})
		known := uuid.NewString()
		r.tx(func(ctx context.Context, tx *db.Tx) error {
			return db.Insert(ctx, tx, &db.Amphora{ID: known, Status: db.Allocated})
		})
		for _, name := range []string{"amphora-" + known, "amphora-stray"} {
			if _, err := r.servers.CreateServer(t.Context(), compute.ServerSpec{Name: name}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.network.CreateSecurityGroup(t.Context(), "lb-stray", ""); err != nil {
			t.Fatal(err)
		}
		r.keeper.Hunt(t.Context())
		if r.log.Len() > 0 {
			t.Errorf("complained at first sight: %s", &r.log)
		}
		r.now = r.now.Add(2 * time.Hour)
		r.keeper.Hunt(t.Context())
		left, err := r.servers.ListServers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{false: 2, true: 1}[remove]; len(left) != want || !strings.Contains(r.log.String(), "amphora-stray") {
			t.Errorf("remove %t: got %d servers and the log %s, want %d and the stray named", remove, len(left), &r.log, want)
		}
		if strings.Contains(r.log.String(), known) {
			t.Errorf("a known amphora was called an orphan: %s", &r.log)
		}
	}
}
