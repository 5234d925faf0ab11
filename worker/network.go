package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/network"
)

// vips are all VIP addresses, the primary first.
func vips(t *db.Tree) []string {
	out := []string{deref(t.VIP.IPAddress)}
	for _, v := range t.AdditionalVIPs {
		if v.IPAddress != nil {
			out = append(out, *v.IPAddress)
		}
	}
	return out
}

func isSix(address string) bool { return strings.Contains(address, ":") }

// ensureGroup makes the load balancer's security group with the rules that its listeners need.
func (p *pass) ensureGroup(ctx context.Context) (string, error) {
	name := network.SecurityGroupName(p.tree.LoadBalancer.ID)
	ids, err := p.Network.FindSecurityGroups(ctx, name)
	if err != nil {
		return "", err
	}
	if len(ids) == 0 {
		id, err := p.Network.CreateSecurityGroup(ctx, name, "")
		if err != nil {
			return "", err
		}
		ids = []string{id}
	}
	id := slices.Min(ids)
	return id, p.Network.SyncRules(ctx, id, p.rules())
}

// rules let clients reach the listeners, and amphorae each other. With security groups of the user's on the VIP,
// who reaches the listeners is the user's business.
func (p *pass) rules() []network.Rule {
	families := map[string]bool{}
	for _, ip := range vips(p.tree) {
		families[etherType(isSix(ip))] = true
	}
	var out []network.Rule
	add := func(r network.Rule) {
		if families[r.EtherType] && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	for _, l := range p.tree.Listeners {
		if l.ProvisioningStatus == db.PendingDelete {
			continue
		}
		if len(p.tree.VIPSGs) == 0 {
			for _, r := range listenerRules(l) {
				add(r)
			}
		}
		for _, family := range []string{"IPv4", "IPv6"} {
			if l.PeerPort != nil {
				add(network.Rule{Protocol: "tcp", Port: *l.PeerPort, EtherType: family})
			}
		}
	}
	return out
}

func etherType(six bool) string {
	if six {
		return "IPv6"
	}
	return "IPv4"
}

func listenerRules(l db.ListenerTree) []network.Rule {
	protocol := "tcp"
	if l.Protocol == "UDP" || l.Protocol == "SCTP" {
		protocol = strings.ToLower(l.Protocol)
	}
	var out []network.Rule
	for _, cidr := range l.CIDRs {
		out = append(out, network.Rule{Protocol: protocol, Port: l.ProtocolPort, Remote: cidr, EtherType: etherType(isSix(cidr))})
	}
	if len(l.CIDRs) == 0 {
		for _, family := range []string{"IPv4", "IPv6"} {
			out = append(out, network.Rule{Protocol: protocol, Port: l.ProtocolPort, EtherType: family})
		}
	}
	return out
}

func (p *pass) groups(group string) []string { return append([]string{group}, p.tree.VIPSGs...) }

// baseGroups are the groups of base ports.
func (p *pass) baseGroups(group string) []string {
	if p.sriovVIP() {
		return []string{}
	}
	return p.groups(group)
}

// ensureVIPPort finds the VIP port, or makes it again with the address that clients know.
func (p *pass) ensureVIPPort(ctx context.Context, group string) error {
	port, err := p.findVIPPort(ctx)
	if err != nil {
		return err
	}
	if slices.Equal(sorted(port.SecurityGroups), sorted(p.groups(group))) {
		return nil
	}
	groups := p.groups(group)
	_, err = p.Network.UpdatePort(ctx, port.ID, network.PortChange{SecurityGroups: &groups})
	return err
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

func (p *pass) findVIPPort(ctx context.Context) (network.Port, error) {
	lb, vip := p.tree.LoadBalancer, &p.tree.VIP
	if id := deref(vip.PortID); id != "" {
		port, err := p.Network.Port(ctx, id)
		if !cloud.IsGone(err) {
			return port, err
		}
		if !deref(vip.OctaviaOwned) {
			return port, &failure{"VIPPortGone", db.KindLoadBalancer, lb.ID, errors.New("the VIP port that the user gave is gone; it is not made again")}
		}
	}
	found, err := p.Network.Ports(ctx, network.PortFilter{Name: network.VIPPortName(lb.ID), DeviceOwner: network.VIPOwner})
	if err != nil {
		return network.Port{}, err
	}
	if len(found) == 0 {
		port, err := p.Network.CreatePort(ctx, p.vipSpec())
		if err != nil {
			return port, err
		}
		found = []network.Port{port}
	}
	port := found[0]
	vip.PortID, vip.OctaviaOwned = &port.ID, ptr(true)
	return port, p.write(ctx, func(ctx context.Context, tx *db.Tx) error {
		return db.Update(ctx, tx, vip, "port_id", "octavia_owned")
	})
}

func (p *pass) vipSpec() network.PortSpec {
	lb, vip := p.tree.LoadBalancer, p.tree.VIP
	s := network.PortSpec{
		Name: network.VIPPortName(lb.ID), NetworkID: deref(vip.NetworkID), ProjectID: deref(lb.ProjectID),
		DeviceID: "lb-" + lb.ID, DeviceOwner: network.VIPOwner, SecurityGroups: p.tree.VIPSGs,
		FixedIPs: []network.FixedIP{{SubnetID: deref(vip.SubnetID), Address: deref(vip.IPAddress)}},
	}
	for _, v := range p.tree.AdditionalVIPs {
		s.FixedIPs = append(s.FixedIPs, network.FixedIP{SubnetID: v.SubnetID, Address: deref(v.IPAddress)})
	}
	return s
}

// ensureBasePort makes, attaches and plugs the port that carries the VIP into the amphora.
func (p *pass) ensureBasePort(ctx context.Context, a *db.Amphora, group string) error {
	port, err := p.findBasePort(ctx, a, group)
	if err != nil {
		return err
	}
	if port, err = p.correctBasePort(ctx, port, group); err != nil {
		return err
	}
	p.seen[port.ID] = port
	if port.DeviceID != deref(a.ComputeID) {
		if err := p.Compute.AttachPort(ctx, *a.ComputeID, port.ID); err != nil {
			return err
		}
	} else if inService(*a) {
		if !p.calm {
			return nil
		}
		// With members in other subnets there the port is plugged as members' are: this would take addresses away for a moment.
		networks, err := p.memberNetworks(ctx)
		if err != nil || len(networks[port.NetworkID]) > 0 {
			return err
		}
	}
	return p.plugVIP(ctx, a, port)
}

func (p *pass) findBasePort(ctx context.Context, a *db.Amphora, group string) (network.Port, error) {
	if id := deref(a.VRRPPortID); id != "" {
		port, err := p.Network.Port(ctx, id)
		if !cloud.IsGone(err) {
			return port, err
		}
		p.Log.WarnContext(ctx, "the amphora's base port is gone and is made again", "amphora_id", a.ID, "port_id", id)
	}
	vip := p.tree.VIP
	found, err := p.Network.Ports(ctx, network.PortFilter{Name: network.BasePortName(a.ID), NetworkID: deref(vip.NetworkID)})
	if err != nil {
		return network.Port{}, err
	}
	if len(found) == 0 {
		port, err := p.Network.CreatePort(ctx, network.PortSpec{
			Name: network.BasePortName(a.ID), NetworkID: deref(vip.NetworkID), DeviceOwner: network.VIPOwner, AdminStateUp: true,
			FixedIPs: []network.FixedIP{{SubnetID: deref(vip.SubnetID)}}, SecurityGroups: p.baseGroups(group),
			AllowedAddresses: vips(p.tree), QoSPolicyID: deref(vip.QoSPolicyID), VNICType: vip.VNICType,
		})
		if err != nil {
			return port, err
		}
		found = []network.Port{port}
	}
	port := found[0]
	a.VRRPPortID, a.HAPortID, a.HAIP, a.VRRPID = &port.ID, vip.PortID, vip.IPAddress, ptr(1)
	a.VRRPIP = ptr(addressIn(port, deref(vip.SubnetID)))
	return port, p.update(ctx, a, "vrrp_port_id", "ha_port_id", "ha_ip", "vrrp_ip", "vrrp_id")
}

// addressIn is a port's address in a subnet, or its first.
func addressIn(port network.Port, subnetID string) string {
	for _, ip := range port.FixedIPs {
		if ip.SubnetID == subnetID {
			return ip.Address
		}
	}
	if len(port.FixedIPs) > 0 {
		return port.FixedIPs[0].Address
	}
	return ""
}

// correctBasePort brings address pairs, groups and QoS policy to what they should be.
func (p *pass) correctBasePort(ctx context.Context, port network.Port, group string) (network.Port, error) {
	var (
		change  network.PortChange
		differs bool
	)
	if want := vips(p.tree); !slices.Equal(sorted(port.AllowedAddresses), sorted(want)) {
		change.AllowedAddresses, differs = &want, true
	}
	if want := p.baseGroups(group); !slices.Equal(sorted(port.SecurityGroups), sorted(want)) {
		change.SecurityGroups, differs = &want, true
	}
	if want := deref(p.tree.VIP.QoSPolicyID); port.QoSPolicyID != want {
		change.QoSPolicyID, differs = &want, true
	}
	if !differs {
		return port, nil
	}
	return p.Network.UpdatePort(ctx, port.ID, change)
}

// portNames are the names of ports to delete, by load balancer and by amphora.
type portNames struct{ vip, base, member string }

func (n portNames) filters() []network.PortFilter {
	var out []network.PortFilter
	if n.vip != "" { // one that a user gave has another name, or another owner, and stays
		out = append(out, network.PortFilter{Name: network.VIPPortName(n.vip), DeviceOwner: network.VIPOwner})
	}
	if n.base != "" {
		out = append(out, network.PortFilter{Name: network.BasePortName(n.base)})
	}
	if n.member != "" {
		out = append(out, network.PortFilter{Name: network.MemberPortName(n.member)})
	}
	return out
}

// deletePortsNamed deletes all ports of ours with these names. It is done when Neutron lists none: its word that one is
// gone may be about another request.
func (p *pass) deletePortsNamed(ctx context.Context, n portNames) error {
	some := false
	for _, f := range n.filters() {
		found, err := p.Network.Ports(ctx, f)
		if err != nil {
			return err
		}
		for _, port := range found {
			some = true
			if err := p.Network.DeletePort(ctx, port.ID); err != nil {
				return err
			}
		}
	}
	if some {
		return &notYet{"ports to be gone", p.cfg.WaitFirst}
	}
	return nil
}

// deleteGroup deletes the security group of a load balancer; it is done when Neutron lists none.
func (p *pass) deleteGroup(ctx context.Context, lbID string) error {
	ids, err := p.Network.FindSecurityGroups(ctx, network.SecurityGroupName(lbID))
	if err != nil || len(ids) == 0 {
		return err
	}
	for _, id := range ids {
		if err := p.Network.DeleteSecurityGroup(ctx, id); err != nil {
			return err
		}
	}
	return &notYet{"security group to be gone", p.cfg.WaitFirst}
}

// subnetTTL is how long Neutron's word about a subnet is believed.
const subnetTTL = time.Minute

func (p *pass) subnet(ctx context.Context, id string) (network.Subnet, error) {
	p.mu.Lock()
	known, ok := p.subnets[id]
	p.mu.Unlock()
	if ok && p.Now().Before(known.until) {
		return known.Subnet, nil
	}
	s, err := p.Network.Subnet(ctx, id)
	if err != nil {
		return s, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.subnets) > 10_000 {
		clear(p.subnets)
	}
	p.subnets[id] = cachedSubnet{s, p.Now().Add(subnetTTL)}
	return s, nil
}

func prefixOf(s network.Subnet) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(s.CIDR)
	if err != nil {
		return prefix, fmt.Errorf("subnet %s: %w", s.ID, err)
	}
	return prefix.Masked(), nil
}

func gateway(s network.Subnet) *string {
	if s.GatewayIP == "" {
		return nil
	}
	return ptr(cmp.Or(s.GatewayIP))
}
