package neutron

import (
	"github.com/ottavino/ottavino/sandbox/rest"
)

// FloatingIP is an address of an external network that stands for one of a port. No packet is sent through it.
type FloatingIP struct {
	ID          string   `json:"id"`
	TenantID    string   `json:"tenant_id"`
	ProjectID   string   `json:"project_id"`
	NetworkID   string   `json:"floating_network_id"`
	SubnetID    string   `json:"subnet_id,omitempty"`
	Address     string   `json:"floating_ip_address"`
	FixedIP     *string  `json:"fixed_ip_address"`
	PortID      *string  `json:"port_id"`
	RouterID    *string  `json:"router_id"`
	Status      string   `json:"status"`
	Description string   `json:"description"`
	Tags        []string `json:"tags"`
}

// floatingOwner is the device owner of the port that holds a floating IP's address.
const floatingOwner = "network:floatingip"

func (n *Neutron) floatingResource() *rest.Resource[FloatingIP] {
	return &rest.Resource[FloatingIP]{
		Path: "/v2.0/floatingips", Singular: "floatingip", Plural: "floatingips", Items: n.floating,
		ID:      func(v *FloatingIP) *string { return &v.ID },
		Default: func(*rest.Request) FloatingIP { return FloatingIP{Status: "DOWN", Tags: []string{}} },
		Create:  n.createFloating,
		Update: func(r *rest.Request, old FloatingIP, v *FloatingIP) error {
			v.NetworkID, v.Address, v.ProjectID, v.TenantID = old.NetworkID, old.Address, old.ProjectID, old.TenantID
			return n.associate(r, v)
		},
		Delete: func(_ *rest.Request, v FloatingIP) error {
			for _, p := range n.ports.Where(func(p Port) bool { return p.DeviceOwner == floatingOwner && p.DeviceID == v.ID }) {
				n.ports.Delete(p.ID)
			}
			return nil
		},
		Visible: func(r *rest.Request, v FloatingIP) bool { return seen(r, v.ProjectID, false) },
		Missing: missing("FloatingIPNotFound", "Floating IP"),
	}
}

func (n *Neutron) createFloating(r *rest.Request, v *FloatingIP) error {
	if err := n.admit(r, "floatingip", &v.TenantID, &v.ProjectID); err != nil {
		return err
	}
	network, ok := n.networks.Get(v.NetworkID)
	if !ok {
		return missing("NetworkNotFound", "Network")(v.NetworkID)
	}
	if !network.External || len(network.Subnets) == 0 {
		return rest.BadRequest("Bad floatingip request: Network %s is not a valid external network.", v.NetworkID)
	}
	if err := n.associate(r, v); err != nil {
		return err
	}
	if v.SubnetID == "" {
		v.SubnetID = network.Subnets[0]
	}
	p := Port{
		ID: rest.NewID(), NetworkID: v.NetworkID, Status: "N/A", AdminStateUp: true, VNICType: "normal",
		DeviceID: v.ID, DeviceOwner: floatingOwner, SecurityGroups: []string{}, AddressPairs: []AddressPair{}, Tags: []string{},
		FixedIPs: []FixedIP{{SubnetID: v.SubnetID, IPAddress: v.Address}},
	}
	if err := n.completePort(&p); err != nil {
		return err
	}
	n.ports.Put(p.ID, p)
	v.Address = p.FixedIPs[0].IPAddress
	return nil
}

// associate checks the port that a floating IP is to stand for, and completes the address; without a port it clears both.
func (n *Neutron) associate(r *rest.Request, v *FloatingIP) error {
	if value(v.PortID) == "" {
		v.PortID, v.FixedIP, v.Status = nil, nil, "DOWN"
		return nil
	}
	p, ok := n.ports.Get(*v.PortID)
	if !ok || !seen(r, p.ProjectID, false) {
		return missing("PortNotFound", "Port")(*v.PortID)
	}
	taken := n.floating.Where(func(o FloatingIP) bool { return o.ID != v.ID && value(o.PortID) == p.ID })
	if len(taken) > 0 {
		return rest.Conflict("FloatingIPPortAlreadyAssociated",
			"Cannot associate floating IP %s with port %s: the port already has a floating IP.", v.Address, p.ID)
	}
	if len(p.FixedIPs) == 0 {
		return rest.BadRequest("Bad floatingip request: Port %s has no fixed IPs.", p.ID)
	}
	v.FixedIP, v.Status = &p.FixedIPs[0].IPAddress, "ACTIVE"
	return nil
}

// letGo parts floating IPs from a port that goes.
func (n *Neutron) letGo(portID string) {
	for _, v := range n.floating.Where(func(v FloatingIP) bool { return value(v.PortID) == portID }) {
		v.PortID, v.FixedIP, v.Status = nil, nil, "DOWN"
		n.floating.Put(v.ID, v)
	}
}
