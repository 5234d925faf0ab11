package keepalived_test

import (
	"errors"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/keepalived"
	"github.com/ottavino/ottavino/internal/golden"
	"github.com/ottavino/ottavino/sandbox/uml"
	"github.com/ottavino/ottavino/sandbox/world"
)

func TestMain(m *testing.M) {
	// Fuzzing hands its workers files, which a world does not pass on.
	if slices.ContainsFunc(os.Args, func(a string) bool { return strings.HasPrefix(a, "-test.fuzz") }) {
		os.Exit(m.Run())
	}
	world.Main(m)
}

const (
	lbID       = "10000000-0000-4000-8000-000000000001"
	listenerID = "20000000-0000-4000-8000-000000000001"
	poolID     = "30000000-0000-4000-8000-000000000001"
	memberID   = "40000000-0000-4000-8000-00000000000"
	monitorID  = "60000000-0000-4000-8000-000000000001"
)

func site() amphora.LoadBalancer {
	return amphora.LoadBalancer{
		ID: lbID, Enabled: true, Topology: "SINGLE", VIP: netip.MustParseAddr("10.0.0.2"),
		Listeners: []amphora.Listener{{ID: listenerID, Protocol: "UDP", Port: 53, Enabled: true, ConnectionLimit: -1, DefaultPoolID: poolID}},
		Pools: []amphora.Pool{{
			ID: poolID, Protocol: "UDP", Algorithm: "ROUND_ROBIN", Enabled: true, Members: []amphora.Member{member("1"), member("2")},
		}},
	}
}

func member(n string) amphora.Member {
	return amphora.Member{ID: memberID + n, Address: netip.MustParseAddr("10.1.0." + n), Port: 8080, Weight: 13, Enabled: true}
}

func monitor(kind string) *amphora.Monitor {
	return &amphora.Monitor{
		ID: monitorID, Type: kind, Enabled: true, Delay: 30, Timeout: 31, RiseThreshold: 2, FallThreshold: 3,
		HTTPMethod: "GET", URLPath: "/index.html", ExpectedCodes: "200",
	}
}

func dual(lb *amphora.LoadBalancer) {
	lb.AdditionalVIPs = []netip.Addr{netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("10.0.0.3")}
	lb.Pools[0].Members = append(lb.Pools[0].Members, member("3"))
	lb.Pools[0].Members[1].Address = netip.MustParseAddr("2001:db8:1::2")
}

// goldens are load balancers by the name of their golden file.
var goldens = map[string]func(lb *amphora.LoadBalancer){
	"udp": func(*amphora.LoadBalancer) {},
	"udp-connect": func(lb *amphora.LoadBalancer) {
		lb.Listeners[0].ConnectionLimit = 98
		lb.Pools[0].Monitor = monitor("UDP-CONNECT")
		lb.Pools[0].Members[0].MonitorAddress, lb.Pools[0].Members[0].MonitorPort = netip.MustParseAddr("192.168.1.1"), 9000
	},
	"source-ip": func(lb *amphora.LoadBalancer) {
		lb.Pools[0].Algorithm = "SOURCE_IP"
		lb.Pools[0].Persistence = &amphora.Persistence{Type: "SOURCE_IP", Timeout: 33, Granularity: "255.255.0.0"}
		lb.Pools[0].Monitor = monitor("UDP-CONNECT")
	},
	"source-ip-defaults": func(lb *amphora.LoadBalancer) {
		dual(lb)
		lb.Pools[0].Algorithm, lb.Pools[0].Persistence = "LEAST_CONNECTIONS", &amphora.Persistence{Type: "SOURCE_IP"}
	},
	"ipv6": func(lb *amphora.LoadBalancer) {
		lb.VIP = netip.MustParseAddr("2001:db8::2")
		lb.Pools[0].Monitor = monitor("UDP-CONNECT")
		lb.Pools[0].Persistence = &amphora.Persistence{Type: "SOURCE_IP", Timeout: 33, Granularity: "ffff:ffff:ffff:ffff::"}
		for i, m := range []string{"2001:db8:1::1", "2001:db8:1::2"} {
			lb.Pools[0].Members[i].Address = netip.MustParseAddr(m)
		}
	},
	"dual-stack-source-ip": func(lb *amphora.LoadBalancer) {
		dual(lb)
		lb.Pools[0].Persistence = &amphora.Persistence{Type: "SOURCE_IP", Granularity: "255.255.0.0"}
	},
	"dual-stack": func(lb *amphora.LoadBalancer) {
		dual(lb)
		lb.Pools[0].Monitor = monitor("UDP-CONNECT")
	},
	"tcp-monitor": func(lb *amphora.LoadBalancer) { lb.Pools[0].Monitor = monitor("TCP") },
	"http-monitor": func(lb *amphora.LoadBalancer) {
		lb.Pools[0].Monitor = monitor("HTTP")
		lb.Pools[0].Monitor.ExpectedCodes = "202,200-201"
	},
	"http-monitor-head": func(lb *amphora.LoadBalancer) {
		lb.Pools[0].Monitor = monitor("HTTP")
		lb.Pools[0].Monitor.HTTPMethod = "HEAD"
	},
	"monitor-disabled": func(lb *amphora.LoadBalancer) {
		lb.Pools[0].Monitor = monitor("UDP-CONNECT")
		lb.Pools[0].Monitor.Enabled = false
	},
	"no-retry": func(lb *amphora.LoadBalancer) {
		lb.Pools[0].Monitor = monitor("TCP")
		lb.Pools[0].Monitor.FallThreshold = 0
	},
	"member-disabled": func(lb *amphora.LoadBalancer) {
		lb.Pools[0].Monitor = monitor("UDP-CONNECT")
		lb.Pools[0].Members[1].Enabled, lb.Pools[0].Members[0].Weight = false, 0
	},
	"pool-disabled": func(lb *amphora.LoadBalancer) {
		lb.Pools[0].Enabled, lb.Pools[0].Monitor = false, monitor("UDP-CONNECT")
	},
	"pool-empty":            func(lb *amphora.LoadBalancer) { lb.Pools[0].Members = nil },
	"no-pool":               func(lb *amphora.LoadBalancer) { lb.Listeners[0].DefaultPoolID = "" },
	"listener-disabled":     func(lb *amphora.LoadBalancer) { lb.Listeners[0].Enabled = false },
	"loadbalancer-disabled": func(lb *amphora.LoadBalancer) { lb.Enabled = false },
	"sctp": func(lb *amphora.LoadBalancer) {
		lb.Listeners[0].Protocol, lb.Pools[0].Protocol, lb.Pools[0].Monitor = "SCTP", "SCTP", monitor("SCTP")
		lb.Pools[0].Persistence = &amphora.Persistence{Type: "SOURCE_IP"}
	},
	"sctp-unmonitored": func(lb *amphora.LoadBalancer) { lb.Listeners[0].Protocol, lb.Pools[0].Protocol = "SCTP", "SCTP" },
}

func render(t *testing.T, change func(*amphora.LoadBalancer)) []byte {
	t.Helper()
	lb := site()
	change(&lb)
	got, err := keepalived.Render(lb, listenerID, keepalived.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestGolden(t *testing.T) {
	for name, change := range goldens {
		golden.Check(t, filepath.Join("testdata", name+".conf"), render(t, change))
	}
}

// known is what keepalived says about good configurations, too: scripts are run as root, and a pool that can serve nobody serves nobody.
var known = regexp.MustCompile(`^(SECURITY VIOLATION|Warning - quorum 1 .* exceeds total weight|Virtual server .* (hysteresis|has no real servers))`)

// complaints are what keepalived does not take of a configuration.
func complaints(t *testing.T, cfg []byte) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keepalived.conf")
	if err := os.WriteFile(path, cfg, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("keepalived", "-t", "-l", "-f", path).CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return l == "" || known.MatchString(l) })
	// 5: something is wrong with the configuration, 6: something is insecure.
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 5 && exit.ExitCode() != 6) {
		lines = append(lines, err.Error())
	}
	return lines
}

// TestKeepalivedTakesIt has keepalived read all of it, which it only does on a kernel with IPVS.
func TestKeepalivedTakesIt(t *testing.T) {
	if !uml.WithIPVS(t) {
		return
	}
	if out, err := exec.Command("ip", "netns", "add", keepalived.Namespace).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	broken := strings.Replace(string(render(t, goldens["udp"])), "weight 13", "weight x", 1)
	if len(complaints(t, []byte(broken))) == 0 {
		t.Fatal("keepalived takes a weight of x")
	}
	for name, change := range goldens {
		if got := complaints(t, render(t, change)); len(got) > 0 {
			t.Errorf("%s: keepalived says %q", name, got)
		}
	}
	for _, kind := range []string{"UDP-CONNECT", "SCTP", "TCP", "HTTP"} { // with what the API takes
		for _, n := range []int{-1, 0, 1, math.MaxInt32} {
			cfg := render(t, func(lb *amphora.LoadBalancer) {
				lb.Pools[0].Persistence = &amphora.Persistence{Type: "SOURCE_IP", Timeout: n}
				lb.Pools[0].Monitor = monitor(kind)
				lb.Pools[0].Monitor.Delay, lb.Pools[0].Monitor.Timeout, lb.Pools[0].Monitor.FallThreshold = max(n, 0), max(n, 0), 10
				lb.Pools[0].Members[0].Weight, lb.Pools[0].Members[1].Weight, lb.Listeners[0].ConnectionLimit = 0, 256, n
			})
			if got := complaints(t, cfg); len(got) > 0 {
				t.Errorf("%s with %d: keepalived says %q", kind, n, got)
			}
		}
	}
	for _, s := range []string{"!x", "#", `"`, "'", `\`, `a\`, "a b", "$HOME", "${_PWD}", "$(PATH)", "%", "{", "}", "~SEQ(i,1,9)", "~LST(a)", "é", "\xff"} {
		lb := site()
		lb.Pools[0].Monitor = monitor("HTTP")
		lb.Pools[0].Monitor.URLPath = "/" + s
		cfg, err := keepalived.Render(lb, listenerID, keepalived.Options{})
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if got := complaints(t, cfg); len(got) > 0 {
			t.Errorf("%q: keepalived says %q", s, got)
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(*amphora.LoadBalancer)
		kind, id string
	}{
		"protocol": {func(lb *amphora.LoadBalancer) { lb.Listeners[0].Protocol = "HTTP" }, "listener", listenerID},
		"granularity": {func(lb *amphora.LoadBalancer) {
			lb.Pools[0].Persistence = &amphora.Persistence{Type: "SOURCE_IP", Granularity: "24\n}"}
		}, "pool", poolID},
		"prefix": {func(lb *amphora.LoadBalancer) {
			lb.Pools[0].Persistence = &amphora.Persistence{Type: "SOURCE_IP", Granularity: "129"}
		}, "pool", poolID},
		"mask": {func(lb *amphora.LoadBalancer) {
			lb.Pools[0].Persistence = &amphora.Persistence{Type: "SOURCE_IP", Granularity: "ff::ff"}
		}, "pool", poolID},
		"no address": {func(lb *amphora.LoadBalancer) { lb.Pools[0].Members[0].Address = netip.Addr{} }, "member", memberID + "1"},
		"monitor":    {func(lb *amphora.LoadBalancer) { lb.Pools[0].Monitor = monitor("PING") }, "healthmonitor", monitorID},
		"codes": {func(lb *amphora.LoadBalancer) {
			lb.Pools[0].Monitor = monitor("HTTP")
			lb.Pools[0].Monitor.ExpectedCodes = "200\n}"
		}, "healthmonitor", monitorID},
		"path": {func(lb *amphora.LoadBalancer) {
			lb.Pools[0].Monitor = monitor("HTTP")
			lb.Pools[0].Monitor.URLPath = "/\n}"
		}, "healthmonitor", monitorID},
		"relative path": {func(lb *amphora.LoadBalancer) {
			lb.Pools[0].Monitor = monitor("HTTP")
			lb.Pools[0].Monitor.URLPath = "x"
		}, "healthmonitor", monitorID},
	} {
		lb := site()
		c.change(&lb)
		_, err := keepalived.Render(lb, listenerID, keepalived.Options{})
		var object *amphora.ObjectError
		if !errors.As(err, &object) || object.Kind != c.kind || object.ID != c.id {
			t.Errorf("%s: got %v, want an error of %s %s", name, err, c.kind, c.id)
		}
	}
	if _, err := keepalived.Render(site(), "another", keepalived.Options{}); err == nil {
		t.Error("an unknown listener was rendered")
	}
	if _, err := keepalived.Render(site(), listenerID, keepalived.Options{BasePath: `/x" y`}); err == nil {
		t.Error("a base path with a quote was rendered")
	}
}

// FuzzNoDirectiveGetsIn puts any text where a user's text goes: the file has the same lines as with a harmless one, and its line
// has the same two words.
func FuzzNoDirectiveGetsIn(f *testing.F) {
	for _, s := range []string{"x", "a b", "a\n}", "\r", `\`, `"`, "'", "#", "!", "$HOME", "${PATH}", "~SEQ(i,1,2)", "@a", "\x00", "é"} {
		f.Add(s)
	}
	lines := func(s string) ([]string, error) {
		lb := site()
		lb.Pools[0].Monitor = monitor("HTTP")
		lb.Pools[0].Monitor.URLPath = "/" + s
		cfg, err := keepalived.Render(lb, listenerID, keepalived.Options{})
		return strings.Split(string(cfg), "\n"), err
	}
	harmless, err := lines("x")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := lines(s)
		if err != nil {
			return
		}
		if len(got) != len(harmless) {
			t.Fatalf("%q makes %d lines, want %d", s, len(got), len(harmless))
		}
		for i, line := range got {
			if line == harmless[i] {
				continue
			}
			words := strings.Fields(line)
			if len(words) != 2 || words[0] != "path" || strings.ContainsAny(words[1], "!#\"'\\${}~") {
				t.Errorf("%q makes the line %q", s, line)
			}
		}
	})
}

func TestParse(t *testing.T) {
	at := netip.MustParseAddrPort
	for name, want := range map[string]keepalived.Config{
		"udp": {
			ListenerID: listenerID, Enabled: true, Protocol: "UDP", Services: []netip.AddrPort{at("10.0.0.2:53")}, PoolID: poolID,
			Members: []keepalived.Member{{ID: memberID + "1", Address: at("10.1.0.1:8080"), Enabled: true, Weight: 13}, {ID: memberID + "2", Address: at("10.1.0.2:8080"), Enabled: true, Weight: 13}},
		},
		"dual-stack": {
			ListenerID: listenerID, Enabled: true, Protocol: "UDP", PoolID: poolID, Checked: true,
			Services: []netip.AddrPort{at("10.0.0.2:53"), at("10.0.0.3:53"), at("[2001:db8::2]:53")},
			Members: []keepalived.Member{
				{ID: memberID + "1", Address: at("10.1.0.1:8080"), Enabled: true, Weight: 13}, {ID: memberID + "3", Address: at("10.1.0.3:8080"), Enabled: true, Weight: 13}, {ID: memberID + "2", Address: at("[2001:db8:1::2]:8080"), Enabled: true, Weight: 13},
			},
		},
		"member-disabled": {
			ListenerID: listenerID, Enabled: true, Protocol: "UDP", Services: []netip.AddrPort{at("10.0.0.2:53")}, PoolID: poolID, Checked: true,
			Members: []keepalived.Member{{ID: memberID + "1", Address: at("10.1.0.1:8080"), Enabled: true}, {ID: memberID + "2"}},
		},
		"pool-disabled":     {ListenerID: listenerID, Enabled: true, Protocol: "UDP", Services: []netip.AddrPort{at("10.0.0.2:53")}},
		"listener-disabled": {ListenerID: listenerID},
		"no-pool":           {ListenerID: listenerID, Enabled: true},
	} {
		if diff := cmp.Diff(want, keepalived.Parse(render(t, goldens[name])), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
	limited := keepalived.Parse(render(t, goldens["udp-connect"]))
	if len(limited.Members) != 2 || limited.Members[0].Limit != 98 || limited.Members[1].Limit != 98 {
		t.Errorf("got %+v, want members with limits", limited.Members)
	}
	old := keepalived.Parse([]byte("# Configuration for Listener L\nvirtual_server 10.0.0.2 53 {\n    protocol UDP\n    # Configuration for Member M\n    real_server 10.1.0.1 8080 {\n        TCP_CHECK {\n"))
	if !slices.Equal(old.Services, []netip.AddrPort{at("10.0.0.2:53")}) || !old.Checked || len(old.Members) != 1 || old.Members[0].ID != "M" {
		t.Errorf("of an old controller's: got %+v", old)
	}
}
