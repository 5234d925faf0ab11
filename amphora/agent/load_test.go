package agent_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ottavino/ottavino/amphora/heartbeat"
	"github.com/ottavino/ottavino/internal/churn"
)

// serve is a member.
func (r *rig) serve(h http.Handler) (port int) {
	r.t.Helper()
	l, err := net.Listen("tcp", outside+":0")
	if err != nil {
		r.t.Fatal(err)
	}
	server := &http.Server{Handler: h}
	go func() { _ = server.Serve(l) }()
	r.t.Cleanup(func() { _ = server.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

// heartbeat waits for one whose members are as they should be.
func (r *rig) heartbeat(ok func(members map[string]string) bool) map[string]string {
	r.t.Helper()
	var got map[string]string
	r.beat(func(m heartbeat.Message) bool {
		got = m.Pools["P1:L1"].Members
		return ok(got)
	})
	return got
}

// beat reads heartbeats that are sent from now on, until one is as it should be.
func (r *rig) beat(ok func(heartbeat.Message) bool) {
	r.t.Helper()
	buffer := make([]byte, 65536)
	_ = r.beats.SetReadDeadline(time.Now().Add(time.Millisecond))
	for { // what was sent before
		if _, _, err := r.beats.ReadFrom(buffer); err != nil {
			break
		}
	}
	if err := r.beats.SetReadDeadline(time.Now().Add(15 * time.Second)); err != nil {
		r.t.Fatal(err)
	}
	for {
		n, _, err := r.beats.ReadFrom(buffer)
		if err != nil {
			r.t.Fatal(err)
		}
		m, err := heartbeat.Decode(buffer[:n], []byte(beatKey))
		if err != nil {
			r.t.Fatal(err)
		}
		if ok(m) {
			return
		}
	}
}

// load is clients of this rig.
type load struct {
	t       *testing.T
	clients *churn.Clients
}

func (r *rig) load() load {
	return load{r.t, churn.Start(r.t.Context(), vip, true)}
}

// end stops the clients and reports what failed.
func (l load) end() {
	l.t.Helper()
	report(l.t, l.clients.Stop())
}

func report(t *testing.T, n churn.Notes) {
	t.Helper()
	for _, kind := range n.Kinds() {
		t.Error(kind)
	}
	t.Logf("%d requests served", len(n.Took))
	if len(n.Took) == 0 {
		t.Error("no request was served")
	}
}

// Apply makes a rig a churn.Amphora, as the other two.
func (r *rig) Apply(ctx context.Context, cfg []byte) error {
	r.workers[r.workerOr0()] = true
	return r.driver.Apply(ctx, r.target, lbID, cfg)
}

func (r *rig) PutFile(_ context.Context, name string, content []byte) error {
	r.upload(name, string(content))
	return nil
}

func (r *rig) RestartAgent(context.Context) error {
	r.stop()
	r.run()
	return nil
}

func (r *rig) workerOr0() int {
	info, err := r.tryHAProxy("show info")
	if err != nil {
		return 0
	}
	return pidIn(info)
}

// TestUnderLoad: two hundred changes of members, twenty of listeners and L7, twenty of certificates and five restarts of the agent,
// and no client notices.
func TestUnderLoad(t *testing.T) {
	r := newRig(t).plugged()
	play := churn.Play{
		LoadBalancerID: lbID, BasePath: filepath.Join(r.dir, "octavia"), CertDir: filepath.Join(r.dir, "certs"),
		VIP: netip.MustParseAddr(vip), Seed: 3,
	}
	for i := range 4 {
		play.Members = append(play.Members, netip.AddrPortFrom(netip.MustParseAddr(outside), uint16(r.web(fmt.Sprint(i)))))
	}
	if err := play.Prepare(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	r.workers = map[int]bool{}
	clients := churn.Start(t.Context(), vip, false)
	took, err := play.Run(t.Context(), r)
	report(t, clients.Stop())
	if err != nil {
		t.Fatal(err)
	}
	for thing, n := range churn.Promised() {
		slices.Sort(took[thing])
		if len(took[thing]) != n {
			t.Errorf("%s: done %d times, want %d", thing, len(took[thing]), n)
			continue
		}
		t.Logf("%s: %d times, median %s", thing, n, took[thing][n/2])
	}
	r.workers[r.worker()] = true
	if len(r.workers) != 21 {
		t.Errorf("got %d workers, want one and another for each change of a listener or policy", len(r.workers))
	}
}
