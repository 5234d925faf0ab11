// Package network holds our verbs on Neutron. Every error is a *cloud.Error. Noop implements
// the same verbs without a cloud.
package network

// Names and owners of what we make in Neutron are upstream's, so both find each other's.
const (
	VIPOwner = "Octavia" // device_owner of ports before Nova binds them
)

// VIPPortName names the VIP port of a load balancer.
func VIPPortName(lbID string) string { return "octavia-lb-" + lbID }

// BasePortName names the port that carries the VIP in an amphora.
func BasePortName(ampID string) string { return "octavia-lb-vrrp-" + ampID }

// MemberPortName names the ports of an amphora on networks of members.
func MemberPortName(ampID string) string { return "octavia-lb-member-" + ampID }

// SecurityGroupName names the security group of a load balancer.
func SecurityGroupName(lbID string) string { return "lb-" + lbID }

// FixedIP is an address in a subnet. Either part may be empty in requests.
type FixedIP struct{ SubnetID, Address string }

// Port is a Neutron port.
type Port struct {
	ID, Name, NetworkID, MAC string
	DeviceID, DeviceOwner    string
	ProjectID, Status        string
	AdminStateUp             bool
	FixedIPs                 []FixedIP
	SecurityGroups           []string
	AllowedAddresses         []string // ip_address of allowed_address_pairs
	QoSPolicyID, VNICType    string
}

// PortSpec is a port to make.
type PortSpec struct {
	Name, NetworkID       string
	ProjectID             string // "" = ours
	DeviceID, DeviceOwner string
	AdminStateUp          bool
	FixedIPs              []FixedIP // empty = Neutron chooses
	SecurityGroups        []string  // nil = Neutron's default, empty = none
	AllowedAddresses      []string
	QoSPolicyID, VNICType string // "" = not sent
}

// PortChange updates a port; nil fields are left alone.
type PortChange struct {
	Name, DeviceID, DeviceOwner *string
	AdminStateUp                *bool
	FixedIPs                    *[]FixedIP
	SecurityGroups              *[]string
	AllowedAddresses            *[]string
	QoSPolicyID                 *string // pointer to "" clears
}

// Subnet is a Neutron subnet.
type Subnet struct {
	ID, Name, NetworkID, ProjectID string
	CIDR, GatewayIP                string // GatewayIP "" = none
	IPVersion                      int
	HostRoutes                     []HostRoute
}

// HostRoute is a static route of a subnet.
type HostRoute struct{ Destination, NextHop string }

// Network is a Neutron network.
type Network struct {
	ID, Name, ProjectID string
	MTU                 int // 0 = not said
	PortSecurity        bool
	SubnetIDs           []string
	External            bool
}

// Rule is an ingress rule of a security group.
type Rule struct {
	Protocol  string // tcp, udp, sctp, 112, 51
	Port      int    // min = max; 0 = none (112, 51)
	Remote    string // CIDR; "" = any
	EtherType string // IPv4 or IPv6
}

// PortFilter selects ports; empty fields do not filter.
type PortFilter struct{ Name, DeviceID, DeviceOwner, NetworkID string }
