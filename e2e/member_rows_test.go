package e2e_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/ottavino/ottavino/internal/certtest"
)

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
	secure := certtest.Issue(x.t, nil, "member.example.com")
	both := func(name string) attrs { // plain HTTP and, beside, TLS for the monitor
		l := tls.NewListener(listenOutside(x.t), &tls.Config{Certificates: []tls.Certificate{secure.TLS()}})
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
		x.monitored("TLS-HELLO", monitor("TLS-HELLO", nil), good(), memberAt(nobody(x.t))),
		x.monitored("PING", monitor("PING", nil), good(), attrs{"address": "10.10.10.251", "protocol_port": 80}),
		x.monitored("port of the monitor", monitor("TCP", nil), good(), memberAt(teller(x.t, "bad", nil)).with(attrs{"monitor_port": nobody(x.t)})),
		x.monitored("address of the monitor", monitor("TCP", nil), good(), memberAt(teller(x.t, "bad", nil)).with(attrs{"monitor_address": "10.10.10.252"})),
	}
	off := x.poolOf("HTTP", attrs{"healthmonitor": monitor("HTTP", attrs{"url_path": "/health", "admin_state_up": false})}, checked("bad", never))
	return append(rows, trafficRow{"monitor is disabled", attrs{"protocol": "HTTP", "default_pool": off}, answeredBy("bad")})
}
