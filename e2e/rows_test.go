package e2e_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ottavino/ottavino/internal/certtest"
)

// TestTraffic: every feature of the data plane does to traffic what the API says. The load balancer is made in one call.
func TestTraffic(t *testing.T) {
	l := newLab(t, labOptions{instances: true})
	l.serve()
	x := &rows{tlsLab: &tlsLab{lab: l, owner: l.owner(l.sandbox.Settings().Tenant), actor: l.actor("rows")}}
	var all []trafficRow
	for _, some := range [][]trafficRow{x.listenerRows(), x.headerRows(), x.policyRows(), x.poolRows(), x.memberRows(), x.monitorRows()} {
		all = append(all, some...)
	}
	routes := x.stack(all)
	// In parallel: most of a row's time is waiting.
	t.Run("rows", func(t *testing.T) {
		for _, row := range all {
			t.Run(row.name, func(t *testing.T) {
				t.Parallel()
				routes[row.name].t = t
				row.check(routes[row.name])
			})
		}
	})
	x.end()
}

// to is an HTTP listener with a pool of one teller.
func (x *rows) to(extra attrs) attrs {
	return attrs{"protocol": "HTTP", "default_pool": x.poolOf("HTTP", nil, memberAt(teller(x.t, "member", nil)))}.with(extra)
}

func answeredBy(want string) func(*route) {
	return func(r *route) {
		t := r.t
		t.Helper()
		if got := r.get(t, request{}); got.Member != want {
			t.Errorf("got %d %q, want an answer of %s", got.status, got.body, want)
		}
	}
}

func refuses(r *route) {
	t := r.t
	t.Helper()
	if conn, err := net.DialTimeout("tcp", r.address, time.Second); err == nil {
		_ = conn.Close()
		t.Error("the port is open")
	}
}

func status(want int) func(*route) {
	return func(r *route) {
		t := r.t
		t.Helper()
		if got := r.get(t, request{}); got.status != want {
			t.Errorf("got %d %q, want %d", got.status, got.body, want)
		}
	}
}

func (x *rows) listenerRows() []trafficRow {
	secure := certtest.Issue(x.t, nil, "member.example.com")
	tlsMember := listenOutside(x.t)
	passThrough := serveOn(x.t, tls.NewListener(tlsMember, &tls.Config{Certificates: []tls.Certificate{secure.TLS()}}),
		func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "over TLS") })
	held := newGate()
	x.t.Cleanup(func() { close(held.open) })
	return []trafficRow{
		{"HTTP", x.to(nil), answeredBy("member")},
		{"HTTP with keep-alive", x.to(nil), keepsAlive},
		{"listener is disabled", x.to(attrs{"admin_state_up": false}), refuses},
		{"no pool", attrs{"protocol": "HTTP"}, status(503)},
		{"pool is disabled", attrs{"protocol": "HTTP", "default_pool": x.poolOf("HTTP", attrs{"admin_state_up": false}, memberAt(teller(x.t, "member", nil)))}, status(503)},
		{"no member", attrs{"protocol": "HTTP", "default_pool": x.poolOf("HTTP", nil)}, status(503)},
		{"TCP", attrs{"protocol": "TCP", "default_pool": x.poolOf("TCP", nil, memberAt(lineTeller(x.t, "line", listenOutside(x.t))))}, echoes},
		{
			"HTTPS passes through", attrs{"protocol": "HTTPS", "default_pool": x.poolOf("HTTPS", nil, memberAt(passThrough))},
			func(r *route) {
				t := r.t
				t.Helper()
				client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: secure.Pool(), ServerName: "member.example.com"}}}
				defer client.CloseIdleConnections()
				resp, err := client.Get("https://" + r.address)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "over TLS" {
					t.Errorf("got %q, %v, want the member's own certificate and answer", text, err)
				}
			},
		},
		{
			"connection limit", attrs{"protocol": "TCP", "connection_limit": 1, "default_pool": x.poolOf("TCP", nil, memberAt(lineTeller(x.t, "line", listenOutside(x.t))))},
			func(r *route) {
				t := r.t
				t.Helper()
				first, _, _ := r.dial(t)
				second, err := net.Dial("tcp", r.address)
				if err != nil {
					t.Fatal(err)
				}
				defer second.Close()
				_ = second.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
				if n, err := second.Read(make([]byte, 1)); err == nil {
					t.Errorf("a second connection got %d bytes while there is one", n)
				}
				_ = first.Close()
				_ = second.SetReadDeadline(time.Now().Add(10 * time.Second))
				if line, err := bufio.NewReader(second).ReadString('\n'); line != "line\n" {
					t.Errorf("after the first has ended: got %q, %v", line, err)
				}
			},
		},
		{
			"timeout_client_data", x.to(attrs{"timeout_client_data": 300}),
			func(r *route) {
				t := r.t
				t.Helper()
				conn, err := net.Dial("tcp", r.address)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n") // and no more
				within300(t, func() string { return firstLine(t, conn) }, "HTTP/1.1 408 Request Time-out")
			},
		},
		{
			"timeout_member_data", attrs{"protocol": "HTTP", "timeout_member_data": 300, "default_pool": x.poolOf("HTTP", nil, memberAt(teller(x.t, "slow", held.wait)))},
			func(r *route) {
				t := r.t
				t.Helper()
				within300(t, func() string { return fmt.Sprint(r.get(t, request{}).status) }, "504")
			},
		},
		{
			// An address that nobody has: the kernel itself gives up after 3 s.
			"timeout_member_connect", attrs{"protocol": "HTTP", "timeout_member_connect": 100, "default_pool": x.poolOf("HTTP", nil, attrs{"address": "10.10.10.250", "protocol_port": 80})},
			func(r *route) {
				t := r.t
				t.Helper()
				started := time.Now()
				got := r.get(t, request{timeout: 20 * time.Second})
				// Three more tries, a second between two at the same member.
				if took := time.Since(started); got.status != 503 || took > 8*time.Second {
					t.Errorf("got %d after %s, want 503 long before the kernel gives up four times", got.status, took)
				}
			},
		},
		{"a member that is down, unmonitored", attrs{"protocol": "HTTP", "default_pool": x.poolOf("HTTP", nil, memberAt(teller(x.t, "member", nil)), memberAt(nobody(x.t)))}, func(r *route) {
			t := r.t
			t.Helper()
			if got := r.counts(t, 4, request{}); got["member"] != 4 {
				t.Errorf("got %v, want every request redispatched", got)
			}
		}},
		{"WebSocket", attrs{"protocol": "HTTP", "default_pool": x.poolOf("HTTP", nil, memberAt(upgrader(x.t)))}, upgrades},
	}
}

// within300 says that something happens after about 300 ms.
func within300(t *testing.T, do func() string, want string) {
	t.Helper()
	started := time.Now()
	if got, took := do(), time.Since(started); got != want || took < 250*time.Millisecond || took > 5*time.Second {
		t.Errorf("got %q after %s, want %q after 300 ms", got, took, want)
	}
}

func firstLine(t *testing.T, conn net.Conn) string {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line)
}

func keepsAlive(r *route) {
	t := r.t
	t.Helper()
	conn, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for i := range 3 {
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("request %d on one connection: %v", i+1, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}

func echoes(r *route) {
	t := r.t
	t.Helper()
	conn, in, name := r.dial(t)
	fmt.Fprintln(conn, "ping")
	if line, err := in.ReadString('\n'); name != "line" || line != "ping\n" {
		t.Errorf("got %q and %q, %v, want the member's name and our line", name, line, err)
	}
}

// upgrader is a member that speaks another protocol after 101.
func upgrader(t *testing.T) int {
	t.Helper()
	return serveOn(t, listenOutside(t), func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil || r.Header.Get("Upgrade") != "websocket" {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
		_, _ = io.Copy(conn, rw)
	})
}

func upgrades(r *route) {
	t := r.t
	t.Helper()
	conn, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprint(conn, "GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %s, want 101", resp.Status)
	}
	frame := []byte{0x81, 0x05, 'h', 'e', 'l', 'l', 'o', 0, 0xff}
	if _, err := conn.Write(frame); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(frame))
	if _, err := io.ReadFull(in, got); err != nil || !bytes.Equal(got, frame) {
		t.Errorf("got %x, %v, want the frame back", got, err)
	}
}
