package worker

import (
	"context"
	"maps"
	"net/netip"
	"slices"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/network"
)

// plugVIP has the agent bring the base port up with the VIP on it.
func (p *pass) plugVIP(ctx context.Context, a *db.Amphora, port network.Port) error {
	t, err := target(a)
	if err != nil {
		return err
	}
	vip, err := netip.ParseAddr(deref(p.tree.VIP.IPAddress))
	if err != nil {
		return &failure{"VIPWithoutAddress", db.KindLoadBalancer, p.tree.LoadBalancer.ID, err}
	}
	plug, err := p.vipPlug(ctx, a, port)
	if err != nil {
		return err
	}
	return p.Agent.PlugVIP(ctx, t, vip, plug)
}

func (p *pass) vipPlug(ctx context.Context, a *db.Amphora, port network.Port) (amphora.VIPPlug, error) {
	subnet, err := p.subnet(ctx, deref(p.tree.VIP.SubnetID))
	if err != nil {
		return amphora.VIPPlug{}, err
	}
	prefix, err := prefixOf(subnet)
	if err != nil {
		return amphora.VIPPlug{}, err
	}
	net, err := p.Network.Network(ctx, port.NetworkID)
	if err != nil {
		return amphora.VIPPlug{}, err
	}
	plug := amphora.VIPPlug{
		SubnetCIDR: prefix.String(), Gateway: gateway(subnet), MAC: port.MAC, VRRPIP: deref(a.VRRPIP), MTU: net.MTU,
		HostRoutes: hostRoutes(subnet), AdditionalVIPs: []amphora.AdditionalVIP{}, SRIOV: p.sriovVIP(),
	}
	for _, v := range p.tree.AdditionalVIPs {
		s, err := p.subnet(ctx, v.SubnetID)
		if err != nil {
			return plug, err
		}
		plug.AdditionalVIPs = append(plug.AdditionalVIPs, amphora.AdditionalVIP{
			SubnetCIDR: s.CIDR, IPAddress: deref(v.IPAddress), Gateway: gateway(s), HostRoutes: hostRoutes(s),
		})
	}
	return plug, nil
}

func hostRoutes(s network.Subnet) []amphora.HostRoute {
	out := []amphora.HostRoute{}
	for _, r := range s.HostRoutes {
		out = append(out, amphora.HostRoute(r))
	}
	return out
}

// memberNetworks are the networks that members are on, each with the subnets wanted on it. The VIP's network is among them when
// there are members in its other subnets: the amphora has an address in the VIP's subnet anyway.
func (p *pass) memberNetworks(ctx context.Context) (map[string][]network.Subnet, error) {
	out := map[string][]network.Subnet{}
	for _, pool := range p.tree.Pools {
		for _, m := range pool.Members {
			id := deref(m.SubnetID)
			if id == "" || id == deref(p.tree.VIP.SubnetID) || m.ProvisioningStatus == db.PendingDelete {
				continue
			}
			s, err := p.subnet(ctx, id)
			if cloud.IsGone(err) {
				p.blame(db.KindMember, m.ID, "its subnet "+id+" is gone")
				continue
			}
			if err != nil {
				return nil, err
			}
			if !slices.ContainsFunc(out[s.NetworkID], func(o network.Subnet) bool { return o.ID == s.ID }) {
				out[s.NetworkID] = append(out[s.NetworkID], s)
			}
		}
	}
	return out, nil
}

// ensureMemberPorts plugs the amphora into every network that members are on, and returns those.
func (p *pass) ensureMemberPorts(ctx context.Context, a *db.Amphora) (map[string][]network.Subnet, error) {
	wanted, err := p.memberNetworks(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(wanted)) {
		ensure := p.ensureMemberPort
		if id == deref(p.tree.VIP.NetworkID) {
			ensure = p.ensureVIPSubnets
		}
		if err := ensure(ctx, a, id, wanted[id]); err != nil {
			return nil, err
		}
	}
	return wanted, nil
}

// ensureVIPSubnets gives the base port addresses in further subnets of the VIP's network: no server has two ports on one network.
func (p *pass) ensureVIPSubnets(ctx context.Context, a *db.Amphora, _ string, subnets []network.Subnet) error {
	port, err := p.Network.Port(ctx, deref(a.VRRPPortID))
	if err != nil {
		return err
	}
	port, fresh, err := p.addSubnets(ctx, port, subnets)
	p.seen[port.ID] = port
	if err != nil || !fresh && p.plugs(a) {
		return err
	}
	return p.plugNetwork(ctx, a, port)
}

// plugs says that the agent has been told of all ports already, and nobody asks whether it remembers.
func (p *pass) plugs(a *db.Amphora) bool { return inService(*a) && !p.calm && p.lease.Attempts == 0 }

// addSubnets gives a port an address in each of the subnets.
func (p *pass) addSubnets(ctx context.Context, port network.Port, subnets []network.Subnet) (_ network.Port, changed bool, err error) {
	fixed := slices.Clone(port.FixedIPs)
	for _, s := range subnets {
		if !slices.ContainsFunc(fixed, func(ip network.FixedIP) bool { return ip.SubnetID == s.ID }) {
			fixed = append(fixed, network.FixedIP{SubnetID: s.ID})
		}
	}
	if len(fixed) == len(port.FixedIPs) {
		return port, false, nil
	}
	port, err = p.Network.UpdatePort(ctx, port.ID, network.PortChange{FixedIPs: &fixed})
	return port, true, err
}

func (p *pass) memberPortOf(a *db.Amphora, networkID string) string {
	for _, row := range p.tree.MemberPorts {
		if row.AmphoraID == a.ID && deref(row.NetworkID) == networkID {
			return row.PortID
		}
	}
	return ""
}

func (p *pass) ensureMemberPort(ctx context.Context, a *db.Amphora, networkID string, subnets []network.Subnet) error {
	port, fresh, err := p.findMemberPort(ctx, a, networkID, subnets)
	if err != nil {
		return err
	}
	port, changed, err := p.addSubnets(ctx, port, subnets)
	if err != nil {
		return err
	}
	p.seen[port.ID] = port
	fresh = fresh || changed
	if port.DeviceID != deref(a.ComputeID) {
		if err := p.Compute.AttachPort(ctx, *a.ComputeID, port.ID); err != nil {
			return err
		}
		fresh = true
	}
	if !fresh && p.plugs(a) {
		return nil
	}
	return p.plugNetwork(ctx, a, port)
}

// findMemberPort adopts or makes the port; fresh says that it was not known before.
func (p *pass) findMemberPort(ctx context.Context, a *db.Amphora, networkID string, subnets []network.Subnet) (port network.Port, fresh bool, err error) {
	if id := p.memberPortOf(a, networkID); id != "" {
		port, err = p.Network.Port(ctx, id)
		if !cloud.IsGone(err) {
			return port, false, err
		}
		err = p.write(ctx, func(ctx context.Context, tx *db.Tx) error { return db.Delete[db.AmphoraMemberPort](ctx, tx, id) })
		if err != nil {
			return port, false, err
		}
	}
	found, err := p.Network.Ports(ctx, network.PortFilter{Name: network.MemberPortName(a.ID), NetworkID: networkID})
	if err != nil {
		return port, false, err
	}
	if len(found) == 0 {
		spec := network.PortSpec{
			Name: network.MemberPortName(a.ID), NetworkID: networkID, DeviceOwner: network.VIPOwner, AdminStateUp: true, VNICType: p.vnicType(subnets),
		}
		for _, s := range subnets {
			spec.FixedIPs = append(spec.FixedIPs, network.FixedIP{SubnetID: s.ID})
		}
		if port, err = p.Network.CreatePort(ctx, spec); err != nil {
			return port, false, err
		}
		found = []network.Port{port}
	}
	row := db.AmphoraMemberPort{PortID: found[0].ID, AmphoraID: a.ID, NetworkID: &networkID}
	err = p.write(ctx, func(ctx context.Context, tx *db.Tx) error { return db.Insert(ctx, tx, &row) })
	p.tree.MemberPorts = append(p.tree.MemberPorts, row)
	return found[0], true, err
}

// vnicType is that of the port on a network: direct when a member there asks for it.
func (p *pass) vnicType(subnets []network.Subnet) string {
	for _, pool := range p.tree.Pools {
		for _, m := range pool.Members {
			there := slices.ContainsFunc(subnets, func(s network.Subnet) bool { return s.ID == deref(m.SubnetID) })
			if there && m.VNICType == direct && m.ProvisioningStatus != db.PendingDelete {
				return direct
			}
		}
	}
	return "normal"
}

func (p *pass) plugNetwork(ctx context.Context, a *db.Amphora, port network.Port) error {
	t, err := target(a)
	if err != nil {
		return err
	}
	net, err := p.Network.Network(ctx, port.NetworkID)
	if err != nil {
		return err
	}
	plug := amphora.NetworkPlug{MAC: port.MAC, MTU: net.MTU, FixedIPs: []amphora.PlugIP{}, SRIOV: port.VNICType == direct}
	if port.ID == deref(a.VRRPPortID) {
		vip, err := p.vipPlug(ctx, a, port)
		if err != nil {
			return err
		}
		plug.VIPNetInfo = &amphora.VIPNetInfo{VIPPlug: vip, VIP: deref(p.tree.VIP.IPAddress)}
	}
	for _, ip := range port.FixedIPs {
		s, err := p.subnet(ctx, ip.SubnetID)
		if err != nil {
			return err
		}
		plug.FixedIPs = append(plug.FixedIPs, amphora.PlugIP{
			IPAddress: ip.Address, SubnetCIDR: s.CIDR, Gateway: gateway(s), HostRoutes: hostRoutes(s),
		})
	}
	return p.Agent.PlugNetwork(ctx, t, plug)
}

// dropMemberPorts unplugs networks that no member is on any more, and takes back addresses in subnets without members.
func (p *pass) dropMemberPorts(ctx context.Context, a *db.Amphora, wanted map[string][]network.Subnet) error {
	vip := network.Subnet{ID: deref(p.tree.VIP.SubnetID)}
	if err := p.dropSubnets(ctx, a, deref(a.VRRPPortID), append(slices.Clone(wanted[deref(p.tree.VIP.NetworkID)]), vip)); err != nil {
		return err
	}
	for _, row := range p.tree.MemberPorts {
		if row.AmphoraID != a.ID {
			continue
		}
		if subnets, keep := wanted[deref(row.NetworkID)]; keep {
			if err := p.dropSubnets(ctx, a, row.PortID, subnets); err != nil {
				return err
			}
			continue
		}
		if err := p.Compute.DetachPort(ctx, deref(a.ComputeID), row.PortID); err != nil {
			return err
		}
		if err := p.Network.DeletePort(ctx, row.PortID); err != nil {
			return err
		}
		err := p.write(ctx, func(ctx context.Context, tx *db.Tx) error {
			return db.Delete[db.AmphoraMemberPort](ctx, tx, row.PortID)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dropSubnets takes back a port's addresses in other subnets. Neutron keeps those that it made without being asked (SLAAC), and is not
// bothered about them again.
func (p *pass) dropSubnets(ctx context.Context, a *db.Amphora, portID string, keep []network.Subnet) error {
	port, ok := p.seen[portID]
	if !ok {
		return nil
	}
	fixed := slices.DeleteFunc(slices.Clone(port.FixedIPs), func(ip network.FixedIP) bool {
		left := p.calm && isSix(ip.Address)
		return !left && !slices.ContainsFunc(keep, func(s network.Subnet) bool { return s.ID == ip.SubnetID })
	})
	if len(fixed) == len(port.FixedIPs) || len(fixed) == 0 {
		return nil
	}
	now, err := p.Network.UpdatePort(ctx, port.ID, network.PortChange{FixedIPs: &fixed})
	if err != nil || len(now.FixedIPs) == len(port.FixedIPs) {
		return err
	}
	return p.plugNetwork(ctx, a, now)
}
