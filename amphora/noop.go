package amphora

import (
	"context"
	"net/netip"
	"sync"
)

// Noop is a Driver that talks to nobody: amphora_noop_driver. It remembers configurations.
type Noop struct {
	mu   sync.Mutex
	held map[string][]byte // amphora id and load balancer id → haproxy.cfg
}

// NewNoop makes a Noop.
func NewNoop() *Noop { return &Noop{held: map[string][]byte{}} }

func (n *Noop) key(t Target, lbID string) string { return t.AmphoraID + "/" + lbID }

// Info answers like an agent with a current haproxy.
func (n *Noop) Info(context.Context, Target) (Info, error) {
	return Info{APIVersion: apiVersion, Hostname: "noop", HAProxyVersion: "2.8.0"}, nil
}

// Details answers with one CPU and a running haproxy.
func (n *Noop) Details(context.Context, Target) (Details, error) {
	return Details{CPUCount: 1, HAProxyCount: 1}, nil
}

// PlugVIP does nothing.
func (n *Noop) PlugVIP(context.Context, Target, netip.Addr, VIPPlug) error { return nil }

// PlugNetwork does nothing.
func (n *Noop) PlugNetwork(context.Context, Target, NetworkPlug) error { return nil }

// Config returns what Apply was given.
func (n *Noop) Config(_ context.Context, t Target, lbID string) (cfg []byte, ok bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	cfg, ok = n.held[n.key(t, lbID)]
	return cfg, ok, nil
}

// Apply remembers cfg.
func (n *Noop) Apply(_ context.Context, t Target, lbID string, cfg []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held[n.key(t, lbID)] = cfg
	return nil
}

// Remove forgets it.
func (n *Noop) Remove(_ context.Context, t Target, lbID string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.held, n.key(t, lbID))
	return nil
}

// UploadCertificate does nothing.
func (n *Noop) UploadCertificate(context.Context, Target, []byte) error { return nil }

// UploadConfig does nothing.
func (n *Noop) UploadConfig(context.Context, Target, []byte) error { return nil }
