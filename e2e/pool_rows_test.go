package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

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
		{"backups share", pair(nil, attrs{"backup": true}, attrs{"backup": true}), shares(8, map[string]int{"a": 4, "b": 4})},
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
				for busy.waiting.Load() == 0 { // until one of ours occupies the busy one, and no other is on its way
					answered := make(chan struct{})
					g.Go(func() {
						defer close(answered)
						_, _ = r.try(request{timeout: time.Minute})
					})
					within(t, 30*time.Second, "a request is answered, or kept", func() bool {
						select {
						case <-answered:
							return true
						default:
							return busy.waiting.Load() > 0
						}
					})
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
	client, _, err = proxyTLVs(in)
	return client, err
}

// proxyTLVs is proxyHeader, and what version 2 tells beside: values by type.
func proxyTLVs(in *bufio.Reader) (client string, told map[byte][]byte, err error) {
	start, err := in.Peek(12)
	if err != nil {
		return "", nil, err
	}
	if !bytes.Equal(start, []byte("\r\n\r\n\x00\r\nQUIT\n")) {
		line, err := in.ReadString('\n')
		if f := strings.Fields(line); err == nil && len(f) == 6 && f[0] == "PROXY" {
			return net.JoinHostPort(f[2], f[4]), nil, nil
		}
		return "", nil, fmt.Errorf("got %q, no PROXY header: %w", line, err)
	}
	header := make([]byte, 16)
	if _, err := io.ReadFull(in, header); err != nil {
		return "", nil, err
	}
	rest := make([]byte, binary.BigEndian.Uint16(header[14:]))
	if _, err := io.ReadFull(in, rest); err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("%s:%d", net.IP(rest[:4]), binary.BigEndian.Uint16(rest[8:])), tlvs(rest[12:]), nil
}

func tlvs(text []byte) map[byte][]byte {
	out := map[byte][]byte{}
	for len(text) >= 3 {
		kind, length := text[0], int(binary.BigEndian.Uint16(text[1:]))
		out[kind] = text[3:min(3+length, len(text))]
		text = text[min(3+length, len(text)):]
	}
	return out
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
