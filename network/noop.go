package network

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/ottavino/ottavino/cloud"
)

// The subnets of every network of Noop: nets for tests and documents.
const (
	noopCIDR4    = "198.18.0.0/15"
	noopGateway4 = "198.18.0.1"
	noopCIDR6    = "2001:db8::/32"
	noopGateway6 = "2001:db8::1"
	noopFree     = 100_000
	noopMTU      = 1500
)

// Noop is Neutron without a cloud, network_noop_driver. What it made it remembers; whatever
// else it is asked for exists too, with properties that follow from the id, so that several
// processes agree. What was deleted is gone. Safe for concurrent use.
type Noop struct {
	mu      sync.Mutex
	ports   map[string]*Port
	named   map[string][]*Port // the same by name: who looks for a port knows that
	gone    map[string]bool    // ids of deleted ports
	subnets map[string]string  // network by subnet
	last    string             // the network that was named last; "" = none yet
	groups  map[string]string  // name by id
	rules   map[string][]Rule  // by group
	given4  netip.Addr         // the last address of each family
	given6  netip.Addr
}

// NewNoop makes a cloud where nothing was made yet.
func NewNoop() *Noop {
	return &Noop{
		ports: map[string]*Port{}, named: map[string][]*Port{}, gone: map[string]bool{}, subnets: map[string]string{},
		groups: map[string]string{}, rules: map[string][]Rule{},
		given4: netip.MustParseAddr("198.19.0.0"), given6: netip.MustParseAddr("2001:db8:1::"),
	}
}

// derived is an id that follows from another.
func derived(kind, id string) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(kind+" "+id)).String()
}

// Port reads a port. Gone when it was deleted here.
func (n *Noop) Port(_ context.Context, id string) (Port, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, err := n.port("show port", id)
	if err != nil {
		return Port{}, err
	}
	return p.clone(), nil
}

// port finds a port or makes up one that somebody else made.
func (n *Noop) port(op, id string) (*Port, error) {
	if p := n.ports[id]; p != nil {
		return p, nil
	}
	if n.gone[id] || id == "" {
		return nil, noopGone(op, "Port", id)
	}
	network := derived("network", id)
	p := n.made(PortSpec{NetworkID: network, FixedIPs: []FixedIP{{SubnetID: derived("v4", network)}}})
	p.ID = id
	n.keep(p)
	return p, nil
}

func (n *Noop) keep(p *Port) {
	n.ports[p.ID] = p
	n.named[p.Name] = append(n.named[p.Name], p)
}

func (n *Noop) forget(p *Port) {
	delete(n.ports, p.ID)
	n.named[p.Name] = slices.DeleteFunc(n.named[p.Name], func(q *Port) bool { return q == p })
	if len(n.named[p.Name]) == 0 {
		delete(n.named, p.Name)
	}
}

func (n *Noop) made(s PortSpec) *Port {
	id := uuid.New()
	p := &Port{
		ID: id.String(), Name: s.Name, NetworkID: s.NetworkID,
		MAC:      fmt.Sprintf("fa:16:3e:%02x:%02x:%02x", id[0], id[1], id[2]),
		DeviceID: s.DeviceID, DeviceOwner: s.DeviceOwner, ProjectID: s.ProjectID, Status: "DOWN",
		AdminStateUp: s.AdminStateUp, SecurityGroups: slices.Clone(s.SecurityGroups),
		AllowedAddresses: slices.Clone(s.AllowedAddresses), QoSPolicyID: s.QoSPolicyID, VNICType: s.VNICType,
	}
	if p.VNICType == "" {
		p.VNICType = "normal"
	}
	p.FixedIPs = n.addressed(s.NetworkID, s.FixedIPs)
	return p
}

// addressed completes what is asked for with subnets and addresses.
func (n *Noop) addressed(networkID string, ask []FixedIP) []FixedIP {
	if len(ask) == 0 {
		ask = []FixedIP{{SubnetID: derived("v4", networkID)}}
	}
	out := make([]FixedIP, 0, len(ask))
	for _, ip := range ask {
		if ip.SubnetID == "" {
			ip.SubnetID = derived(family(ip.Address), networkID)
		}
		if ip.Address == "" {
			ip.Address = n.nextAddress(ip.SubnetID == derived("v6", networkID))
		}
		n.subnets[ip.SubnetID] = networkID
		out = append(out, ip)
	}
	return out
}

func family(address string) string {
	if a, err := netip.ParseAddr(address); err == nil && a.Is6() {
		return "v6"
	}
	return "v4"
}

func (n *Noop) nextAddress(six bool) string {
	if six {
		n.given6 = n.given6.Next()
		return n.given6.String()
	}
	n.given4 = n.given4.Next()
	if !netip.MustParsePrefix(noopCIDR4).Contains(n.given4) {
		n.given4 = netip.MustParseAddr("198.19.0.1")
	}
	return n.given4.String()
}

// Ports lists the ports that this process knows.
func (n *Noop) Ports(_ context.Context, f PortFilter) ([]Port, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	candidates := maps.Values(n.ports)
	if f.Name != "" {
		candidates = slices.Values(n.named[f.Name])
	}
	var found []Port
	for p := range candidates {
		if f.matches(p) {
			found = append(found, p.clone())
		}
	}
	slices.SortFunc(found, func(a, b Port) int { return strings.Compare(a.ID, b.ID) })
	return found, nil
}

func (f PortFilter) matches(p *Port) bool {
	fits := func(want, have string) bool { return want == "" || want == have }
	return fits(f.Name, p.Name) && fits(f.DeviceID, p.DeviceID) && fits(f.DeviceOwner, p.DeviceOwner) &&
		fits(f.NetworkID, p.NetworkID)
}

// CreatePort makes a port. Every address is free.
func (n *Noop) CreatePort(_ context.Context, s PortSpec) (Port, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.made(s)
	n.keep(p)
	return p.clone(), nil
}

// UpdatePort changes a port. Gone when it was deleted here.
func (n *Noop) UpdatePort(_ context.Context, id string, c PortChange) (Port, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, err := n.port("update port", id)
	if err != nil {
		return Port{}, err
	}
	n.forget(p) // by the name it had
	assign(&p.Name, c.Name)
	n.keep(p)
	assign(&p.DeviceID, c.DeviceID)
	assign(&p.DeviceOwner, c.DeviceOwner)
	assign(&p.AdminStateUp, c.AdminStateUp)
	assign(&p.QoSPolicyID, c.QoSPolicyID)
	if c.FixedIPs != nil {
		p.FixedIPs = n.addressed(p.NetworkID, *c.FixedIPs)
	}
	if c.SecurityGroups != nil {
		p.SecurityGroups = slices.Clone(*c.SecurityGroups)
	}
	if c.AllowedAddresses != nil {
		p.AllowedAddresses = slices.Clone(*c.AllowedAddresses)
	}
	return p.clone(), nil
}

func assign[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// DeletePort forgets a port; absent is no error.
func (n *Noop) DeletePort(_ context.Context, id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gone[id] = true
	if p := n.ports[id]; p != nil {
		n.forget(p)
	}
	return nil
}

func (p *Port) clone() Port {
	c := *p
	c.FixedIPs = slices.Clone(p.FixedIPs)
	c.SecurityGroups = slices.Clone(p.SecurityGroups)
	c.AllowedAddresses = slices.Clone(p.AllowedAddresses)
	return c
}

// Subnet reads a subnet; all exist.
func (n *Noop) Subnet(_ context.Context, id string) (Subnet, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	network := n.subnets[id]
	if network == "" { // nobody said where it is: on the network named last, as upstream's driver has it
		network = cmp.Or(n.last, derived("network", ""))
		n.subnets[id] = network
	}
	s := Subnet{ID: id, NetworkID: network, CIDR: noopCIDR4, GatewayIP: noopGateway4, IPVersion: 4}
	if id == derived("v6", network) {
		s.CIDR, s.GatewayIP, s.IPVersion = noopCIDR6, noopGateway6, 6
	}
	return s, nil
}

// Network reads a network; all exist, with an IPv4 and an IPv6 subnet.
func (n *Noop) Network(_ context.Context, id string) (Network, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	four, six := derived("v4", id), derived("v6", id)
	n.subnets[four], n.subnets[six], n.last = id, id, id
	return Network{ID: id, MTU: noopMTU, PortSecurity: true, SubnetIDs: []string{four, six}}, nil
}

// HasSubnet remembers that the subnet belongs to the network: all that are named together do.
func (n *Noop) HasSubnet(_ context.Context, networkID, subnetID string) (bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.subnets[subnetID], n.last = networkID, networkID
	return true, nil
}

// FreeAddresses says that there are plenty.
func (n *Noop) FreeAddresses(_ context.Context, networkID string) (map[string]int, error) {
	return map[string]int{derived("v4", networkID): noopFree, derived("v6", networkID): noopFree}, nil
}

// QoSPolicyExists is true.
func (n *Noop) QoSPolicyExists(context.Context, string) (bool, error) { return true, nil }

// SecurityGroupExists is true.
func (n *Noop) SecurityGroupExists(context.Context, string) (bool, error) { return true, nil }

// HasExtension is true.
func (n *Noop) HasExtension(context.Context, string) (bool, error) { return true, nil }

// FindSecurityGroups returns the ids of the groups of exactly this name.
func (n *Noop) FindSecurityGroups(_ context.Context, name string) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(n.groups)) {
		if n.groups[id] == name {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// CreateSecurityGroup makes a group.
func (n *Noop) CreateSecurityGroup(_ context.Context, name, _ string) (id string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	id = uuid.NewString()
	n.groups[id] = name
	return id, nil
}

// SyncRules sets the rules of a group. Gone when this process did not make the group.
func (n *Noop) SyncRules(_ context.Context, groupID string, want []Rule) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.groups[groupID]; !ok {
		return noopGone("list rules", "Security group", groupID)
	}
	n.rules[groupID] = slices.Clone(want)
	return nil
}

// Rules returns the rules of a group as they were set last.
func (n *Noop) Rules(groupID string) []Rule {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.rules[groupID])
}

// DeleteSecurityGroup forgets a group; absent is no error.
func (n *Noop) DeleteSecurityGroup(_ context.Context, id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.groups, id)
	delete(n.rules, id)
	return nil
}

// SecurityGroups lists the groups with a name prefix, name by id.
func (n *Noop) SecurityGroups(_ context.Context, prefix string) (map[string]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	names := maps.Clone(n.groups)
	maps.DeleteFunc(names, func(_, name string) bool { return !strings.HasPrefix(name, prefix) })
	return names, nil
}

func noopGone(op, kind, id string) error {
	return &cloud.Error{
		Class: cloud.Gone, Service: "network", Op: op, Status: 404,
		Message: fmt.Sprintf("%s %s could not be found.", kind, id),
	}
}
