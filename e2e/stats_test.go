package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/amphorae"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/monitors"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/rules"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// listener is the site's first.
func (s *site) listener() string {
	s.t.Helper()
	lb, err := loadbalancers.Get(s.t.Context(), s.tenant, s.actor.lb).Extract()
	if err != nil {
		s.t.Fatal(err)
	}
	return lb.Listeners[0].ID
}

// amphorae are those in service.
func (s *site) amphorae(admin *gophercloud.ServiceClient) []string {
	s.t.Helper()
	page, err := amphorae.List(admin, amphorae.ListOpts{LoadbalancerID: s.actor.lb, Status: "ALLOCATED"}).AllPages(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	found, err := amphorae.ExtractAmphorae(page)
	if err != nil {
		s.t.Fatal(err)
	}
	var ids []string
	for _, a := range found {
		ids = append(ids, a.ID)
	}
	return ids
}

// stats are those of the load balancer.
func (s *site) stats() loadbalancers.Stats {
	s.t.Helper()
	lb, err := loadbalancers.GetStats(s.t.Context(), s.tenant, s.actor.lb).Extract()
	if err != nil {
		s.t.Fatal(err)
	}
	return *lb
}

func (s *site) asked(n int) func() bool {
	return func() bool { return s.stats().TotalConnections >= n }
}

// TestTotals count every request once, whoever dies in between: the amphora's agent, its haproxy, the server, the amphora.
func TestTotals(t *testing.T) {
	l := newLab(t, labOptions{instances: true, conf: "[health_manager]\nheartbeat_interval = 1\n"})
	server := l.serve()
	site := l.site(1)
	site.active()
	admin := l.login(l.sandbox.Settings().Admin)

	var total int
	settled := func() { // what was asked until the site answered is not counted here
		within(t, 30*time.Second, "counters rest", func() bool {
			before := site.stats()
			return pause(t.Context(), 2500*time.Millisecond) == nil && before == site.stats()
		})
		total = site.stats().TotalConnections
	}
	settled()
	first := site.stats()
	ask := func(n int) {
		t.Helper()
		for range n {
			if _, err := site.ask(); err != nil {
				t.Fatal(err)
			}
			total++
		}
	}
	equal := func(when string) {
		t.Helper()
		within(t, 30*time.Second, when+": all are counted", site.asked(total))
		if got := site.stats().TotalConnections; got != total {
			t.Errorf("%s: got %d connections, want %d", when, got, total)
		}
	}
	ask(10)
	equal("at first")
	if got := site.stats(); got.BytesIn <= first.BytesIn || got.BytesOut <= first.BytesOut || got.RequestErrors != first.RequestErrors {
		t.Errorf("got %+v after ten requests, had %+v", got, first)
	}
	nonsense(t, site.vip)
	total++
	equal("after nonsense")
	if got := site.stats().RequestErrors; got != first.RequestErrors+1 {
		t.Errorf("got %d errors, want one more than %d", got, first.RequestErrors)
	}

	ask(5)
	if err := l.sandbox.KillAgent(t.Context(), site.amphora()); err != nil {
		t.Fatal(err)
	}
	ask(5)
	equal("after the agent's end")
	server.stop()
	ask(7)
	server.start()
	equal("after a restart of the server")

	old := site.amphorae(admin)
	if len(old) != 1 {
		t.Fatalf("got amphorae %v", old)
	}
	if err := loadbalancers.Failover(t.Context(), admin, site.actor.lb).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	within(t, 60*time.Second, "another amphora serves", func() bool {
		now := site.amphorae(admin)
		_, err := site.ask()
		return len(now) == 1 && now[0] != old[0] && err == nil
	})
	site.active()
	settled()
	ask(11)
	equal("after a failover")

	per := map[string]int{}
	for _, id := range append(slices.Clone(old), site.amphorae(admin)...) {
		var out struct {
			Stats []struct {
				ListenerID       string `json:"listener_id"`
				LoadBalancerID   string `json:"loadbalancer_id"`
				TotalConnections int    `json:"total_connections"`
			} `json:"amphora_stats"`
		}
		resp, err := admin.Get(t.Context(), admin.ServiceURL("octavia", "amphorae", id, "stats"), &out, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		for _, row := range out.Stats {
			if row.ListenerID != site.listener() || row.LoadBalancerID != site.actor.lb {
				t.Errorf("got %+v", row)
			}
			per[id] += row.TotalConnections
		}
	}
	if len(per) != 2 || per[old[0]] < 28 || per[old[0]]+per[site.amphorae(admin)[0]] != total {
		t.Errorf("got %v of two amphorae, want their sum to be %d", per, total)
	}
	listener, err := listeners.GetStats(t.Context(), l.tenant, site.listener()).Extract()
	if err != nil || listener.TotalConnections != total {
		t.Errorf("got %+v of the listener, %v, want %d connections", listener, err, total)
	}
	site.remove()
	l.assertNoLeaks()
}

// nonsense is no request.
func nonsense(t *testing.T, vip string) {
	t.Helper()
	conn, err := net.Dial("tcp", vip+":80")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "no request at all\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("got %s", resp.Status)
	}
}

// operating are the operating statuses of load balancer, listener and pool, and of members by name.
func (s *site) operating() map[string]string {
	s.t.Helper()
	tree, err := loadbalancers.GetStatuses(s.t.Context(), s.tenant, s.actor.lb).Extract()
	if err != nil {
		s.t.Fatal(err)
	}
	out := map[string]string{"lb": tree.Loadbalancer.OperatingStatus}
	for _, l := range tree.Loadbalancer.Listeners {
		out["listener"] = l.OperatingStatus
		for _, p := range l.Pools {
			out["pool"] = p.OperatingStatus
			for _, m := range p.Members {
				out[m.Name] = m.OperatingStatus
			}
		}
	}
	return out
}

// TestOperatingStatuses follows what tenants do and what happens to members, from haproxy to the API.
func TestOperatingStatuses(t *testing.T) {
	l := newLab(t, labOptions{instances: true, conf: "[health_manager]\nheartbeat_interval = 1\n"})
	l.serve()
	site := l.site(1)
	site.addMember()
	site.active()
	ctx := t.Context()
	shows := func(want map[string]string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		for {
			got := site.operating()
			same := true
			for name, status := range want {
				same = same && got[name] == status
			}
			if same {
				return
			}
			if pause(ctx, 50*time.Millisecond) != nil {
				t.Fatalf("got %v, want %v", got, want)
			}
		}
	}
	page, err := pools.ListMembers(l.tenant, site.actor.pool, pools.ListMembersOpts{}).AllPages(ctx)
	if err != nil {
		t.Fatal(err)
	}
	members, err := pools.ExtractMembers(page)
	if err != nil {
		t.Fatal(err)
	}
	member := map[string]string{}
	for _, m := range members {
		member[m.Name] = m.ID
	}
	change := func(name string, opts pools.UpdateMemberOpts) {
		t.Helper()
		if _, err := pools.UpdateMember(ctx, l.tenant, site.actor.pool, member[name], opts).Extract(); err != nil {
			t.Fatal(err)
		}
		site.active()
	}
	shows(map[string]string{"lb": "ONLINE", "listener": "ONLINE", "pool": "ONLINE", "backend-1": "NO_MONITOR", "backend-2": "NO_MONITOR"})

	_, err = monitors.Create(ctx, l.tenant, monitors.CreateOpts{
		PoolID: site.actor.pool, Type: "HTTP", Delay: 1, Timeout: 1, MaxRetries: 1, MaxRetriesDown: 1, URLPath: "/",
	}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	site.active()
	shows(map[string]string{"lb": "ONLINE", "pool": "ONLINE", "backend-1": "ONLINE", "backend-2": "ONLINE"})

	none, one, off, on := 0, 1, false, true
	change("backend-1", pools.UpdateMemberOpts{Weight: &none})
	shows(map[string]string{"lb": "ONLINE", "pool": "ONLINE", "backend-1": "DRAINING", "backend-2": "ONLINE"})
	change("backend-1", pools.UpdateMemberOpts{Weight: &one, AdminStateUp: &off})
	shows(map[string]string{"lb": "ONLINE", "pool": "ONLINE", "backend-1": "OFFLINE", "backend-2": "ONLINE"})
	change("backend-1", pools.UpdateMemberOpts{AdminStateUp: &on})
	shows(map[string]string{"backend-1": "ONLINE", "backend-2": "ONLINE"})

	nobody, err := pools.CreateMember(ctx, l.tenant, site.actor.pool, pools.CreateMemberOpts{
		Name: "nobody", Address: site.vip, ProtocolPort: 9, SubnetID: site.subnetID(),
	}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	shows(map[string]string{"lb": "DEGRADED", "listener": "ONLINE", "pool": "DEGRADED", "backend-1": "ONLINE", "nobody": "ERROR"})
	site.active()
	for _, name := range []string{"backend-1", "backend-2"} {
		if err := pools.DeleteMember(ctx, l.tenant, site.actor.pool, member[name]).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		site.active()
	}
	shows(map[string]string{"lb": "ERROR", "listener": "ONLINE", "pool": "ERROR", "nobody": "ERROR"})
	if err := pools.DeleteMember(ctx, l.tenant, site.actor.pool, nobody.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	site.active()
	shows(map[string]string{"lb": "ONLINE", "listener": "ONLINE", "pool": "ONLINE"})

	if _, err := pools.Update(ctx, l.tenant, site.actor.pool, pools.UpdateOpts{AdminStateUp: &off}).Extract(); err != nil {
		t.Fatal(err)
	}
	site.active()
	shows(map[string]string{"lb": "ONLINE", "listener": "ONLINE", "pool": "OFFLINE"})
	if _, err := listeners.Update(ctx, l.tenant, site.listener(), listeners.UpdateOpts{AdminStateUp: &off}).Extract(); err != nil {
		t.Fatal(err)
	}
	site.active()
	shows(map[string]string{"lb": "ONLINE", "listener": "OFFLINE"})
	if _, err := loadbalancers.Update(ctx, l.tenant, site.actor.lb, loadbalancers.UpdateOpts{AdminStateUp: &off}).Extract(); err != nil {
		t.Fatal(err)
	}
	site.active()
	shows(map[string]string{"lb": "OFFLINE", "listener": "OFFLINE"})
	site.remove()
	l.assertNoLeaks()
}

// TestPrometheusListener: made through the API, it shows the load balancer's metrics to Prometheus, and to no other networks.
func TestPrometheusListener(t *testing.T) {
	l := newLab(t, labOptions{instances: true})
	l.serve()
	site := l.site(1)
	site.active()
	ctx := t.Context()
	opts := listeners.CreateOpts{
		Protocol: "PROMETHEUS", ProtocolPort: 9999, LoadbalancerID: site.actor.lb, AllowedCIDRs: []string{"10.10.0.0/16", "192.0.2.0/24"},
	}
	exporter, err := listeners.Create(ctx, l.tenant, opts).Extract()
	if err != nil {
		t.Fatal(err)
	}
	site.active()
	resp, err := visitor.Get("http://" + site.vip + ":9999/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
	for name, want := range map[string]string{
		"octavia_listener_bytes_in_total": site.listener(), "octavia_pool_status": site.actor.pool + ":" + site.listener(),
	} {
		var values []string
		for _, m := range families[name].GetMetric() {
			values = append(values, m.GetLabel()[0].GetValue())
		}
		if !slices.Contains(values, want) {
			t.Errorf("got %s of %v, want one of %s", name, values, want)
		}
	}
	for _, name := range []string{"octavia_loadbalancer_cpu", "octavia_loadbalancer_memory", "octavia_member_status"} {
		if families[name] == nil {
			t.Errorf("got no %s", name)
		}
	}
	within(t, 15*time.Second, "the listener is ONLINE", func() bool {
		got, err := listeners.Get(ctx, l.tenant, exporter.ID).Extract()
		return err == nil && got.OperatingStatus == "ONLINE"
	})
	var allowed []string
	for _, r := range site.rules() {
		if r.PortRangeMin == 9999 {
			allowed = append(allowed, r.RemoteIPPrefix)
		}
	}
	if slices.Sort(allowed); !slices.Equal(allowed, opts.AllowedCIDRs) {
		t.Errorf("got port 9999 open for %v, want %v", allowed, opts.AllowedCIDRs)
	}
	if err := listeners.Delete(ctx, l.tenant, exporter.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	site.active()
	within(t, 15*time.Second, "nothing listens for metrics", func() bool {
		out, err := site.sandbox.Exec(ctx, site.amphora(), "ip", "netns", "exec", "amphora-haproxy", "cat", "/proc/net/tcp")
		if err != nil {
			t.Fatal(err)
		}
		return !slices.Contains(listening(string(out)), 9102)
	})
	site.remove()
	l.assertNoLeaks()
}

// listening are the ports that sockets of /proc/net/tcp listen on.
func listening(table string) []int64 {
	var ports []int64
	for _, line := range strings.Split(table, "\n") {
		var n, state int
		var address, port, other int64
		if _, err := fmt.Sscanf(line, "%d: %x:%x %x:%x %x", &n, &address, &port, &other, &other, &state); err == nil && state == 0x0a {
			ports = append(ports, port)
		}
	}
	return ports
}

// rules are those of all security groups.
func (s *site) rules() []rules.SecGroupRule {
	s.t.Helper()
	st := s.sandbox.Settings()
	provider, err := openstack.AuthenticatedClient(s.t.Context(), gophercloud.AuthOptions{
		IdentityEndpoint: st.AuthURL, Username: st.Admin.User, Password: st.Admin.Password, TenantName: st.Admin.Project, DomainName: "Default",
	})
	if err != nil {
		s.t.Fatal(err)
	}
	neutron, err := openstack.NewNetworkV2(provider, gophercloud.EndpointOpts{Region: st.Region})
	if err != nil {
		s.t.Fatal(err)
	}
	page, err := rules.List(neutron, rules.ListOpts{}).AllPages(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	found, err := rules.ExtractRules(page)
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}
