package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/ottavino/ottavino/sandbox/instance"
	"github.com/ottavino/ottavino/sandbox/neutron"
	"github.com/ottavino/ottavino/sandbox/nova"
)

// host runs Nova's servers as instances: the images are one, and it runs the amphora agent.
type host struct {
	dir, agent string
	network    *neutron.Neutron
	log        *slog.Logger
	firewall   *instance.Firewall // nil where the kernel cannot

	securing sync.Mutex // taken before mu; one at a time, so that what was read last is in effect last

	mu       sync.Mutex
	machines map[string]*instance.Instance // server id →; crashed ones too, until their servers are deleted
	bridges  map[string]string             // network id → bridge
	plugged  map[string]string             // port id → server id
}

func newHost(dir, agent string, network *neutron.Neutron, log *slog.Logger) *host {
	return &host{
		dir: dir, agent: agent, network: network, log: log,
		machines: map[string]*instance.Instance{}, bridges: map[string]string{}, plugged: map[string]string{},
	}
}

// bridge makes the bridge of a network, with an address for the controller or the gateway.
func (h *host) bridge(networkID string, address netip.Prefix) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := "br" + networkID[:11]
	if err := instance.MakeBridge(name, address); err != nil {
		return err
	}
	h.bridges[networkID] = name
	return nil
}

// bridgeOf is the bridge of a port's network. One that a user made gets it with its first port; the sandbox is the gateway there,
// too.
func (h *host) bridgeOf(p neutron.Port) (string, error) {
	h.mu.Lock()
	name := h.bridges[p.NetworkID]
	h.mu.Unlock()
	if name != "" {
		return name, nil
	}
	var address netip.Prefix
	for _, ip := range p.FixedIPs {
		subnet, _ := h.network.Subnet(ip.SubnetID)
		if subnet.GatewayIP == nil {
			continue
		}
		prefix, err := netip.ParsePrefix(subnet.CIDR)
		if err != nil {
			return "", err
		}
		gateway, err := netip.ParseAddr(*subnet.GatewayIP)
		if err != nil {
			return "", err
		}
		address = netip.PrefixFrom(gateway, prefix.Bits())
	}
	if err := h.bridge(p.NetworkID, address); err != nil {
		return "", err
	}
	return h.bridgeOf(p)
}

func (h *host) nic(p neutron.Port, configured bool) (instance.NIC, error) {
	network, _ := h.network.Network(p.NetworkID)
	bridge, err := h.bridgeOf(p)
	if err != nil {
		return instance.NIC{}, err
	}
	nic := instance.NIC{PortID: p.ID, MAC: p.MACAddress, Bridge: bridge, MTU: network.MTU}
	if !configured {
		return nic, nil
	}
	for _, ip := range p.FixedIPs {
		subnet, _ := h.network.Subnet(ip.SubnetID)
		prefix, err := netip.ParsePrefix(subnet.CIDR)
		if err != nil {
			return nic, err
		}
		addr, err := netip.ParseAddr(ip.IPAddress)
		if err != nil {
			return nic, err
		}
		nic.Addresses = append(nic.Addresses, netip.PrefixFrom(addr, prefix.Bits()))
	}
	return nic, nil
}

// Boot implements nova.Host.
func (h *host) Boot(ctx context.Context, m nova.Machine) error {
	s := instance.Spec{
		ID: m.ID, Name: m.Name, Files: m.Files,
		Command: []string{h.agent, "--config-file", "/etc/octavia/amphora-agent.conf"},
	}
	for _, p := range m.Ports {
		nic, err := h.nic(p, true)
		if err != nil {
			return err
		}
		s.NICs = append(s.NICs, nic)
	}
	return h.run(ctx, s)
}

func (h *host) run(ctx context.Context, s instance.Spec) error {
	var ports []string
	for _, nic := range s.NICs {
		ports = append(ports, nic.PortID)
	}
	if err := h.plugging(s.ID, ports...); err != nil {
		return err
	}
	i, err := instance.Boot(ctx, h.dir, s)
	if err != nil {
		return errors.Join(err, h.unplugged(func(_, server string) bool { return server == s.ID }))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.machines[s.ID] = i
	return nil
}

// Reboot implements nova.Host. What the disk holds stays, as it does in a cloud. The NICs of the first boot come first
// and are configured again; those plugged later come bare.
func (h *host) Reboot(ctx context.Context, serverID string, ports []neutron.Port) error {
	i, ok := h.machine(serverID)
	if !ok {
		return fmt.Errorf("there is no instance %s", serverID)
	}
	i.Kill()
	s := i.Spec
	var first, later []instance.NIC
	for _, p := range ports {
		configured := slices.ContainsFunc(s.NICs, func(n instance.NIC) bool { return n.PortID == p.ID && n.Addresses != nil })
		nic, err := h.nic(p, configured)
		if err != nil {
			return err
		}
		if configured {
			first = append(first, nic)
		} else {
			later = append(later, nic)
		}
	}
	s.Files, s.NICs = nil, append(first, later...)
	return h.run(ctx, s)
}

func (h *host) machine(serverID string) (*instance.Instance, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i, ok := h.machines[serverID]
	return i, ok
}

// find is a machine that runs.
func (h *host) find(serverID string) (*instance.Instance, error) {
	i, ok := h.machine(serverID)
	if !ok || !i.Running() {
		return nil, fmt.Errorf("no instance %s is running", serverID)
	}
	return i, nil
}

// Plug implements nova.Host.
func (h *host) Plug(serverID string, p neutron.Port) error {
	i, err := h.find(serverID)
	if err != nil {
		return err
	}
	nic, err := h.nic(p, false)
	if err != nil {
		return err
	}
	if err := h.plugging(serverID, p.ID); err != nil {
		return err
	}
	if err := i.Plug(nic); err != nil {
		return errors.Join(err, h.unplugged(func(port, _ string) bool { return port == p.ID }))
	}
	return nil
}

// Unplug implements nova.Host.
func (h *host) Unplug(serverID, portID string) error {
	var err error
	if i, ok := h.machine(serverID); ok && i.Running() {
		err = i.Unplug(portID)
	}
	return errors.Join(err, h.unplugged(func(port, _ string) bool { return port == portID }))
}

// Kill implements nova.Host.
func (h *host) Kill(serverID string) {
	if err := h.remove(serverID); err != nil {
		h.log.WarnContext(context.Background(), "sandbox: instance not removed", "server_id", serverID, "error", err)
	}
}

func (h *host) remove(serverID string) error {
	h.mu.Lock()
	i := h.machines[serverID]
	delete(h.machines, serverID)
	h.mu.Unlock()
	if i == nil {
		return nil
	}
	return errors.Join(i.Remove(), h.unplugged(func(_, server string) bool { return server == serverID }))
}

func (h *host) close() error {
	h.mu.Lock()
	ids := slices.Collect(maps.Keys(h.machines))
	h.mu.Unlock()
	var errs []error
	for _, id := range ids {
		errs = append(errs, h.remove(id))
	}
	for _, name := range h.bridges {
		errs = append(errs, instance.RemoveBridge(name))
	}
	if h.firewall != nil {
		errs = append(errs, h.firewall.Close())
	}
	return errors.Join(errs...)
}
