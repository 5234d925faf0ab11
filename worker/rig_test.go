package worker_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/certs"
	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/compute"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbtest"
	"github.com/ottavino/ottavino/internal/await"
	"github.com/ottavino/ottavino/network"
	"github.com/ottavino/ottavino/sandbox"
	"github.com/ottavino/ottavino/secret"
	"github.com/ottavino/ottavino/worker"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// rig is a worker between a real database and the sandbox's cloud, with agents that can be made to fail.
type rig struct {
	t     *testing.T
	store *db.Store
	cloud *sandbox.Sandbox
	agent *flaky
	made  int    // load balancers
	vnic  string // of their VIPs; "" = normal
	keys  cloud.Service
	log   *text
}

func newRig(t *testing.T, tweak ...func(*worker.Config)) *rig {
	t.Helper()
	sb, err := sandbox.Start(t.Context(), sandbox.Config{BuildDelay: -1, DeleteDelay: -1, TenantCIDR: "10.10.0.0/16"})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, cloud: sb, agent: newFlaky(), log: &text{}}
	r.store = dbtest.Open(t, db.Config{URL: dbtest.Server(t, dbtest.SQLite)})
	st := sb.Settings()
	session, err := cloud.NewSession(cloud.Auth{
		URL: st.AuthURL, Username: st.Service.User, Password: st.Service.Password, ProjectName: st.Service.Project,
		UserDomainName: "Default", ProjectDomainName: "Default",
	})
	if err != nil {
		t.Fatal(err)
	}
	r.keys = cloud.Service{Session: session, Endpoint: cloud.Endpoint{Type: "key-manager"}}
	sealer, err := secret.NewSealer([]string{newKey, oldKey})
	if err != nil {
		t.Fatal(err)
	}
	cfg := worker.Config{
		RetryFirst: 2 * time.Millisecond, RetryMax: 20 * time.Millisecond, WaitFirst: time.Millisecond, PollInterval: 2 * time.Millisecond,
		RetryBudget: 5, ImageTag: "amphora", ComputeFlavor: st.FlavorID, BootNetworks: []string{st.ManagementNetworkID},
	}
	for _, change := range tweak {
		change(&cfg)
	}
	var ca worker.Authority
	if cfg.ClientCA != nil { // keys take long
		installation, err := certs.NewInstallation(time.Now(), 24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		ca = installation.Servers
	}
	w, err := worker.New(cfg, worker.Deps{
		CA: ca, Store: r.store, Compute: compute.NewNova(session, compute.Config{Endpoint: cloud.Endpoint{Type: "compute"}}),
		Images:  compute.NewGlance(session, cloud.Endpoint{Type: "image"}),
		Network: network.NewNeutron(session, cloud.Endpoint{Type: "network"}), Agent: r.agent,
		Secrets: secret.NewBarbican(session, cloud.Endpoint{}), Sealer: sealer,
		Log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		session.Close()
		if err := sb.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// tx writes rows as the API would.
func (r *rig) tx(fn func(ctx context.Context, tx *db.Tx) error) {
	r.t.Helper()
	if err := r.store.Tx(r.t.Context(), fn); err != nil {
		r.t.Fatal(err)
	}
}

func ptr[T any](v T) *T { return &v }

// balancer makes a load balancer with a listener, a pool and a member; all PENDING_CREATE.
func (r *rig) balancer() string {
	r.t.Helper()
	id, listener, pool := uuid.NewString(), uuid.NewString(), uuid.NewString()
	st := r.cloud.Settings()
	project := &st.Tenant.ProjectID
	r.made++
	address := fmt.Sprintf("10.10.200.%d", r.made%200+1)
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		for _, insert := range []func() error{
			func() error {
				return db.Insert(ctx, tx, &db.LoadBalancer{
					ID: id, ProjectID: project, ProvisioningStatus: db.PendingCreate, OperatingStatus: db.Offline, Enabled: true,
					Topology: ptr("SINGLE"), Provider: ptr("amphora"),
				})
			},
			func() error {
				return db.Insert(ctx, tx, &db.VIP{
					LoadBalancerID: id, IPAddress: &address, SubnetID: &st.SubnetID, NetworkID: &st.NetworkID,
					OctaviaOwned: ptr(true), VNICType: cmp.Or(r.vnic, "normal"),
				})
			},
			func() error {
				return db.Insert(ctx, tx, &db.Pool{
					ID: pool, ProjectID: project, LoadBalancerID: &id, Protocol: "HTTP", LBAlgorithm: "ROUND_ROBIN",
					ProvisioningStatus: db.PendingCreate, OperatingStatus: db.Offline, Enabled: true,
				})
			},
			func() error { return db.Insert(ctx, tx, r.listener(listener, id, "HTTP", 80, &pool)) },
			func() error {
				return db.Insert(ctx, tx, &db.Member{
					ID: uuid.NewString(), ProjectID: project, PoolID: pool, SubnetID: &st.SubnetID, IPAddress: ptr("10.10.0.250"),
					ProtocolPort: 80, ProvisioningStatus: db.PendingCreate, OperatingStatus: db.NoMonitor, Enabled: true, VNICType: "normal",
				})
			},
			func() error { return tx.Touch(ctx, id) },
		} {
			if err := insert(); err != nil {
				return err
			}
		}
		return nil
	})
	return id
}

func (r *rig) listener(id, lb, protocol string, port int, pool *string) *db.Listener {
	return &db.Listener{
		ID: id, ProjectID: ptr(r.cloud.Settings().Tenant.ProjectID), LoadBalancerID: &lb, Protocol: protocol, ProtocolPort: port,
		DefaultPoolID: pool, ProvisioningStatus: db.PendingCreate, OperatingStatus: db.Offline, Enabled: true,
		PeerPort: ptr(1025), ClientAuthentication: "NONE",
	}
}

func (r *rig) tree(id string) *db.Tree {
	r.t.Helper()
	var tree *db.Tree
	err := r.store.Read(r.t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		tree, err = tx.Tree(ctx, id)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return tree
}

func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	await.Until(r.t, 10*time.Second, what, ok)
}

// active waits until everything of the load balancer is ACTIVE, and the agent runs its listener.
func (r *rig) active(id string) {
	r.t.Helper()
	r.until("all is ACTIVE", func() bool {
		t := r.tree(id)
		ok := t.LoadBalancer.ProvisioningStatus == db.Active
		for _, l := range t.Listeners {
			ok = ok && l.ProvisioningStatus == db.Active
		}
		for _, p := range t.Pools {
			ok = ok && p.ProvisioningStatus == db.Active
			for _, m := range p.Members {
				ok = ok && m.ProvisioningStatus == db.Active
			}
		}
		return ok
	})
}

// config is what the load balancer's agent runs.
func (r *rig) config(id string) string {
	r.t.Helper()
	for _, a := range r.tree(id).Amphorae {
		if a.Status == db.Allocated {
			cfg, _, _ := r.agent.Noop.Config(r.t.Context(), amphora.Target{AmphoraID: a.ID}, id)
			return string(cfg)
		}
	}
	return ""
}

func (r *rig) remove(id string) {
	r.t.Helper()
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		_, _, err := tx.BeginDelete(ctx, id, db.AcceptPending)
		return err
	})
	r.until("the load balancer is DELETED", func() bool { return r.tree(id).LoadBalancer.ProvisioningStatus == db.Deleted })
	left, err := r.cloud.Leaks(r.t.Context())
	if err != nil || len(left) > 0 {
		r.t.Fatalf("left in the cloud: %v %v", left, err)
	}
}

// reasons are the reasons of the load balancer's events.
func (r *rig) reasons(id string) string {
	r.t.Helper()
	var events []db.Event
	err := r.store.Read(r.t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		events, err = db.Where[db.Event](ctx, tx, "load_balancer_id = ?", id)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	var out []string
	for _, e := range events {
		out = append(out, e.Reason)
	}
	return strings.Join(out, " ")
}

// flaky is an agent that fails as it is told, at the boundary where a real one is a network away.
type flaky struct {
	*amphora.Noop

	mu    sync.Mutex
	calls []string
	fail  func(n int, op string) (err error, after bool) // n counts from 0

	refuse func(cfg string) error // what haproxy says about a configuration; nil = it runs all

	uploaded string // the newest configuration of an agent
	vips     []amphora.VIPPlug
	networks []amphora.NetworkPlug
	rules    []amphora.FirewallRule

	lists   bool                         // certificates
	stopped bool                         // haproxy
	memory  int64                        // KiB, of amphorae
	files   map[string]map[string][]byte // by amphora and name
}

func newFlaky() *flaky {
	return &flaky{Noop: amphora.NewNoop(), files: map[string]map[string][]byte{}}
}

func (f *flaky) plan(fail func(n int, op string) (err error, after bool)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls, f.fail = nil, fail
}

func (f *flaky) refuses(refuse func(cfg string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = refuse
}

func (f *flaky) SetRules(ctx context.Context, t amphora.Target, ip netip.Addr, rules []amphora.FirewallRule) error {
	return f.do("rules", func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.rules = rules
		return f.Noop.SetRules(ctx, t, ip, rules)
	})
}

// admits are the newest rules of an agent's firewall, sorted.
func (f *flaky) admits() (out []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, rule := range f.rules {
		from := "anywhere"
		if rule.CIDR != nil {
			from = *rule.CIDR
		}
		out = append(out, fmt.Sprint(rule.Protocol, " ", rule.Port, " from ", from))
	}
	slices.Sort(out)
	return out
}

// plugs are what the agent was told of its ports.
func (f *flaky) plugs() ([]amphora.VIPPlug, []amphora.NetworkPlug) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.vips), slices.Clone(f.networks)
}

func (f *flaky) made() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.calls...)
}

// do makes a call that may fail, before or after its effect.
func (f *flaky) do(op string, call func() error) error {
	f.mu.Lock()
	n := len(f.calls)
	f.calls = append(f.calls, op)
	fail := f.fail
	f.mu.Unlock()
	if fail == nil {
		return call()
	}
	err, after := fail(n, op)
	if err == nil {
		return call()
	}
	if after {
		_ = call()
	}
	return err
}

func (f *flaky) Info(ctx context.Context, t amphora.Target) (info amphora.Info, err error) {
	err = f.do("info", func() (err error) { info, err = f.Noop.Info(ctx, t); return err })
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lists {
		info.Capabilities = []string{amphora.CapabilityCertificates}
	}
	return info, err
}

func (f *flaky) Details(ctx context.Context, t amphora.Target) (d amphora.Details, err error) {
	err = f.do("details", func() (err error) { d, err = f.Noop.Details(ctx, t); return err })
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		d.HAProxyCount = 0
	}
	if err == nil {
		d.MemoryKiB = f.memory
	}
	return d, err
}

func (f *flaky) PlugVIP(ctx context.Context, t amphora.Target, vip netip.Addr, p amphora.VIPPlug) error {
	return f.do("plug VIP", func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.vips = append(f.vips, p)
		return f.Noop.PlugVIP(ctx, t, vip, p)
	})
}

func (f *flaky) PlugNetwork(ctx context.Context, t amphora.Target, p amphora.NetworkPlug) error {
	return f.do("plug network", func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.networks = append(f.networks, p)
		return f.Noop.PlugNetwork(ctx, t, p)
	})
}

func (f *flaky) Apply(ctx context.Context, t amphora.Target, lb string, cfg []byte) error {
	return f.do("apply", func() error {
		f.mu.Lock()
		refuse := f.refuse
		f.mu.Unlock()
		if refuse != nil {
			if err := refuse(string(cfg)); err != nil {
				return err
			}
		}
		return f.Noop.Apply(ctx, t, lb, cfg)
	})
}

func (f *flaky) UploadConfig(ctx context.Context, t amphora.Target, conf []byte) error {
	return f.do("config", func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.uploaded = string(conf)
		return f.Noop.UploadConfig(ctx, t, conf)
	})
}

func (f *flaky) Remove(ctx context.Context, t amphora.Target, lb string) error {
	return f.do("remove", func() error { return f.Noop.Remove(ctx, t, lb) })
}

func agentError(status int, notReady bool) error {
	return &amphora.AgentError{Op: "test", Status: status, NotReady: notReady, Message: "told to fail", Err: fmt.Errorf("HTTP %d", status)}
}
