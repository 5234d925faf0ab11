// Package vrrpcheck is the command haproxy-vrrp-check, with which keepalived asks in an amphora whether haproxy lives. Name,
// arguments and exit statuses are upstream's.
package vrrpcheck

import (
	"context"
	"io"
	"net"
	"time"
)

// Name is what the command is called.
const Name = "haproxy-vrrp-check"

// patience is how long a haproxy may take to answer.
const patience = 5 * time.Second

// Main asks the haproxies at the sockets, and returns how many have nothing to say; 1 when one cannot be asked.
func Main(ctx context.Context, sockets []string) int {
	silent := 0
	for _, s := range sockets {
		answer, err := ask(ctx, s)
		if err != nil {
			return 1
		}
		if len(answer) == 0 {
			silent++
		}
	}
	return silent
}

func ask(ctx context.Context, socket string) ([]byte, error) {
	d := net.Dialer{Timeout: patience}
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, "show stat -1 -1 -1\n"); err != nil {
		return nil, err
	}
	return io.ReadAll(conn)
}
