package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/ottavino/ottavino/internal/churn"
)

const (
	lbID      = "10000000-0000-4000-8000-000000000001"
	amphoraID = "aaaaaaaa-0000-4000-8000-000000000001"
	namespace = "amphora-haproxy"
	vip       = "10.10.10.100"
	outside   = "10.10.10.1" // on the other end of the wire: clients and members
	nicMAC    = "fa:16:3e:00:00:01"
)

// lab is a directory, a wire, and members.
type lab struct {
	dir     string
	agent   string // the program
	servers []*http.Server
	members []netip.AddrPort
}

func newLab(ctx context.Context, agent string) (*lab, error) {
	dir, err := os.MkdirTemp("", "hitless-")
	if err != nil {
		return nil, err
	}
	l := &lab{dir: dir, agent: agent}
	if err := l.wire(ctx); err != nil {
		l.close()
		return nil, err
	}
	for i := range 4 {
		if err := l.serve(ctx, fmt.Sprint("member ", i)); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

func (l *lab) close() {
	for _, s := range l.servers {
		_ = s.Close()
	}
	_ = os.RemoveAll(l.dir)
}

// wire makes an interface as Nova plugs one.
func (l *lab) wire(ctx context.Context) error {
	return errors.Join(
		command(ctx, "ip", "link", "add", "other", "type", "veth", "peer", "name", "eth1", "address", nicMAC),
		command(ctx, "ip", "addr", "add", outside+"/24", "dev", "other"),
		command(ctx, "ip", "link", "set", "other", "up"),
	)
}

func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
	}
	return nil
}

func (l *lab) serve(ctx context.Context, word string) error {
	var lc net.ListenConfig
	at, err := lc.Listen(ctx, "tcp", outside+":0")
	if err != nil {
		return err
	}
	s := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, word) }),
	}
	go func() { _ = s.Serve(at) }() // ends with close
	l.servers = append(l.servers, s)
	l.members = append(l.members, netip.MustParseAddrPort(at.Addr().String()))
	return nil
}

func (l *lab) base() string  { return filepath.Join(l.dir, "octavia") }
func (l *lab) certs() string { return filepath.Join(l.dir, "certs") }

func (l *lab) play(seed uint64) churn.Play {
	return churn.Play{
		LoadBalancerID: lbID, BasePath: l.base(), CertDir: l.certs(), VIP: netip.MustParseAddr(vip), Members: l.members, Seed: seed,
	}
}

// until waits for a condition, for a while.
func until(ctx context.Context, what string, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain until %s", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}
