package agent

import (
	"context"
	"errors"
	"maps"
	"net"

	"golang.org/x/sys/unix"
)

// postbox sends datagrams, and keeps the socket of the last to each receiver: when nobody listens there, the kernel gets to know it
// and tells. UDP tells no more: a datagram that is lost on its way is taken for received.
type postbox map[string]*parcel

type parcel struct {
	conn *net.UDPConn
	due  map[string]counters // that it tells
}

func (p postbox) send(ctx context.Context, to string, datagram []byte, due map[string]counters) error {
	if last := p[to]; last != nil {
		_ = last.conn.Close()
		delete(p, to)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", to)
	if err != nil {
		return err
	}
	if _, err := conn.Write(datagram); err != nil {
		return errors.Join(err, conn.Close())
	}
	p[to] = &parcel{conn.(*net.UDPConn), due}
	return nil
}

// refused are the counters of datagrams that found nobody.
func (p postbox) refused() []map[string]counters {
	var out []map[string]counters
	maps.DeleteFunc(p, func(_ string, last *parcel) bool {
		failure := 0
		raw, err := last.conn.SyscallConn()
		if err == nil {
			_ = raw.Control(func(fd uintptr) { failure, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR) })
		}
		if failure == 0 {
			return false
		}
		out = append(out, last.due)
		_ = last.conn.Close()
		return true
	})
	return out
}

func (p postbox) close() {
	for _, last := range p {
		_ = last.conn.Close()
	}
}
