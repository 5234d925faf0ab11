package sandbox_test

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/compute"
	"github.com/ottavino/ottavino/network"
	"github.com/ottavino/ottavino/sandbox"
)

// agentAddress waits until the agent of a server answers.
func agentAddress(t *testing.T, nova *compute.Nova, id string) string {
	t.Helper()
	nics, err := nova.Interfaces(t.Context(), id)
	if err != nil || len(nics) == 0 || len(nics[0].FixedIPs) == 0 {
		t.Fatalf("got interfaces %v, %v, want an address", nics, err)
	}
	address := nics[0].FixedIPs[0].Address + agentPort
	within(t, func() bool {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
	return address
}

func TestBootIsQuick(t *testing.T) {
	const delay = 100 * time.Millisecond
	s := start(t, sandbox.Config{Agent: listener(t), BuildDelay: delay})
	begin := time.Now()
	nova, id := amphora(t, s, "amphora-1")
	active(t, nova, id)
	agentAddress(t, nova, id)
	const promised = 500 * time.Millisecond
	took := time.Since(begin) - delay
	t.Logf("the agent answered %s after the build began", took.Round(time.Millisecond))
	if took > promised {
		t.Errorf("the agent answered %s after the build began, want at most %s", took, promised)
	}
}

func TestAgentIsStartedAgainWhenKilled(t *testing.T) {
	s := start(t, sandbox.Config{Agent: listener(t), BuildDelay: -1})
	nova, id := amphora(t, s, "amphora-1")
	active(t, nova, id)
	agentAddress(t, nova, id)
	before, err := s.Agents(id)
	if err != nil || len(before) != 1 {
		t.Fatalf("got agents %v, %v, want one", before, err)
	}
	if err := s.KillAgent(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	agentAddress(t, nova, id)
	after, err := s.Agents(id)
	if err != nil || len(after) != 1 || after[0] == before[0] {
		t.Errorf("got agents %v, %v, want one other than %v", after, err, before)
	}
}

// TestCrashAndReboot: a crashed server is still ACTIVE, answers nothing, and comes back with its files and its ports.
func TestCrashAndReboot(t *testing.T) {
	s := start(t, sandbox.Config{Agent: listener(t), BuildDelay: -1, DeleteDelay: -1})
	ctx := t.Context()
	nova, id := amphora(t, s, "amphora-1")
	active(t, nova, id)
	address := agentAddress(t, nova, id)
	if _, err := s.Exec(ctx, id, "sh", "-c", "mkdir -p /var/lib/octavia && echo mine >/var/lib/octavia/x && echo new >/etc/octavia/amphora-agent.conf"); err != nil {
		t.Fatal(err)
	}
	if err := s.KillInstance(id); err != nil {
		t.Fatal(err)
	}
	if c, err := net.DialTimeout("tcp", address, 100*time.Millisecond); err == nil {
		_ = c.Close()
		t.Error("the agent answers after the crash")
	}
	if v, err := nova.Server(ctx, id); err != nil || v.Status != compute.ServerActive {
		t.Errorf("got %v, %v, want Nova to have noticed nothing", v, err)
	}
	if log, err := s.ConsoleLog(id); err != nil || !strings.Contains(string(log), "listening") {
		t.Errorf("got console %q, %v, want what the agent said before the crash", log, err)
	}
	if err := s.Reboot(ctx, id); err != nil {
		t.Fatal(err)
	}
	agentAddress(t, nova, id)
	out, err := s.Exec(ctx, id, "cat", "/var/lib/octavia/x", "/etc/octavia/amphora-agent.conf")
	if err != nil || string(out) != "mine\nnew\n" {
		t.Errorf("got files %q, %v, want them as they were before the crash", out, err)
	}
	gone(t, nova, id)
	assertNoLeaks(t, s)
}

// TestRebootKeepsTheOrderOfPorts reboots a server that runs, twice. The port plugged into it is older than the
// management port and still not its first.
func TestRebootKeepsTheOrderOfPorts(t *testing.T) {
	s := start(t, sandbox.Config{Agent: listener(t), BuildDelay: -1, DeleteDelay: -1})
	ctx, neutron := t.Context(), network.NewNeutron(session(t, s), cloud.Endpoint{Type: "network"})
	port, err := neutron.CreatePort(ctx, network.PortSpec{Name: "p", NetworkID: s.Settings().NetworkID, AdminStateUp: true})
	if err != nil {
		t.Fatal(err)
	}
	nova, id := amphora(t, s, "amphora-1")
	active(t, nova, id)
	if err := nova.AttachPort(ctx, id, port.ID); err != nil {
		t.Fatal(err)
	}
	const look = "ip -o -4 addr show eth0 | wc -l; ip -o -4 addr show eth1 | wc -l; cat /sys/class/net/eth1/address"
	want := "1\n0\n" + port.MAC + "\n"
	for range 2 {
		if err := s.Reboot(ctx, id); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Exec(ctx, id, "sh", "-c", look); err != nil || string(got) != want {
			t.Errorf("got %q, %v, want eth0 with an address and eth1 without one, %q", got, err, want)
		}
		if agents, err := s.Agents(id); err != nil || len(agents) != 1 {
			t.Errorf("got agents %v, %v, want one", agents, err)
		}
	}
	gone(t, nova, id)
	if err := neutron.DeletePort(ctx, port.ID); err != nil {
		t.Fatal(err)
	}
	assertNoLeaks(t, s)
}

// TestLeaksSeeWhatTheKernelHas: a server that Nova has forgotten is still found by what it runs.
func TestLeaksSeeWhatTheKernelHas(t *testing.T) {
	s := start(t, sandbox.Config{Agent: listener(t), BuildDelay: -1, DeleteDelay: -1})
	nova, id := amphora(t, s, "amphora-1")
	active(t, nova, id)
	if _, err := s.Exec(t.Context(), id, "sh", "-c", "ip netns add inner && ip netns exec inner sleep 1000 >/dev/null 2>&1 &"); err != nil {
		t.Fatal(err)
	}
	within(t, func() bool {
		left, err := s.Leaks(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[string]int{}
		for _, l := range left {
			kind, _, _ := strings.Cut(l, " ")
			kinds[kind]++
		}
		sleeps := slices.ContainsFunc(left, func(l string) bool { return strings.HasPrefix(l, "process sleep ") })
		return kinds["server"] == 1 && kinds["port"] == 1 && kinds["interface"] == 1 && kinds["namespace"] == 2 && sleeps
	})
	gone(t, nova, id)
	assertNoLeaks(t, s)
}

// TestNetworksOfUsersAreWired plugs a port of a network that a user made into a server: the gateway answers there.
func TestNetworksOfUsersAreWired(t *testing.T) {
	s := start(t, sandbox.Config{Agent: listener(t), BuildDelay: -1, DeleteDelay: -1})
	ctx, c := t.Context(), login(t, s, s.Settings().Service)
	own := c.make(c.neutron, "networks", `{"network": {"name": "own"}}`)
	c.make(c.neutron, "subnets", `{"subnet": {"network_id": "`+id(own)+`", "cidr": "10.20.0.0/24", "ip_version": 4}}`)
	neutron := network.NewNeutron(session(t, s), cloud.Endpoint{Type: "network"})
	port, err := neutron.CreatePort(ctx, network.PortSpec{Name: "p", NetworkID: id(own), AdminStateUp: true})
	if err != nil {
		t.Fatal(err)
	}
	nova, server := amphora(t, s, "amphora-1")
	active(t, nova, server)
	if err := nova.AttachPort(ctx, server, port.ID); err != nil {
		t.Fatal(err)
	}
	out, err := s.Exec(ctx, server, "sh", "-ec", "ip addr add "+port.FixedIPs[0].Address+"/24 dev eth1; ip link set eth1 up; ping -c 1 -W 5 10.20.0.1")
	if err != nil {
		t.Errorf("got %v: %s", err, out)
	}
}
