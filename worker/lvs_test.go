package worker_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/groups"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/network"
	"github.com/ottavino/ottavino/worker"
)

func (f *flaky) ListenerConfig(ctx context.Context, t amphora.Target, id string) (cfg []byte, ok bool, err error) {
	err = f.do("get listener", func() (err error) { cfg, ok, err = f.Noop.ListenerConfig(ctx, t, id); return err })
	return cfg, ok, err
}

func (f *flaky) ApplyListener(ctx context.Context, t amphora.Target, id string, cfg []byte) error {
	return f.do("apply listener", func() error { return f.Noop.ApplyListener(ctx, t, id, cfg) })
}

func (f *flaky) RemoveListener(ctx context.Context, t amphora.Target, id string) error {
	return f.do("remove listener", func() error { return f.Noop.RemoveListener(ctx, t, id) })
}

// failing makes one operation fail with a status of HTTP.
func failing(op string, status int) func(int, string) (error, bool) {
	return func(_ int, made string) (error, bool) {
		if made == op {
			return agentError(status, false), false
		}
		return nil, false
	}
}

// addUDP adds a listener with a pool and a member.
func (r *rig) addUDP(lb, protocol string, port int) (listener string) {
	r.t.Helper()
	listener, pool := uuid.NewString(), uuid.NewString()
	st := r.cloud.Settings()
	project := &st.Tenant.ProjectID
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.BeginChange(ctx, lb, db.AcceptPending); err != nil {
			return err
		}
		for _, insert := range []func() error{
			func() error {
				return db.Insert(ctx, tx, &db.Pool{
					ID: pool, ProjectID: project, LoadBalancerID: &lb, Protocol: protocol, LBAlgorithm: "ROUND_ROBIN",
					ProvisioningStatus: db.PendingCreate, OperatingStatus: db.Offline, Enabled: true,
				})
			},
			func() error { return db.Insert(ctx, tx, r.listener(listener, lb, protocol, port, &pool)) },
			func() error {
				return db.Insert(ctx, tx, &db.Member{
					ID: uuid.NewString(), ProjectID: project, PoolID: pool, SubnetID: &st.SubnetID, IPAddress: ptr("10.10.0.251"),
					ProtocolPort: 8053, ProvisioningStatus: db.PendingCreate, OperatingStatus: db.NoMonitor, Enabled: true, VNICType: "normal",
				})
			},
		} {
			if err := insert(); err != nil {
				return err
			}
		}
		return nil
	})
	return listener
}

// dropUDP deletes a listener as the API does.
func (r *rig) dropUDP(lb, listener string) {
	r.t.Helper()
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.BeginChange(ctx, lb, db.AcceptPending); err != nil {
			return err
		}
		l, err := db.Get[db.Listener](ctx, tx, listener)
		if err != nil {
			return err
		}
		l.ProvisioningStatus = db.PendingDelete
		return db.Update(ctx, tx, l, "provisioning_status")
	})
}

// udpConfig is what the load balancer's agent runs of a listener.
func (r *rig) udpConfig(lb, listener string) string {
	r.t.Helper()
	for _, a := range r.tree(lb).Amphorae {
		cfg, _, _ := r.agent.Noop.ListenerConfig(r.t.Context(), amphora.Target{AmphoraID: a.ID}, listener)
		return string(cfg)
	}
	return ""
}

// statusOf is a listener's provisioning status, "" without a row.
func (r *rig) statusOf(lb, listener string) string {
	r.t.Helper()
	of, _ := r.listenerStatus(lb, listener)
	return of
}

// TestMixedListeners serves HTTP, UDP and SCTP of one load balancer, and lets the datagrams' listeners go again.
func TestMixedListeners(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.balancer()
	udp, sctp := r.addUDP(id, "UDP", 53), r.addUDP(id, "SCTP", 2905)
	r.active(id)
	for listener, want := range map[string]string{udp: "protocol UDP", sctp: "protocol SCTP"} {
		if got := r.udpConfig(id, listener); !strings.Contains(got, want) || !strings.Contains(got, "real_server 10.10.0.251 8053 {") {
			t.Errorf("the agent runs %q, want %s", got, want)
		}
	}
	if got := r.config(id); !strings.Contains(got, "10.10.0.250:80") || strings.Contains(got, udp) || strings.Contains(got, sctp) {
		t.Errorf("haproxy's configuration is %s", got)
	}
	rules := r.groupRules(id)
	for _, want := range []string{"udp 53 IPv4", "sctp 2905 IPv4", "tcp 80 IPv4", "tcp 1025 IPv4"} {
		if !slices.Contains(rules, want) {
			t.Errorf("the VIP's group has the rules %v, want %s", rules, want)
		}
	}
	r.dropUDP(id, udp)
	r.until("the UDP listener is gone", func() bool { return r.statusOf(id, udp) == "" })
	r.active(id)
	if got := r.udpConfig(id, udp); got != "" {
		t.Errorf("the agent still runs %s", got)
	}
	if got := r.udpConfig(id, sctp); got == "" {
		t.Error("the agent does not run the other listener")
	}
	if rules := r.groupRules(id); slices.Contains(rules, "udp 53 IPv4") {
		t.Errorf("the VIP's group still has the rules %v", rules)
	}
	r.remove(id)
}

// TestRefusedListenerIsNarrow: what an amphora can never serve is in ERROR at once, with the agent's reason; its siblings are served, and
// it is served as soon as it can be.
func TestRefusedListenerIsNarrow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.agent.plan(failing("apply listener", 409))
	id := r.balancer()
	udp := r.addUDP(id, "UDP", 53)
	r.until("the listener is in ERROR and its siblings are not", func() bool {
		return r.statusOf(id, udp) == db.Error && r.status(id) == db.Active
	})
	for _, l := range r.tree(id).Listeners {
		if l.ID != udp && l.ProvisioningStatus != db.Active {
			t.Errorf("the sibling is %s", l.ProvisioningStatus)
		}
	}
	if got := r.about(id, udp); got != "NotApplicable told to fail" {
		t.Errorf("got event %q of the listener, want the agent's reason", got)
	}
	if got := r.config(id); !strings.Contains(got, "10.10.0.250:80") {
		t.Errorf("haproxy's configuration is %s", got)
	}
	r.agent.plan(nil)
	r.tx(func(ctx context.Context, tx *db.Tx) error { return tx.Schedule(ctx, id, time.Now()) })
	r.active(id)
	if r.udpConfig(id, udp) == "" {
		t.Error("the agent does not run the listener")
	}
	r.remove(id)
}

// TestFailingListenerHeals: a failure that may pass is tried again; when it lasts the listener alone is in ERROR, and the work goes on.
func TestFailingListenerHeals(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *worker.Config) { c.DriftInterval = -1 })
	r.agent.plan(failing("apply listener", 500))
	id := r.balancer()
	udp := r.addUDP(id, "UDP", 53)
	r.until("the listener is in ERROR and its siblings are not", func() bool {
		return r.statusOf(id, udp) == db.Error && r.status(id) == db.Active
	})
	calls := 0
	for _, op := range r.agent.made() {
		if op == "apply listener" {
			calls++
		}
	}
	if calls < 5 {
		t.Errorf("the listener was tried %d times before, want the retry budget", calls)
	}
	if got := r.about(id, udp); !strings.Contains(got, "told to fail") {
		t.Errorf("got event %q of the listener, want the agent's reason", got)
	}
	r.agent.plan(nil)
	r.active(id) // without anybody asking for it
	r.remove(id)
}

// TestEveryListenerCallFails makes each call about a listener fail once, before and after it took effect.
func TestEveryListenerCallFails(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, op := range []string{"apply listener", "remove listener"} {
		for name, err := range map[string]error{"no answer": agentError(0, true), "not ready": agentError(404, true), "500": agentError(500, false)} {
			for _, after := range []bool{false, true} {
				failed := false // plan calls it one at a time, for one load balancer
				r.agent.plan(func(_ int, made string) (error, bool) {
					if made != op || failed {
						return nil, false
					}
					failed = true
					return err, after
				})
				id := r.balancer()
				udp := r.addUDP(id, "UDP", 53)
				r.active(id)
				if r.udpConfig(id, udp) == "" {
					t.Errorf("%s %s: the agent does not run the listener", op, name)
				}
				r.dropUDP(id, udp)
				r.until("the listener is gone", func() bool { return r.statusOf(id, udp) == "" })
				if r.udpConfig(id, udp) != "" {
					t.Errorf("%s %s: the agent still runs the listener", op, name)
				}
				r.remove(id)
			}
		}
	}
}

// TestDriftOfAListener: what an agent lost is made again.
func TestDriftOfAListener(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.balancer()
	udp := r.addUDP(id, "UDP", 53)
	r.active(id)
	target := amphora.Target{AmphoraID: r.tree(id).Amphorae[0].ID}
	for _, change := range []func() error{
		func() error { return r.agent.Noop.RemoveListener(t.Context(), target, udp) },
		func() error { return r.agent.Noop.ApplyListener(t.Context(), target, udp, []byte("tampered with")) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		r.tx(func(ctx context.Context, tx *db.Tx) error { return tx.Schedule(ctx, id, time.Now()) })
		r.until("the listener is served again", func() bool { return strings.Contains(r.udpConfig(id, udp), "protocol UDP") })
	}
	r.remove(id)
}

// about is the newest event of an object.
func (r *rig) about(lb, object string) string {
	r.t.Helper()
	out := ""
	err := r.store.Read(r.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		events, err := db.Where[db.Event](ctx, tx, "load_balancer_id = ? AND object_id = ? ORDER BY id", lb, object)
		for _, e := range events {
			out = e.Reason + " " + e.Message
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// groupRules are the ingress rules of the load balancer's group in Neutron: protocol, port and version of IP.
func (r *rig) groupRules(lb string) []string {
	r.t.Helper()
	st := r.cloud.Settings()
	provider, err := openstack.AuthenticatedClient(r.t.Context(), gophercloud.AuthOptions{
		IdentityEndpoint: st.AuthURL, Username: st.Service.User, Password: st.Service.Password, TenantName: st.Service.Project, DomainName: "Default",
	})
	if err != nil {
		r.t.Fatal(err)
	}
	neutron, err := openstack.NewNetworkV2(provider, gophercloud.EndpointOpts{Region: st.Region})
	if err != nil {
		r.t.Fatal(err)
	}
	pages, err := groups.List(neutron, groups.ListOpts{Name: network.SecurityGroupName(lb)}).AllPages(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	found, err := groups.ExtractGroups(pages)
	if err != nil || len(found) != 1 {
		r.t.Fatalf("got groups %v, %v", found, err)
	}
	var out []string
	for _, rule := range found[0].Rules {
		if rule.Direction == "ingress" {
			out = append(out, fmt.Sprintf("%s %d %s", rule.Protocol, rule.PortRangeMin, rule.EtherType))
		}
	}
	return out
}
