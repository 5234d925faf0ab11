package haproxy_test

import (
	"bytes"
	"errors"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/haproxy"
	"github.com/ottavino/ottavino/internal/certtest"
	"github.com/ottavino/ottavino/internal/golden"
)

const (
	lbID       = "10000000-0000-4000-8000-000000000001"
	listenerID = "20000000-0000-4000-8000-000000000001"
	poolID     = "30000000-0000-4000-8000-000000000001"
	otherPool  = "30000000-0000-4000-8000-000000000002"
	memberID   = "40000000-0000-4000-8000-00000000000"
)

var version26 = haproxy.Options{AmphoraID: "aaaaaaaa-0000-4000-8000-000000000001", HAProxyMajor: 2, HAProxyMinor: 6, AdministrativeLogFacility: 1, ConnectionLogging: true}

func site() amphora.LoadBalancer {
	return amphora.LoadBalancer{
		ID: lbID, ProjectID: "50000000000040008000000000000001", Enabled: true, Topology: "SINGLE", VIP: netip.MustParseAddr("10.10.10.100"),
		Listeners: []amphora.Listener{{
			ID: listenerID, Protocol: "HTTP", Port: 80, Enabled: true, ConnectionLimit: -1, DefaultPoolID: poolID,
			TimeoutClientData: 50000, TimeoutMemberConnect: 5000, TimeoutMemberData: 50000,
		}},
		Pools: []amphora.Pool{{
			ID: poolID, Protocol: "HTTP", Algorithm: "ROUND_ROBIN", Enabled: true,
			Members: []amphora.Member{member("1"), member("2")},
		}},
	}
}

func member(n string) amphora.Member {
	return amphora.Member{ID: memberID + n, Address: netip.MustParseAddr("10.10.10.1" + n), Port: 80, Weight: 1, Enabled: true}
}

func monitor(kind string) *amphora.Monitor {
	return &amphora.Monitor{
		ID: poolID, Type: kind, Enabled: true, Delay: 5, Timeout: 3, RiseThreshold: 2, FallThreshold: 4,
		HTTPMethod: "GET", URLPath: "/alive?deep=1", ExpectedCodes: "200,202-204,200",
	}
}

// goldens are load balancers by the name of their golden file.
var goldens = map[string]func(lb *amphora.LoadBalancer, o *haproxy.Options){
	"http": func(*amphora.LoadBalancer, *haproxy.Options) {},
	"http-monitored": func(lb *amphora.LoadBalancer, _ *haproxy.Options) {
		p := &lb.Pools[0]
		p.Monitor = monitor("HTTP")
		p.Monitor.HTTPVersion, p.Monitor.DomainName = 1.1, "shop.example.com"
		p.Members[1].MonitorAddress, p.Members[1].MonitorPort = netip.MustParseAddr("10.10.10.99"), 8080
	},
	"https-monitor": func(lb *amphora.LoadBalancer, _ *haproxy.Options) { lb.Pools[0].Monitor = monitor("HTTPS") },
	"ping":          func(lb *amphora.LoadBalancer, _ *haproxy.Options) { lb.Pools[0].Monitor = monitor("PING") },
	"tcp": func(lb *amphora.LoadBalancer, _ *haproxy.Options) {
		lb.Listeners[0].Protocol, lb.Listeners[0].Port, lb.Listeners[0].TimeoutTCPInspect = "TCP", 5432, 100
		lb.Pools[0].Protocol, lb.Pools[0].Algorithm, lb.Pools[0].Monitor = "TCP", "LEAST_CONNECTIONS", monitor("TCP")
		lb.Pools[0].Members[0].Weight, lb.Pools[0].Members[1].Backup = 0, true
		lb.Pools[0].Members = append(lb.Pools[0].Members, member("3"))
		lb.Pools[0].Members[2].Enabled = false
	},
	"https-passthrough-proxy": func(lb *amphora.LoadBalancer, _ *haproxy.Options) {
		lb.Listeners[0].Protocol, lb.Listeners[0].Port = "HTTPS", 443
		lb.Pools[0].Protocol, lb.Pools[0].Algorithm = "PROXYV2", "SOURCE_IP"
	},
	"source-ip-ipv6": func(lb *amphora.LoadBalancer, _ *haproxy.Options) {
		lb.VIP = netip.MustParseAddr("2001:db8::2")
		lb.AdditionalVIPs = []netip.Addr{netip.MustParseAddr("10.10.10.101")}
		lb.Pools[0].Persistence = &amphora.Persistence{Type: "SOURCE_IP"}
		lb.Pools[0].Members[0].Address = netip.MustParseAddr("2001:db8::11")
	},
	"http-cookie": func(lb *amphora.LoadBalancer, _ *haproxy.Options) {
		lb.Pools[0].Persistence = &amphora.Persistence{Type: "HTTP_COOKIE"}
		lb.Listeners[0].InsertHeaders = map[string]string{"X-Forwarded-For": "true", "X-Forwarded-Port": "True", "X-Forwarded-Proto": "true", "X-Evil\nuse": "true"}
	},
	"app-cookie": func(lb *amphora.LoadBalancer, o *haproxy.Options) {
		lb.Pools[0].Persistence = &amphora.Persistence{Type: "APP_COOKIE", CookieName: "JSESSIONID"}
		o.ConnectionLogging = false
	},
	"active-standby": func(lb *amphora.LoadBalancer, _ *haproxy.Options) {
		lb.Topology = "ACTIVE_STANDBY"
		lb.Pools[0].Persistence = &amphora.Persistence{Type: "SOURCE_IP"}
		lb.Peers = []amphora.Peer{
			{AmphoraID: "aaaaaaaa-0000-4000-8000-000000000001", Address: netip.MustParseAddr("10.10.10.5")},
			{AmphoraID: "aaaaaaaa-0000-4000-8000-000000000002", Address: netip.MustParseAddr("10.10.10.6")},
		}
	},
	"l7": func(lb *amphora.LoadBalancer, _ *haproxy.Options) {
		lb.Pools = append(lb.Pools, amphora.Pool{ID: otherPool, Protocol: "HTTP", Enabled: true, Members: []amphora.Member{member("3")}})
		rule := func(id, kind, compare, key, value string) amphora.L7Rule {
			return amphora.L7Rule{ID: "r" + id, Type: kind, CompareType: compare, Key: key, Value: value, Enabled: true}
		}
		inverted := rule("2", "HEADER", "REGEX", "X-A", `^"a b"\d#1$`)
		inverted.Invert = true
		lb.Listeners[0].Policies = []amphora.L7Policy{
			{ID: "p1", Action: "REJECT", Enabled: true, Rules: []amphora.L7Rule{rule("1", "PATH", "STARTS_WITH", "", "/admin"), inverted}},
			{ID: "p2", Action: "REDIRECT_TO_URL", RedirectURL: "https://example.com/%20?a=1&b=%[env(PATH)]", RedirectHTTPCode: 301, Enabled: true, Rules: []amphora.L7Rule{rule("3", "HOST_NAME", "EQUAL_TO", "", "old.example.com")}},
			{ID: "p3", Action: "REDIRECT_PREFIX", RedirectPrefix: "https://cdn.example.com", Enabled: true, Rules: []amphora.L7Rule{rule("4", "FILE_TYPE", "EQUAL_TO", "", "png")}},
			{ID: "p4", Action: "REDIRECT_TO_POOL", RedirectPoolID: otherPool, Enabled: true, Rules: []amphora.L7Rule{rule("5", "COOKIE", "CONTAINS", "beta", "yes")}},
		}
	},
	"disabled-parts": func(lb *amphora.LoadBalancer, _ *haproxy.Options) {
		off := lb.Listeners[0]
		off.ID, off.Port, off.Enabled = "20000000-0000-4000-8000-000000000002", 81, false
		lb.Listeners = append(lb.Listeners, off)
		lb.Pools[0].Enabled = false
	},
	"disabled": func(lb *amphora.LoadBalancer, _ *haproxy.Options) { lb.Enabled = false },
	"pinned": func(lb *amphora.LoadBalancer, o *haproxy.Options) {
		lb.Listeners[0].ConnectionLimit = 2000
		o.PinCPUs, o.CPUCount = true, 2
	},
}

// terminated makes the listener speak TLS.
func terminated(lb *amphora.LoadBalancer) *amphora.ListenerTLS {
	lb.Listeners[0].Protocol, lb.Listeners[0].Port = "TERMINATED_HTTPS", 443
	lb.Listeners[0].TLS = &amphora.ListenerTLS{
		Certificate: true, ClientAuth: "NONE", Ciphers: "ECDHE-RSA-AES256-GCM-SHA384:@SECLEVEL=1", Versions: []string{"TLSv1.2", "TLSv1.3"},
		ALPN: []string{"h2", "http/1.1"},
	}
	return lb.Listeners[0].TLS
}

func init() {
	goldens["tls"] = func(lb *amphora.LoadBalancer, o *haproxy.Options) {
		terminated(lb).HSTS = &amphora.HSTS{MaxAge: 300, IncludeSubdomains: true, Preload: true}
		lb.AdditionalVIPs = []netip.Addr{netip.MustParseAddr("2001:db8::2")}
		lb.Listeners[0].InsertHeaders = map[string]string{"X-Forwarded-Proto": "true", "X-SSL-Client-CN": "false"}
		o.MemoryKiB = 4 << 20
	}
	goldens["tls-client-auth"] = func(lb *amphora.LoadBalancer, _ *haproxy.Options) {
		t := terminated(lb)
		t.ClientCAFile, t.ClientCRL, t.ClientAuth = caFile, crlFile, "OPTIONAL"
		t.Ciphers, t.Versions, t.ALPN = "not a cipher", []string{"TLSv1.1", "TLSv1.2"}, nil
		lb.Listeners[0].InsertHeaders = map[string]string{
			"X-SSL-Client-Verify": "true", "X-SSL-Client-Has-Cert": "true", "X-SSL-Client-DN": "true", "X-SSL-Client-CN": "TRUE",
			"X-SSL-Issuer": "true", "X-SSL-Client-SHA1": "true", "X-SSL-Client-Not-Before": "true", "X-SSL-Client-Not-After": "true",
		}
		lb.Listeners[0].Policies = append(reject("SSL_DN_FIELD", "CN", "mallory"), reject("SSL_CONN_HAS_CERT", "", "True")...)
		lb.Listeners[0].Policies[1].ID, lb.Listeners[0].Policies[1].Rules[0].ID, lb.Listeners[0].Policies[1].Rules[0].Invert = "p2", "r2", true
	}
	goldens["tls-members"] = func(lb *amphora.LoadBalancer, _ *haproxy.Options) {
		lb.Pools[0].TLS = &amphora.PoolTLS{
			CertificateFile: certFile, CAFile: caFile, CRLFile: crlFile, Ciphers: "ECDHE-RSA-AES256-GCM-SHA384",
			Versions: []string{"TLSv1.3"}, ALPN: []string{"http/1.1"},
		}
		lb.Pools[0].Monitor = monitor("HTTPS")
		lb.Pools[0].Members[1].Backup = true
	}
	goldens["tls-members-unverified"] = func(lb *amphora.LoadBalancer, _ *haproxy.Options) {
		terminated(lb).ALPN = nil
		lb.Pools[0].Protocol, lb.Pools[0].TLS, lb.Pools[0].Monitor = "PROXYV2", &amphora.PoolTLS{}, monitor("TLS-HELLO")
	}
	goldens["prometheus"] = func(lb *amphora.LoadBalancer, _ *haproxy.Options) {
		metrics := lb.Listeners[0]
		metrics.ID, metrics.Protocol, metrics.Port, metrics.DefaultPoolID = "20000000-0000-4000-8000-000000000002", "PROMETHEUS", 8088, ""
		lb.Listeners = append(lb.Listeners, metrics)
	}
}

const (
	certFile = "1111111111111111111111111111111111111111.pem"
	caFile   = "2222222222222222222222222222222222222222.pem"
	crlFile  = "3333333333333333333333333333333333333333.pem"
)

// certDir is a directory with the certificates that goldens name.
func certDir(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	ca := certtest.Issue(tb, nil, "www.example.com")
	for name, content := range map[string][]byte{
		certFile: append(ca.PEM(), ca.KeyPEM()...), caFile: ca.PEM(), crlFile: ca.Revokes(), listenerID + ".pem": []byte(filepath.Join(dir, certFile) + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

func TestGoldens(t *testing.T) {
	for name, change := range goldens {
		t.Run(name, func(t *testing.T) {
			lb, o := site(), version26
			change(&lb, &o)
			got, ok, err := haproxy.Render(lb, o)
			if err != nil || !ok {
				t.Fatalf("got ok %t, error %v", ok, err)
			}
			golden.Check(t, filepath.Join("testdata", name+".cfg"), got)
			if out, err := check(t, got); err != nil {
				t.Errorf("haproxy refuses it: %v\n%s", err, out)
			}
		})
	}
}

// check asks the real haproxy.
func check(tb testing.TB, cfg []byte) ([]byte, error) {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "haproxy.cfg")
	if bytes.Contains(cfg, []byte("/certs/")) {
		cfg = bytes.ReplaceAll(cfg, []byte("/var/lib/octavia/certs/"+lbID), []byte(certDir(tb)))
	}
	if err := os.WriteFile(file, cfg, 0o600); err != nil {
		tb.Fatal(err)
	}
	return exec.Command("haproxy", "-c", "-L", haproxy.PeerName(version26.AmphoraID), "-f", file).CombinedOutput()
}

// TestNumbers has haproxy read the least and the greatest that the API takes.
func TestNumbers(t *testing.T) {
	const longest = 2073600000 // of a listener's timeouts
	for _, kind := range []string{"HTTP", "HTTPS", "PING", "TCP", "TLS-HELLO"} {
		for _, n := range []int{0, 1, math.MaxInt32} {
			lb := site()
			l, m := &lb.Listeners[0], monitor(kind)
			l.ConnectionLimit = n
			l.TimeoutClientData, l.TimeoutMemberConnect = min(n, longest), min(n, longest)
			l.TimeoutMemberData, l.TimeoutTCPInspect = min(n, longest), min(n, longest)
			m.Delay, m.Timeout, m.RiseThreshold, m.FallThreshold = n, n, 10, 10
			lb.Pools[0].Monitor = m
			cfg, _, err := haproxy.Render(lb, version26)
			if err != nil {
				t.Fatal(err)
			}
			if out, err := check(t, cfg); err != nil {
				t.Errorf("%s with %d: %s", kind, n, out)
			}
		}
	}
}

func TestNothingToRun(t *testing.T) {
	lb := site()
	lb.Listeners[0].Protocol = "UDP"
	if cfg, ok, err := haproxy.Render(lb, version26); cfg != nil || ok || err != nil {
		t.Errorf("got %q, %t, %v, want nothing", cfg, ok, err)
	}
}

func TestRefusalsNameTheObject(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(*amphora.LoadBalancer)
		kind, id string
	}{
		"protocol": {func(lb *amphora.LoadBalancer) { lb.Listeners[0].Protocol = "TERMINATED_HTTPS" }, "listener", listenerID},
		"line feed": {func(lb *amphora.LoadBalancer) {
			lb.Pools[0].Monitor = monitor("HTTP")
			lb.Pools[0].Monitor.URLPath = "/\nuser root"
		}, "healthmonitor", poolID},
		"host": {func(lb *amphora.LoadBalancer) {
			lb.Pools[0].Monitor = monitor("HTTP")
			lb.Pools[0].Monitor.DomainName = "a\rb"
		}, "healthmonitor", poolID},
		"codes": {func(lb *amphora.LoadBalancer) {
			lb.Pools[0].Monitor = monitor("HTTP")
			lb.Pools[0].Monitor.ExpectedCodes = "200|.*"
		}, "healthmonitor", poolID},
		"method": {func(lb *amphora.LoadBalancer) {
			lb.Pools[0].Monitor = monitor("HTTP")
			lb.Pools[0].Monitor.HTTPMethod = "GET /"
		}, "healthmonitor", poolID},
		"cookie": {func(lb *amphora.LoadBalancer) {
			lb.Pools[0].Persistence = &amphora.Persistence{Type: "APP_COOKIE", CookieName: "a) b"}
		}, "pool", poolID},
		"project":          {func(lb *amphora.LoadBalancer) { lb.ProjectID = "p\nuser root" }, "loadbalancer", lbID},
		"no key":           {func(lb *amphora.LoadBalancer) { lb.Listeners[0].Policies = reject("HEADER", "", "x") }, "l7policy", "p"},
		"key":              {func(lb *amphora.LoadBalancer) { lb.Listeners[0].Policies = reject("COOKIE", "a) -f b", "x") }, "l7policy", "p"},
		"value":            {func(lb *amphora.LoadBalancer) { lb.Listeners[0].Policies = reject("PATH", "", "/\x00") }, "l7policy", "p"},
		"number":           {func(lb *amphora.LoadBalancer) { lb.Listeners[0].Policies = reject("SSL_VERIFY_RESULT", "", "0 or 1") }, "l7policy", "p"},
		"no address":       {func(lb *amphora.LoadBalancer) { lb.Pools[0].Members[0].Address = netip.Addr{} }, "member", memberID + "1"},
		"certificate file": {func(lb *amphora.LoadBalancer) { lb.Pools[0].TLS = &amphora.PoolTLS{CAFile: "../x"} }, "pool", poolID},
		"ALPN":             {func(lb *amphora.LoadBalancer) { terminated(lb).ALPN = []string{"h2 crt /x"} }, "listener", listenerID},
		"members' ALPN":    {func(lb *amphora.LoadBalancer) { lb.Pools[0].TLS = &amphora.PoolTLS{ALPN: []string{"a,b c"}} }, "pool", poolID},
		"authentication": {func(lb *amphora.LoadBalancer) {
			t := terminated(lb)
			t.ClientCAFile, t.ClientAuth = caFile, "none ca-file /x"
		}, "listener", listenerID},
	} {
		lb := site()
		c.change(&lb)
		_, _, err := haproxy.Render(lb, version26)
		var object *amphora.ObjectError
		if !errors.As(err, &object) || object.Kind != c.kind || object.ID != c.id {
			t.Errorf("%s: got %v, want an error of %s %s", name, err, c.kind, c.id)
		}
	}
}

// reject is a policy with one rule.
func reject(kind, key, value string) []amphora.L7Policy {
	rule := amphora.L7Rule{ID: "r1", Type: kind, CompareType: "EQUAL_TO", Key: key, Value: value, Enabled: true}
	return []amphora.L7Policy{{ID: "p", Action: "REJECT", Enabled: true, Rules: []amphora.L7Rule{rule}}}
}

// TestAnyTextIsOnlyAText has haproxy check texts that mean something to its parser, where users' texts go.
func TestAnyTextIsOnlyAText(t *testing.T) {
	for _, s := range []string{"-f", "-i", "--", "-m", "if", "#", `"`, "'", `\`, `a\`, "a b", "$HOME", "${PATH}", "%[env(PATH)]", "%", "{", "!", "é", "\xff"} {
		lb := site()
		lb.ProjectID = s
		lb.Listeners[0].Policies = append(reject("PATH", "", s), amphora.L7Policy{
			ID: "p2", Action: "REDIRECT_TO_URL", RedirectURL: s, Enabled: true,
			Rules: []amphora.L7Rule{{ID: "r2", Type: "HOST_NAME", CompareType: "CONTAINS", Value: s, Enabled: true}},
		})
		lb.Pools[0].Monitor = monitor("HTTP")
		lb.Pools[0].Monitor.URLPath, lb.Pools[0].Monitor.DomainName, lb.Pools[0].Monitor.HTTPVersion = "/"+s, s, 1.1
		cfg, _, err := haproxy.Render(lb, version26)
		if err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		if out, err := check(t, cfg); err != nil {
			t.Errorf("%q: haproxy refuses it: %v\n%s", s, err, out)
		}
	}
}

// TestNamesOfHeaders: all that a header's or cookie's name may hold (RFC 9110, 5.6.2).
func TestNamesOfHeaders(t *testing.T) {
	const name = "X!#$%&'*+-.^_`|~9"
	for _, kind := range []string{"HEADER", "COOKIE"} {
		lb := site()
		lb.Listeners[0].Policies = reject(kind, name, "x")
		lb.Pools[0].Persistence = &amphora.Persistence{Type: "APP_COOKIE", CookieName: name}
		cfg, _, err := haproxy.Render(lb, version26)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := check(t, cfg); err != nil {
			t.Errorf("%s: %v\n%s", kind, err, out)
		}
	}
}

func TestADisabledPolicyIsNotLookedAt(t *testing.T) {
	lb := site()
	lb.Listeners[0].Policies = reject("HEADER", "", "x")
	lb.Listeners[0].Policies[0].Enabled = false
	got, _, err := haproxy.Render(lb, version26)
	want, _, _ := haproxy.Render(site(), version26)
	if err != nil || string(got) != string(want) {
		t.Errorf("got %v and\n%s", err, got)
	}
}

func TestPeerNames(t *testing.T) {
	for id, want := range map[string]string{
		"aaaaaaaa-0000-4000-8000-000000000001": "I5hlYvZtx4oVH3COphlfPMJ3onw",
		"00000000-0000-4000-8000-000000000009": "xmPZnYggPmh74TtL9zsmMW6DYhA",
		"00000000-0000-4000-8000-000000000010": "uZTS0_jC16I8SDVVgZk3e-t2Iuk",
	} {
		if got := haproxy.PeerName(id); got != want {
			t.Errorf("%s: got %s, want %s", id, got, want)
		}
	}
}

func TestVersions(t *testing.T) {
	for text, want := range map[string][2]int{
		"2.6.12-1+deb12u1": {2, 6}, "1:2.8.5": {2, 8}, "2.10": {2, 10}, "": {0, 0}, "x.y": {0, 0},
	} {
		if major, minor := haproxy.ParseVersion(text); major != want[0] || minor != want[1] {
			t.Errorf("%q: got %d.%d, want %v", text, major, minor, want)
		}
	}
}

// known are all lines that may be in a rendered file whose users' texts are X.
var known = regexp.MustCompile(`^(|# Configuration for loadbalancer .*|global|defaults|(frontend|backend) \S+|` +
	`    (daemon|user nobody|log |stats socket |server-state-file |maxconn |retries 3|option |http-check |bind |mode |default_backend |use_backend |` +
	`timeout |log-format |http-reuse |balance |stick-table |stick |load-server-state|fullconn |server |redirect |http-request deny).*|        acl r\d .*)$`)

// FuzzNoDirectiveGetsIn puts any text where users' texts go: the file has the same lines as with harmless texts, and
// haproxy sees the same words, or the text is refused.
func FuzzNoDirectiveGetsIn(f *testing.F) {
	for _, s := range []string{"x", "a b", "a\nuser root", "a\r\nglobal", `\`, `a\`, `"`, "'", "#", "$HOME", "${PATH}", "%[env(PATH)]", "a if TRUE", "\x00", "é"} {
		f.Add(s)
	}
	lines := func(s string) ([]string, error) {
		lb := site()
		lb.Pools[0].Monitor = monitor("HTTP")
		lb.Pools[0].Monitor.URLPath, lb.Pools[0].Monitor.DomainName, lb.Pools[0].Monitor.HTTPVersion = "/"+s, s, 1.1
		lb.Pools[0].Persistence = &amphora.Persistence{Type: "APP_COOKIE", CookieName: "c"}
		lb.Listeners[0].InsertHeaders = map[string]string{s: "true"}
		lb.Listeners[0].Policies = []amphora.L7Policy{{
			ID: "p", Action: "REDIRECT_TO_URL", RedirectURL: "http://h/" + s, Enabled: true,
			Rules: []amphora.L7Rule{{ID: "r1", Type: "PATH", CompareType: "EQUAL_TO", Value: "/" + s, Enabled: true}},
		}}
		cfg, _, err := haproxy.Render(lb, version26)
		return strings.Split(string(cfg), "\n"), err
	}
	harmless, err := lines("x")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := lines(s)
		if err != nil || s == "" { // without a domain name there is no Host line
			return
		}
		if len(got) != len(harmless) {
			t.Fatalf("%q makes %d lines, want %d", s, len(got), len(harmless))
		}
		for i, line := range got {
			if !known.MatchString(line) {
				t.Errorf("%q makes the line %q", s, line)
			}
			if want, have := len(words(harmless[i])), len(words(line)); have != want {
				t.Errorf("%q makes %d words, want %d, of the line %q", s, have, want, line)
			}
		}
	})
}

// words splits a line as haproxy's parser does: at blanks that are not escaped, up to a comment.
func words(line string) []string {
	var out []string
	word, inWord := "", false
	flush := func() {
		if inWord {
			out = append(out, word)
		}
		word, inWord = "", false
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case ' ', '\t':
			flush()
		case '#':
			flush()
			return out
		case '"', '\'':
			return nil // a quote that is open would swallow blanks
		case '\\':
			i++
			inWord = true
		default:
			word += string(c)
			inWord = true
		}
	}
	flush()
	return out
}

// TestTLSVersions: haproxy speaks nothing below TLS 1.2 unless it is told to.
func TestTLSVersions(t *testing.T) {
	for _, c := range []struct {
		versions []string
		want     string
	}{
		{[]string{"TLSv1.2", "TLSv1.3"}, " no-sslv3 no-tlsv10 no-tlsv11"},
		{[]string{"TLSv1.3"}, " no-sslv3 no-tlsv10 no-tlsv11 no-tlsv12"},
		{[]string{"TLSv1.2"}, " no-sslv3 no-tlsv10 no-tlsv11 no-tlsv13"},
		{[]string{"TLSv1.3", "TLSv1.2", "TLSv1.1"}, " ssl-min-ver TLSv1.1 ssl-max-ver TLSv1.3"},
		{[]string{"TLSv1"}, " ssl-min-ver TLSv1.0 ssl-max-ver TLSv1.0"},
		{[]string{"SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2"}, " ssl-min-ver SSLv3 ssl-max-ver TLSv1.2"},
		{[]string{"TLSv1.1", "TLSv1.3"}, " no-sslv3 no-tlsv10 no-tlsv12"}, // a gap: the lower ones are not spoken
		{nil, ""},
	} {
		lb := site()
		lb.Listeners[0].Protocol = "TERMINATED_HTTPS"
		lb.Listeners[0].TLS = &amphora.ListenerTLS{Certificate: true, Versions: c.versions}
		cfg, _, err := haproxy.Render(lb, version26)
		if want := listenerID + ".pem" + c.want + "\n"; err != nil || !strings.Contains(string(cfg), want) {
			t.Errorf("%v: got %v, %s, want %q", c.versions, err, cfg, want)
		}
	}
}
