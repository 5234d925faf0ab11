package network

import "cmp"

// wirePort is a port as Neutron writes it; its nulls become empty.
type wirePort struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	NetworkID   string     `json:"network_id"`
	MAC         string     `json:"mac_address"`
	DeviceID    string     `json:"device_id"`
	DeviceOwner string     `json:"device_owner"`
	ProjectID   string     `json:"project_id"`
	TenantID    string     `json:"tenant_id"`
	Status      string     `json:"status"`
	AdminUp     bool       `json:"admin_state_up"`
	FixedIPs    []wireIP   `json:"fixed_ips"`
	Groups      []string   `json:"security_groups"`
	Pairs       []wirePair `json:"allowed_address_pairs"`
	QoSPolicyID string     `json:"qos_policy_id"`
	VNICType    string     `json:"binding:vnic_type"`
}

type wireIP struct {
	SubnetID string `json:"subnet_id,omitempty"`
	Address  string `json:"ip_address,omitempty"`
}

type wirePair struct {
	Address string `json:"ip_address"`
}

func (w wirePort) read() Port {
	p := Port{
		ID: w.ID, Name: w.Name, NetworkID: w.NetworkID, MAC: w.MAC, DeviceID: w.DeviceID, DeviceOwner: w.DeviceOwner,
		ProjectID: cmp.Or(w.ProjectID, w.TenantID), Status: w.Status, AdminStateUp: w.AdminUp,
		SecurityGroups: w.Groups, QoSPolicyID: w.QoSPolicyID, VNICType: w.VNICType,
	}
	for _, ip := range w.FixedIPs {
		p.FixedIPs = append(p.FixedIPs, FixedIP(ip))
	}
	for _, pair := range w.Pairs {
		p.AllowedAddresses = append(p.AllowedAddresses, pair.Address)
	}
	return p
}

type wireSubnet struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	NetworkID string `json:"network_id"`
	ProjectID string `json:"project_id"`
	TenantID  string `json:"tenant_id"`
	CIDR      string `json:"cidr"`
	GatewayIP string `json:"gateway_ip"`
	IPVersion int    `json:"ip_version"`
	Routes    []struct {
		Destination string `json:"destination"`
		NextHop     string `json:"nexthop"`
	} `json:"host_routes"`
}

func (w wireSubnet) read() Subnet {
	s := Subnet{
		ID: w.ID, Name: w.Name, NetworkID: w.NetworkID, ProjectID: cmp.Or(w.ProjectID, w.TenantID),
		CIDR: w.CIDR, GatewayIP: w.GatewayIP, IPVersion: w.IPVersion,
	}
	for _, r := range w.Routes {
		s.HostRoutes = append(s.HostRoutes, HostRoute(r))
	}
	return s
}

type wireNetwork struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	ProjectID string   `json:"project_id"`
	TenantID  string   `json:"tenant_id"`
	MTU       int      `json:"mtu"`
	Security  *bool    `json:"port_security_enabled"`
	Subnets   []string `json:"subnets"`
	External  bool     `json:"router:external"`
}

func (w wireNetwork) read() Network {
	return Network{
		ID: w.ID, Name: w.Name, ProjectID: cmp.Or(w.ProjectID, w.TenantID), MTU: w.MTU,
		// Without the extension Neutron does not say, and filters.
		PortSecurity: w.Security == nil || *w.Security,
		SubnetIDs:    w.Subnets, External: w.External,
	}
}

// wireCreate is a port to make. Absent means that Neutron chooses, so that an empty list of
// groups differs from none.
type wireCreate struct {
	Name        string     `json:"name,omitempty"`
	NetworkID   string     `json:"network_id"`
	ProjectID   string     `json:"project_id,omitempty"`
	DeviceID    string     `json:"device_id,omitempty"`
	DeviceOwner string     `json:"device_owner,omitempty"`
	AdminUp     bool       `json:"admin_state_up"`
	FixedIPs    []wireIP   `json:"fixed_ips,omitempty"`
	Groups      *[]string  `json:"security_groups,omitempty"`
	Pairs       []wirePair `json:"allowed_address_pairs,omitempty"`
	QoSPolicyID string     `json:"qos_policy_id,omitempty"`
	VNICType    string     `json:"binding:vnic_type,omitempty"`
}

func (s PortSpec) wire() wireCreate {
	w := wireCreate{
		Name: s.Name, NetworkID: s.NetworkID, ProjectID: s.ProjectID, DeviceID: s.DeviceID, DeviceOwner: s.DeviceOwner,
		AdminUp: s.AdminStateUp, FixedIPs: wireIPs(s.FixedIPs), Pairs: wirePairs(s.AllowedAddresses),
		QoSPolicyID: s.QoSPolicyID, VNICType: s.VNICType,
	}
	if s.SecurityGroups != nil {
		w.Groups = &s.SecurityGroups
	}
	return w
}

// wire names only what is to change: absent differs from empty and null.
func (c PortChange) wire() map[string]any {
	w := map[string]any{}
	set(w, "name", c.Name)
	set(w, "device_id", c.DeviceID)
	set(w, "device_owner", c.DeviceOwner)
	set(w, "admin_state_up", c.AdminStateUp)
	if c.FixedIPs != nil {
		w["fixed_ips"] = wireIPs(*c.FixedIPs)
	}
	if c.SecurityGroups != nil {
		w["security_groups"] = append([]string{}, *c.SecurityGroups...)
	}
	if c.AllowedAddresses != nil {
		w["allowed_address_pairs"] = wirePairs(*c.AllowedAddresses)
	}
	set(w, "qos_policy_id", c.QoSPolicyID)
	if w["qos_policy_id"] == "" {
		w["qos_policy_id"] = nil
	}
	return w
}

func set[T any](w map[string]any, key string, v *T) {
	if v != nil {
		w[key] = *v
	}
}

func wireIPs(ips []FixedIP) []wireIP {
	out := make([]wireIP, 0, len(ips))
	for _, ip := range ips {
		out = append(out, wireIP(ip))
	}
	return out
}

func wirePairs(addresses []string) []wirePair {
	out := make([]wirePair, 0, len(addresses))
	for _, a := range addresses {
		out = append(out, wirePair{a})
	}
	return out
}
