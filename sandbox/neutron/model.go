package neutron

// Network is a network. Bridge names the Linux bridge behind it.
type Network struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	Description  string   `json:"description"`
	TenantID     string   `json:"tenant_id"`
	ProjectID    string   `json:"project_id"`
	Status       string   `json:"status"`
	AdminStateUp bool     `json:"admin_state_up"`
	Shared       bool     `json:"shared"`
	External     bool     `json:"router:external"`
	MTU          int      `json:"mtu"` // bytes
	PortSecurity bool     `json:"port_security_enabled"`
	Subnets      []string `json:"subnets"`
	Tags         []string `json:"tags"`
}

// Pool is a range of addresses, both ends included.
type Pool struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

// HostRoute is a static route.
type HostRoute struct {
	Destination string `json:"destination"`
	NextHop     string `json:"nexthop"`
}

// Subnet is a subnet.
type Subnet struct {
	ID          string      `json:"id"`
	Name        string      `json:"name"`
	Description string      `json:"description"`
	TenantID    string      `json:"tenant_id"`
	ProjectID   string      `json:"project_id"`
	NetworkID   string      `json:"network_id"`
	CIDR        string      `json:"cidr"`
	IPVersion   int         `json:"ip_version"`
	GatewayIP   *string     `json:"gateway_ip"`
	DHCP        bool        `json:"enable_dhcp"`
	Pools       []Pool      `json:"allocation_pools"`
	DNS         []string    `json:"dns_nameservers"`
	HostRoutes  []HostRoute `json:"host_routes"`
	Tags        []string    `json:"tags"`
}

// FixedIP is an address of a port.
type FixedIP struct {
	SubnetID  string `json:"subnet_id"`
	IPAddress string `json:"ip_address"`
}

// AddressPair is an address that a port may use besides its own.
type AddressPair struct {
	IPAddress  string `json:"ip_address"`
	MACAddress string `json:"mac_address,omitempty"`
}

// Port is a port.
type Port struct {
	ID             string        `json:"id"`
	Name           string        `json:"name"`
	NetworkID      string        `json:"network_id"`
	TenantID       string        `json:"tenant_id"`
	ProjectID      string        `json:"project_id"`
	MACAddress     string        `json:"mac_address"`
	AdminStateUp   bool          `json:"admin_state_up"`
	Status         string        `json:"status"`
	DeviceID       string        `json:"device_id"`
	DeviceOwner    string        `json:"device_owner"`
	FixedIPs       []FixedIP     `json:"fixed_ips"`
	SecurityGroups []string      `json:"security_groups"`
	AddressPairs   []AddressPair `json:"allowed_address_pairs"`
	QoSPolicyID    *string       `json:"qos_policy_id"`
	VNICType       string        `json:"binding:vnic_type"`
	HostID         string        `json:"binding:host_id"`
	PortSecurity   bool          `json:"port_security_enabled"`
	Description    string        `json:"description"`
	Tags           []string      `json:"tags"`
}

// SecurityGroup is a security group with its rules.
type SecurityGroup struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	TenantID    string   `json:"tenant_id"`
	ProjectID   string   `json:"project_id"`
	Rules       []Rule   `json:"security_group_rules"`
	Stateful    bool     `json:"stateful"`
	Tags        []string `json:"tags"`
}

// Rule is a rule of a security group.
type Rule struct {
	ID              string  `json:"id"`
	SecurityGroupID string  `json:"security_group_id"`
	TenantID        string  `json:"tenant_id"`
	ProjectID       string  `json:"project_id"`
	Direction       string  `json:"direction"`
	Ethertype       string  `json:"ethertype"`
	Protocol        *string `json:"protocol"`
	PortRangeMin    *int    `json:"port_range_min"`
	PortRangeMax    *int    `json:"port_range_max"`
	RemoteIPPrefix  *string `json:"remote_ip_prefix"`
	RemoteGroupID   *string `json:"remote_group_id"`
	Description     string  `json:"description"`
}

// QoSPolicy is a QoS policy.
type QoSPolicy struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	TenantID    string `json:"tenant_id"`
	ProjectID   string `json:"project_id"`
	Shared      bool   `json:"shared"`
}
