package api_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbtest"
)

// guard ends what would otherwise end by the longest wait only, which is no success.
const guard = time.Minute

// inTime is the same API, whose requests fail when they take long.
func (f *fixture) inTime() *fixture {
	f.t.Helper()
	g := *f
	var cancel context.CancelFunc
	g.ctx, cancel = context.WithTimeout(f.t.Context(), guard)
	f.t.Cleanup(cancel)
	return &g
}

// background sends a GET and returns where its answer comes.
func (f *fixture) background(path string) <-chan answer {
	out := make(chan answer, 1)
	go func() { out <- f.do("GET", path, "") }()
	return out
}

// waiters waits until so many requests wait.
func (f *fixture) waiters(n int) {
	f.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(guard); ; <-tick.C {
		requests, looking := f.server.Waiting()
		if requests == n && looking == (n > 0) {
			return
		}
		if time.Now().After(end) {
			f.t.Fatalf("%d requests wait (and somebody looks for them: %v), want %d", requests, looking, n)
		}
	}
}

// TestWait: a show that waits is answered when the load balancer is done, or gone, whoever did it.
func TestWait(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		t.Helper()
		f := newFixtureOn(t, cfg).inTime()
		elsewhere := newFixtureOn(t, cfg)
		for _, c := range []struct {
			name string
			by   *fixture
			from string
			to   string
			want int
		}{
			{"elsewhere", elsewhere, db.PendingUpdate, db.Active, http.StatusOK},
			{"here", f, db.PendingCreate, db.Active, http.StatusOK},
			{"failed", f, db.PendingCreate, db.Error, http.StatusOK},
			{"deleted", f, db.PendingDelete, db.Deleted, http.StatusNotFound},
		} {
			if c.by == f { // then the commit itself is heard of
				f.server.LookEvery(2 * guard)
			}
			id := f.create(lbs, newLB)
			f.setStatus(id, c.from)
			other := f.create(lbs, newLB) // stays PENDING_CREATE
			one, many := f.background(lbs+"/"+id+"?wait=300"), f.background(lbs+"/"+id+"?wait=300&fields=provisioning_status")
			still := f.background(lbs + "/" + other + "?wait=300")
			f.waiters(3)
			c.by.setStatus(id, c.to)
			whole, part := <-one, <-many
			if whole.status != c.want || part.status != c.want {
				t.Fatalf("%s: got %d %s and %d %s, want %d", c.name, whole.status, whole.body, part.status, part.body, c.want)
			}
			if c.want == http.StatusOK {
				expect(t, whole.json(t), "loadbalancer.provisioning_status", show(c.to), "loadbalancer.id", show(id))
				expect(t, part.json(t), "loadbalancer", `{"provisioning_status":`+show(c.to)+`}`)
			}
			f.waiters(1)
			f.setStatus(other, db.Active)
			if a := <-still; a.status != http.StatusOK {
				t.Errorf("%s: the other got %d %s", c.name, a.status, a.body)
			}
			f.waiters(0)
		}
	})
}

// TestManyWait for the same and for different load balancers, and come and go.
func TestManyWait(t *testing.T) {
	t.Parallel()
	f := newFixture(t).inTime()
	var ids []string
	for range 8 {
		ids = append(ids, f.create(lbs, newLB))
	}
	for range 3 {
		var all sync.WaitGroup
		for i := range 64 {
			all.Go(func() {
				if a := f.do("GET", lbs+"/"+ids[i%8]+"?wait=300", ""); a.status != http.StatusOK || strings.Contains(string(a.body), "PENDING") {
					t.Errorf("got %d %s, want it settled", a.status, a.body)
				}
			})
		}
		f.waiters(64)
		for _, id := range ids {
			f.setStatus(id, db.Active)
		}
		all.Wait()
		f.waiters(0)
		for _, id := range ids {
			f.setStatus(id, db.PendingUpdate)
		}
	}
}

// TestWaitEnds by time, with what there is.
func TestWaitEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.create(lbs, newLB)
	for _, wait := range []string{"0", "1"} {
		expect(t, f.must(http.StatusOK, "GET", lbs+"/"+id+"?wait="+wait, ""), "loadbalancer.provisioning_status", `"PENDING_CREATE"`)
	}
	f.waiters(0)
}

// TestNoWait: what is settled, absent or another's is answered at once, and nonsense is refused.
func TestNoWait(t *testing.T) {
	t.Parallel()
	f := newFixture(t).inTime()
	pending, settled := f.create(lbs, newLB), f.loadBalancer()
	expect(t, f.must(http.StatusOK, "GET", lbs+"/"+settled+"?wait=300", ""), "loadbalancer.provisioning_status", `"ACTIVE"`)
	f.must(http.StatusNotFound, "GET", lbs+"/"+absent+"?wait=300", "")
	f.as("member,reader", foreign).must(http.StatusForbidden, "GET", lbs+"/"+pending+"?wait=300", "")
	for _, value := range []string{"", "x", "-1", "1.5", "301", "99999999999999999999", "1&wait=2", "1s"} {
		f.refuse(wrong{
			value, "GET", lbs + "/" + pending + "?wait=" + value, "", http.StatusBadRequest,
			"Invalid wait: one number of seconds from 0 to 300 is needed.",
		})
	}
	listener := f.create(listeners, `{"listener": {"loadbalancer_id": "`+settled+`", "protocol": "TCP", "protocol_port": 80}}`)
	f.must(http.StatusOK, "GET", listeners+"/"+listener+"?wait=x", "") // ignored, as upstream ignores it
}

// TestWaitEndsWithTheServer: a server that is to end does not wait.
func TestWaitEndsWithTheServer(t *testing.T) {
	t.Parallel()
	f := newFixture(t).inTime()
	path := lbs + "/" + f.create(lbs, newLB) + "?wait=300"
	waits := f.background(path)
	f.waiters(1)
	f.server.Drain()
	for _, a := range []answer{<-waits, f.do("GET", path, "")} {
		if a.status != http.StatusOK {
			t.Fatalf("got %d %s, want what there is", a.status, a.body)
		}
		expect(t, a.json(t), "loadbalancer.provisioning_status", `"PENDING_CREATE"`)
	}
	f.waiters(0)
}

// TestWaitEndsWithTheClient: who goes away is not waited for, and who stays is not cut off by the times a server gives
// to requests and answers.
func TestWaitEndsWithTheClient(t *testing.T) {
	t.Parallel()
	f := newFixture(t).inTime()
	id := f.create(lbs, newLB)
	server := httptest.NewUnstartedServer(f.handler)
	server.Config.ReadTimeout, server.Config.WriteTimeout = 50*time.Millisecond, 50*time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	get := func(ctx context.Context) (*http.Response, error) {
		r, err := http.NewRequestWithContext(ctx, "GET", server.URL+lbs+"/"+id+"?wait=300", http.NoBody)
		if err != nil {
			return nil, err
		}
		r.Header.Set("X-Roles", f.roles)
		r.Header.Set("X-Project-Id", f.project)
		return server.Client().Do(r)
	}
	ctx, leave := context.WithCancel(f.ctx)
	left, stays := make(chan error, 1), make(chan string, 1)
	go func() {
		resp, err := get(ctx)
		if err == nil {
			_ = resp.Body.Close()
		}
		left <- err
	}()
	f.waiters(1)
	go func() {
		resp, err := get(f.ctx)
		if err != nil {
			stays <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			body = []byte(err.Error())
		}
		stays <- string(body)
	}()
	f.waiters(2)
	leave()
	if err := <-left; err == nil {
		t.Error("who went away got an answer")
	}
	f.waiters(1)
	f.outlast(server.Listener.Addr())
	f.setStatus(id, db.Active)
	if got := <-stays; !strings.Contains(got, `"provisioning_status":"ACTIVE"`) {
		t.Errorf("got %q, want the load balancer ACTIVE", got)
	}
}

// outlast returns when a server has given up on a connection that began now and says nothing.
func (f *fixture) outlast(server net.Addr) {
	f.t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(f.ctx, "tcp", server.String())
	if err != nil {
		f.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(guard)); err != nil {
		f.t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		f.t.Fatalf("the server did not hang up: %v", err)
	}
}
