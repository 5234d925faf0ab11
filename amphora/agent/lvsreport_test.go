package agent

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/ipvs"

	"github.com/ottavino/ottavino/amphora/heartbeat"
	"github.com/ottavino/ottavino/amphora/keepalived"
)

// TestReport goes through what a listener's configuration and the kernel may say together.
func TestReport(t *testing.T) {
	one, two := netip.MustParseAddrPort("10.0.0.1:80"), netip.MustParseAddrPort("10.0.0.2:80")
	members := []keepalived.Member{{ID: "one", Address: one, Enabled: true}, {ID: "two", Address: two, Enabled: true}, {ID: "off"}, {ID: "off2"}}
	kernel := func(weights map[netip.AddrPort]int) []virtualServer {
		s := virtualServer{Service: &ipvs.Service{Stats: ipvs.SvcStats{Connections: 5, BytesIn: 70, BytesOut: 90}}, members: map[netip.AddrPort]*ipvs.Destination{}}
		for at, w := range weights {
			s.members[at] = &ipvs.Destination{Weight: w, ActiveConnections: 2}
		}
		return []virtualServer{s}
	}
	for name, c := range map[string]struct {
		checked, pending bool
		members          []keepalived.Member
		have             []virtualServer
		want             heartbeat.Pool
	}{
		"checked":                {true, false, members, kernel(map[netip.AddrPort]int{one: 1}), heartbeat.Pool{Status: "UP", Members: map[string]string{"one": "UP", "two": "DOWN", "off": "MAINT", "off2": "MAINT"}}},
		"pending":                {true, true, members, kernel(map[netip.AddrPort]int{one: 1}), heartbeat.Pool{Status: "UP", Members: map[string]string{"one": "UP", "two": "RESTARTING", "off": "MAINT", "off2": "MAINT"}}},
		"drained":                {true, false, members, kernel(map[netip.AddrPort]int{one: 0, two: 3}), heartbeat.Pool{Status: "UP", Members: map[string]string{"one": "DRAIN", "two": "UP", "off": "MAINT", "off2": "MAINT"}}},
		"down":                   {true, false, members, kernel(nil), heartbeat.Pool{Status: "DOWN", Members: map[string]string{"one": "DOWN", "two": "DOWN", "off": "MAINT", "off2": "MAINT"}}},
		"soon up":                {true, true, members, nil, heartbeat.Pool{Status: "DOWN", Members: map[string]string{"one": "RESTARTING", "two": "RESTARTING", "off": "MAINT", "off2": "MAINT"}}},
		"unchecked":              {false, false, members, kernel(map[netip.AddrPort]int{one: 1, two: 1}), heartbeat.Pool{Status: "UP", Members: map[string]string{"one": "no check", "two": "no check", "off": "MAINT", "off2": "MAINT"}}},
		"unchecked, one missing": {false, false, members, kernel(map[netip.AddrPort]int{one: 1}), heartbeat.Pool{Status: "UP", Members: map[string]string{"one": "no check", "two": "DOWN", "off": "MAINT", "off2": "MAINT"}}},
		"unchecked, none":        {false, true, members, nil, heartbeat.Pool{Status: "UP", Members: map[string]string{"one": "no check", "two": "no check", "off": "MAINT", "off2": "MAINT"}}},
		"empty":                  {true, false, nil, nil, heartbeat.Pool{Status: "UP", Members: map[string]string{}}},
	} {
		m := heartbeat.Message{Listeners: map[string]heartbeat.Listener{}, Pools: map[string]heartbeat.Pool{}}
		totals := map[string]counters{}
		cfg := keepalived.Config{ListenerID: "L", Enabled: true, PoolID: "P", Checked: c.checked, Members: c.members}
		report(cfg, c.have, c.pending, m, totals)
		if diff := cmp.Diff(c.want, m.Pools["P"]); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
		if m.Listeners["L"].Status != "OPEN" {
			t.Errorf("%s: the listener is %s", name, m.Listeners["L"].Status)
		}
	}
	m := heartbeat.Message{Listeners: map[string]heartbeat.Listener{}, Pools: map[string]heartbeat.Pool{}}
	totals := map[string]counters{}
	both := append(kernel(map[netip.AddrPort]int{one: 1, two: 1}), kernel(map[netip.AddrPort]int{one: 1})...)
	report(keepalived.Config{ListenerID: "L", Enabled: true}, both, false, m, totals)
	if got := totals["L"]; got != (counters{In: 140, Out: 180, Sessions: 10}) || m.Listeners["L"].Stats.Conns != 6 || len(m.Pools) != 0 {
		t.Errorf("of two services: got %+v, %+v", got, m)
	}
}
