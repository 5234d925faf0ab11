//go:build interop

package e2e_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/amphorae"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/l7policies"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/monitors"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/subnets"
	"github.com/gophercloud/gophercloud/v2/pagination"

	"github.com/ottavino/ottavino/internal/certtest"
)

// must is for what has to succeed before a test can go on: must(t)(f()).
func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// quickHealth is in octavia.conf for amphorae that die: some missing heartbeats are enough.
const quickHealth = "[health_manager]\nheartbeat_timeout = 12\nhealth_check_interval = 1\n"

// quickRotation is in octavia.conf for certificates of amphorae that are old when they are new.
const quickRotation = "[certificates]\ncert_validity_time = 864000\n[house_keeping]\ncert_interval = 5\n"

// poolOf makes a pool with one member of this world.
func (s *story) poolOf(member int, o pools.CreateOpts) string {
	s.t.Helper()
	o.LBMethod, o.LoadbalancerID = pools.LBMethodLeastConnections, s.actor.lb
	p := must[*pools.Pool](s.t)(pools.Create(s.t.Context(), s.tenant, o).Extract())
	s.settle()
	s.member(p.ID, member)
	s.settle()
	return p.ID
}

// reachesAnotherNetwork has a member on a network of its own: the amphora is plugged there, and unplugged when the member goes.
func (s *story) reachesAnotherNetwork() {
	s.t.Helper()
	neutron := must[*gophercloud.ServiceClient](s.t)(openstack.NewNetworkV2(s.tenant.ProviderClient, gophercloud.EndpointOpts{Region: s.sandbox.Settings().Region}))
	network := must[*networks.Network](s.t)(networks.Create(s.t.Context(), neutron, networks.CreateOpts{Name: "far"}).Extract())
	subnet := must[*subnets.Subnet](s.t)(subnets.Create(s.t.Context(), neutron, subnets.CreateOpts{
		NetworkID: network.ID, CIDR: "10.20.0.0/24", IPVersion: gophercloud.IPv4,
	}).Extract())
	// Its gateway is this world, once somebody is plugged there.
	l := must[net.Listener](s.t)(net.Listen("tcp", "0.0.0.0:0"))
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "far") })}
	go func() { _ = server.Serve(l) }()
	s.t.Cleanup(func() { _ = server.Close() })
	far := must[*pools.Member](s.t)(pools.CreateMember(s.t.Context(), s.tenant, s.actor.pool, pools.CreateMemberOpts{
		Name: "far", Address: "10.20.0.1", ProtocolPort: l.Addr().(*net.TCPAddr).Port, SubnetID: subnet.ID,
	}).Extract())
	s.settle()
	within(s.t, 30*time.Second, "the far member answers", func() bool { who, err := s.site.ask(); return err == nil && who == "far" })
	if err := pools.DeleteMember(s.t.Context(), s.tenant, s.actor.pool, far.ID).ExtractErr(); err != nil {
		s.t.Fatal(err)
	}
	s.settle()
	within(s.t, 30*time.Second, "nobody is on the far network", func() bool {
		return networks.Delete(s.t.Context(), neutron, network.ID).ExtractErr() == nil
	})
	if who, err := s.site.ask(); err != nil {
		s.t.Errorf("after the far member, %q, %v", who, err)
	}
}

// servesManyKinds has listeners of other kinds come, serve and go.
func (s *story) servesManyKinds() {
	s.t.Helper()
	ca := certtest.Issue(s.t, nil, "a CA")
	www, shop, good, revoked := certtest.Issue(s.t, ca, "www.example.com"), certtest.Issue(s.t, ca, "shop.example.com"), certtest.Issue(s.t, ca, "good"), certtest.Issue(s.t, ca, "revoked")
	encrypted := mirror(s.t, "encrypted", &tls.Config{Certificates: []tls.Certificate{www.TLS()}, MinVersion: tls.VersionTLS12})
	raw := s.poolOf(encrypted, pools.CreateOpts{Protocol: pools.ProtocolHTTPS, Persistence: &pools.SessionPersistence{Type: "SOURCE_IP"}})
	again := s.poolOf(encrypted, pools.CreateOpts{
		Protocol: pools.ProtocolHTTP, TLSEnabled: true, CATLSContainerRef: s.store(ca.PEM()), Persistence: &pools.SessionPersistence{Type: "HTTP_COOKIE"},
	})
	ids := []string{s.tlsLab.listener(1443, raw, listeners.CreateOpts{Protocol: listeners.ProtocolHTTPS})}
	s.settle()
	ids = append(ids, s.tlsLab.listener(2443, again, listeners.CreateOpts{
		DefaultTlsContainerRef: s.store(www.Bundle()), SniContainerRefs: []string{s.store(shop.Bundle())}, ClientAuthentication: "MANDATORY",
		ClientCATLSContainerRef: s.store(ca.PEM()), ClientCRLContainerRef: s.store(ca.Revokes(revoked)),
		InsertHeaders: map[string]string{"X-SSL-Client-CN": "true", "X-Forwarded-Proto": "true"},
	}))
	s.settle()
	trust := &tls.Config{RootCAs: ca.Pool(), ServerName: "www.example.com"}
	s.serves(1443, trust, "encrypted")
	known := trust.Clone()
	known.Certificates = []tls.Certificate{good.TLS()}
	s.serves(2443, known, "X-Ssl-Client-Cn: ")
	known.ServerName = "shop.example.com"
	if _, err := s.handshake(2443, known); err != nil {
		s.t.Errorf("by its other name: %v", err)
	}
	known.Certificates = []tls.Certificate{revoked.TLS()}
	if a, err := s.get(2443, known); err == nil {
		s.t.Errorf("who is revoked got %s", a.body)
	}
	within(s.t, 60*time.Second, "heartbeats tell of all listeners", func() bool {
		tree, err := loadbalancers.GetStatuses(s.t.Context(), s.tenant, s.actor.lb).Extract()
		return err == nil && len(tree.Loadbalancer.Listeners) == 1+len(ids) &&
			!slices.ContainsFunc(tree.Loadbalancer.Listeners, func(l listeners.Listener) bool { return l.OperatingStatus != "ONLINE" })
	})
	for _, id := range ids {
		if err := listeners.Delete(s.t.Context(), s.tenant, id).ExtractErr(); err != nil {
			s.t.Fatal(err)
		}
		s.settle()
	}
	for _, id := range []string{raw, again} {
		if err := pools.Delete(s.t.Context(), s.tenant, id).ExtractErr(); err != nil {
			s.t.Fatal(err)
		}
		s.settle()
	}
}

// isConfiguredAnew has an administrator send the agent its configuration.
func (s *story) isConfiguredAnew() {
	s.t.Helper()
	admin := s.login(s.sandbox.Settings().Admin)
	page := must[pagination.Page](s.t)(amphorae.List(admin, amphorae.ListOpts{LoadbalancerID: s.actor.lb}).AllPages(s.t.Context()))
	found := must[[]amphorae.Amphora](s.t)(amphorae.ExtractAmphorae(page))
	s.site.inAmphora("echo '# not from the controller' >>/etc/octavia/amphora-agent.conf")
	resp, err := admin.Put(s.t.Context(), admin.ServiceURL("octavia", "amphorae", found[0].ID, "config"), nil, nil, &gophercloud.RequestOpts{OkCodes: []int{http.StatusAccepted}})
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
	within(s.t, 60*time.Second, "the agent has its configuration", func() bool {
		text, err := s.sandbox.Exec(s.t.Context(), s.site.amphora(), "cat", "/etc/octavia/amphora-agent.conf")
		return err == nil && strings.Contains(string(text), found[0].ID) && !strings.Contains(string(text), "not from the controller")
	})
	s.settle()
}

// isRotated waits until housekeeping has given the agent another certificate.
func (s *story) isRotated() {
	s.t.Helper()
	sum := func() (string, error) {
		out, err := s.sandbox.Exec(s.t.Context(), s.site.amphora(), "sha256sum", "/etc/octavia/certs/server.pem")
		return string(out), err
	}
	old := must[string](s.t)(sum())
	within(s.t, 60*time.Second, "the agent has another certificate", func() bool {
		now, err := sum()
		return err == nil && now != old
	})
}

// amphoraDies crashes the amphora. Its heartbeats are missed, another takes its place, and has all that the first had.
func (s *story) amphoraDies() {
	s.t.Helper()
	old := s.site.amphora()
	if err := s.sandbox.KillInstance(old); err != nil {
		s.t.Fatal(err)
	}
	within(s.t, 2*time.Minute, "another amphora answers through the VIP", func() bool {
		_, err := s.site.ask()
		return err == nil && s.site.amphora() != old
	})
	s.settle()
	if got, err := s.status("/admin/x"); err != nil || got != http.StatusForbidden {
		s.t.Errorf("the new amphora answers /admin/x with %d, %v", got, err)
	}
	within(s.t, 60*time.Second, "heartbeats of the new amphora have turned everything ONLINE", s.online)
}

// installed tests that programs of Debian's packages are there.
func installed(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Fatalf("%v; hack/install-deps interop installs it", err)
		}
	}
}

// story is the life of a load balancer, whoever serves its API, drives its amphora and is its agent. Nothing is asked for before what
// was asked for last is ACTIVE, as upstream wants it.
type story struct {
	*tlsLab
	site     *site
	listener string
	members  []string
}

// begin makes a load balancer with two members, and waits for traffic to both.
func (l *lab) begin() *story {
	l.t.Helper()
	ctx := l.t.Context()
	lb := must[*loadbalancers.LoadBalancer](l.t)(loadbalancers.Create(ctx, l.tenant, loadbalancers.CreateOpts{Name: "story", VipSubnetID: l.subnetID()}).Extract())
	s := &story{site: &site{lab: l, actor: l.actor("story"), vip: lb.VipAddress}}
	s.tlsLab = &tlsLab{lab: l, owner: l.owner(l.sandbox.Settings().Tenant), actor: s.site.actor, vip: lb.VipAddress}
	s.actor.lb = lb.ID
	s.settle()
	s.listener = must[*listeners.Listener](l.t)(listeners.Create(ctx, l.tenant, listeners.CreateOpts{
		Protocol: "HTTP", ProtocolPort: 80, LoadbalancerID: lb.ID,
	}).Extract()).ID
	s.settle()
	s.actor.pool = must[*pools.Pool](l.t)(pools.Create(ctx, l.tenant, pools.CreateOpts{
		Protocol: "HTTP", LBMethod: "ROUND_ROBIN", ListenerID: s.listener,
	}).Extract()).ID
	s.settle()
	for range 2 {
		s.site.addMember()
		s.settle()
	}
	s.members = s.memberIDs()
	return s
}

// memberIDs are the members in the order of their creation.
func (s *story) memberIDs() []string {
	s.t.Helper()
	page, err := pools.ListMembers(s.tenant, s.actor.pool, pools.ListMembersOpts{}).AllPages(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	ids := make([]string, s.site.backends)
	for _, m := range must[[]pools.Member](s.t)(pools.ExtractMembers(page)) {
		var n int
		if _, err := fmt.Sscanf(m.Name, "backend-%d", &n); err != nil {
			s.t.Fatal(err)
		}
		ids[n-1] = m.ID
	}
	return ids
}

// isWatched adds a health monitor, and waits until heartbeats have turned everything ONLINE; a member that dies is in ERROR.
func (s *story) isWatched() {
	s.t.Helper()
	must[*monitors.Monitor](s.t)(monitors.Create(s.t.Context(), s.tenant, monitors.CreateOpts{
		PoolID: s.actor.pool, Type: monitors.TypeHTTP, Delay: 1, Timeout: 1, MaxRetries: 1, MaxRetriesDown: 1,
	}).Extract())
	s.settle()
	within(s.t, 60*time.Second, "heartbeats have turned everything ONLINE", s.online)
	dead := must[*pools.Member](s.t)(pools.CreateMember(s.t.Context(), s.tenant, s.actor.pool, pools.CreateMemberOpts{
		Name: "dead", Address: outside, ProtocolPort: 1, SubnetID: s.subnetID(),
	}).Extract())
	s.settle()
	within(s.t, 60*time.Second, "the dead member is in ERROR", func() bool {
		m, err := pools.GetMember(s.t.Context(), s.tenant, s.actor.pool, dead.ID).Extract()
		return err == nil && m.OperatingStatus == "ERROR"
	})
	if err := pools.DeleteMember(s.t.Context(), s.tenant, s.actor.pool, dead.ID).ExtractErr(); err != nil {
		s.t.Fatal(err)
	}
	s.settle()
}

// online says whether everything is, down to the members.
func (s *story) online() bool {
	tree, err := loadbalancers.GetStatuses(s.t.Context(), s.tenant, s.actor.lb).Extract()
	if err != nil || tree.Loadbalancer.OperatingStatus != "ONLINE" || len(tree.Loadbalancer.Listeners) == 0 {
		return false
	}
	for _, l := range tree.Loadbalancer.Listeners {
		if l.OperatingStatus != "ONLINE" || len(l.Pools) == 0 || l.Pools[0].OperatingStatus != "ONLINE" || len(l.Pools[0].Members) != s.site.backends {
			return false
		}
		for _, m := range l.Pools[0].Members {
			if m.OperatingStatus != "ONLINE" {
				return false
			}
		}
	}
	return true
}

// isCounted waits until heartbeats have told of traffic.
func (s *story) isCounted() {
	s.t.Helper()
	within(s.t, 60*time.Second, "requests are in the statistics", func() bool {
		stats, err := loadbalancers.GetStats(s.t.Context(), s.tenant, s.actor.lb).Extract()
		return err == nil && stats.TotalConnections > 0 && stats.BytesIn > 0 && stats.BytesOut > 0
	})
}

// memberChanges gives the first member no weight for a while: the second answers all.
func (s *story) memberChanges() {
	s.t.Helper()
	weigh := func(weight int, status string) {
		must[*pools.Member](s.t)(pools.UpdateMember(s.t.Context(), s.tenant, s.actor.pool, s.members[0], pools.UpdateMemberOpts{Weight: &weight}).Extract())
		s.settle()
		within(s.t, 60*time.Second, "the member is "+status, func() bool {
			m, err := pools.GetMember(s.t.Context(), s.tenant, s.actor.pool, s.members[0]).Extract()
			return err == nil && m.OperatingStatus == status
		})
	}
	weigh(0, "DRAINING")
	for range 6 {
		if who, err := s.site.ask(); err != nil || who != "backend-2" {
			s.t.Errorf("got an answer of %q, %v, want only backend-2", who, err)
		}
	}
	weigh(1, "ONLINE")
}

// policyDecides has a policy reject some requests.
func (s *story) policyDecides() {
	s.t.Helper()
	policy := must[*l7policies.L7Policy](s.t)(l7policies.Create(s.t.Context(), s.tenant, l7policies.CreateOpts{
		ListenerID: s.listener, Action: l7policies.ActionReject, Name: "no admin",
	}).Extract())
	s.settle()
	must[*l7policies.Rule](s.t)(l7policies.CreateRule(s.t.Context(), s.tenant, policy.ID, l7policies.CreateRuleOpts{
		RuleType: l7policies.TypePath, CompareType: l7policies.CompareTypeStartWith, Value: "/admin",
	}).Extract())
	s.settle()
	// Upstream's agent does not wait for haproxy's new worker.
	within(s.t, 10*time.Second, "/admin is forbidden", func() bool {
		got, err := s.status("/admin/x")
		return err == nil && got == http.StatusForbidden
	})
	if got, err := s.status("/"); err != nil || got != http.StatusOK {
		s.t.Errorf("/: got %d, %v, want 200", got, err)
	}
}

// status asks for a path and returns the status code of the answer.
func (s *story) status(path string) (int, error) {
	resp, err := visitor.Get("http://" + s.vip + path)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// terminates has a TLS listener come and go; its key goes with it, and its sibling stays.
func (s *story) terminates() {
	s.t.Helper()
	ca := certtest.Issue(s.t, nil, "a CA")
	www := certtest.Issue(s.t, ca, "www.example.com")
	secure := s.tlsLab.listener(443, s.actor.pool, listeners.CreateOpts{DefaultTlsContainerRef: s.store(www.Bundle())})
	s.settle()
	s.serves(443, &tls.Config{RootCAs: ca.Pool(), ServerName: "www.example.com"}, "backend-")
	if err := listeners.Delete(s.t.Context(), s.tenant, secure).ExtractErr(); err != nil {
		s.t.Fatal(err)
	}
	s.settle()
	// Upstream's worker leaves the list of certificates.
	out, err := s.sandbox.Exec(s.t.Context(), s.site.amphora(), "sh", "-c", "grep -lr 'PRIVATE KEY' /var/lib/octavia || true")
	if err != nil || len(out) > 0 {
		s.t.Errorf("the key of a deleted listener is still there: %s %v", out, err)
	}
	if who, err := s.site.ask(); err != nil {
		s.t.Errorf("after the deletion of its sibling, the listener answers %q, %v", who, err)
	}
}

// showConsoles shows what amphorae have printed, if the test fails.
func (l *lab) showConsoles() {
	l.t.Cleanup(func() {
		if !l.t.Failed() {
			return
		}
		for _, id := range l.sandbox.Servers("amphora-") {
			const most = 8000
			text, err := l.sandbox.ConsoleLog(id)
			l.t.Logf("console of %s: %s %v", id, text[max(0, len(text)-most):], err)
		}
	})
}
