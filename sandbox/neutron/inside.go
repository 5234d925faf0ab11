package neutron

import (
	"cmp"
	"slices"

	"github.com/ottavino/ottavino/sandbox/rest"
)

// The functions below are for the sandbox itself and for its Nova: they ask no policy and are not recorded.

// AddNetwork makes a network with one subnet. gateway "" means none; start and end bound the pool,
// start "" means all of the subnet.
func (n *Neutron) AddNetwork(name, projectID string, shared bool, cidr, gateway, start, end string) (Network, Subnet, error) {
	n.Lock.Lock()
	defer n.Lock.Unlock()
	v := Network{
		ID: rest.NewID(), Name: name + "-net", TenantID: projectID, ProjectID: projectID, Status: "ACTIVE", AdminStateUp: true,
		Shared: shared, MTU: 1500, PortSecurity: true, Subnets: []string{}, Tags: []string{},
	}
	n.networks.Put(v.ID, v)
	s := Subnet{
		ID: rest.NewID(), Name: name + "-subnet", TenantID: projectID, ProjectID: projectID, NetworkID: v.ID, CIDR: cidr,
		IPVersion: 4, DHCP: true, GatewayIP: &gateway,
		DNS: []string{}, HostRoutes: []HostRoute{}, Tags: []string{},
	}
	if start != "" {
		s.Pools = []Pool{{start, end}}
	}
	if err := n.completeSubnet(&s); err != nil {
		return v, s, err
	}
	n.subnets.Put(s.ID, s)
	v, _ = n.networks.Get(v.ID)
	return v, s, nil
}

// AddGroup makes a security group with Neutron's default rules, and these for what comes in.
func (n *Neutron) AddGroup(name, projectID string, ingress ...Rule) SecurityGroup {
	n.Lock.Lock()
	defer n.Lock.Unlock()
	v := SecurityGroup{ID: rest.NewID(), Name: name, TenantID: projectID, ProjectID: projectID, Stateful: true, Tags: []string{}}
	n.defaultRules(&v)
	for _, r := range ingress {
		r.ID, r.SecurityGroupID, r.TenantID, r.ProjectID, r.Direction = rest.NewID(), v.ID, projectID, projectID, "ingress"
		n.rules.Put(r.ID, r)
		v.Rules = append(v.Rules, r)
	}
	n.groups.Put(v.ID, v)
	return v
}

// Secured is a port with the rules of all its groups.
type Secured struct {
	Port
	Rules []Rule
	// Groups are the addresses of the ports of each group that a rule names as the other side.
	Groups map[string][]AddressPair
}

// Secured returns these ports. Of one that is gone there is but the id: nothing may pass.
func (n *Neutron) Secured(portIDs []string) []Secured {
	n.Lock.Lock()
	defer n.Lock.Unlock()
	var out []Secured
	addresses := map[string][]AddressPair{}
	for _, id := range portIDs {
		p, ok := n.ports.Get(id)
		if !ok {
			p = Port{ID: id, PortSecurity: true, VNICType: "normal"}
		}
		s := Secured{Port: p, Groups: addresses}
		for _, id := range p.SecurityGroups {
			g, _ := n.groups.Get(id)
			s.Rules = append(s.Rules, g.Rules...)
		}
		for _, r := range s.Rules {
			if id := value(r.RemoteGroupID); id != "" && addresses[id] == nil {
				addresses[id] = n.addressesIn(id)
			}
		}
		out = append(out, s)
	}
	return out
}

func (n *Neutron) addressesIn(groupID string) []AddressPair {
	out := []AddressPair{}
	for _, p := range n.ports.Where(func(p Port) bool { return slices.Contains(p.SecurityGroups, groupID) }) {
		out = append(out, p.Addresses()...)
	}
	return out
}

// Addresses are all that a port may speak from.
func (p Port) Addresses() []AddressPair {
	var out []AddressPair
	for _, ip := range p.FixedIPs {
		out = append(out, AddressPair{ip.IPAddress, p.MACAddress})
	}
	for _, pair := range p.AddressPairs {
		out = append(out, AddressPair{pair.IPAddress, cmp.Or(pair.MACAddress, p.MACAddress)})
	}
	return out
}

// AddPort makes a port as it is given, completed as the API would, if the project's quota has room for it.
func (n *Neutron) AddPort(v Port) (Port, error) {
	n.Lock.Lock()
	defer n.Lock.Unlock()
	if err := n.room(v.ProjectID, "port"); err != nil {
		return v, err
	}
	v.ID, v.TenantID, v.Status = rest.NewID(), v.ProjectID, "DOWN"
	v.AdminStateUp, v.VNICType, v.PortSecurity = true, "normal", true
	v.AddressPairs, v.Tags = []AddressPair{}, []string{}
	if err := n.completePort(&v); err != nil {
		return v, err
	}
	n.ports.Put(v.ID, v)
	return v, nil
}

// Bind gives a port to a device, if it has none.
func (n *Neutron) Bind(portID, deviceID, owner, host string) (Port, error) {
	n.Lock.Lock()
	defer n.Lock.Unlock()
	p, ok := n.ports.Get(portID)
	if !ok {
		return p, missing("PortNotFound", "Port")(portID)
	}
	if p.DeviceID != "" && p.DeviceID != deviceID {
		return p, rest.Conflict("PortInUse", "Port %s is still in use.", portID)
	}
	p.DeviceID, p.DeviceOwner, p.HostID, p.Status = deviceID, owner, host, "ACTIVE"
	n.ports.Put(p.ID, p)
	return p, nil
}

// Unbind takes a port from a device; absent or another's is no error.
func (n *Neutron) Unbind(portID, deviceID string) {
	n.Lock.Lock()
	defer n.Lock.Unlock()
	p, ok := n.ports.Get(portID)
	if !ok || p.DeviceID != deviceID {
		return
	}
	p.DeviceID, p.DeviceOwner, p.HostID, p.Status = "", "", "", "DOWN"
	n.ports.Put(p.ID, p)
}

// RemovePort deletes a port; absent is no error.
func (n *Neutron) RemovePort(portID string) {
	n.Lock.Lock()
	n.letGo(portID)
	n.ports.Delete(portID)
	n.Lock.Unlock()
	if n.Changed != nil {
		n.Changed()
	}
}

// Port returns a port by id.
func (n *Neutron) Port(id string) (Port, bool) {
	n.Lock.Lock()
	defer n.Lock.Unlock()
	return n.ports.Get(id)
}

// Network returns a network by id.
func (n *Neutron) Network(id string) (Network, bool) {
	n.Lock.Lock()
	defer n.Lock.Unlock()
	return n.networks.Get(id)
}

// Subnet returns a subnet by id.
func (n *Neutron) Subnet(id string) (Subnet, bool) {
	n.Lock.Lock()
	defer n.Lock.Unlock()
	return n.subnets.Get(id)
}

// PortsOf returns the ports of a device; of all devices when it is "".
func (n *Neutron) PortsOf(deviceID string) []Port {
	n.Lock.Lock()
	defer n.Lock.Unlock()
	return n.ports.Where(func(p Port) bool { return deviceID == "" || p.DeviceID == deviceID })
}

// Groups returns all security groups.
func (n *Neutron) Groups() []SecurityGroup {
	n.Lock.Lock()
	defer n.Lock.Unlock()
	return n.groups.All()
}

// GroupNamed finds a group by name or id.
func (n *Neutron) GroupNamed(name string) (SecurityGroup, bool) {
	for _, g := range n.Groups() {
		if g.Name == name || g.ID == name {
			return g, true
		}
	}
	return SecurityGroup{}, false
}
