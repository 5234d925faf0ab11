package sandbox_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/compute"
	"github.com/ottavino/ottavino/network"
	"github.com/ottavino/ottavino/sandbox"
)

// answerTime is plenty for who gets an answer at all.
const answerTime = 300 * time.Millisecond

// reach asks an address for an answer, or waits for one packet of VRRP; from is the address to speak from, "" = any.
func reach(network, from, to string) error {
	d := net.Dialer{Timeout: answerTime}
	switch network {
	case "vrrp":
		conn, err := net.ListenPacket("ip4:112", to)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		if err := conn.SetReadDeadline(time.Now().Add(answerTime)); err != nil {
			return err
		}
		_, _, err = conn.ReadFrom(make([]byte, 100))
		return err
	case "tcp":
		if from != "" {
			d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
		}
		conn, err := d.Dial(network, to)
		if err != nil {
			return err
		}
		return conn.Close()
	default:
		conn, err := d.Dial(network, to)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
			return err
		}
		if _, err := conn.Write([]byte("who?")); err != nil {
			return err
		}
		_, err = conn.Read(make([]byte, 100))
		return err
	}
}

// guarded are two instances on the tenants' network, and this world beside them.
type guarded struct {
	*clients

	sandbox        *sandbox.Sandbox
	nova           *compute.Nova
	server         string // has an agent, and a port on the network
	port, address  string
	backend        string // its port
	backendAddress string
}

func newGuarded(t *testing.T, s *sandbox.Sandbox) *guarded {
	t.Helper()
	g := &guarded{clients: login(t, s, s.Settings().Service), sandbox: s}
	b, err := s.StartBackend(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	neutron := network.NewNeutron(session(t, s), cloud.Endpoint{Type: "network"})
	ports, err := neutron.Ports(t.Context(), network.PortFilter{Name: "b"})
	if err != nil || len(ports) != 1 {
		t.Fatal(ports, err)
	}
	own, err := neutron.CreatePort(t.Context(), network.PortSpec{Name: "p", NetworkID: s.Settings().NetworkID, AdminStateUp: true})
	if err != nil {
		t.Fatal(err)
	}
	g.backend, g.backendAddress, g.port, g.address = ports[0].ID, b.Address().String(), own.ID, own.FixedIPs[0].Address
	g.nova, g.server = amphora(t, s, "amphora-1")
	active(t, g.nova, g.server)
	if err := g.nova.AttachPort(t.Context(), g.server, own.ID); err != nil {
		t.Fatal(err)
	}
	g.inside("ip", "addr", "add", g.address+"/24", "dev", "eth1")
	g.inside("ip", "link", "set", "eth1", "up")
	return g
}

func (g *guarded) inside(argv ...string) {
	g.t.Helper()
	if out, err := g.sandbox.Exec(g.t.Context(), g.server, argv...); err != nil {
		g.t.Fatal(string(out), err)
	}
}

// group makes a security group without rules.
func (g *guarded) group(name string) (id string) {
	g.t.Helper()
	made := g.make(g.neutron, "security-groups", fmt.Sprintf(`{"security_group": {"name": %q}}`, name))
	for _, r := range made["security_group_rules"].([]any) {
		g.unrule(r.(map[string]any)["id"].(string))
	}
	return made["id"].(string)
}

func (g *guarded) rule(group, direction, more string) (id string) {
	g.t.Helper()
	made := g.make(g.neutron, "security-group-rules", fmt.Sprintf(`{"security_group_rule": {"security_group_id": %q, "direction": %q%s}}`, group, direction, more))
	return made["id"].(string)
}

func (g *guarded) unrule(id string) {
	g.t.Helper()
	if a := g.call(g.neutron, http.MethodDelete, "security-group-rules/"+id, ""); a.status != http.StatusNoContent {
		g.t.Fatal(a)
	}
}

func (g *guarded) update(port, attributes string) {
	g.t.Helper()
	if a := g.call(g.neutron, http.MethodPut, "ports/"+port, `{"port": {`+attributes+`}}`); a.status != http.StatusOK {
		g.t.Fatal(a)
	}
}

// expect asks the backend, "world tcp" from this world, "server udp" from the other instance, and so on: those that are
// named are answered, no others.
func (g *guarded) expect(when string, answered ...string) {
	g.t.Helper()
	self, err := os.Executable()
	if err != nil {
		g.t.Fatal(err)
	}
	want := " " + strings.Join(answered, ", ") + ","
	ctx, to := g.t.Context(), g.backendAddress
	for name, try := range map[string]func() error{
		"world tcp":  func() error { return reach("tcp", "", to+":80") },
		"world udp":  func() error { return reach("udp", "", to+":80") },
		"world ping": func() error { return exec.CommandContext(ctx, "ping", "-c", "1", "-W", "0.3", to).Run() },
		"server tcp": func() error {
			_, err := g.sandbox.Exec(ctx, g.server, self, "reach", "tcp", g.address, to+":80")
			return err
		},
		"server udp": func() error { _, err := g.sandbox.Exec(ctx, g.server, self, "reach", "udp", "", to+":80"); return err },
	} {
		if err := try(); (err == nil) != strings.Contains(want, " "+name+",") {
			g.t.Errorf("%s: %s got %v, want answers to%s", when, name, err, want)
		}
	}
}

// vrrp says whether packets of VRRP from this world arrive at the server.
func (g *guarded) vrrp() bool {
	g.t.Helper()
	conn, err := net.Dial("ip4:112", g.address)
	if err != nil {
		g.t.Fatal(err)
	}
	defer conn.Close()
	self, err := os.Executable()
	if err != nil {
		g.t.Fatal(err)
	}
	heard := make(chan bool)
	go func() {
		_, err := g.sandbox.Exec(g.t.Context(), g.server, self, "reach", "vrrp", "", g.address)
		heard <- err == nil
	}()
	for {
		if _, err := conn.Write([]byte("advertisement")); err != nil {
			g.t.Error(err)
		}
		select {
		case ok := <-heard:
			return ok
		case <-time.After(10 * time.Millisecond):
		}
	}
}

const fromWorld = `, "remote_ip_prefix": "10.10.10.1/32"`

// TestSecurityGroups: what rules say is what passes, from the moment they are there.
func TestSecurityGroups(t *testing.T) {
	s := start(t, sandbox.Config{Agent: listener(t), BuildDelay: -1, DeleteDelay: -1})
	g := newGuarded(t, s)
	g.expect("a backend as it starts", "world tcp", "world udp", "world ping", "server tcp", "server udp")

	closed := g.group("closed")
	g.update(g.backend, fmt.Sprintf(`"security_groups": [%q]`, closed))
	g.expect("without rules")
	g.rule(closed, "ingress", `, "protocol": "tcp", "port_range_min": 79, "port_range_max": 81`+fromWorld)
	g.expect("a range of ports", "world tcp")
	other := g.rule(closed, "ingress", `, "protocol": "udp", "port_range_min": 81, "port_range_max": 90`)
	g.expect("other ports", "world tcp")
	g.unrule(other)
	g.rule(closed, "ingress", `, "protocol": "17"`+fromWorld)
	g.expect("a protocol by its number", "world tcp", "world udp")
	ping := g.rule(closed, "ingress", `, "protocol": "icmp", "port_range_min": 8, "port_range_max": 0`)
	g.expect("a type of ICMP", "world tcp", "world udp", "world ping")
	g.unrule(ping)
	g.rule(closed, "ingress", `, "ethertype": "IPv6"`)
	g.expect("without a rule", "world tcp", "world udp")

	friends := g.group("friends")
	g.rule(friends, "egress", "")
	g.rule(closed, "ingress", fmt.Sprintf(`, "remote_group_id": %q`, friends))
	g.expect("a group that nobody is in", "world tcp", "world udp")
	g.update(g.port, fmt.Sprintf(`"security_groups": [%q]`, friends))
	g.expect("a group that the other is in", "world tcp", "world udp", "server tcp", "server udp")
	alone := g.group("alone")
	g.update(g.port, fmt.Sprintf(`"security_groups": [%q]`, alone))
	g.expect("the other has left the group", "world tcp", "world udp")

	g.rule(closed, "ingress", `, "remote_ip_prefix": "`+g.address+`"`)
	g.expect("the other may not speak", "world tcp", "world udp")
	g.rule(alone, "egress", `, "protocol": "tcp", "port_range_min": 80, "port_range_max": 80, "remote_ip_prefix": "`+g.backendAddress+`/32"`)
	g.expect("the other may speak TCP", "world tcp", "world udp", "server tcp")

	if g.vrrp() {
		t.Error("VRRP got through without a rule")
	}
	g.rule(alone, "ingress", `, "protocol": "vrrp"`)
	if !g.vrrp() {
		t.Error("VRRP did not get through with a rule")
	}
	g.agentAnswers(false)
	g.rule(alone, "ingress", `, "protocol": "tcp", "port_range_min": 9443, "port_range_max": 9443`)
	g.agentAnswers(true) // though it may not speak by itself

	for _, open := range []string{`"port_security_enabled": false, "security_groups": []`, `"port_security_enabled": true, "binding:vnic_type": "direct"`} {
		g.update(g.backend, open)
		g.expect(open, "world tcp", "world udp", "world ping", "server tcp")
	}
	g.update(g.backend, `"binding:vnic_type": "normal"`)
	g.expect("without a group")
}

func (g *guarded) agentAnswers(want bool) {
	g.t.Helper()
	if err := reach("tcp", "", g.address+agentPort); (err == nil) != want {
		g.t.Errorf("got %v from the server, want an answer: %t", err, want)
	}
}

// TestAddressesOfOthers: an instance speaks from its port's addresses and those it is allowed, and from no others.
func TestAddressesOfOthers(t *testing.T) {
	s := start(t, sandbox.Config{Agent: listener(t), BuildDelay: -1, DeleteDelay: -1})
	g := newGuarded(t, s)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const vip = "10.10.10.77"
	g.inside("ip", "addr", "add", vip+"/24", "dev", "eth1")
	speaks := func() bool {
		_, err := s.Exec(t.Context(), g.server, self, "reach", "tcp", vip, g.backendAddress+":80")
		return err == nil
	}
	if speaks() {
		t.Error("got an answer from an address that is not the port's")
	}
	g.update(g.port, `"allowed_address_pairs": [{"ip_address": "`+vip+`"}]`)
	within(t, speaks) // the neighbours may have noted that nobody answered for the address
}

// TestNothingIsLeftOfFilters in the kernel: of an instance that ended, of one that crashed, and of a cloud that was closed.
func TestNothingIsLeftOfFilters(t *testing.T) {
	s, err := sandbox.Start(t.Context(), sandbox.Config{Agent: listener(t), BuildDelay: -1, DeleteDelay: -1})
	if err != nil {
		t.Fatal(err)
	}
	closed := sync.OnceValue(s.Close)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		_ = closed() // after a failure
	})
	ruleset := func() string {
		out, err := exec.CommandContext(t.Context(), "nft", "list", "ruleset").Output()
		if err != nil {
			t.Error(err)
		}
		return string(out)
	}
	nova, id := amphora(t, s, "amphora-1")
	active(t, nova, id)
	if !strings.Contains(ruleset(), "in_tap") {
		t.Errorf("got %s, want the filter of a port", ruleset())
	}
	if err := s.KillInstance(id); err != nil {
		t.Error(err)
	}
	gone(t, nova, id)
	if got := ruleset(); strings.Contains(got, "tap") || !strings.Contains(got, "sandbox_") {
		t.Errorf("got %s, want nothing of the instance", got)
	}
	if err := closed(); err != nil {
		t.Error(err)
	}
	if got := ruleset(); strings.Contains(got, "sandbox_") {
		t.Errorf("got %s, want nothing", got)
	}
}
