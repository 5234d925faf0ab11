package db

import "context"

// Tree is a load balancer with everything below it, read in a constant number of queries.
// Slices are ordered by created_at, then id.
type Tree struct {
	LoadBalancer   LoadBalancer
	VIP            VIP
	AdditionalVIPs []AdditionalVIP
	VIPSGs         []string // ids of vip_security_group
	Flavor         *FlavorProfile
	Listeners      []ListenerTree
	Pools          []PoolTree
	Amphorae       []Amphora // DELETED ones left out
	MemberPorts    []AmphoraMemberPort
	VRRP           *VRRPGroup
}

// ListenerTree is a listener with what belongs to it.
type ListenerTree struct {
	Listener
	SNIs     []SNI
	CIDRs    []string
	Policies []L7PolicyTree // by position
}

// L7PolicyTree is an L7 policy with its rules.
type L7PolicyTree struct {
	L7Policy
	Rules []L7Rule
}

// PoolTree is a pool with what belongs to it.
type PoolTree struct {
	Pool
	Persistence *SessionPersistence
	Monitor     *HealthMonitor
	Members     []Member
}

// Tree reads a load balancer with all below it. Absent: *NotFoundError; DELETED is returned.
func (tx *Tx) Tree(ctx context.Context, lbID string) (*Tree, error) { panic("todo") }
