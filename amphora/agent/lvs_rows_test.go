package agent_test

import (
	"net/http"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/heartbeat"
	"github.com/ottavino/ottavino/amphora/keepalived"
)

// testUDPRows tries what a UDP listener and its pool may have, one after the other, and looks at what comes back and what is told.
func testUDPRows(t *testing.T) {
	r := newRig(t)
	r.nic()
	if err := r.plug(); err != nil {
		t.Fatal(err)
	}
	one, two := r.udpEcho("one"), r.udpEcho("two")
	good := r.web("well")
	bad := r.serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "ill", http.StatusServiceUnavailable) }))
	alone := func(lb *amphora.LoadBalancer) { lb.Pools[0].Members = lb.Pools[0].Members[:1] }
	check := func(lb *amphora.LoadBalancer, kind string, ports ...int) {
		lb.Pools[0].Monitor = &amphora.Monitor{ID: "m", Type: kind, Enabled: true, Delay: 1, Timeout: 1, FallThreshold: 1, URLPath: "/", ExpectedCodes: "200"}
		for i, port := range ports {
			lb.Pools[0].Members[i].MonitorAddress, lb.Pools[0].Members[i].MonitorPort = netip.MustParseAddr(outside), port
		}
	}
	told := func(status string, words map[string]string) func(t *testing.T) {
		return func(t *testing.T) {
			t.Helper()
			r.untilBeat("it is as expected", func(m heartbeat.Message) bool {
				pool, known := m.Pools[udpPool]
				same := pool.Status == status && known == (status != "") && len(pool.Members) == len(words)
				for id, word := range words {
					same = same && pool.Members[id] == word
				}
				return same
			})
		}
	}
	// answers are those of 8 clients, by word; "" is none.
	answers := func() map[string]int {
		got := map[string]int{}
		for range 8 {
			word, _ := askUDP()
			got[word]++
		}
		return got
	}
	silent := func(t *testing.T) {
		t.Helper()
		if word, err := askUDP(); err == nil {
			t.Errorf("got %q, want no answer", word)
		}
	}
	for _, row := range []struct {
		name   string
		change func(*amphora.LoadBalancer)
		sees   func(*testing.T)
	}{
		{"HTTP", func(lb *amphora.LoadBalancer) { check(lb, "HTTP", good, bad) }, told("UP", map[string]string{"one": "UP", "two": "DOWN"})},
		{"TCP", func(lb *amphora.LoadBalancer) { check(lb, "TCP", good, freePort(t)) }, told("UP", map[string]string{"one": "UP", "two": "DOWN"})},
		{"all down", func(lb *amphora.LoadBalancer) { check(lb, "TCP", freePort(t), freePort(t)) }, func(t *testing.T) {
			t.Helper()
			told("DOWN", map[string]string{"one": "DOWN", "two": "DOWN"})(t)
			silent(t)
		}},
		{"turns", nil, func(t *testing.T) {
			t.Helper()
			if got := answers(); got["one"] != 4 || got["two"] != 4 {
				t.Errorf("got %v, want 4 of each", got)
			}
		}},
		{"weights", func(lb *amphora.LoadBalancer) { lb.Pools[0].Members[0].Weight = 3 }, func(t *testing.T) {
			t.Helper()
			if got := answers(); got["one"] != 6 || got["two"] != 2 {
				t.Errorf("got %v, want 3 to 1", got)
			}
		}},
		{"weight 0", func(lb *amphora.LoadBalancer) { lb.Pools[0].Members[0].Weight = 0 }, func(t *testing.T) {
			t.Helper()
			if got := answers(); got["two"] != 8 {
				t.Errorf("got %v, want two alone", got)
			}
			told("UP", map[string]string{"one": "DRAIN", "two": "no check"})(t)
		}},
		{"SOURCE_IP", func(lb *amphora.LoadBalancer) { lb.Pools[0].Algorithm = "SOURCE_IP" }, func(t *testing.T) {
			t.Helper()
			if got := answers(); got["one"] != 8 && got["two"] != 8 {
				t.Errorf("got %v, want one member alone", got)
			}
		}},
		{"persistence", func(lb *amphora.LoadBalancer) {
			lb.Pools[0].Persistence = &amphora.Persistence{Type: "SOURCE_IP", Timeout: 100}
		}, func(t *testing.T) {
			t.Helper()
			if got := answers(); got["one"] != 8 && got["two"] != 8 {
				t.Errorf("got %v, want one member alone", got)
			}
		}},
		{"connection limit", func(lb *amphora.LoadBalancer) { lb.Listeners[0].ConnectionLimit = 1; alone(lb) }, func(t *testing.T) {
			t.Helper()
			if got := answers(); got["one"] == 0 || got["one"] == 8 {
				t.Errorf("got %v, want some that are turned away", got)
			}
		}},
		{"pool disabled", func(lb *amphora.LoadBalancer) { lb.Pools[0].Enabled = false }, func(t *testing.T) { t.Helper(); silent(t); told("", nil)(t) }},
		{"load balancer disabled", func(lb *amphora.LoadBalancer) { lb.Enabled = false }, silent},
		{"enabled again", nil, func(t *testing.T) { t.Helper(); r.untilAnswered("one", "two") }},
		{"listener disabled", func(lb *amphora.LoadBalancer) { lb.Listeners[0].Enabled = false }, func(t *testing.T) {
			t.Helper()
			silent(t)
			r.untilBeat("there is no listener", func(m heartbeat.Message) bool { return len(m.Listeners) == 0 && len(m.Pools) == 0 })
		}},
		{"another VIP", func(lb *amphora.LoadBalancer) { lb.AdditionalVIPs = []netip.Addr{netip.MustParseAddr(base)} }, func(t *testing.T) {
			t.Helper()
			r.until("both answer", func() bool {
				_, first := askAt(vip)
				_, second := askAt(base)
				return first == nil && second == nil
			})
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			lb := amphora.LoadBalancer{
				ID: lbID, Enabled: true, VIP: netip.MustParseAddr(vip),
				Listeners: []amphora.Listener{{ID: udpListener, Protocol: "UDP", Port: udpPort, Enabled: true, ConnectionLimit: -1, DefaultPoolID: udpPool}},
				Pools: []amphora.Pool{{
					ID: udpPool, Protocol: "UDP", Algorithm: "ROUND_ROBIN", Enabled: true, Members: []amphora.Member{one.member(), two.member()},
				}},
			}
			if row.change != nil {
				row.change(&lb)
			}
			cfg, err := keepalived.Render(lb, udpListener, keepalived.Options{BasePath: filepath.Join(r.dir, "octavia")})
			if err != nil {
				t.Fatal(err)
			}
			r.serves(cfg)
			row.sees(t)
		})
	}
	t.Run("a thousand members", func(t *testing.T) {
		pool := amphora.Pool{Protocol: "UDP", Algorithm: "ROUND_ROBIN", Members: []amphora.Member{one.member()}}
		pool.Members[0].Weight = 256
		for i := range 999 {
			pool.Members = append(pool.Members, amphora.Member{
				ID: strconv.Itoa(i), Address: netip.AddrFrom4([4]byte{10, 10, 11, byte(i % 250)}), Port: 1000 + i, Weight: 1, Enabled: true,
			})
		}
		r.serves(r.lvsConfig(pool))
		if got := strings.Count(r.inside("cat", "/proc/net/ip_vs"), "Masq "); got != 1000 {
			t.Errorf("the kernel has %d members", got)
		}
		r.untilBeat("all are told of", func(m heartbeat.Message) bool {
			return len(m.Pools[udpPool].Members) == 1000 && m.Pools[udpPool].Members["998"] == "no check"
		})
	})
}
