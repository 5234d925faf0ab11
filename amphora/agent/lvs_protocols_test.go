package agent_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/heartbeat"
)

// sctpMember accepts associations and answers with a word.
func (r *rig) sctpMember(word string) amphora.Member {
	r.t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if err != nil {
		r.t.Fatal(err)
	}
	address := &unix.SockaddrInet4{Port: 2905, Addr: netip.MustParseAddr(outside).As4()}
	if err := errors.Join(unix.Bind(fd, address), unix.Listen(fd, 10)); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = unix.Shutdown(fd, unix.SHUT_RDWR); _ = unix.Close(fd) })
	go func() {
		for {
			client, _, err := unix.Accept(fd)
			if err != nil {
				return
			}
			_, _ = unix.Write(client, []byte(word))
			_ = unix.Close(client)
		}
	}()
	return amphora.Member{ID: word, Address: netip.MustParseAddr(outside), Port: address.Port, Weight: 1, Enabled: true}
}

// askSCTP associates with the VIP and reads what it is told.
func askSCTP() (string, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	second := unix.Timeval{Sec: 1}
	if err := errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &second), unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &second)); err != nil {
		return "", err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: udpPort, Addr: netip.MustParseAddr(vip).As4()}); err != nil {
		return "", err
	}
	buffer := make([]byte, 100)
	n, err := unix.Read(fd, buffer)
	return string(buffer[:max(n, 0)]), err
}

// testSCTP carries associations through the VIP to a member that is checked with INITs.
func testSCTP(t *testing.T) {
	r := newRig(t)
	r.nic()
	if err := r.plug(); err != nil {
		t.Fatal(err)
	}
	member := r.sctpMember("one")
	gone := member
	gone.ID, gone.Port = "gone", 2906
	r.serves(r.lvsConfig(amphora.Pool{
		Protocol: "SCTP", Members: []amphora.Member{member, gone},
		Monitor: &amphora.Monitor{ID: "m", Type: "SCTP", Enabled: true, Delay: 1, Timeout: 1, FallThreshold: 1},
	}))
	r.untilBeat("a member is up and one is down", func(m heartbeat.Message) bool {
		return m.Pools[udpPool].Members["one"] == "UP" && m.Pools[udpPool].Members["gone"] == "DOWN"
	})
	r.until("the member answers", func() bool { word, err := askSCTP(); return err == nil && word == "one" })
	r.untilBeat("associations are counted", func(m heartbeat.Message) bool {
		l := m.Listeners[udpListener]
		return l.Status == "OPEN" && l.Stats.TotConns > 0 && l.Stats.RX > 0 && l.Stats.TX > 0
	})
}

// testUDPOverIPv6 serves both versions of IP with one listener.
func testUDPOverIPv6(t *testing.T) {
	r := newRig(t)
	r.nic6()
	err := r.driver.PlugVIP(t.Context(), r.target, netip.MustParseAddr(vip), amphora.VIPPlug{
		SubnetCIDR: "10.10.10.0/24", Gateway: gateway(outside), MAC: nicMAC, VRRPIP: base, HostRoutes: []amphora.HostRoute{},
		AdditionalVIPs: []amphora.AdditionalVIP{{SubnetCIDR: "2001:db8::/64", IPAddress: vip6, Gateway: gateway(outside6), HostRoutes: []amphora.HostRoute{}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenPacket("udp", net.JoinHostPort(outside6, "0"))
	if err != nil {
		t.Fatal(err)
	}
	six := r.answer(conn, "six").member()
	six.Address = netip.MustParseAddr(outside6)
	pool := amphora.Pool{Protocol: "UDP", Members: []amphora.Member{r.udpEcho("four").member(), six}}
	monitored(&pool)
	r.serves(r.lvsConfig(pool, netip.MustParseAddr(vip6)))
	r.untilAnswered("four")
	r.until("six answers", func() bool { word, err := askAt(vip6); return err == nil && word == "six" })
	r.untilBeat("both members are up", func(m heartbeat.Message) bool {
		members := m.Pools[udpPool].Members
		return m.Listeners[udpListener].Stats.TotConns > 0 && members["four"] == "UP" && members["six"] == "UP"
	})
}
