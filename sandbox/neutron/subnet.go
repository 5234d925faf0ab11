package neutron

import (
	"net/http"
	"net/netip"
	"slices"

	"github.com/ottavino/ottavino/sandbox/rest"
)

func (n *Neutron) subnetResource() *rest.Resource[Subnet] {
	return &rest.Resource[Subnet]{
		Path: "/v2.0/subnets", Singular: "subnet", Plural: "subnets", Items: n.subnets,
		ID: func(v *Subnet) *string { return &v.ID },
		Default: func(*rest.Request) Subnet {
			return Subnet{IPVersion: 4, DHCP: true, DNS: []string{}, HostRoutes: []HostRoute{}, Tags: []string{}}
		},
		Create:  func(r *rest.Request, v *Subnet) error { return n.createSubnet(r, v) },
		Update:  func(*rest.Request, Subnet, *Subnet) error { return nil },
		Delete:  func(_ *rest.Request, v Subnet) error { return n.subnetFree(v) },
		Visible: func(r *rest.Request, v Subnet) bool { return n.subnetSeen(r, v) },
		Missing: missing("SubnetNotFound", "Subnet"),
	}
}

func (n *Neutron) subnetSeen(r *rest.Request, v Subnet) bool {
	network, _ := n.networks.Get(v.NetworkID)
	return seen(r, v.ProjectID, network.Shared)
}

func (n *Neutron) createSubnet(r *rest.Request, v *Subnet) error {
	if err := n.admit(r, "subnet", &v.TenantID, &v.ProjectID); err != nil {
		return err
	}
	return n.completeSubnet(v)
}

// completeSubnet checks the CIDR, fills gateway and pools, and enters the subnet in its network.
func (n *Neutron) completeSubnet(v *Subnet) error {
	network, ok := n.networks.Get(v.NetworkID)
	if !ok {
		return missing("NetworkNotFound", "Network")(v.NetworkID)
	}
	prefix, err := netip.ParsePrefix(v.CIDR)
	if err != nil {
		return rest.BadRequest("Invalid input for cidr. Reason: '%s' is not a valid IP subnet.", v.CIDR)
	}
	v.CIDR = prefix.Masked().String()
	first := prefix.Masked().Addr().Next()
	if v.GatewayIP == nil {
		text := first.String()
		v.GatewayIP = &text
	}
	if *v.GatewayIP == "" {
		v.GatewayIP = nil
	}
	if len(v.Pools) == 0 {
		v.Pools = []Pool{{Start: first.String(), End: lastHost(prefix).String()}}
	}
	network.Subnets = append(slices.Clone(network.Subnets), v.ID)
	n.networks.Put(network.ID, network)
	return nil
}

// lastHost is the highest address that is not the broadcast address.
func lastHost(p netip.Prefix) netip.Addr {
	bytes := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	if p.Addr().Is4() && p.Bits() < 31 {
		return last.Prev()
	}
	return last
}

func (n *Neutron) subnetFree(v Subnet) error {
	if len(n.used(v.ID)) > 0 {
		return rest.Conflict("SubnetInUse", "Unable to complete operation on subnet %s: One or more ports have an IP allocation from this subnet.", v.ID)
	}
	if network, ok := n.networks.Get(v.NetworkID); ok {
		network.Subnets = slices.DeleteFunc(slices.Clone(network.Subnets), func(id string) bool { return id == v.ID })
		n.networks.Put(network.ID, network)
	}
	return nil
}

// used are the addresses of a subnet that ports have.
func (n *Neutron) used(subnetID string) map[netip.Addr]bool {
	out := map[netip.Addr]bool{}
	for _, p := range n.ports.All() {
		for _, ip := range p.FixedIPs {
			if ip.SubnetID == subnetID {
				out[netip.MustParseAddr(ip.IPAddress)] = true
			}
		}
	}
	return out
}

// free finds the first free address of a subnet's pools.
func (n *Neutron) free(s Subnet) (netip.Addr, bool) {
	used := n.used(s.ID)
	for _, pool := range s.Pools {
		end := netip.MustParseAddr(pool.End)
		for a := netip.MustParseAddr(pool.Start); a.Compare(end) <= 0; a = a.Next() {
			if !used[a] && (s.GatewayIP == nil || a.String() != *s.GatewayIP) {
				return a, true
			}
		}
	}
	return netip.Addr{}, false
}

func (n *Neutron) availability(r *rest.Request) (int, any, error) {
	id := r.PathValue("id")
	network, ok := n.networks.Get(id)
	if !ok || !seen(r, network.ProjectID, network.Shared) {
		return 0, nil, missing("NetworkNotFound", "Network")(id)
	}
	var total, used int
	subnets := []any{}
	for _, sid := range network.Subnets {
		s, _ := n.subnets.Get(sid)
		size, taken := poolSize(s), len(n.used(sid))
		total, used = total+size, used+taken
		subnets = append(subnets, rest.Doc{
			"subnet_id": s.ID, "subnet_name": s.Name, "cidr": s.CIDR, "ip_version": s.IPVersion,
			"total_ips": size, "used_ips": taken,
		})
	}
	return http.StatusOK, rest.Doc{"network_ip_availability": rest.Doc{
		"network_id": id, "network_name": network.Name, "tenant_id": network.ProjectID, "project_id": network.ProjectID,
		"total_ips": total, "used_ips": used, "subnet_ip_availability": subnets,
	}}, nil
}

// poolSize counts the addresses of a subnet's pools, up to what fits in 16 bits.
func poolSize(s Subnet) int {
	const most = 1 << 16
	size := 0
	for _, pool := range s.Pools {
		end := netip.MustParseAddr(pool.End)
		for a := netip.MustParseAddr(pool.Start); a.Compare(end) <= 0 && size < most; a = a.Next() {
			size++
		}
	}
	return size
}
