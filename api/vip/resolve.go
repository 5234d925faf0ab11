package vip

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/network"
)

const activeStandby = "ACTIVE_STANDBY"

// Resolve implements api.VIP.
func (v *VIP) Resolve(ctx context.Context, r api.VIPRequest) (api.VIPResult, error) {
	if err := v.allowed(r); err != nil {
		return api.VIPResult{}, err
	}
	res := &resolution{VIP: v, view: v.view(r.UserToken), ask: r}
	steps := []func(context.Context) error{
		res.primary, res.additional, res.qos, res.securityGroups, res.networkLists,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return api.VIPResult{}, err
		}
	}
	return res.out, nil
}

// allowed checks what this deployment lets users name.
func (v *VIP) allowed(r api.VIPRequest) error {
	ways := []struct {
		name    string
		given   string
		allowed bool
	}{
		{"vip_port_id", r.PortID, v.cfg.AllowPortID},
		{"vip_network_id", r.NetworkID, v.cfg.AllowNetworkID},
		{"vip_subnet_id", r.SubnetID, v.cfg.AllowSubnetID},
	}
	var names []string
	for _, w := range ways {
		if w.given != "" && !w.allowed {
			return api.Invalid(fmt.Sprintf("use of %s is disallowed by this deployment's configuration.", w.name))
		}
		if w.allowed {
			names = append(names, w.name)
		}
	}
	if r.PortID == "" && r.NetworkID == "" && r.SubnetID == "" {
		return api.Invalid(fmt.Sprintf("VIP must contain one of: %s.", strings.Join(names, ", ")))
	}
	return nil
}

// resolution is one request on its way.
type resolution struct {
	*VIP
	view network.View
	ask  api.VIPRequest
	out  api.VIPResult
}

// primary finds network, subnet and address: port before network before subnet.
func (r *resolution) primary(ctx context.Context) error {
	r.out = api.VIPResult{
		PortID: r.ask.PortID, Address: r.ask.Address, SubnetID: r.ask.SubnetID, NetworkID: r.ask.NetworkID,
		QoSPolicyID: r.ask.QoSPolicyID,
	}
	switch {
	case r.ask.PortID != "":
		return r.byPort(ctx)
	case r.ask.NetworkID != "":
		return r.byNetwork(ctx)
	default:
		s, err := r.view.Subnet(ctx, r.ask.SubnetID)
		r.out.NetworkID = s.NetworkID
		return absent(err, "Subnet", r.ask.SubnetID)
	}
}

func (r *resolution) byPort(ctx context.Context) error {
	p, err := r.view.Port(ctx, r.ask.PortID)
	if err != nil {
		return absent(err, "Port", r.ask.PortID)
	}
	if p.DeviceID != "" {
		return api.Invalid(fmt.Sprintf("Port %s is already used by device %s ", p.ID, p.DeviceID))
	}
	r.out.NetworkID = p.NetworkID
	if !r.ask.QoSGiven {
		r.out.QoSPolicyID = p.QoSPolicyID
	}
	switch {
	case r.ask.SubnetID != "":
		return r.portInSubnet(ctx, p)
	case r.ask.Address != "":
		i := slices.IndexFunc(p.FixedIPs, func(ip network.FixedIP) bool { return sameAddress(ip.Address, r.ask.Address) })
		if i < 0 {
			return api.Invalid("Specified VIP address not found on the specified VIP port.")
		}
		r.out.SubnetID = p.FixedIPs[i].SubnetID
	case len(p.FixedIPs) == 1:
		r.out.SubnetID, r.out.Address = p.FixedIPs[0].SubnetID, p.FixedIPs[0].Address
	default:
		return api.Invalid("VIP port's subnet could not be determined. Please specify either a VIP subnet or address.")
	}
	return nil
}

func (r *resolution) portInSubnet(ctx context.Context, p network.Port) error {
	if _, err := r.view.Subnet(ctx, r.ask.SubnetID); err != nil {
		return absent(err, "Subnet", r.ask.SubnetID)
	}
	for _, ip := range p.FixedIPs {
		if ip.SubnetID == r.ask.SubnetID {
			r.out.Address = ip.Address
			return nil
		}
	}
	if r.ask.Address == "" {
		return api.Invalid("No VIP address found on the specified VIP port within the specified subnet.")
	}
	return nil // Create finds out that the port does not have it
}

func (r *resolution) byNetwork(ctx context.Context) error {
	if r.ask.SubnetID != "" {
		ok, err := r.view.HasSubnet(ctx, r.ask.NetworkID, r.ask.SubnetID)
		if cloud.IsGone(err) {
			return absent(err, "Network", r.ask.NetworkID)
		}
		return exists(ok, err, "Subnet", r.ask.SubnetID)
	}
	n, err := r.view.Network(ctx, r.ask.NetworkID)
	if err != nil {
		return absent(err, "Network", r.ask.NetworkID)
	}
	if r.ask.Address != "" {
		return r.subnetOfAddress(ctx, n)
	}
	return r.freeSubnet(ctx, n)
}

// subnetOfAddress takes the first subnet whose CIDR holds the address.
func (r *resolution) subnetOfAddress(ctx context.Context, n network.Network) error {
	address, err := netip.ParseAddr(r.ask.Address)
	if err != nil {
		return api.Invalid("Supplied network does not contain a subnet for VIP address specified.")
	}
	for _, id := range n.SubnetIDs {
		s, err := r.subnet(ctx, id)
		if err != nil {
			return err
		}
		if cidr, err := netip.ParsePrefix(s.CIDR); err == nil && cidr.Contains(address.Unmap()) {
			r.out.SubnetID = id
			return nil
		}
	}
	return api.Invalid("Supplied network does not contain a subnet for VIP address specified.")
}

// freeSubnet takes a subnet with room for the VIP and its amphorae, IPv4 first.
func (r *resolution) freeSubnet(ctx context.Context, n network.Network) error {
	if len(n.SubnetIDs) == 0 {
		return api.Invalid("Supplied network does not contain a subnet.")
	}
	need := 2 // the VIP and one amphora
	if r.ask.Topology == activeStandby {
		need = 3
	}
	// Users may not ask for this, so it is asked as the service.
	free, err := r.neutron.FreeAddresses(ctx, n.ID)
	if err != nil {
		return failed(err)
	}
	fits := slices.DeleteFunc(slices.Clone(n.SubnetIDs), func(id string) bool { return free[id] < need })
	if len(fits) == 0 {
		return api.Invalid("Subnet(s) in the supplied network do not contain enough available IPs.")
	}
	r.out.SubnetID = fits[0]
	for _, id := range fits {
		s, err := r.subnet(ctx, id)
		if err != nil {
			return err
		}
		if s.IPVersion == 4 {
			r.out.SubnetID = id
			return nil
		}
	}
	return nil
}

// subnet reads a subnet that the user did not name alone; upstream's text lacks the period.
func (r *resolution) subnet(ctx context.Context, id string) (network.Subnet, error) {
	s, err := r.view.Subnet(ctx, id)
	if cloud.IsGone(err) {
		return s, api.Invalid(fmt.Sprintf("Subnet %s not found", id))
	}
	return s, failed(err)
}

// additional checks the further addresses: other subnets of the same network.
func (r *resolution) additional(ctx context.Context) error {
	taken := map[string]bool{r.out.SubnetID: true}
	for _, a := range r.ask.Additional {
		if taken[a.SubnetID] {
			return api.Invalid("Duplicate VIP subnet(s) specified. Only one IP can be bound per subnet.")
		}
		taken[a.SubnetID] = true
	}
	for _, a := range r.ask.Additional {
		s, err := r.subnet(ctx, a.SubnetID)
		if err != nil {
			return err
		}
		if s.NetworkID != r.out.NetworkID {
			return api.Invalid("All VIP subnets must belong to the same network.")
		}
		r.out.Additional = append(r.out.Additional, a)
	}
	return nil
}

func (r *resolution) qos(ctx context.Context) error {
	if r.out.QoSPolicyID == "" {
		return nil
	}
	return r.CheckQoS(ctx, r.ask.UserToken, r.out.QoSPolicyID)
}

func (r *resolution) securityGroups(ctx context.Context) error {
	return r.CheckSecurityGroups(ctx, r.ask.UserToken, r.ask.SecurityGroupIDs)
}

// networkLists checks the lists of networks; a zone's list replaces the deployment's.
func (r *resolution) networkLists(context.Context) error {
	valid := r.ask.ValidNetworks
	if valid == nil {
		valid = r.cfg.ValidNetworks
	}
	if valid != nil && !contains(valid, r.out.NetworkID) || contains(r.cfg.DeniedNetworks, r.out.NetworkID) {
		return api.Invalid("Supplied VIP network_id is not allowed by the configuration of this deployment.")
	}
	return nil
}

func contains(ids []string, id string) bool {
	return slices.ContainsFunc(ids, func(s string) bool { return strings.EqualFold(s, id) })
}

// sameAddress compares addresses however they are written.
func sameAddress(a, b string) bool {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	return a == b || errX == nil && errY == nil && x.Unmap() == y.Unmap()
}
