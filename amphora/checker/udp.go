package checker

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"
)

// again is how long a datagram is waited for before the next one is sent: one may be lost.
const again = 300 * time.Millisecond

// udp sends datagrams of one octet, as netcat does. A member is down when it, or who is on the way, says so; one that says nothing is up.
// That is found in half of the time: keepalived counts from before this program starts, and takes who needs all of it for down.
func udp(to netip.AddrPort, patience time.Duration) (int, error) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return refused, err
	}
	defer func() { _ = conn.Close() }()
	for end := time.Now().Add(patience / 2); time.Now().Before(end); {
		if _, err := conn.Write([]byte("X")); err != nil {
			return refused, err
		}
		wait := time.Now().Add(again)
		if wait.After(end) {
			wait = end
		}
		if err := conn.SetReadDeadline(wait); err != nil {
			return refused, err
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			return up, nil
		} else if !errors.Is(err, os.ErrDeadlineExceeded) {
			return refused, err
		}
	}
	return up, nil
}
