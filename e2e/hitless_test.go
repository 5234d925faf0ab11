package e2e_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"
)

// worker names the worker of haproxy that serves the site, as its agent knows it.
func (s *site) worker() string {
	s.t.Helper()
	text, err := s.sandbox.Exec(s.t.Context(), s.amphora(), "cat", "/var/lib/octavia/"+s.actor.lb+"/running.json")
	var running struct {
		Worker string `json:"worker"`
	}
	if err == nil {
		err = json.Unmarshal(text, &running)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return running.Worker
}

func (s *site) active() {
	s.t.Helper()
	within(s.t, 30*time.Second, "the load balancer is ACTIVE", func() bool {
		lb, err := loadbalancers.Get(s.t.Context(), s.tenant, s.actor.lb).Extract()
		return err == nil && lb.ProvisioningStatus == "ACTIVE"
	})
}

// TestMembersChangeWithoutReload: what tenants do to members is in effect when the load balancer is ACTIVE, no request fails, and haproxy
// still is the one that it was.
func TestMembersChangeWithoutReload(t *testing.T) {
	l := newLab(t, labOptions{instances: true})
	l.serve()
	site := l.site(1)
	site.active()
	before := site.worker()
	stop := site.keepAsking()
	site.addMember()
	site.addMember()
	page, err := pools.ListMembers(l.tenant, site.actor.pool, pools.ListMembersOpts{}).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	members, err := pools.ExtractMembers(page)
	if err != nil || len(members) != 3 {
		t.Fatal(members, err)
	}
	none, off := 0, false
	for i, change := range []func(id string) error{
		func(id string) error {
			_, err := pools.UpdateMember(t.Context(), l.tenant, site.actor.pool, id, pools.UpdateMemberOpts{Weight: &none}).Extract()
			return err
		},
		func(id string) error {
			_, err := pools.UpdateMember(t.Context(), l.tenant, site.actor.pool, id, pools.UpdateMemberOpts{AdminStateUp: &off}).Extract()
			return err
		},
	} {
		if err := change(members[i].ID); err != nil {
			t.Fatal(err)
		}
		site.active()
	}
	for range 6 {
		if who, err := site.ask(); err != nil || who != members[2].Name {
			t.Errorf("got an answer of %q, %v, want only %s", who, err, members[2].Name)
		}
	}
	if err := pools.DeleteMember(t.Context(), l.tenant, site.actor.pool, members[0].ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	site.active()
	if answers := stop(); answers.failed > 0 {
		t.Errorf("%d of %d requests failed, the first: %v", answers.failed, answers.total, answers.first)
	}
	if got := site.worker(); got != before {
		t.Errorf("got worker %s after changes of members, had %s", got, before)
	}
	site.remove()
	l.assertNoLeaks()
}

// TestListenerThatCannotBeBound: another program has its port in the amphora. It is in ERROR with haproxy's reason, its sibling serves,
// and both do when the port is free.
func TestListenerThatCannotBeBound(t *testing.T) {
	l := newLab(t, labOptions{instances: true})
	l.serve()
	site := l.site(1)
	site.inAmphora(`printf 'global\n daemon\n noreuseport\n pidfile /run/other.pid\ndefaults\n timeout client 1s\nfrontend other\n bind ` + site.vip + `:81\n mode http\n' >/run/other.cfg
ip netns exec amphora-haproxy haproxy -f /run/other.cfg`)
	stop := site.keepAsking()
	listener, err := listeners.Create(t.Context(), l.tenant, listeners.CreateOpts{Protocol: "HTTP", ProtocolPort: 81, LoadbalancerID: site.actor.lb}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	status := func(want string) func() bool {
		return func() bool {
			got, err := listeners.Get(t.Context(), l.tenant, listener.ID).Extract()
			return err == nil && got.ProvisioningStatus == want
		}
	}
	within(t, 30*time.Second, "the listener is in ERROR", status("ERROR"))
	site.active()
	if answers := stop(); answers.failed > 0 {
		t.Errorf("%d of %d requests failed, the first: %v", answers.failed, answers.total, answers.first)
	}
	site.inAmphora(`pid=$(cat /run/other.pid); kill "$pid"; while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done`)
	name := "again"
	if _, err := listeners.Update(t.Context(), l.tenant, listener.ID, listeners.UpdateOpts{Name: &name}).Extract(); err != nil {
		t.Fatal(err)
	}
	within(t, 30*time.Second, "the listener is ACTIVE", status("ACTIVE"))
	site.remove()
	l.assertNoLeaks()
}

func (s *site) inAmphora(script string) {
	s.t.Helper()
	out, err := s.sandbox.Exec(s.t.Context(), s.amphora(), "sh", "-ec", script)
	if err != nil {
		s.t.Fatalf("%v: %s", err, bytes.TrimSpace(out))
	}
}
