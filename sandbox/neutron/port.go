package neutron

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/netip"
	"slices"

	"github.com/ottavino/ottavino/sandbox/rest"
)

func (n *Neutron) portResource() *rest.Resource[Port] {
	return &rest.Resource[Port]{
		Path: "/v2.0/ports", Singular: "port", Plural: "ports", Items: n.ports,
		ID: func(v *Port) *string { return &v.ID },
		Default: func(*rest.Request) Port {
			return Port{
				AdminStateUp: true, Status: "DOWN", VNICType: "normal", PortSecurity: true,
				FixedIPs: nil, SecurityGroups: nil, AddressPairs: []AddressPair{}, Tags: []string{},
			}
		},
		Create: func(r *rest.Request, v *Port) error {
			if err := n.admit(r, "port", &v.TenantID, &v.ProjectID); err != nil {
				return err
			}
			return n.completePort(v)
		},
		Update:  func(_ *rest.Request, old Port, v *Port) error { return n.changePort(old, v) },
		Delete:  func(_ *rest.Request, v Port) error { n.tellGone(v); return nil },
		Visible: func(r *rest.Request, v Port) bool { return seen(r, v.ProjectID, false) },
		Missing: missing("PortNotFound", "Port"),
	}
}

func (n *Neutron) tellGone(v Port) {
	n.letGo(v.ID)
	if n.Gone != nil {
		go n.Gone(v)
	}
}

// completePort gives a new port its addresses and its MAC.
func (n *Neutron) completePort(v *Port) error {
	network, ok := n.networks.Get(v.NetworkID)
	if !ok {
		return missing("NetworkNotFound", "Network")(v.NetworkID)
	}
	n.joinDefault(v)
	if err := n.checkReferences(*v); err != nil {
		return err
	}
	if v.FixedIPs == nil {
		for _, id := range network.Subnets[:min(1, len(network.Subnets))] {
			v.FixedIPs = []FixedIP{{SubnetID: id}}
		}
	}
	if err := n.allocate(v, nil); err != nil {
		return err
	}
	if v.MACAddress == "" {
		v.MACAddress = newMAC()
	}
	return nil
}

func newMAC() string {
	var b [3]byte
	_, _ = rand.Read(b[:])
	return fmt.Sprintf("fa:16:3e:%02x:%02x:%02x", b[0], b[1], b[2])
}

func (n *Neutron) checkReferences(v Port) error {
	for _, id := range v.SecurityGroups {
		if _, ok := n.groups.Get(id); !ok {
			return missing("SecurityGroupNotFound", "Security group")(id)
		}
	}
	if v.QoSPolicyID != nil {
		if _, ok := n.policies.Get(*v.QoSPolicyID); !ok {
			return missing("QosPolicyNotFound", "QoS policy")(*v.QoSPolicyID)
		}
	}
	for _, pair := range v.AddressPairs {
		if _, err := netip.ParsePrefix(pair.IPAddress); err == nil {
			continue
		}
		if _, err := netip.ParseAddr(pair.IPAddress); err != nil {
			return rest.BadRequest("Invalid input for allowed_address_pairs. Reason: '%s' is not a valid IP address.", pair.IPAddress)
		}
	}
	return nil
}

// allocate completes fixed_ips; addresses that the port had before are its own.
func (n *Neutron) allocate(v *Port, had []FixedIP) error {
	out := make([]FixedIP, 0, len(v.FixedIPs))
	for _, want := range v.FixedIPs {
		subnet, err := n.subnetFor(v.NetworkID, want)
		if err != nil {
			return err
		}
		if want.IPAddress == "" {
			addr, ok := n.free(subnet)
			if !ok {
				return rest.Conflict("IpAddressGenerationFailure", "No more IP addresses available on network %s.", v.NetworkID)
			}
			want.IPAddress = addr.String()
		}
		mine := FixedIP{SubnetID: subnet.ID, IPAddress: want.IPAddress}
		addr, err := netip.ParseAddr(mine.IPAddress)
		if err != nil || !netip.MustParsePrefix(subnet.CIDR).Contains(addr) {
			return &rest.Error{
				Status: http.StatusBadRequest, Type: "InvalidIpForSubnet",
				Message: fmt.Sprintf("IP address %s is not a valid IP for the specified subnet.", mine.IPAddress),
			}
		}
		if n.used(subnet.ID)[addr] && !slices.Contains(had, mine) {
			return rest.Conflict("IpAddressAlreadyAllocated", "IP address %s already allocated in subnet %s", mine.IPAddress, subnet.ID)
		}
		out = append(out, mine)
	}
	v.FixedIPs = out
	return nil
}

// subnetFor finds the subnet that is named, or that holds the address.
func (n *Neutron) subnetFor(networkID string, want FixedIP) (Subnet, error) {
	if want.SubnetID != "" {
		s, ok := n.subnets.Get(want.SubnetID)
		if !ok {
			return s, missing("SubnetNotFound", "Subnet")(want.SubnetID)
		}
		if s.NetworkID != networkID {
			return s, rest.BadRequest("Invalid input for operation: Failed to create port on network %s, because fixed_ips included invalid subnet %s.", networkID, want.SubnetID)
		}
		return s, nil
	}
	addr, err := netip.ParseAddr(want.IPAddress)
	for _, s := range n.subnets.Where(func(s Subnet) bool { return s.NetworkID == networkID }) {
		if err == nil && netip.MustParsePrefix(s.CIDR).Contains(addr) {
			return s, nil
		}
	}
	return Subnet{}, rest.BadRequest("Invalid input for operation: IP address %s is not a valid IP for any of the subnets on the specified network.", want.IPAddress)
}

func (n *Neutron) changePort(old Port, v *Port) error {
	v.NetworkID, v.MACAddress, v.ProjectID, v.TenantID = old.NetworkID, old.MACAddress, old.ProjectID, old.TenantID
	if err := n.checkReferences(*v); err != nil {
		return err
	}
	return n.allocate(v, old.FixedIPs)
}
