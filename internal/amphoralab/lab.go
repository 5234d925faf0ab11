// Package amphoralab is a machine for benchmarks of the data plane: a wire, members at its other end, and an amphora's agent, a process
// as in an image. It runs in a world of its own (sandbox/world).
package amphoralab

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
)

// What is where.
const (
	LoadBalancerID = "10000000-0000-4000-8000-000000000001"
	AmphoraID      = "aaaaaaaa-0000-4000-8000-000000000001"
	Namespace      = "amphora-haproxy"
	VIP            = "10.10.10.100"
	Outside        = "10.10.10.1" // on the other end of the wire: clients and members

	nicMAC = "fa:16:3e:00:00:01"
)

// Lab is a directory, a wire, and members.
type Lab struct {
	// Members are those that Serve has made.
	Members []netip.AddrPort

	dir     string
	program string // the agent
	servers []*http.Server
}

// New makes a lab for an agent's program; who has it closes it.
func New(ctx context.Context, program string) (*Lab, error) {
	program, err := filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "lab-")
	if err != nil {
		return nil, err
	}
	l := &Lab{dir: dir, program: program}
	if err := l.wire(ctx); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Close ends the members and removes the directory.
func (l *Lab) Close() {
	for _, s := range l.servers {
		_ = s.Close()
	}
	_ = os.RemoveAll(l.dir)
}

// wire makes an interface as Nova plugs one.
func (l *Lab) wire(ctx context.Context) error {
	return errors.Join(
		Command(ctx, "ip", "link", "add", "other", "type", "veth", "peer", "name", "eth1", "address", nicMAC),
		Command(ctx, "ip", "addr", "add", Outside+"/24", "dev", "other"),
		Command(ctx, "ip", "link", "set", "other", "up"),
	)
}

// Command runs a program.
func Command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
	}
	return nil
}

// Serve adds a member that answers with a word.
func (l *Lab) Serve(ctx context.Context, word string) error {
	var lc net.ListenConfig
	at, err := lc.Listen(ctx, "tcp", Outside+":0")
	if err != nil {
		return err
	}
	s := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, word) }),
	}
	go func() { _ = s.Serve(at) }() // ends with close
	l.servers = append(l.servers, s)
	l.Members = append(l.Members, netip.MustParseAddrPort(at.Addr().String()))
	return nil
}

// Base is where the agent keeps its files.
func (l *Lab) Base() string { return filepath.Join(l.dir, "octavia") }

// Certs is where certificates of listeners are.
func (l *Lab) Certs() string { return filepath.Join(l.dir, "certs") }

// Until waits for a condition, for a while.
func Until(ctx context.Context, what string, ok func() bool) error {
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
