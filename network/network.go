// Package network holds our verbs on Neutron. Every error is a *cloud.Error. Noop implements
// the same verbs without a cloud.
package network

import (
	"context"

	"github.com/ottavino/ottavino/cloud"
)

// Names and owners of what we make in Neutron are upstream's, so both find each other's.
const (
	VIPOwner = "Octavia" // device_owner of ports before Nova binds them
)

// VIPPortName, BasePortName, MemberPortName and SecurityGroupName name our objects.
func VIPPortName(lbID string) string       { return "octavia-lb-" + lbID }
func BasePortName(ampID string) string     { return "octavia-lb-vrrp-" + ampID }
func MemberPortName(ampID string) string   { return "octavia-lb-member-" + ampID }
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

// Neutron drives ports and security groups.
type Neutron struct{}

// NewNeutron wires a session; it makes no call.
func NewNeutron(s *cloud.Session, e cloud.Endpoint) *Neutron { panic("todo") }

// AsUser returns the same verbs with the caller's token (read only use: what may the user see).
func (n *Neutron) AsUser(token string) *Neutron { panic("todo") }

// Port, Subnet, Network read one object. Absent: class Gone.
func (n *Neutron) Port(ctx context.Context, id string) (Port, error)       { panic("todo") }
func (n *Neutron) Subnet(ctx context.Context, id string) (Subnet, error)   { panic("todo") }
func (n *Neutron) Network(ctx context.Context, id string) (Network, error) { panic("todo") }

// QoSPolicyExists and SecurityGroupExists say whether an object is visible.
func (n *Neutron) QoSPolicyExists(ctx context.Context, id string) (bool, error)     { panic("todo") }
func (n *Neutron) SecurityGroupExists(ctx context.Context, id string) (bool, error) { panic("todo") }

// FreeAddresses returns free addresses per subnet of a network (network-ip-availability).
func (n *Neutron) FreeAddresses(ctx context.Context, networkID string) (map[string]int, error) {
	panic("todo")
}

// Ports lists ports; an error is never mistaken for an empty list.
func (n *Neutron) Ports(ctx context.Context, f PortFilter) ([]Port, error) { panic("todo") }

// CreatePort makes a port. An address already in use: class Conflict with Neutron's message.
func (n *Neutron) CreatePort(ctx context.Context, s PortSpec) (Port, error) { panic("todo") }

// UpdatePort changes a port. Absent: class Gone.
func (n *Neutron) UpdatePort(ctx context.Context, id string, c PortChange) (Port, error) {
	panic("todo")
}

// DeletePort deletes a port; absent is no error.
func (n *Neutron) DeletePort(ctx context.Context, id string) error { panic("todo") }

// FindSecurityGroups returns the ids of our groups of exactly this name.
func (n *Neutron) FindSecurityGroups(ctx context.Context, name string) ([]string, error) {
	panic("todo")
}

// CreateSecurityGroup makes a group in our project.
func (n *Neutron) CreateSecurityGroup(ctx context.Context, name, description string) (id string, err error) {
	panic("todo")
}

// SyncRules makes the ingress tcp/udp/sctp/112/51 rules of a group exactly these; others are left alone. A rule
// that is already there is no error.
func (n *Neutron) SyncRules(ctx context.Context, groupID string, want []Rule) error { panic("todo") }

// DeleteSecurityGroup deletes a group; absent is no error; in use: class Conflict.
func (n *Neutron) DeleteSecurityGroup(ctx context.Context, id string) error { panic("todo") }

// SecurityGroups lists our groups with a name prefix. For orphan hunting.
func (n *Neutron) SecurityGroups(ctx context.Context, prefix string) (map[string]string, error) {
	panic("todo")
}
