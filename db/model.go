package db

import "time"

// AdditionalVIP is a row of additional_vip.
type AdditionalVIP struct {
	LoadBalancerID string  `gorm:"column:load_balancer_id;primaryKey"`
	IPAddress      *string `gorm:"column:ip_address"`
	PortID         *string `gorm:"column:port_id"`
	SubnetID       string  `gorm:"column:subnet_id;primaryKey"`
	NetworkID      *string `gorm:"column:network_id"`
}

// TableName implements gorm's Tabler.
func (AdditionalVIP) TableName() string { return "additional_vip" }

// AvailabilityZone is a row of availability_zone.
type AvailabilityZone struct {
	Name                      string  `gorm:"column:name;primaryKey"`
	Description               *string `gorm:"column:description"`
	Enabled                   bool    `gorm:"column:enabled"`
	AvailabilityZoneProfileID string  `gorm:"column:availability_zone_profile_id"`
}

// TableName implements gorm's Tabler.
func (AvailabilityZone) TableName() string { return "availability_zone" }

// AvailabilityZoneProfile is a row of availability_zone_profile.
type AvailabilityZoneProfile struct {
	ID                   string `gorm:"column:id;primaryKey"`
	Name                 string `gorm:"column:name"`
	ProviderName         string `gorm:"column:provider_name"`
	AvailabilityZoneData string `gorm:"column:availability_zone_data"` // JSON text
}

// TableName implements gorm's Tabler.
func (AvailabilityZoneProfile) TableName() string { return "availability_zone_profile" }

// Flavor is a row of flavor.
type Flavor struct {
	ID              string  `gorm:"column:id;primaryKey"`
	Name            string  `gorm:"column:name"`
	Description     *string `gorm:"column:description"`
	Enabled         bool    `gorm:"column:enabled"`
	FlavorProfileID string  `gorm:"column:flavor_profile_id"`
}

// TableName implements gorm's Tabler.
func (Flavor) TableName() string { return "flavor" }

// FlavorProfile is a row of flavor_profile.
type FlavorProfile struct {
	ID           string `gorm:"column:id;primaryKey"`
	Name         string `gorm:"column:name"`
	ProviderName string `gorm:"column:provider_name"`
	FlavorData   string `gorm:"column:flavor_data"` // JSON text
}

// TableName implements gorm's Tabler.
func (FlavorProfile) TableName() string { return "flavor_profile" }

// HealthMonitor is a row of health_monitor.
type HealthMonitor struct {
	PoolID             string     `gorm:"column:pool_id"`
	Type               string     `gorm:"column:type"`
	Delay              int        `gorm:"column:delay"`
	Timeout            int        `gorm:"column:timeout"`
	FallThreshold      int        `gorm:"column:fall_threshold"`
	RiseThreshold      int        `gorm:"column:rise_threshold"`
	HTTPMethod         *string    `gorm:"column:http_method"`
	URLPath            *string    `gorm:"column:url_path"`
	ExpectedCodes      *string    `gorm:"column:expected_codes"`
	Enabled            bool       `gorm:"column:enabled"`
	ProjectID          *string    `gorm:"column:project_id"`
	ProvisioningStatus string     `gorm:"column:provisioning_status"`
	Name               *string    `gorm:"column:name"`
	ID                 string     `gorm:"column:id;primaryKey"` // own id since 2017 (older rows: equal to pool_id)
	CreatedAt          *time.Time `gorm:"column:created_at;autoCreateTime:false;autoUpdateTime:false"`
	UpdatedAt          *time.Time `gorm:"column:updated_at;autoCreateTime:false;autoUpdateTime:false"`
	OperatingStatus    string     `gorm:"column:operating_status"`
	HTTPVersion        *float64   `gorm:"column:http_version"`
	DomainName         *string    `gorm:"column:domain_name"`
}

// TableName implements gorm's Tabler.
func (HealthMonitor) TableName() string { return "health_monitor" }

// L7Policy is a row of l7policy.
type L7Policy struct {
	ID                 string     `gorm:"column:id;primaryKey"`
	Name               *string    `gorm:"column:name"`
	Description        *string    `gorm:"column:description"`
	ListenerID         string     `gorm:"column:listener_id"`
	Action             string     `gorm:"column:action"`
	RedirectPoolID     *string    `gorm:"column:redirect_pool_id"`
	RedirectURL        *string    `gorm:"column:redirect_url"`
	Position           int        `gorm:"column:position"`
	Enabled            bool       `gorm:"column:enabled"`
	ProvisioningStatus string     `gorm:"column:provisioning_status"`
	CreatedAt          *time.Time `gorm:"column:created_at;autoCreateTime:false;autoUpdateTime:false"`
	UpdatedAt          *time.Time `gorm:"column:updated_at;autoCreateTime:false;autoUpdateTime:false"`
	ProjectID          *string    `gorm:"column:project_id"`
	OperatingStatus    string     `gorm:"column:operating_status"`
	RedirectPrefix     *string    `gorm:"column:redirect_prefix"`
	RedirectHTTPCode   *int       `gorm:"column:redirect_http_code"`
}

// TableName implements gorm's Tabler.
func (L7Policy) TableName() string { return "l7policy" }

// L7Rule is a row of l7rule.
type L7Rule struct {
	ID                 string     `gorm:"column:id;primaryKey"`
	L7policyID         string     `gorm:"column:l7policy_id"`
	Type               string     `gorm:"column:type"`
	CompareType        string     `gorm:"column:compare_type"`
	Key                *string    `gorm:"column:key"`
	Value              string     `gorm:"column:value"`
	Invert             bool       `gorm:"column:invert"`
	ProvisioningStatus string     `gorm:"column:provisioning_status"`
	CreatedAt          *time.Time `gorm:"column:created_at;autoCreateTime:false;autoUpdateTime:false"`
	UpdatedAt          *time.Time `gorm:"column:updated_at;autoCreateTime:false;autoUpdateTime:false"`
	ProjectID          *string    `gorm:"column:project_id"`
	Enabled            bool       `gorm:"column:enabled"`
	OperatingStatus    string     `gorm:"column:operating_status"`
}

// TableName implements gorm's Tabler.
func (L7Rule) TableName() string { return "l7rule" }

// Listener is a row of listener.
type Listener struct {
	ProjectID                *string       `gorm:"column:project_id"`
	ID                       string        `gorm:"column:id;primaryKey"`
	Name                     *string       `gorm:"column:name"`
	Description              *string       `gorm:"column:description"`
	Protocol                 string        `gorm:"column:protocol"`
	ProtocolPort             int           `gorm:"column:protocol_port"`
	ConnectionLimit          *int          `gorm:"column:connection_limit"`
	LoadBalancerID           *string       `gorm:"column:load_balancer_id"`
	TLSCertificateID         *string       `gorm:"column:tls_certificate_id"`
	DefaultPoolID            *string       `gorm:"column:default_pool_id"`
	ProvisioningStatus       string        `gorm:"column:provisioning_status"`
	OperatingStatus          string        `gorm:"column:operating_status"`
	Enabled                  bool          `gorm:"column:enabled"`
	PeerPort                 *int          `gorm:"column:peer_port"`      // haproxy peers port: 1025 for the first listener, then max+1
	InsertHeaders            InsertHeaders `gorm:"column:insert_headers"` // Python pickle of a dict
	CreatedAt                *time.Time    `gorm:"column:created_at;autoCreateTime:false;autoUpdateTime:false"`
	UpdatedAt                *time.Time    `gorm:"column:updated_at;autoCreateTime:false;autoUpdateTime:false"`
	TimeoutClientData        *int          `gorm:"column:timeout_client_data"`
	TimeoutMemberConnect     *int          `gorm:"column:timeout_member_connect"`
	TimeoutMemberData        *int          `gorm:"column:timeout_member_data"`
	TimeoutTCPInspect        *int          `gorm:"column:timeout_tcp_inspect"`
	ClientCATLSCertificateID *string       `gorm:"column:client_ca_tls_certificate_id"`
	ClientAuthentication     string        `gorm:"column:client_authentication"`
	ClientCRLContainerID     *string       `gorm:"column:client_crl_container_id"`
	TLSCiphers               *string       `gorm:"column:tls_ciphers"`
	TLSVersions              *string       `gorm:"column:tls_versions"`   // comma separated list
	ALPNProtocols            *string       `gorm:"column:alpn_protocols"` // comma separated list
	HSTSMaxAge               *int          `gorm:"column:hsts_max_age"`
	HSTSIncludeSubdomains    *bool         `gorm:"column:hsts_include_subdomains"`
	HSTSPreload              *bool         `gorm:"column:hsts_preload"`
}

// TableName implements gorm's Tabler.
func (Listener) TableName() string { return "listener" }

// ListenerCIDR is a row of listener_cidr.
type ListenerCIDR struct {
	ListenerID string `gorm:"column:listener_id;primaryKey"`
	CIDR       string `gorm:"column:cidr;primaryKey"`
}

// TableName implements gorm's Tabler.
func (ListenerCIDR) TableName() string { return "listener_cidr" }

// ListenerStatistics is a row of listener_statistics.
type ListenerStatistics struct {
	ListenerID        string `gorm:"column:listener_id;primaryKey"`
	BytesIn           int64  `gorm:"column:bytes_in"`
	BytesOut          int64  `gorm:"column:bytes_out"`
	ActiveConnections int    `gorm:"column:active_connections"`
	TotalConnections  int64  `gorm:"column:total_connections"`
	AmphoraID         string `gorm:"column:amphora_id;primaryKey"` // provider drivers without amphorae store the listener id here
	RequestErrors     int64  `gorm:"column:request_errors"`
}

// TableName implements gorm's Tabler.
func (ListenerStatistics) TableName() string { return "listener_statistics" }

// LoadBalancer is a row of load_balancer.
type LoadBalancer struct {
	ProjectID          *string    `gorm:"column:project_id"`
	ID                 string     `gorm:"column:id;primaryKey"`
	Name               *string    `gorm:"column:name"`
	Description        *string    `gorm:"column:description"`
	ProvisioningStatus string     `gorm:"column:provisioning_status"`
	OperatingStatus    string     `gorm:"column:operating_status"`
	Enabled            bool       `gorm:"column:enabled"`
	Topology           *string    `gorm:"column:topology"`        // SINGLE or ACTIVE_STANDBY
	ServerGroupID      *string    `gorm:"column:server_group_id"` // Nova server group
	CreatedAt          *time.Time `gorm:"column:created_at;autoCreateTime:false;autoUpdateTime:false"`
	UpdatedAt          *time.Time `gorm:"column:updated_at;autoCreateTime:false;autoUpdateTime:false"`
	Provider           *string    `gorm:"column:provider"`
	FlavorID           *string    `gorm:"column:flavor_id"`
	AvailabilityZone   *string    `gorm:"column:availability_zone"`
}

// TableName implements gorm's Tabler.
func (LoadBalancer) TableName() string { return "load_balancer" }

// Member is a row of member.
type Member struct {
	ProjectID          *string    `gorm:"column:project_id"`
	ID                 string     `gorm:"column:id;primaryKey"`
	PoolID             string     `gorm:"column:pool_id"`
	SubnetID           *string    `gorm:"column:subnet_id"` // null: reached through the VIP subnet
	IPAddress          *string    `gorm:"column:ip_address"`
	ProtocolPort       int        `gorm:"column:protocol_port"`
	Weight             *int       `gorm:"column:weight"`
	OperatingStatus    string     `gorm:"column:operating_status"`
	Enabled            bool       `gorm:"column:enabled"`
	CreatedAt          *time.Time `gorm:"column:created_at;autoCreateTime:false;autoUpdateTime:false"`
	UpdatedAt          *time.Time `gorm:"column:updated_at;autoCreateTime:false;autoUpdateTime:false"`
	ProvisioningStatus string     `gorm:"column:provisioning_status"`
	Name               *string    `gorm:"column:name"`
	MonitorAddress     *string    `gorm:"column:monitor_address"`
	MonitorPort        *int       `gorm:"column:monitor_port"`
	Backup             bool       `gorm:"column:backup"`
	VNICType           string     `gorm:"column:vnic_type"`
}

// TableName implements gorm's Tabler.
func (Member) TableName() string { return "member" }

// Pool is a row of pool.
type Pool struct {
	ProjectID          *string    `gorm:"column:project_id"`
	ID                 string     `gorm:"column:id;primaryKey"`
	Name               *string    `gorm:"column:name"`
	Description        *string    `gorm:"column:description"`
	Protocol           string     `gorm:"column:protocol"`
	LBAlgorithm        string     `gorm:"column:lb_algorithm"`
	OperatingStatus    string     `gorm:"column:operating_status"`
	Enabled            bool       `gorm:"column:enabled"`
	LoadBalancerID     *string    `gorm:"column:load_balancer_id"`
	CreatedAt          *time.Time `gorm:"column:created_at;autoCreateTime:false;autoUpdateTime:false"`
	UpdatedAt          *time.Time `gorm:"column:updated_at;autoCreateTime:false;autoUpdateTime:false"`
	ProvisioningStatus string     `gorm:"column:provisioning_status"`
	TLSCertificateID   *string    `gorm:"column:tls_certificate_id"`
	CATLSCertificateID *string    `gorm:"column:ca_tls_certificate_id"`
	CRLContainerID     *string    `gorm:"column:crl_container_id"`
	TLSEnabled         bool       `gorm:"column:tls_enabled"`
	TLSCiphers         *string    `gorm:"column:tls_ciphers"`
	TLSVersions        *string    `gorm:"column:tls_versions"`   // comma separated list
	ALPNProtocols      *string    `gorm:"column:alpn_protocols"` // comma separated list
}

// TableName implements gorm's Tabler.
func (Pool) TableName() string { return "pool" }

// Quota is a row of quotas.
type Quota struct {
	ProjectID          string `gorm:"column:project_id;primaryKey"`
	HealthMonitor      *int   `gorm:"column:health_monitor"`
	LoadBalancer       *int   `gorm:"column:load_balancer"`
	Listener           *int   `gorm:"column:listener"`
	Member             *int   `gorm:"column:member"`
	Pool               *int   `gorm:"column:pool"`
	InUseHealthMonitor *int   `gorm:"column:in_use_health_monitor"`
	InUseLoadBalancer  *int   `gorm:"column:in_use_load_balancer"` // counter, see quota notes
	InUseListener      *int   `gorm:"column:in_use_listener"`
	InUseMember        *int   `gorm:"column:in_use_member"`
	InUsePool          *int   `gorm:"column:in_use_pool"`
	L7policy           *int   `gorm:"column:l7policy"`
	L7rule             *int   `gorm:"column:l7rule"`
	InUseL7policy      *int   `gorm:"column:in_use_l7policy"`
	InUseL7rule        *int   `gorm:"column:in_use_l7rule"`
}

// TableName implements gorm's Tabler.
func (Quota) TableName() string { return "quotas" }

// SessionPersistence is a row of session_persistence.
type SessionPersistence struct {
	PoolID                 string  `gorm:"column:pool_id;primaryKey"`
	Type                   string  `gorm:"column:type"`
	CookieName             *string `gorm:"column:cookie_name"`
	PersistenceTimeout     *int    `gorm:"column:persistence_timeout"`
	PersistenceGranularity *string `gorm:"column:persistence_granularity"`
}

// TableName implements gorm's Tabler.
func (SessionPersistence) TableName() string { return "session_persistence" }

// SNI is a row of sni.
type SNI struct {
	ListenerID     string `gorm:"column:listener_id;primaryKey"`
	TLSContainerID string `gorm:"column:tls_container_id;primaryKey"`
	Position       *int   `gorm:"column:position"` // never set today
}

// TableName implements gorm's Tabler.
func (SNI) TableName() string { return "sni" }

// Tag is a row of tags.
type Tag struct {
	ResourceID string `gorm:"column:resource_id;primaryKey"` // id of any resource, no foreign key
	Tag        string `gorm:"column:tag;primaryKey"`
}

// TableName implements gorm's Tabler.
func (Tag) TableName() string { return "tags" }

// VIP is a row of vip.
type VIP struct {
	LoadBalancerID string  `gorm:"column:load_balancer_id;primaryKey"`
	IPAddress      *string `gorm:"column:ip_address"`
	PortID         *string `gorm:"column:port_id"`
	SubnetID       *string `gorm:"column:subnet_id"`
	NetworkID      *string `gorm:"column:network_id"`
	QoSPolicyID    *string `gorm:"column:qos_policy_id"`
	OctaviaOwned   *bool   `gorm:"column:octavia_owned"` // true when the service made the VIP port
	VNICType       string  `gorm:"column:vnic_type"`     // normal or direct
}

// TableName implements gorm's Tabler.
func (VIP) TableName() string { return "vip" }

// VIPSecurityGroup is a row of vip_security_group.
type VIPSecurityGroup struct {
	LoadBalancerID string `gorm:"column:load_balancer_id;primaryKey"`
	SGID           string `gorm:"column:sg_id;primaryKey"`
}

// TableName implements gorm's Tabler.
func (VIPSecurityGroup) TableName() string { return "vip_security_group" }

// VRRPGroup is a row of vrrp_group.
type VRRPGroup struct {
	LoadBalancerID string  `gorm:"column:load_balancer_id;primaryKey"`
	VRRPGroupName  *string `gorm:"column:vrrp_group_name"` // load balancer id without dashes
	VRRPAuthType   *string `gorm:"column:vrrp_auth_type"`  // PASS
	VRRPAuthPass   *string `gorm:"column:vrrp_auth_pass"`  // 7 random hex characters
	AdvertInt      *int    `gorm:"column:advert_int"`
}

// TableName implements gorm's Tabler.
func (VRRPGroup) TableName() string { return "vrrp_group" }

// InsertHeaders is listener.insert_headers: a dict of header name to "true"/"false" text. On the
// wire to the database it is a Python pickle, as upstream writes and reads it.
type InsertHeaders map[string]string
