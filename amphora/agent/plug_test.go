package agent_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/ottavino/ottavino/amphora"
)

const (
	vip6     = "2001:db8::100"
	base6    = "2001:db8::101"
	outside6 = "2001:db8::1"
	otherVIP = "10.10.20.100" // an additional one, on another subnet of the network
)

func gateway(address string) *string { return &address }

// nic6 gives the other end of the NIC the addresses of more subnets.
func (r *rig) nic6() {
	r.t.Helper()
	r.nic()
	for _, address := range []string{outside6 + "/64", "10.10.20.1/24"} {
		run(r.t, "ip", "addr", "add", address, "dev", "other", "nodad")
	}
}

// plugBoth plugs VIPs of both versions of IP and one on another subnet.
func (r *rig) plugBoth() {
	r.t.Helper()
	err := r.driver.PlugVIP(r.t.Context(), r.target, netip.MustParseAddr(vip6), amphora.VIPPlug{
		SubnetCIDR: "2001:db8::/64", Gateway: gateway(outside6), MAC: nicMAC, VRRPIP: base6, MTU: 1450,
		HostRoutes: []amphora.HostRoute{{Destination: "2001:db8:1::/64", NextHop: outside6}},
		AdditionalVIPs: []amphora.AdditionalVIP{
			{SubnetCIDR: "10.10.10.0/24", IPAddress: vip, Gateway: gateway(outside), HostRoutes: []amphora.HostRoute{}},
			{SubnetCIDR: "10.10.20.0/24", IPAddress: otherVIP, HostRoutes: []amphora.HostRoute{{Destination: "172.16.0.0/16", NextHop: "10.10.20.1"}}},
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// shows wants words in a line of what a command in the namespace says.
func (r *rig) shows(command string, lines ...string) {
	r.t.Helper()
	got := r.inside(strings.Fields(command)...)
	for _, want := range lines {
		if !r.says(got, want) {
			r.t.Errorf("%s: got\n%s\nwant a line with %q", command, got, want)
		}
	}
}

func (r *rig) hides(command, words string) {
	r.t.Helper()
	if got := r.inside(strings.Fields(command)...); r.says(got, words) {
		r.t.Errorf("%s: got\n%s\nwant no line with %q", command, got, words)
	}
}

func (*rig) says(text, words string) bool {
	for line := range strings.Lines(text) {
		if strings.Contains(strings.Join(strings.Fields(line), " "), words) {
			return true
		}
	}
	return false
}

func (r *rig) wantsBoth() {
	r.t.Helper()
	r.shows("ip -o addr show eth1", base6+"/64", vip6+"/128", vip+"/32", otherVIP+"/32")
	r.hides("ip -6 -o addr show dev eth1 tentative", vip6)
	r.hides("ip -6 -o addr show dev eth1 tentative", base6)
	r.shows("ip -6 rule", "32000: from "+vip6+" lookup 1")
	r.shows("ip rule", "32000: from "+vip+" lookup 1", "32000: from "+otherVIP+" lookup 1")
	r.shows("ip -6 route show table 1", "default via "+outside6, "2001:db8::/64 dev eth1 proto static src "+vip6, "2001:db8:1::/64 via "+outside6)
	r.shows("ip -6 route", "default via "+outside6, "2001:db8:1::/64 via "+outside6)
	r.shows("ip route show table 1", "default via "+outside, "10.10.10.0/24 dev eth1 proto static scope link src "+vip,
		"10.10.20.0/24 dev eth1 proto static scope link src "+otherVIP, "172.16.0.0/16 via 10.10.20.1")
	r.shows("ip route", "default via "+outside, "10.10.10.0/24 dev eth1 proto static scope link", "172.16.0.0/16 via 10.10.20.1")
	r.shows("cat /sys/class/net/eth1/mtu", "1450")
}

// ask6 asks a site at a VIP.
func askVIPAt(address string) (string, error) {
	resp, err := visitor.Get("http://" + net.JoinHostPort(address, "80") + "/")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// TestManyVIPs: VIPs of both versions and of several subnets are usable when the agent has answered, with routes of their own,
// and are there again after the amphora was rebooted, even when its NIC is found late.
func TestManyVIPs(t *testing.T) {
	r := newRig(t)
	r.nic6()
	r.plugBoth()
	r.wantsBoth()
	cfg := strings.Replace(string(r.config(r.web("one"))), "    bind "+vip+":80\n",
		"    bind "+vip+":80\n    bind "+otherVIP+":80\n    bind "+vip6+":80\n", 1)
	// Neighbours that know a predecessor's MAC are told at once.
	run(t, "ip", "neigh", "replace", vip6, "lladdr", "fa:16:3e:ff:ff:ff", "dev", "other", "nud", "reachable")
	run(t, "ip", "neigh", "replace", vip, "lladdr", "fa:16:3e:ff:ff:ff", "dev", "other", "nud", "reachable")
	r.apply([]byte(cfg))
	for _, address := range []string{vip, vip6} {
		r.until("neighbours know where "+address+" is", func() bool {
			out, err := exec.Command("ip", "neigh", "show", address).CombinedOutput()
			return err == nil && strings.Contains(string(out), nicMAC)
		})
	}
	serves := func() {
		t.Helper()
		for _, address := range []string{vip, otherVIP, vip6} {
			r.until(address+" answers", func() bool { got, err := askVIPAt(address); return err == nil && got == "one" })
		}
	}
	serves()

	var file struct {
		Addresses []struct {
			Address string `json:"address"`
		} `json:"addresses"`
	}
	text, err := os.ReadFile(filepath.Join(r.dir, "interfaces", "eth1.json"))
	if err != nil || json.Unmarshal(text, &file) != nil || len(file.Addresses) < 2 || file.Addresses[1].Address != "2001:0db8:0000:0000:0000:0000:0000:0100" {
		t.Errorf("the file says %s, %v, want addresses in full", text, err)
	}

	// A repeated request changes nothing.
	before := r.inside("ip", "addr", "show", "eth1")
	r.plugBoth()
	if after := r.inside("ip", "addr", "show", "eth1"); after != before {
		t.Errorf("a repeated plug changed\n%s\nto\n%s", before, after)
	}

	r.reboot(r.nic6)
	r.until("the interface is back", func() bool {
		// Rules come last.
		out, err := exec.Command("ip", "netns", "exec", "amphora-haproxy", "sh", "-c", "ip -o addr show eth1; ip rule").CombinedOutput()
		return err == nil && strings.Contains(string(out), "from "+otherVIP+" lookup 1") && !strings.Contains(string(out), "tentative")
	})
	r.wantsBoth()
	serves()
}

// reboot ends all that runs in the amphora, and starts the agent; then the kernel finds the NICs.
func (r *rig) reboot(nics func()) {
	r.t.Helper()
	r.stop()
	if _, err := os.Stat(r.path(lbID + ".pid")); err == nil {
		pid := strconv.Itoa(r.master())
		run(r.t, "kill", "-9", pid)
		r.until("haproxy is dead", func() bool { _, err := os.Readlink("/proc/" + pid + "/exe"); return err != nil })
	}
	run(r.t, "ip", "link", "delete", "other")
	run(r.t, "ip", "netns", "delete", "amphora-haproxy")
	r.run()
	nics()
}

// TestMemberOnTheVIPNetwork: the port of the VIPs gets more addresses, and keeps what it has, whatever an upstream controller leaves out.
func TestMemberOnTheVIPNetwork(t *testing.T) {
	r := newRig(t)
	r.nic6()
	r.plugBoth()
	refresh := func(more ...amphora.PlugIP) {
		t.Helper()
		err := r.driver.PlugNetwork(t.Context(), r.target, amphora.NetworkPlug{
			MAC: nicMAC, MTU: 1450, FixedIPs: append([]amphora.PlugIP{{IPAddress: base6, SubnetCIDR: "2001:db8::/64"}}, more...),
			VIPNetInfo: &amphora.VIPNetInfo{VIP: vip6, VIPPlug: amphora.VIPPlug{
				SubnetCIDR: "2001:db8::/64", Gateway: gateway(outside6), MAC: nicMAC, VRRPIP: base6,
				HostRoutes: []amphora.HostRoute{{Destination: "2001:db8:1::/64", NextHop: outside6}},
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	refresh(amphora.PlugIP{
		IPAddress: "10.10.30.5", SubnetCIDR: "10.10.30.0/24", Gateway: gateway("10.10.30.1"),
		HostRoutes: []amphora.HostRoute{{Destination: "172.17.0.0/16", NextHop: "10.10.30.2"}},
	})
	r.wantsBoth()
	r.shows("ip -o addr show eth1", "10.10.30.5/24")
	r.shows("ip route", "172.17.0.0/16 via 10.10.30.2")
	r.hides("ip route show table 1", "172.17.0.0/16")
	refresh()
	r.wantsBoth()
	r.hides("ip -o addr show eth1", "10.10.30.5/24")
	r.hides("ip route", "172.17.0.0/16")
}

// TestMemberPort: addresses and host routes of a member's network, no default route; nonsense of a tenant's does not keep it from working.
func TestMemberPort(t *testing.T) {
	const mac = "fa:16:3e:00:00:02"
	r := newRig(t)
	members := func() {
		t.Helper()
		r.veth("members", "eth7", mac)
		for _, address := range []string{"10.20.0.1/24", "2001:db8:20::1/64"} {
			run(t, "ip", "addr", "add", address, "dev", "members", "nodad")
		}
	}
	r.nic()
	if err := r.plug(); err != nil {
		t.Fatal(err)
	}
	members()
	plug := amphora.NetworkPlug{MAC: mac, MTU: 1400, FixedIPs: []amphora.PlugIP{
		{IPAddress: "10.20.0.5", SubnetCIDR: "10.20.0.0/24", Gateway: gateway("10.20.0.1"), HostRoutes: []amphora.HostRoute{
			{Destination: "172.18.0.0/16", NextHop: "10.20.0.1"}, {Destination: "nonsense", NextHop: "x"}, {Destination: "0.0.0.0/8", NextHop: "127.0.0.1"},
		}},
		{IPAddress: "2001:db8:20::5", SubnetCIDR: "2001:db8:20::/64"},
	}}
	for range 2 { // the second time it is there already
		if err := r.driver.PlugNetwork(t.Context(), r.target, plug); err != nil {
			t.Fatal(err)
		}
		r.shows("ip -o addr show eth2", "10.20.0.5/24", "2001:db8:20::5/64")
		r.hides("ip -6 -o addr show dev eth2 tentative", "2001:db8:20::5")
		r.shows("ip route", "172.18.0.0/16 via 10.20.0.1 dev eth2", "default via "+outside+" dev eth1")
		r.hides("ip route", "default via 10.20.0.1")
		r.shows("cat /sys/class/net/eth2/mtu", "1400")
	}
	if status, body := r.raw("GET", "/1.0/interface/2001:DB8:20:0::5", ""); status != http.StatusOK || !strings.Contains(body, `"interface":"eth2"`) {
		t.Errorf("got %d %s, want eth2", status, body)
	}
	plug.FixedIPs = plug.FixedIPs[:1]
	if err := r.driver.PlugNetwork(t.Context(), r.target, plug); err != nil {
		t.Fatal(err)
	}
	r.hides("ip -o addr show eth2", "2001:db8:20::5")
	r.reboot(func() { members(); r.nic() })
	r.until("the interfaces are back", func() bool {
		out, err := exec.Command("ip", "netns", "exec", "amphora-haproxy", "ip", "-o", "addr").CombinedOutput()
		return err == nil && strings.Contains(string(out), "10.20.0.5/24") && strings.Contains(string(out), vip+"/32")
	})
	r.shows("ip route", "172.18.0.0/16 via 10.20.0.1 dev eth2")
}

// veth makes a NIC whose other end is outside.
func (r *rig) veth(other, name, mac string) {
	r.t.Helper()
	address, err := net.ParseMAC(mac)
	if err != nil {
		r.t.Fatal(err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = other
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: name, PeerHardwareAddr: address}); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = exec.Command("ip", "link", "delete", other).Run() })
	run(r.t, "ip", "link", "set", other, "up")
}

// TestSomebodyElseHasTheVIP: as long as the amphora that is replaced has the VIP, nothing breaks; when it lets go, plugging succeeds.
func TestSomebodyElseHasTheVIP(t *testing.T) {
	r := newRig(t)
	r.nic6()
	run(t, "ip", "addr", "add", vip6+"/128", "dev", "other", "nodad")
	plugged := make(chan struct{})
	go func() {
		defer close(plugged)
		r.plugBoth()
	}()
	r.until("the kernel has found the other", func() bool {
		out, err := exec.Command("ip", "netns", "exec", "amphora-haproxy", "ip", "-6", "-o", "addr", "show", "eth1").CombinedOutput()
		return err == nil && strings.Contains(string(out), base6)
	})
	select {
	case <-plugged:
		t.Error("plugged a VIP that somebody else has")
	case <-time.After(2 * time.Second): // a kernel takes one to find out
	}
	run(t, "ip", "addr", "del", vip6+"/128", "dev", "other")
	<-plugged
	r.wantsBoth()
}

// TestDHCP: where a controller says no addresses, the network is asked.
func TestDHCP(t *testing.T) {
	const mac = "fa:16:3e:00:00:03"
	r := newRig(t)
	r.veth("members", "eth7", mac)
	run(t, "ip", "addr", "add", "10.40.0.1/24", "dev", "members")
	conf, leases := filepath.Join(r.dir, "udhcpd.conf"), filepath.Join(r.dir, "leases")
	r.write("udhcpd.conf", fmt.Appendf(nil, "start 10.40.0.20\nend 10.40.0.20\ninterface members\nlease_file %s\npidfile %s.pid\noption subnet 255.255.255.0\noption router 10.40.0.1\noption lease 600\n", leases, leases))
	r.write("leases", nil)
	server := exec.Command("udhcpd", "-f", conf)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	for range 2 {
		if err := r.driver.PlugNetwork(t.Context(), r.target, amphora.NetworkPlug{MAC: mac}); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { run(t, "sh", "-c", "kill $(cat /run/dhclient-eth2.pid)") })
	r.until("eth2 has an address", func() bool { return strings.Contains(r.inside("ip", "-o", "addr", "show", "eth2"), "10.40.0.20/24") })
	r.shows("ip route", "default via 10.40.0.1 dev eth2 proto dhcp metric 1000")
	r.shows("cat /proc/sys/net/ipv6/conf/eth2/accept_ra", "2")
	if err := r.driver.PlugNetwork(t.Context(), r.target, amphora.NetworkPlug{MAC: mac}); err != nil {
		t.Fatal(err)
	}
	r.shows("ip -o addr show eth2", "10.40.0.20/24")
}
