package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbtest"
	"github.com/ottavino/ottavino/internal/clocktest"
)

const (
	newLB    = `{"loadbalancer": {"vip_subnet_id": "` + subnet + `", "name": "once"}}`
	otherLB  = `{"loadbalancer": {"vip_subnet_id": "` + subnet + `", "name": "other"}}`
	underWay = "A request with this Idempotency-Key is under way."
	reused   = "Idempotency-Key was used before, with another body."
)

// keyed is the same API used with a key.
func (f *fixture) keyed(key string) *fixture { return f.with("Idempotency-Key", key) }

// names counts the load balancers of each name.
func (f *fixture) names() map[string]int {
	f.t.Helper()
	out := map[string]int{}
	err := f.store.Read(f.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		rows, err := db.Where[db.LoadBalancer](ctx, tx, "1 = 1")
		for i := range rows {
			if rows[i].Name != nil {
				out[*rows[i].Name]++
			}
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return out
}

// TestRepeatedPosts: in every collection a repeat is answered as the first request was, and nothing is made.
func TestRepeatedPosts(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, f *fixture) {
		t.Helper()
		f = f.admin()
		x := f.tree()
		policy := f.create(policies, `{"l7policy": {"listener_id": "`+x.listener+`", "action": "REJECT"}}`)
		f.settle(x.lb)
		pool := f.create(pools, `{"pool": {"loadbalancer_id": "`+x.lb+`", "protocol": "TCP", "lb_algorithm": "SOURCE_IP"}}`)
		f.settle(x.lb)
		profile := f.create("/v2/flavorprofiles", `{"flavorprofile": {"name": "p", "provider_name": "amphora", "flavor_data": "{}"}}`)
		zone := f.create("/v2/availabilityzoneprofiles",
			`{"availability_zone_profile": {"name": "z", "provider_name": "amphora", "availability_zone_data": "{\"compute_zone\": \"nova\"}"}}`)
		for i, c := range []struct{ path, body string }{
			{lbs, newLB},
			{lbs, `{"loadbalancer": {"vip_subnet_id": "` + subnet + `", "listeners": [{"protocol": "HTTP", "protocol_port": 80, "name": "<&>"}]}}`},
			{listeners, `{"listener": {"loadbalancer_id": "` + x.lb + `", "protocol": "TCP", "protocol_port": 81}}`},
			{pools, `{"pool": {"loadbalancer_id": "` + x.lb + `", "protocol": "TCP", "lb_algorithm": "SOURCE_IP"}}`},
			{pools + "/" + x.pool + "/members", `{"member": {"address": "10.0.0.3", "protocol_port": 80}}`},
			{monitors, `{"healthmonitor": {"pool_id": "` + pool + `", "type": "TCP", "delay": 5, "timeout": 3, "max_retries": 2}}`},
			{policies, `{"l7policy": {"listener_id": "` + x.listener + `", "action": "REJECT"}}`},
			{policies + "/" + policy + "/rules", `{"rule": {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/x"}}`},
			{"/v2/flavorprofiles", `{"flavorprofile": {"name": "q", "provider_name": "amphora", "flavor_data": "{}"}}`},
			{"/v2/flavors", `{"flavor": {"name": "f", "flavor_profile_id": "` + profile + `"}}`},
			{"/v2/availabilityzoneprofiles", `{"availability_zone_profile": {"name": "y", "provider_name": "amphora", "availability_zone_data": "{\"compute_zone\": \"nova\"}"}}`},
			{"/v2/availabilityzones", `{"availability_zone": {"name": "a", "availability_zone_profile_id": "` + zone + `"}}`},
		} {
			k := f.keyed(fmt.Sprint("key ", i))
			first := k.do("POST", c.path, c.body)
			if first.status != http.StatusCreated {
				t.Errorf("%s: got %d %s, want it made", c.path, first.status, first.body)
				continue
			}
			f.isRepeat(first, k.do("POST", c.path, c.body))
			f.settle(x.lb)
		}
		if n := f.names(); n["once"] != 1 {
			t.Errorf("got %v load balancers, want one called once", n)
		}
	})
}

// isRepeat tests that an answer repeats another.
func (f *fixture) isRepeat(first, again answer) {
	f.t.Helper()
	if again.status != first.status || !bytes.Equal(again.body, first.body) ||
		again.header.Get("Content-Type") != first.header.Get("Content-Type") {
		f.t.Errorf("a repeat got\n%d %s, want\n%d %s", again.status, again.body, first.status, first.body)
	}
	if got := again.header.Get("Idempotent-Replayed"); got != "true" {
		f.t.Errorf("a repeat is marked %q, want true", got)
	}
	if got := again.header.Get("X-Openstack-Request-Id"); got == "" || got == first.header.Get("X-Openstack-Request-Id") {
		f.t.Errorf("a repeat has request id %q, want one of its own", got)
	}
}

// TestKeyScope: what makes two requests the same.
func TestKeyScope(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first := f.keyed("k").do("POST", "/v2/lbaas/loadbalancers", newLB)
	for _, path := range []string{"/v2.0/lbaas/loadbalancers", "/v2/loadbalancers/", "/load-balancer/v2.0/loadbalancers.json"} {
		f.isRepeat(first, f.keyed("k").do("POST", path, newLB))
	}
	a := f.keyed("k").do("POST", lbs, otherLB)
	if a.status != http.StatusUnprocessableEntity || faultText(a) != reused || a.json(t)["faultcode"] != "Client" {
		t.Errorf("another body: got %d %s, want 422 %s", a.status, a.body, reused)
	}
	for name, other := range map[string]*fixture{
		"no key": f, "another key": f.keyed("K"), "another project": f.keyed("k").as("member", foreign),
		"another user": f.keyed("k").with("X-User-Id", "somebody"),
	} {
		if a := other.do("POST", lbs, newLB); a.status != http.StatusCreated || a.header.Get("Idempotent-Replayed") != "" {
			t.Errorf("%s: got %d %s %v, want a load balancer of its own", name, a.status, a.body, a.header)
		}
	}
	if n := f.names(); n["once"] != 5 || n["other"] != 0 {
		t.Errorf("got %v load balancers, want 5 called once", n)
	}
	for name, key := range map[string]string{
		"empty": "", "long": strings.Repeat("k", 256), "control": "a\tb", "not ASCII": "ключ",
	} {
		f.keyed(key).refuse(wrong{
			name, "POST", lbs, newLB, http.StatusBadRequest,
			"Invalid Idempotency-Key: one with 1 to 255 printable ASCII characters is needed.",
		})
	}
	twice := f.keyed("k")
	twice.headers.Add("Idempotency-Key", "l")
	if a := twice.do("POST", lbs, newLB); a.status != http.StatusBadRequest {
		t.Errorf("two keys: got %d %s, want 400", a.status, a.body)
	}
	f.keyed(strings.Repeat("k", 255)).must(http.StatusCreated, "POST", lbs, newLB)
	f.keyed("").must(http.StatusOK, "GET", lbs, "") // other methods have no use for it
}

// TestFailuresFreeTheKey: what failed can be tried again with the same key, whatever it failed of.
func TestFailuresFreeTheKey(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, f *fixture) {
		t.Helper()
		k := f.keyed("k")
		k.must(http.StatusBadRequest, "POST", lbs, "{}")
		k.as("reader", project).must(http.StatusForbidden, "POST", lbs, newLB)
		f.neutron.refuse = errors.New("neutron is away")
		k.must(http.StatusInternalServerError, "POST", lbs, newLB)
		f.neutron.refuse, f.neutron.panics = nil, true
		k.must(http.StatusInternalServerError, "POST", lbs, newLB)
		f.neutron.panics = false
		k.with("Content-Type", "text/plain").must(http.StatusUnsupportedMediaType, "POST", lbs, newLB)
		f.isRepeat(k.do("POST", lbs, newLB), k.do("POST", lbs, newLB))
		lb := f.loadBalancer()
		listener := `{"listener": {"loadbalancer_id": "` + lb + `", "protocol": "TCP", "protocol_port": 80}}`
		f.setStatus(lb, db.PendingUpdate)
		if a := k.do("POST", listeners, listener); a.status != http.StatusConflict { // refused inside the transaction
			t.Errorf("locked load balancer: got %d %s, want 409", a.status, a.body)
		}
		f.setStatus(lb, db.Active)
		f.isRepeat(k.do("POST", listeners, listener), k.do("POST", listeners, listener))
	})
}

// TestManyPostsWithOneKey come to two processes at the same time: one load balancer is made, with one port.
func TestManyPostsWithOneKey(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		t.Helper()
		one, two := newFixtureOn(t, cfg), newFixtureOn(t, cfg)
		two.neutron = one.neutron
		answers := make([]answer, 32)
		var all sync.WaitGroup
		for i := range answers {
			f := []*fixture{one, two}[i%2].keyed("k")
			all.Go(func() { answers[i] = f.do("POST", lbs, newLB) })
		}
		all.Wait()
		first := one.keyed("k").do("POST", lbs, newLB) // all have ended, so this is a repeat
		made := 0
		for _, a := range answers {
			switch {
			case a.status == http.StatusConflict && faultText(a) == underWay && a.header.Get("Retry-After") != "":
			case a.status != http.StatusCreated || !bytes.Equal(a.body, first.body):
				t.Errorf("got %d %s, want %s or that it is under way", a.status, a.body, first.body)
			case a.header.Get("Idempotent-Replayed") == "":
				made++
			}
		}
		if made != 1 || one.names()["once"] != 1 {
			t.Errorf("%d answers say that they made something, and there are %v; want one", made, one.names())
		}
	})
}

// TestRepeatAfterRestart: the answer is in the database, not in the process.
func TestRepeatAfterRestart(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		t.Helper()
		before := newFixtureOn(t, cfg)
		first := before.keyed("k").do("POST", lbs, newLB)
		if err := before.store.Close(); err != nil {
			t.Fatal(err)
		}
		after := newFixtureOn(t, cfg)
		after.isRepeat(first, after.keyed("k").do("POST", lbs, newLB))
		if after.neutron.count() != 0 {
			t.Error("a repeat made a port")
		}
	})
}

// slowNeutron makes a port when it is told to.
type slowNeutron struct {
	*neutron
	asked chan struct{} // a value for each port that is to be made
	goOn  chan struct{}
}

func (n slowNeutron) Create(ctx context.Context, r api.VIPRequest) (api.VIPResult, error) {
	n.asked <- struct{}{}
	<-n.goOn
	return n.neutron.Create(ctx, r)
}

// TestRepeatWhileUnderWay: a repeat that comes too early is told to come again, and one that comes when the first counts as
// dead goes ahead. Then the first, if it lives, makes nothing.
func TestRepeatWhileUnderWay(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		t.Helper()
		clock := clocktest.New(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
		cfg.Now = clock.Now
		slow := slowNeutron{asked: make(chan struct{}), goOn: make(chan struct{})}
		f := newFixtureOn(t, cfg, func(_ *api.Config, d *api.Deps) {
			slow.neutron, _ = d.VIP.(*neutron)
			d.VIP = slow
		}).keyed("k")
		first, second := make(chan answer, 1), make(chan answer, 1)
		go func() { first <- f.do("POST", lbs, newLB) }()
		<-slow.asked
		if a := f.do("POST", lbs, newLB); a.status != http.StatusConflict || faultText(a) != underWay || a.header.Get("Retry-After") != "1" {
			t.Errorf("got %d %s, want 409 %s", a.status, a.body, underWay)
		}
		f.must(http.StatusUnprocessableEntity, "POST", lbs, otherLB)
		clock.Pass(2 * time.Minute)
		go func() { second <- f.do("POST", lbs, newLB) }()
		<-slow.asked
		slow.goOn <- struct{}{}
		slow.goOn <- struct{}{}
		late, made := <-first, <-second
		if late.status != http.StatusConflict || faultText(late) != underWay {
			t.Errorf("the first got %d %s, want 409", late.status, late.body)
		}
		f.isRepeat(made, f.do("POST", lbs, newLB))
		if n := fmt.Sprint(f.names(), slow.count()); n != "map[once:1] 1" {
			t.Errorf("got load balancers and ports %s, want one of each", n)
		}
	})
}
