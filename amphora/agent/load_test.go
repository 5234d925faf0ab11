package agent_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
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
	failed sync.Map
}

func (r *rig) load() *load {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	l := &load{t: r.t, cancel: cancel}
	for range 4 {
		l.wg.Go(func() { l.client(ctx, true) })
		l.wg.Go(func() { l.client(ctx, false) })
	}
	return l
}

// client asks over raw connections, because net/http asks again when a kept connection fails.
func (l *load) client(ctx context.Context, keep bool) {
	var (
		conn net.Conn
		err  error
	)
	for ctx.Err() == nil {
		if conn == nil {
			if conn, err = net.DialTimeout("tcp", vip+":80", 3*time.Second); err != nil {
				l.fail("connect", err)
				continue
			}
		}
		again, err := exchange(conn, keep)
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

func (l *load) fail(what string, err error) {
	n, _ := l.failed.LoadOrStore(what+": "+err.Error(), new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
}

// end stops the clients and reports what failed.
func (l *load) end() {
	l.t.Helper()
	l.cancel()
	l.wg.Wait()
	l.failed.Range(func(what, n any) bool {
		l.t.Errorf("%d times: %s", n.(*atomic.Int64).Load(), what)
		return true
	})
	l.t.Logf("%d requests served", l.served.Load())
	if l.served.Load() == 0 {
		l.t.Error("no request was served")
	}
}

// exchange asks once; again says that the connection can be used again.
func exchange(conn net.Conn, keep bool) (again bool, err error) {
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	connection := "close"
	if keep {
		connection = "keep-alive"
	}
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: %s\r\n\r\n", connection); err != nil {
		return false, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false, err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return false, err
	}
	if resp.StatusCode != http.StatusOK {
		return false, fmt.Errorf("%s", resp.Status)
	}
	return keep && !resp.Close, nil
}
