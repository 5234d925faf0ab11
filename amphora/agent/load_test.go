package agent_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ottavino/ottavino/amphora/heartbeat"
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

// load is clients that ask without a pause: some keep their connections, some take a new one for every request. They do not
// try again: every failure is one that a user sees.
type load struct {
	t      *testing.T
	cancel context.CancelFunc
	wg     sync.WaitGroup
	served atomic.Int64

	mu     sync.Mutex // guards failed
	failed map[string]int
}

// load begins; with TLS half of the clients speak it, on port 443.
func (r *rig) load(withTLS ...bool) *load {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	l := &load{t: r.t, cancel: cancel, failed: map[string]int{}}
	var dialer net.Dialer
	plain := func() (net.Conn, error) { return dialer.DialContext(ctx, "tcp", vip+":80") }
	other := plain
	if len(withTLS) > 0 {
		other = func() (net.Conn, error) {
			d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // certificates come and go
			return d.DialContext(ctx, "tcp", vip+":443")
		}
	}
	for _, dial := range []func() (net.Conn, error){plain, plain, other, other} {
		l.wg.Go(func() { l.client(ctx, dial, true) })
		l.wg.Go(func() { l.client(ctx, dial, false) })
	}
	return l
}

// client asks over raw connections, because net/http asks again when a kept connection fails.
func (l *load) client(ctx context.Context, dial func() (net.Conn, error), keep bool) {
	var (
		conn   net.Conn
		reader *bufio.Reader
		err    error
	)
	for ; ctx.Err() == nil; pause(ctx) {
		if conn == nil {
			if conn, err = dial(); err != nil {
				conn = nil
				if ctx.Err() == nil {
					l.fail("connect", err)
				}
				continue
			}
			reader = bufio.NewReader(conn)
		}
		again, err := exchange(conn, reader, keep)
		if err != nil {
			l.fail("request", err)
		} else {
			l.served.Add(1)
		}
		if !again || err != nil {
			_ = conn.Close()
			conn = nil
		}
	}
	if conn != nil {
		_ = conn.Close()
	}
}

// pause leaves connections idle for a moment, which is when a worker that goes would close them.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(2 * time.Millisecond):
	}
}

var ports = regexp.MustCompile(`:\d{4,5}\b`)

func (l *load) fail(what string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed[what+": "+ports.ReplaceAllString(err.Error(), "")]++
}

// end stops the clients and reports what failed.
func (l *load) end() {
	l.t.Helper()
	l.cancel()
	l.wg.Wait()
	for what, n := range l.failed {
		l.t.Errorf("%d times: %s", n, what)
	}
	l.t.Logf("%d requests served", l.served.Load())
	if l.served.Load() == 0 {
		l.t.Error("no request was served")
	}
}

// exchange asks once; again says that the connection can be used again.
func exchange(conn net.Conn, reader *bufio.Reader, keep bool) (again bool, err error) {
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	connection := "close"
	if keep {
		connection = "keep-alive"
	}
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: %s\r\n\r\n", connection); err != nil {
		return false, err
	}
	resp, err := http.ReadResponse(reader, nil)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return false, err
	}
	if resp.StatusCode != http.StatusOK {
		return false, fmt.Errorf("%s", resp.Status)
	}
	return keep && !resp.Close, nil
}

// TestUnderLoad: two hundred changes of members, twenty of listeners and L7, twenty of certificates and five restarts of the agent,
// and no client notices.
func TestUnderLoad(t *testing.T) {
	r := newRig(t).plugged()
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // changes, not secrets
	var backends []int
	for i := range 4 {
		backends = append(backends, r.web(fmt.Sprint("member ", i)))
	}
	// The first two members come and go, the third is always there: somebody has to answer.
	members := map[int]string{2: fmt.Sprintf("M2 %s:%d weight 1", outside, backends[2])}
	rules, listeners, removed := 0, 0, 0
	apply := func() {
		s := site{frontend: r.secure()}
		for i := range 3 {
			if m, ok := members[i]; ok {
				s.members = append(s.members, m)
			}
		}
		for i := range rules {
			s.frontend += fmt.Sprintf("    http-request deny if { path /%d }\n", i)
		}
		for i := range listeners {
			s.more += fmt.Sprintf("frontend other%d\n    bind %s:%d\n    mode http\n    timeout client 1000\n", i, vip, 8000+i)
		}
		r.apply(r.site(s))
	}
	steps := map[string]func(){
		"member": func() {
			i := random.IntN(2)
			state, weight := "", random.IntN(5)
			switch random.IntN(4) {
			case 0:
				delete(members, i)
				removed++ // ids do not come back
				apply()
				return
			case 1:
				state = " disabled"
			}
			name := fmt.Sprintf("M%d-%d", i, removed)
			if m, ok := members[i]; ok {
				name, _, _ = strings.Cut(m, " ")
			}
			members[i] = fmt.Sprintf("%s %s:%d weight %d%s", name, outside, backends[random.IntN(4)], weight, state)
			apply()
		},
		"listener":    func() { listeners = 1 - listeners; apply() },
		"rule":        func() { rules = (rules + 1) % 5; apply() },
		"certificate": func() { r.certificate(r.selfSigned()); apply() },
		"agent":       func() { r.stop(); r.run() },
	}
	var plan []string
	for step, n := range map[string]int{"member": 200, "listener": 10, "rule": 10, "certificate": 20, "agent": 5} {
		for range n {
			plan = append(plan, step)
		}
	}
	slices.Sort(plan)
	random.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })

	r.certificate(r.selfSigned())
	apply()
	l := r.load(true)
	workers := map[int]bool{}
	for _, step := range plan {
		steps[step]()
		workers[r.worker()] = true
	}
	l.end()
	if len(workers) != 21 {
		t.Errorf("got %d workers, want one and another for each change of a listener or rule", len(workers))
	}
}
