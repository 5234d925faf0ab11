package db

import "time"

// Amphora is a row of amphora.
type Amphora struct {
	ID             string     `gorm:"column:id;primaryKey"`
	ComputeID      *string    `gorm:"column:compute_id"` // Nova server id
	Status         string     `gorm:"column:status"`     // PENDING_CREATE, BOOTING, READY, ALLOCATED, PENDING_UPDATE, PENDING_DELETE, DELETED, ERROR, FAILOVER_STOPPED
	LoadBalancerID *string    `gorm:"column:load_balancer_id"`
	LBNetworkIP    *string    `gorm:"column:lb_network_ip"`   // address on the management network
	VRRPIP         *string    `gorm:"column:vrrp_ip"`         // address of the base port
	HAIP           *string    `gorm:"column:ha_ip"`           // the VIP
	VRRPPortID     *string    `gorm:"column:vrrp_port_id"`    // base port
	HAPortID       *string    `gorm:"column:ha_port_id"`      // VIP port
	Role           *string    `gorm:"column:role"`            // MASTER, BACKUP, STANDALONE or null
	CertExpiration *time.Time `gorm:"column:cert_expiration"` // not-after, UTC
	CertBusy       bool       `gorm:"column:cert_busy"`       // a rotation is running
	VRRPInterface  *string    `gorm:"column:vrrp_interface"`  // interface name the agent reported
	VRRPID         *int       `gorm:"column:vrrp_id"`         // always 1
	VRRPPriority   *int       `gorm:"column:vrrp_priority"`   // 100 MASTER, 90 BACKUP, null STANDALONE
	CachedZone     *string    `gorm:"column:cached_zone"`     // OS-EXT-AZ:availability_zone
	CreatedAt      *time.Time `gorm:"column:created_at;autoCreateTime:false;autoUpdateTime:false"`
	UpdatedAt      *time.Time `gorm:"column:updated_at;autoCreateTime:false;autoUpdateTime:false"`
	ImageID        *string    `gorm:"column:image_id"`       // Glance id
	ComputeFlavor  *string    `gorm:"column:compute_flavor"` // Nova flavor id
}

// TableName implements gorm's Tabler.
func (Amphora) TableName() string { return "amphora" }

// AmphoraBuildRequest is a row of amphora_build_request.
type AmphoraBuildRequest struct {
	AmphoraID   string    `gorm:"column:amphora_id;primaryKey"`
	Priority    *int      `gorm:"column:priority"` // 20 failover, 40 normal, 80 admin failover; lower first
	CreatedTime time.Time `gorm:"column:created_time"`
	Status      string    `gorm:"column:status"` // WAITING or BUILDING
}

// TableName implements gorm's Tabler.
func (AmphoraBuildRequest) TableName() string { return "amphora_build_request" }

// AmphoraBuildSlots is a row of amphora_build_slots.
type AmphoraBuildSlots struct {
	ID        int  `gorm:"column:id;primaryKey"`
	SlotsUsed *int `gorm:"column:slots_used"`
}

// TableName implements gorm's Tabler.
func (AmphoraBuildSlots) TableName() string { return "amphora_build_slots" }

// AmphoraHealth is a row of amphora_health.
type AmphoraHealth struct {
	AmphoraID  string    `gorm:"column:amphora_id;primaryKey"`
	LastUpdate time.Time `gorm:"column:last_update"` // UTC of the last accepted heartbeat; set by the health manager
	Busy       bool      `gorm:"column:busy"`        // true = leave it alone (failover or delete running)
}

// TableName implements gorm's Tabler.
func (AmphoraHealth) TableName() string { return "amphora_health" }

// AmphoraMemberPort is a row of amphora_member_port.
type AmphoraMemberPort struct {
	PortID    string     `gorm:"column:port_id;primaryKey"`
	AmphoraID string     `gorm:"column:amphora_id"`
	NetworkID *string    `gorm:"column:network_id"`
	CreatedAt *time.Time `gorm:"column:created_at;autoCreateTime:false;autoUpdateTime:false"`
	UpdatedAt *time.Time `gorm:"column:updated_at;autoCreateTime:false;autoUpdateTime:false"`
}

// TableName implements gorm's Tabler.
func (AmphoraMemberPort) TableName() string { return "amphora_member_port" }
