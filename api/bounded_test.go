package api_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/db"
)

// heldNeutron makes a port when it is told to.
type heldNeutron struct {
	*neutron
	asked, told chan struct{}
}

func (n *heldNeutron) Create(ctx context.Context, r api.VIPRequest) (api.VIPResult, error) {
	n.asked <- struct{}{}
	<-n.told
	return n.neutron.Create(ctx, r)
}

// TestBusyServerSaysSo: a request that gets no turn in time is answered 503, and the next one works again.
func TestBusyServerSaysSo(t *testing.T) {
	t.Parallel()
	slow := &heldNeutron{&neutron{ports: map[string]string{}}, make(chan struct{}), make(chan struct{})}
	f := newFixture(t, func(c *api.Config, d *api.Deps) {
		c.MaxRequests, c.QueueTimeout, d.VIP = 1, time.Millisecond, slow
	})
	done := make(chan int)
	go func() { done <- f.do("POST", lbs, `{"loadbalancer": {"vip_subnet_id": "`+subnet+`"}}`).status }()
	<-slow.asked
	a := f.do("GET", lbs, "")
	if a.status != 503 || a.header.Get("Retry-After") != "1" || faultText(a) != "The server is busy. Please try again." {
		t.Errorf("got %d %s, Retry-After %q, want 503 and 1", a.status, a.body, a.header.Get("Retry-After"))
	}
	if a := f.do("GET", lbs+"?wait=1", ""); a.status != 503 {
		t.Errorf("a list that pretends to wait: got %d, want 503", a.status)
	}
	close(slow.told)
	if got := <-done; got != 201 {
		t.Errorf("the request at work: got %d, want 201", got)
	}
	f.must(200, "GET", lbs, "")
}

// TestTooMuch: what is far too big is refused in words.
func TestTooMuch(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *api.Config, _ *api.Deps) {
		c.MaxBody, c.Quotas = 64<<20, db.QuotaDefaults{db.QuotaMember: 50}
	})
	x := f.tree()
	path := pools + "/" + x.pool + "/members"
	f.refuse(
		wrong{"members", "PUT", path, `{"members": [` + members(100000) + `]}`, 403, "Quota has been met for resources: Member"},
		wrong{"depth", "PUT", path, strings.Repeat("[", 100000) + strings.Repeat("]", 100000), 400, "Request is not in valid JSON format"},
		wrong{"depth", "POST", lbs, strings.Repeat(`{"a":`, 100000) + "1" + strings.Repeat("}", 100000), 400, "Request is not in valid JSON format"},
	)
	expect(t, f.must(200, "GET", path, ""), "members.1", `"absent"`)
}
