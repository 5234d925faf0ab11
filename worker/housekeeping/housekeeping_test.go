package housekeeping_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/certs"
	"github.com/ottavino/ottavino/compute"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbtest"
	"github.com/ottavino/ottavino/internal/await"
	"github.com/ottavino/ottavino/network"
	"github.com/ottavino/ottavino/worker/housekeeping"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const day = 24 * time.Hour

// agents take certificates, or not.
type agents struct {
	*amphora.Noop
	broken bool

	mu    sync.Mutex
	taken map[string][]byte
}

func (a *agents) UploadCertificate(_ context.Context, t amphora.Target, pem []byte) error {
	if a.broken {
		return &amphora.AgentError{Op: "upload certificate", Status: 500, Err: errors.New("HTTP 500")}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
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
	metrics *prometheus.Registry
	keeper  *housekeeping.Keeper
}

func newRig(t *testing.T, e dbtest.Engine, cfg housekeeping.Config) *rig {
	t.Helper()
	r := &rig{
		t: t, now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), servers: compute.NewNoop(), network: network.NewNoop(),
		agents: &agents{Noop: amphora.NewNoop(), taken: map[string][]byte{}}, metrics: prometheus.NewRegistry(),
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
		Log: slog.New(slog.NewTextHandler(&r.log, nil)), Metrics: r.metrics, Now: clock,
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
		listener, pool := uuid.NewString(), uuid.NewString()
		err := errors.Join(
			db.Insert(ctx, tx, &db.AmphoraMemberPort{PortID: uuid.NewString(), AmphoraID: a.ID}),
			db.Insert(ctx, tx, &db.VIP{LoadBalancerID: lb, VNICType: "normal"}),
			db.Insert(ctx, tx, &db.Pool{ID: pool, LoadBalancerID: &lb, Protocol: "HTTP", LBAlgorithm: "ROUND_ROBIN", ProvisioningStatus: db.Active, OperatingStatus: db.Offline}),
			db.Insert(ctx, tx, &db.Member{ID: uuid.NewString(), PoolID: pool, IPAddress: ptr("10.0.0.1"), ProtocolPort: 80, ProvisioningStatus: db.Active, OperatingStatus: db.Offline, VNICType: "normal"}),
			db.Insert(ctx, tx, &db.Listener{ID: listener, LoadBalancerID: &lb, Protocol: "HTTP", ProtocolPort: 80, DefaultPoolID: &pool, ProvisioningStatus: db.Active, OperatingStatus: db.Offline, ClientAuthentication: "NONE"}),
			tx.AddStatistics(ctx, []db.ListenerStatistics{{ListenerID: listener, AmphoraID: a.ID, BytesIn: 1}}),
			db.Insert(ctx, tx, &db.AmphoraHealth{AmphoraID: a.ID, LastUpdate: r.now}),
			tx.Touch(ctx, lb),
			tx.Emit(ctx, db.Event{LoadBalancerID: lb, ObjectKind: string(db.KindLoadBalancer), ObjectID: lb, Type: "Normal", Reason: "Deleted", Message: "it is gone"}),
		)
		if err != nil {
			return err
		}
		balancer.ProvisioningStatus, a.Status = db.Deleted, db.Deleted
		return errors.Join(db.Update(ctx, tx, &balancer, "provisioning_status"), db.Update(ctx, tx, &a, "status"))
	})
	return lb
}

// TestTotalsOutliveAmphorae: what an amphora that was replaced has counted stays part of the listener's totals when it is purged.
func TestTotalsOutliveAmphorae(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite, housekeeping.Config{})
	lb := r.deleted()
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		return db.Update(ctx, tx, &db.LoadBalancer{ID: lb, ProvisioningStatus: db.Active}, "provisioning_status")
	})
	r.now = r.now.Add(8 * day)
	r.keeper.Purge(t.Context())
	if got := r.rows(); got["amphora"] != 0 || got["listener_statistics"] != 1 {
		t.Errorf("got rows %v, want no amphora and its counters", got)
	}
}

// rows counts what the tables hold of a load balancer and its amphorae.
func (r *rig) rows() map[string]int {
	r.t.Helper()
	out := map[string]int{}
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		return errors.Join(
			count[db.LoadBalancer](ctx, tx, out), count[db.VIP](ctx, tx, out), count[db.Listener](ctx, tx, out), count[db.Pool](ctx, tx, out),
			count[db.Member](ctx, tx, out), count[db.ListenerStatistics](ctx, tx, out), count[db.Amphora](ctx, tx, out),
			count[db.AmphoraHealth](ctx, tx, out), count[db.AmphoraMemberPort](ctx, tx, out), count[db.Work](ctx, tx, out),
			count[db.Event](ctx, tx, out),
		)
	})
	return out
}

func count[M interface{ TableName() string }](ctx context.Context, tx *db.Tx, out map[string]int) error {
	rows, err := db.Where[M](ctx, tx, "1 = 1")
	var m M
	if len(rows) > 0 {
		out[m.TableName()] = len(rows)
	}
	return err
}

// TestPurgeLeavesNothing of a load balancer that had everything.
func TestPurgeLeavesNothing(t *testing.T) {
	for _, e := range dbtest.Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, e, housekeeping.Config{})
			r.deleted()
			before := r.rows()
			if len(before) != 11 {
				t.Fatalf("got rows in %v, want them in all tables", before)
			}
			r.now = r.now.Add(8 * day)
			r.keeper.Purge(t.Context())
			if left := r.rows(); len(left) > 0 {
				t.Errorf("left: %v\n%s", left, &r.log)
			}
		})
	}
}

// TestPurgeForgetsKeys: requests with a key can be repeated for a day.
func TestPurgeForgetsKeys(t *testing.T) {
	for _, e := range dbtest.Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, e, housekeeping.Config{})
			claim := db.KeyClaim{ID: strings.Repeat("a", 64), Request: strings.Repeat("b", 64), Owner: uuid.NewString()}
			if _, err := r.store.ClaimKey(t.Context(), claim, time.Minute, db.KeyLifetime); err != nil {
				t.Fatal(err)
			}
			keys := func() int {
				t.Helper()
				out := map[string]int{}
				r.tx(func(ctx context.Context, tx *db.Tx) error { return count[db.RequestKey](ctx, tx, out) })
				return out["ottavino_request_key"]
			}
			for _, c := range []struct {
				after time.Duration
				want  int
			}{{db.KeyLifetime, 1}, {time.Millisecond, 0}} {
				r.now = r.now.Add(c.after)
				r.keeper.Purge(t.Context())
				if n := keys(); n != c.want {
					t.Errorf("%v later: got %d keys, want %d\n%s", c.after, n, c.want, &r.log)
				}
			}
		})
	}
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

// TestManyRotations: renewals run side by side, and one that fails does not keep the others.
func TestManyRotations(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite, housekeeping.Config{CertRotateThreads: 4})
	var due []string
	for range 6 {
		due = append(due, r.serving(r.now.Add(day)))
	}
	lost := r.serving(r.now.Add(day))
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		return db.Update(ctx, tx, &db.Amphora{ID: lost}, "lb_network_ip")
	})
	r.keeper.Rotate(t.Context())
	for _, id := range due {
		if len(r.agents.taken[id]) == 0 {
			t.Errorf("amphora %s got no certificate", id)
		}
	}
	if !strings.Contains(r.log.String(), "certificate of the amphora not renewed") {
		t.Errorf("nobody complains about the one without an address: %s", &r.log)
	}
}

// TestRunEnds does its rounds until told to stop; leaked goroutines fail the package.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite, housekeeping.Config{CleanupInterval: time.Millisecond, LoadBalancerExpiryAge: time.Second})
	old := r.deleted()
	r.now = r.now.Add(day)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.keeper.Run(ctx) }()
	await.Until(t, 10*time.Second, "the old one is purged", func() bool { return !r.has(old) })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestUnattachedAmphoraeEnd: an amphora that serves nobody and is to go loses its server and row.
func TestUnattachedAmphoraeEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite, housekeeping.Config{})
	lb := r.deleted()
	server := func(name string) *string {
		s, err := r.servers.CreateServer(t.Context(), compute.ServerSpec{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return &s.ID
	}
	serving := uuid.NewString()
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		return errors.Join(
			db.Insert(ctx, tx, &db.LoadBalancer{ID: serving, ProvisioningStatus: db.Active, OperatingStatus: db.Online}),
			db.Insert(ctx, tx, &db.Amphora{ID: "spare", Status: db.PendingDelete, ComputeID: server("amphora-spare")}),
			db.Insert(ctx, tx, &db.Amphora{ID: "late", Status: db.PendingDelete, LoadBalancerID: &lb, ComputeID: server("amphora-late")}),
			db.Insert(ctx, tx, &db.Amphora{ID: "workers", Status: db.PendingDelete, LoadBalancerID: &serving, ComputeID: server("amphora-workers")}),
			db.Insert(ctx, tx, &db.Amphora{ID: "broken", Status: db.Error, ComputeID: server("amphora-broken")}),
		)
	})
	r.keeper.Purge(t.Context())
	left, err := r.servers.ListServers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range left {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	if want := []string{"amphora-broken", "amphora-workers"}; !slices.Equal(names, want) {
		t.Errorf("got servers %v, want %v", names, want)
	}
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		for _, id := range []string{"spare", "late"} {
			if a, err := db.Get[db.Amphora](ctx, tx, id); err != nil || a.Status != db.Deleted {
				t.Errorf("amphora %s: got %+v %v, want it DELETED", id, a, err)
			}
		}
		return nil
	})
}

func TestHunt(t *testing.T) {
	t.Parallel()
	for _, remove := range []bool{false, true} {
		r := newRig(t, dbtest.SQLite, housekeeping.Config{RemoveOrphans: remove, OrphanGrace: time.Hour})
		known, stray := uuid.NewString(), uuid.NewString()
		r.tx(func(ctx context.Context, tx *db.Tx) error {
			return db.Insert(ctx, tx, &db.Amphora{ID: known, Status: db.Allocated})
		})
		for _, name := range []string{"amphora-" + known, "amphora-" + stray, "amphora-builder"} {
			if _, err := r.servers.CreateServer(t.Context(), compute.ServerSpec{Name: name}); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"lb-" + stray, "lb-mgmt-sec-grp"} {
			if _, err := r.network.CreateSecurityGroup(t.Context(), name, ""); err != nil {
				t.Fatal(err)
			}
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
		if want := map[bool]int{false: 3, true: 2}[remove]; len(left) != want || !strings.Contains(r.log.String(), "amphora-"+stray) {
			t.Errorf("remove %t: got %d servers and the log %s, want %d and the stray named", remove, len(left), &r.log, want)
		}
		for _, name := range []string{known, "amphora-builder", "lb-mgmt-sec-grp"} {
			if strings.Contains(r.log.String(), name) {
				t.Errorf("%s was called an orphan: %s", name, &r.log)
			}
		}
		groups, err := r.network.SecurityGroups(t.Context(), "lb-")
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{false: 2, true: 1}[remove]; len(groups) != want {
			t.Errorf("remove %t: got security groups %v, want %d", remove, groups, want)
		}
	}
}

// gauges are the values of metrics without labels, by name.
func (r *rig) gauges() map[string]float64 {
	r.t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		if len(f.GetMetric()) == 1 && f.GetMetric()[0].GetGauge() != nil {
			out[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return out
}

func TestExpiryIsMeasured(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite, housekeeping.Config{})
	r.keeper.WatchExpiry(t.Context())
	if g := r.gauges(); g["ottavino_tls_certificates"] != 0 || !math.IsInf(g["ottavino_tls_certificate_soonest_not_after_seconds"], 1) {
		t.Errorf("without certificates: got %v", g)
	}
	for i, left := range []time.Duration{100 * day, 3 * day, 20 * day} {
		r.tx(func(ctx context.Context, tx *db.Tx) error {
			return tx.PutSecretCopy(ctx, db.SecretCopy{ID: strings.Repeat("a", i+1), LoadBalancerID: "lb", NotAfter: ptr(r.now.Add(left)), Content: []byte("x")})
		})
	}
	r.keeper.WatchExpiry(t.Context())
	g := r.gauges()
	for name, want := range map[string]float64{
		"ottavino_tls_certificates": 3, "ottavino_tls_certificates_expiring": 1,
		"ottavino_tls_certificate_soonest_not_after_seconds": float64(r.now.Add(3 * day).Unix()),
	} {
		if g[name] != want {
			t.Errorf("%s: got %v, want %v", name, g[name], want)
		}
	}
}
