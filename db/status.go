package db

// ProvisioningStatus says whether the control plane is busy with an object. Its values are
// the rows of provisioning_status; amphorae use the same list.
type ProvisioningStatus = string

// Provisioning statuses.
const (
	Active          ProvisioningStatus = "ACTIVE"
	Allocated       ProvisioningStatus = "ALLOCATED"
	Booting         ProvisioningStatus = "BOOTING"
	Deleted         ProvisioningStatus = "DELETED"
	Error           ProvisioningStatus = "ERROR"
	FailoverStopped ProvisioningStatus = "FAILOVER_STOPPED"
	PendingCreate   ProvisioningStatus = "PENDING_CREATE"
	PendingDelete   ProvisioningStatus = "PENDING_DELETE"
	PendingUpdate   ProvisioningStatus = "PENDING_UPDATE"
	Ready           ProvisioningStatus = "READY"
)

// OperatingStatus says whether an object works right now.
type OperatingStatus = string

// Operating statuses.
const (
	Online    OperatingStatus = "ONLINE"
	Offline   OperatingStatus = "OFFLINE"
	Degraded  OperatingStatus = "DEGRADED"
	OpError   OperatingStatus = "ERROR"
	NoMonitor OperatingStatus = "NO_MONITOR"
	Draining  OperatingStatus = "DRAINING"
)

// Kind names a type of object inside a load balancer, as events and status writes do.
type Kind string

// Kinds; the values are the ones the API's fault texts and events use.
const (
	KindLoadBalancer  Kind = "loadbalancer"
	KindListener      Kind = "listener"
	KindPool          Kind = "pool"
	KindMember        Kind = "member"
	KindHealthMonitor Kind = "healthmonitor"
	KindL7Policy      Kind = "l7policy"
	KindL7Rule        Kind = "l7rule"
	KindAmphora       Kind = "amphora"
)
