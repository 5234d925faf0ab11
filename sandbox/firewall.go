package sandbox

import (
	"context"
	"maps"
	"net/netip"
	"slices"

	"github.com/ottavino/ottavino/sandbox/instance"
	"github.com/ottavino/ottavino/sandbox/neutron"
)

// secure makes the instances' NICs let through what Neutron's security groups say now. Ports without port security, and those
// that go past the bridge (SR-IOV), are not filtered; one that is gone lets nothing through until it is unplugged.
func (h *host) secure() error {
	if h.firewall == nil {
		return nil
	}
	h.securing.Lock()
	defer h.securing.Unlock()
	h.mu.Lock()
	ports := slices.Sorted(maps.Keys(h.plugged))
	h.mu.Unlock()
	var guards []instance.Guard
	for _, s := range h.network.Secured(ports) {
		if s.PortSecurity && s.VNICType == "normal" {
			guards = append(guards, guard(s))
		}
	}
	return h.firewall.Set(context.Background(), guards)
}

// plugging guards ports of a server before they carry anything.
func (h *host) plugging(serverID string, ports ...string) error {
	h.mu.Lock()
	for _, p := range ports {
		h.plugged[p] = serverID
	}
	h.mu.Unlock()
	return h.secure()
}

// unplugged forgets the ports that match.
func (h *host) unplugged(match func(port, serverID string) bool) error {
	h.mu.Lock()
	maps.DeleteFunc(h.plugged, match)
	h.mu.Unlock()
	return h.secure()
}

// changed is told of every change in Neutron.
func (h *host) changed() {
	if err := h.secure(); err != nil {
		h.log.WarnContext(context.Background(), "sandbox: security groups are not in effect", "error", err)
	}
}

func guard(s neutron.Secured) instance.Guard {
	g := instance.Guard{PortID: s.ID}
	for _, a := range s.Addresses() {
		if p, ok := prefix(a.IPAddress); ok {
			g.Sources = append(g.Sources, instance.Source{MAC: a.MACAddress, Address: p})
		}
	}
	for _, r := range s.Rules {
		rule, ok := translate(r, s.Groups)
		switch {
		case !ok:
		case r.Direction == "ingress":
			g.Ingress = append(g.Ingress, rule)
		default:
			g.Egress = append(g.Egress, rule)
		}
	}
	return g
}

// translate leaves out what matches nothing.
func translate(r neutron.Rule, groups map[string][]neutron.AddressPair) (out instance.Rule, ok bool) {
	out = instance.Rule{Six: r.Ethertype == "IPv6", Low: -1, High: -1}
	if out.Protocol, ok = r.ProtocolNumber(); !ok {
		return out, false
	}
	if r.PortRangeMin != nil {
		out.Low = *r.PortRangeMin
	}
	if r.PortRangeMax != nil {
		out.High = *r.PortRangeMax
	}
	switch {
	case r.RemoteIPPrefix != nil:
		p, ok := prefix(*r.RemoteIPPrefix)
		out.Remotes = []netip.Prefix{p}
		return out, ok
	case r.RemoteGroupID != nil:
		out.Remotes = []netip.Prefix{}
		for _, a := range groups[*r.RemoteGroupID] {
			if p, ok := prefix(a.IPAddress); ok && !slices.Contains(out.Remotes, p) {
				out.Remotes = append(out.Remotes, p)
			}
		}
	}
	return out, true
}

// prefix reads an address, which stands for itself, or a prefix.
func prefix(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err == nil
}
