package e2e_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
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
	secure := issue(x.t, nil, "member.example.com")
	tlsMember := listenOutside(x.t)
	passThrough := serveOn(x.t, tls.NewListener(tlsMember, &tls.Config{Certificates: []tls.Certificate{secure.tls()}}),
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
				client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: secure.pool(), ServerName: "member.example.com"}}}
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

func (x *rows) headerRows() []trafficRow {
	inserted := func(header, want string) trafficRow {
		return trafficRow{header, x.to(attrs{"insert_headers": attrs{header: "true"}}), func(r *route) {
			t := r.t
			t.Helper()
			_, port, _ := net.SplitHostPort(r.address)
			want := strings.NewReplacer("{port}", port, "{client}", outside).Replace(want)
			if got := r.get(t, request{from: outside, header: map[string]string{"X-Forwarded-Port": "1"}}); got.Header.Get(header) != want {
				t.Errorf("got %q, want %q", got.Header.Get(header), want)
			}
		}}
	}
	return []trafficRow{
		inserted("X-Forwarded-For", "{client}"),
		inserted("X-Forwarded-Port", "{port}"),
		inserted("X-Forwarded-Proto", "http"),
		{"no header that nobody asked for", x.to(attrs{"insert_headers": attrs{"X-Forwarded-For": "false"}}), func(r *route) {
			t := r.t
			t.Helper()
			got := r.get(t, request{})
			for _, h := range []string{"X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto"} {
				if v := got.Header.Get(h); v != "" {
					t.Errorf("the member got %s: %s", h, v)
				}
			}
		}},
	}
}

// policyRow is a listener whose policy rejects what its rules match.
func (x *rows) policyRow(name string, hits, misses []request, rules ...attrs) trafficRow {
	policy := attrs{"action": "REJECT", "rules": rules}
	return trafficRow{"policy: " + name, x.to(attrs{"l7policies": []attrs{policy}}), func(r *route) {
		t := r.t
		t.Helper()
		for _, q := range hits {
			if got := r.get(t, q); got.status != http.StatusForbidden {
				t.Errorf("%+v: got %d, want 403: it matches", q, got.status)
			}
		}
		for _, q := range misses {
			if got := r.get(t, q); got.status != http.StatusOK {
				t.Errorf("%+v: got %d, want 200: it does not match", q, got.status)
			}
		}
	}}
}

func rule(kind, compare, value string, extra attrs) attrs {
	return attrs{"type": kind, "compare_type": compare, "value": value}.with(extra)
}

func paths(of ...string) (out []request) {
	for _, p := range of {
		out = append(out, request{path: p})
	}
	return out
}

func (x *rows) policyRows() []trafficRow {
	agent := func(v string) request { return request{header: map[string]string{"User-Agent": v}} }
	return append([]trafficRow{
		x.policyRow("PATH EQUAL_TO", paths("/a"), paths("/", "/ab", "/A", "/x/a"), rule("PATH", "EQUAL_TO", "/a", nil)),
		x.policyRow("PATH STARTS_WITH", paths("/a", "/ab"), paths("/", "/x/a"), rule("PATH", "STARTS_WITH", "/a", nil)),
		x.policyRow("PATH ENDS_WITH", paths("/x/a", "/a?b"), paths("/ab"), rule("PATH", "ENDS_WITH", "/a", nil)),
		x.policyRow("PATH CONTAINS", paths("/x/admin/y"), paths("/x/adm/in"), rule("PATH", "CONTAINS", "admin", nil)),
		x.policyRow("PATH REGEX", paths("/v1/x", "/v22/x"), paths("/v/x", "/x/v1/"), rule("PATH", "REGEX", `^/v[0-9]+/`, nil)),
		x.policyRow("HOST_NAME, in any case", []request{{host: "www.example.com"}, {host: "WWW.Example.Com"}}, []request{{host: "example.com"}},
			rule("HOST_NAME", "EQUAL_TO", "www.EXAMPLE.com", nil)),
		x.policyRow("HOST_NAME ENDS_WITH", []request{{host: "a.example.com"}}, []request{{host: "example.org"}}, rule("HOST_NAME", "ENDS_WITH", ".example.com", nil)),
		x.policyRow("FILE_TYPE EQUAL_TO", paths("/x/y.jpg"), paths("/x/y.png", "/jpg/x"), rule("FILE_TYPE", "EQUAL_TO", "jpg", nil)),
		x.policyRow("FILE_TYPE REGEX", paths("/x/y.jpg", "/x.png"), paths("/x/y.gif"), rule("FILE_TYPE", "REGEX", "(jpg|png)", nil)),
		x.policyRow("HEADER", []request{agent("curl/7")}, []request{agent("Mozilla")}, rule("HEADER", "STARTS_WITH", "curl", attrs{"key": "User-Agent"})),
		x.policyRow("COOKIE", []request{{cookie: "a=1; who=me"}}, []request{{cookie: "who=you"}, {}}, rule("COOKIE", "EQUAL_TO", "me", attrs{"key": "who"})),
		x.policyRow("inverted", paths("/b"), paths("/a"), rule("PATH", "EQUAL_TO", "/a", attrs{"invert": true})),
		x.policyRow("all rules must match", []request{{path: "/a", host: "h"}}, []request{{path: "/a", host: "g"}, {path: "/b", host: "h"}},
			rule("PATH", "EQUAL_TO", "/a", nil), rule("HOST_NAME", "EQUAL_TO", "h", nil)),
		x.policyRow("a disabled rule does not count", paths("/a"), paths("/b"), rule("PATH", "EQUAL_TO", "/a", nil),
			rule("HOST_NAME", "EQUAL_TO", "never", attrs{"admin_state_up": false})),
		x.policyRow("quotes, ampersands and backslashes mean themselves", []request{{header: map[string]string{"X-Odd": `a&<c>'d'\e#f`}}},
			[]request{{header: map[string]string{"X-Odd": "a &amp; b"}}, {}}, rule("HEADER", "EQUAL_TO", `a&<c>'d'\e#f`, attrs{"key": "X-Odd"})),
		{"policy is disabled", x.to(attrs{"l7policies": []attrs{{"action": "REJECT", "admin_state_up": false, "rules": []attrs{rule("PATH", "EQUAL_TO", "/", nil)}}}}), answeredBy("member")},
		{"policy without rules", x.to(attrs{"l7policies": []attrs{{"action": "REJECT"}}}), answeredBy("member")},
	}, x.actionRows()...)
}

func (x *rows) actionRows() []trafficRow {
	redirect := func(name string, policy attrs, path string, status int, location string) trafficRow {
		policy = policy.with(attrs{"rules": []attrs{rule("PATH", "STARTS_WITH", "/old", nil)}})
		return trafficRow{"policy: " + name, x.to(attrs{"l7policies": []attrs{policy}}), func(r *route) {
			t := r.t
			t.Helper()
			got := r.get(t, request{path: path})
			if got.status != status || got.header.Get("Location") != location {
				t.Errorf("got %d to %q, want %d to %q", got.status, got.header.Get("Location"), status, location)
			}
			if got := r.get(t, request{path: "/new"}); got.Member != "member" {
				t.Errorf("what does not match: got %d, want the member", got.status)
			}
		}}
	}
	toPool := func(position int, path, member string) attrs {
		return attrs{
			"action": "REDIRECT_TO_POOL", "position": position, "rules": []attrs{rule("PATH", "STARTS_WITH", path, nil)},
			"redirect_pool": x.poolOf("HTTP", nil, memberAt(teller(x.t, member, nil))),
		}
	}
	const there = "https://example.com/new?a=1&b=2"
	rows := []trafficRow{
		redirect("REDIRECT_TO_URL", attrs{"action": "REDIRECT_TO_URL", "redirect_url": there}, "/old", 302, there),
		redirect("REDIRECT_PREFIX", attrs{"action": "REDIRECT_PREFIX", "redirect_prefix": "https://example.com"}, "/old/x?y=z", 302, "https://example.com/old/x?y=z"),
		{"policy: REDIRECT_TO_POOL, by position", x.to(attrs{"l7policies": []attrs{toPool(1, "/a/b", "first"), toPool(2, "/a", "second")}}), func(r *route) {
			t := r.t
			t.Helper()
			for path, want := range map[string]string{"/a/b": "first", "/a": "second", "/": "member"} {
				if got := r.get(t, request{path: path}); got.Member != want {
					t.Errorf("%s: got %q, want %s", path, got.Member, want)
				}
			}
		}},
		{
			"policy: REJECT before redirects before pools", x.to(attrs{"l7policies": []attrs{
				toPool(1, "/a", "pool"),
				{"action": "REDIRECT_TO_URL", "position": 2, "redirect_url": there, "rules": []attrs{rule("PATH", "STARTS_WITH", "/a/b", nil)}},
				{"action": "REJECT", "position": 3, "rules": []attrs{rule("PATH", "STARTS_WITH", "/a/b/c", nil)}},
			}}),
			func(r *route) {
				t := r.t
				t.Helper()
				for path, want := range map[string]int{"/a": 200, "/a/b": 302, "/a/b/c": 403} {
					if got := r.get(t, request{path: path}); got.status != want {
						t.Errorf("%s: got %d, want %d", path, got.status, want)
					}
				}
			},
		},
	}
	for _, code := range []int{301, 302, 303, 307, 308} {
		rows = append(rows, redirect(fmt.Sprintf("redirect with %d", code),
			attrs{"action": "REDIRECT_TO_URL", "redirect_url": there, "redirect_http_code": code}, "/old", code, there))
	}
	return rows
}

func (x *rows) poolRows() []trafficRow {
	pair := func(extra attrs, a, b attrs) attrs {
		return attrs{"protocol": "HTTP", "default_pool": x.poolOf("HTTP", extra, memberAt(teller(x.t, "a", nil)).with(a), memberAt(teller(x.t, "b", nil)).with(b))}
	}
	shares := func(n int, want map[string]int) func(*route) {
		return func(r *route) {
			t := r.t
			t.Helper()
			if got := r.counts(t, n, request{}); !maps.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		}
	}
	busy := newGate()
	appCookie := func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: fmt.Sprint(time.Now().UnixNano())})
	}
	return []trafficRow{
		{"ROUND_ROBIN", pair(nil, nil, nil), shares(10, map[string]int{"a": 5, "b": 5})},
		{"weight", pair(nil, attrs{"weight": 3}, attrs{"weight": 1}), shares(8, map[string]int{"a": 6, "b": 2})},
		{"weight 0", pair(nil, attrs{"weight": 0}, nil), shares(4, map[string]int{"b": 4})},
		{"member is disabled", pair(nil, attrs{"admin_state_up": false}, nil), shares(4, map[string]int{"b": 4})},
		{"backup waits", pair(nil, attrs{"backup": true}, nil), shares(4, map[string]int{"b": 4})},
		{"backup steps in", attrs{"protocol": "HTTP", "default_pool": x.poolOf("HTTP", attrs{"healthmonitor": monitor("TCP", nil)},
			memberAt(teller(x.t, "a", nil)).with(attrs{"backup": true}), memberAt(nobody(x.t)))}, func(r *route) {
			t := r.t
			t.Helper()
			within(t, 30*time.Second, "the backup serves", func() bool { got, err := r.try(request{}); return err == nil && got.Member == "a" })
		}},
		{"SOURCE_IP", pair(attrs{"lb_algorithm": "SOURCE_IP"}, nil, nil), func(r *route) {
			t := r.t
			t.Helper()
			got := r.counts(t, 6, request{from: outside})
			if len(got) != 1 {
				t.Errorf("one client: got %v, want one member", got)
			}
		}},
		{
			"LEAST_CONNECTIONS", attrs{"protocol": "HTTP", "default_pool": x.poolOf("HTTP", attrs{"lb_algorithm": "LEAST_CONNECTIONS"},
				memberAt(teller(x.t, "busy", busy.wait)), memberAt(teller(x.t, "idle", nil)))},
			func(r *route) {
				t := r.t
				t.Helper()
				var g sync.WaitGroup
				defer g.Wait()
				defer close(busy.open)
				for busy.waiting.Load() == 0 { // until one of ours occupies the busy one
					g.Go(func() { _, _ = r.try(request{timeout: 30 * time.Second}) })
					time.Sleep(20 * time.Millisecond)
				}
				if got := r.counts(t, 6, request{}); got["idle"] != 6 {
					t.Errorf("got %v, want all at the idle one", got)
				}
			},
		},
		{"persistence SOURCE_IP", pair(attrs{"session_persistence": attrs{"type": "SOURCE_IP"}}, nil, nil), func(r *route) {
			t := r.t
			t.Helper()
			if got := r.counts(t, 6, request{from: outside}); len(got) != 1 {
				t.Errorf("got %v, want one member", got)
			}
		}},
		{"persistence HTTP_COOKIE", pair(attrs{"session_persistence": attrs{"type": "HTTP_COOKIE"}}, nil, nil), func(r *route) {
			t := r.t
			t.Helper()
			first := r.get(t, request{})
			set := (&http.Response{Header: first.header}).Cookies()
			if len(set) != 1 || set[0].Name != "SRV" {
				t.Fatalf("got cookies %v, want SRV", set)
			}
			if got := r.counts(t, 6, request{cookie: "SRV=" + set[0].Value}); got[first.Member] != 6 {
				t.Errorf("got %v, want %s each time", got, first.Member)
			}
			if got := r.get(t, request{cookie: "SRV=" + set[0].Value}); got.Header.Get("Cookie") != "" {
				t.Errorf("the member got the cookie %q", got.Header.Get("Cookie"))
			}
		}},
		{
			"persistence APP_COOKIE", attrs{"protocol": "HTTP", "default_pool": x.poolOf("HTTP", attrs{"session_persistence": attrs{"type": "APP_COOKIE", "cookie_name": "session"}},
				memberAt(teller(x.t, "a", appCookie)), memberAt(teller(x.t, "b", appCookie)))},
			func(r *route) {
				t := r.t
				t.Helper()
				for range 3 {
					first := r.get(t, request{})
					session := (&http.Response{Header: first.header}).Cookies()[0].Value
					if got := r.counts(t, 4, request{cookie: "session=" + session}); got[first.Member] != 4 {
						t.Errorf("got %v, want %s each time", got, first.Member)
					}
				}
			},
		},
		{"PROXY", attrs{"protocol": "TCP", "default_pool": x.poolOf("PROXY", nil, memberAt(proxied(x.t)))}, toldOfClient},
		{"PROXYV2", attrs{"protocol": "TCP", "default_pool": x.poolOf("PROXYV2", nil, memberAt(proxied(x.t)))}, toldOfClient},
		{"PROXY below HTTP", attrs{"protocol": "HTTP", "default_pool": x.poolOf("PROXY", nil, memberAt(proxiedHTTP(x.t)))}, func(r *route) {
			t := r.t
			t.Helper()
			if got := r.get(t, request{from: outside}); !strings.HasPrefix(got.Remote, outside+":") {
				t.Errorf("the member was told of %q, want %s", got.Remote, outside)
			}
		}},
	}
}

// proxyHeader reads who the client is from the start of a connection, in version 1 or 2 of the PROXY protocol.
func proxyHeader(in *bufio.Reader) (client string, err error) {
	start, err := in.Peek(12)
	if err != nil {
		return "", err
	}
	if !bytes.Equal(start, []byte("\r\n\r\n\x00\r\nQUIT\n")) {
		line, err := in.ReadString('\n')
		if f := strings.Fields(line); err == nil && len(f) == 6 && f[0] == "PROXY" {
			return net.JoinHostPort(f[2], f[4]), nil
		}
		return "", fmt.Errorf("got %q, no PROXY header: %w", line, err)
	}
	header := make([]byte, 16)
	if _, err := io.ReadFull(in, header); err != nil {
		return "", err
	}
	rest := make([]byte, binary.BigEndian.Uint16(header[14:]))
	if _, err := io.ReadFull(in, rest); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s:%d", net.IP(rest[:4]), binary.BigEndian.Uint16(rest[8:])), nil
}

// proxied is a TCP member that answers with who it was told the client is.
func proxied(t *testing.T) int {
	t.Helper()
	l := listenOutside(t)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				client, err := proxyHeader(bufio.NewReader(conn))
				fmt.Fprintln(conn, client, err)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func toldOfClient(r *route) {
	t := r.t
	t.Helper()
	conn, _, line := r.dial(t)
	if want := conn.LocalAddr().String() + " <nil>"; line != want {
		t.Errorf("the member was told %q, want %q", line, want)
	}
}

// proxiedListener takes the PROXY header off connections.
type proxiedListener struct{ net.Listener }

type proxiedConn struct {
	net.Conn

	in     *bufio.Reader
	client string
}

func (l proxiedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	in := bufio.NewReader(conn)
	client, _ := proxyHeader(in)
	return proxiedConn{conn, in, client}, nil
}

func (c proxiedConn) Read(b []byte) (int, error) { return c.in.Read(b) }

func (c proxiedConn) RemoteAddr() net.Addr {
	a, err := net.ResolveTCPAddr("tcp", c.client)
	if err != nil {
		return c.Conn.RemoteAddr()
	}
	return a
}

func proxiedHTTP(t *testing.T) int {
	t.Helper()
	return serveOn(t, proxiedListener{listenOutside(t)}, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"Member": "m", "Remote": %q}`, r.RemoteAddr)
	})
}

func (x *rows) memberRows() []trafficRow {
	return []trafficRow{
		{"path and query reach the member as they are", x.to(nil), func(r *route) {
			t := r.t
			t.Helper()
			const odd = "/a%20b/%2e%2e/c?q=%26&r=[1]"
			if got := r.get(t, request{path: odd, host: "host.example.com:81", method: "PURGE"}); got.Path != odd || got.Host != "host.example.com:81" || got.Method != "PURGE" {
				t.Errorf("got %s %s of %s, want %s", got.Method, got.Path, got.Host, odd)
			}
		}},
		{"big bodies", attrs{"protocol": "HTTP", "default_pool": x.poolOf("HTTP", nil, memberAt(serveOn(x.t, listenOutside(x.t), func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, r.Body)
		})))}, func(r *route) {
			t := r.t
			t.Helper()
			body := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
			resp, err := http.Post((&url.URL{Scheme: "http", Host: r.address}).String(), "", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, body) {
				t.Errorf("got %d bytes, %v, want the same %d", len(got), err, len(body))
			}
		}},
	}
}

func monitor(kind string, extra attrs) attrs {
	return attrs{"type": kind, "delay": 1, "timeout": 1, "max_retries": 1, "max_retries_down": 1}.with(extra)
}

// monitored is a pool with a member that passes its monitor and one that does not.
func (x *rows) monitored(name string, m, good, bad attrs) trafficRow {
	pool := x.poolOf("HTTP", attrs{"healthmonitor": m}, good, bad)
	return trafficRow{"monitor: " + name, attrs{"protocol": "HTTP", "default_pool": pool}, func(r *route) {
		t := r.t
		t.Helper()
		at := func(m attrs) string { return fmt.Sprintf("%s:%d", m["address"], m["protocol_port"]) }
		r.operating(t, map[string]string{at(good): "ONLINE", at(bad): "ERROR", pool["name"].(string): "DEGRADED"})
		got := r.counts(t, 4, request{})
		if got["good"] != 4 {
			t.Errorf("got %v, want the good member only", got)
		}
	}}
}

func (x *rows) monitorRows() []trafficRow {
	good := func() attrs { return memberAt(teller(x.t, "good", nil)) }
	// checked is a member that passes checks with what is asked of it.
	checked := func(name string, passes func(*http.Request) bool) attrs {
		return memberAt(teller(x.t, name, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/health") && !passes(r) {
				w.WriteHeader(http.StatusTeapot)
			}
		}))
	}
	never := func(*http.Request) bool { return false }
	secure := issue(x.t, nil, "member.example.com")
	both := func(name string) attrs { // plain HTTP and, beside, TLS for the monitor
		l := tls.NewListener(listenOutside(x.t), &tls.Config{Certificates: []tls.Certificate{secure.tls()}})
		port := serveOn(x.t, l, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "well") })
		return memberAt(teller(x.t, name, nil)).with(attrs{"monitor_port": port})
	}
	plainPort := func() attrs {
		return memberAt(teller(x.t, "bad", nil)).with(attrs{"monitor_port": lineTeller(x.t, "line", listenOutside(x.t))})
	}
	rows := []trafficRow{
		x.monitored("TCP", monitor("TCP", nil), good(), memberAt(nobody(x.t))),
		x.monitored("HTTP", monitor("HTTP", attrs{"url_path": "/health"}), checked("good", func(r *http.Request) bool { return r.Method == "GET" }), checked("bad", never)),
		x.monitored("HTTP with a method and codes", monitor("HTTP", attrs{"url_path": "/health", "http_method": "HEAD", "expected_codes": "200, 204"}),
			checked("good", func(r *http.Request) bool { return r.Method == "HEAD" }), checked("bad", never)),
		x.monitored("HTTP 1.1 with a domain name", monitor("HTTP", attrs{"url_path": "/health", "http_version": 1.1, "domain_name": "www.example.com"}),
			checked("good", func(r *http.Request) bool { return r.ProtoMinor == 1 && r.Host == "www.example.com" }), checked("bad", never)),
		x.monitored("HTTP 1.0", monitor("HTTP", attrs{"url_path": "/health?a=1&b=2", "http_version": 1.0}),
			checked("good", func(r *http.Request) bool { return r.ProtoMinor == 0 && r.URL.RawQuery == "a=1&b=2" }), checked("bad", never)),
		x.monitored("HTTPS", monitor("HTTPS", nil), both("good"), plainPort()),
		x.monitored("PING", monitor("PING", nil), good(), attrs{"address": "10.10.10.251", "protocol_port": 80}),
		x.monitored("port of the monitor", monitor("TCP", nil), good(), memberAt(teller(x.t, "bad", nil)).with(attrs{"monitor_port": nobody(x.t)})),
		x.monitored("address of the monitor", monitor("TCP", nil), good(), memberAt(teller(x.t, "bad", nil)).with(attrs{"monitor_address": "10.10.10.252"})),
	}
	off := x.poolOf("HTTP", attrs{"healthmonitor": monitor("HTTP", attrs{"url_path": "/health", "admin_state_up": false})}, checked("bad", never))
	return append(rows, trafficRow{"monitor is disabled", attrs{"protocol": "HTTP", "default_pool": off}, answeredBy("bad")})
}
