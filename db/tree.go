package db

import (
	"cmp"
	"context"
	"slices"
	"time"
)

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

// Conditions that find what is below a load balancer, by its id.
const (
	ofLoadBalancer = "load_balancer_id = ?"
	ofListeners    = "listener_id IN (SELECT id FROM listener WHERE load_balancer_id = ?)"
	ofPolicies     = "l7policy_id IN (SELECT p.id FROM l7policy p JOIN listener l ON l.id = p.listener_id WHERE l.load_balancer_id = ?)"
	ofPools        = "pool_id IN (SELECT id FROM pool WHERE load_balancer_id = ?)"
	ofAmphorae     = "amphora_id IN (SELECT id FROM amphora WHERE load_balancer_id = ? AND status <> 'DELETED')"
	ofFlavor       = "id = (SELECT f.flavor_profile_id FROM flavor f JOIN load_balancer lb ON lb.flavor_id = f.id WHERE lb.id = ?)"
)

// Tree reads a load balancer with all below it. Absent: *NotFoundError; DELETED is returned.
func (tx *Tx) Tree(ctx context.Context, lbID string) (*Tree, error) {
	lb, err := Get[LoadBalancer](ctx, tx, lbID)
	if err != nil {
		return nil, err
	}
	t := &Tree{LoadBalancer: *lb}
	for _, read := range []func(context.Context, *Tx, *Tree) error{
		readVIPs, readListeners, readPools, readAmphorae,
	} {
		if err := read(ctx, tx, t); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func readVIPs(ctx context.Context, tx *Tx, t *Tree) error {
	lbID := t.LoadBalancer.ID
	vips, err := Where[VIP](ctx, tx, ofLoadBalancer, lbID)
	if err != nil {
		return err
	}
	if len(vips) > 0 {
		t.VIP = vips[0]
	}
	if t.AdditionalVIPs, err = Where[AdditionalVIP](ctx, tx, ofLoadBalancer, lbID); err != nil {
		return err
	}
	slices.SortFunc(t.AdditionalVIPs, func(a, b AdditionalVIP) int { return cmp.Compare(a.SubnetID, b.SubnetID) })
	groups, err := tx.Lists(ctx, []string{lbID}, ListSecurityGroups)
	if err != nil {
		return err
	}
	t.VIPSGs = groups.Of(lbID, ListSecurityGroups)
	if t.LoadBalancer.FlavorID == nil {
		return nil
	}
	profiles, err := Where[FlavorProfile](ctx, tx, ofFlavor, lbID)
	if len(profiles) > 0 {
		t.Flavor = &profiles[0]
	}
	return err
}

func readListeners(ctx context.Context, tx *Tx, t *Tree) error {
	lbID := t.LoadBalancer.ID
	listeners, err := sorted(ctx, tx, ofLoadBalancer, lbID, func(l *Listener) (*time.Time, string) { return l.CreatedAt, l.ID })
	if err != nil || len(listeners) == 0 {
		return err
	}
	snis, err := grouped(ctx, tx, ofListeners, lbID, func(s *SNI) string { return s.ListenerID })
	if err != nil {
		return err
	}
	cidrs, err := grouped(ctx, tx, ofListeners, lbID, func(c *ListenerCIDR) string { return c.ListenerID })
	if err != nil {
		return err
	}
	policies, err := readPolicies(ctx, tx, lbID)
	if err != nil {
		return err
	}
	for _, l := range listeners {
		lt := ListenerTree{Listener: l, SNIs: snis[l.ID], Policies: policies[l.ID]}
		slices.SortFunc(lt.SNIs, func(a, b SNI) int {
			return cmp.Or(cmpPtr(a.Position, b.Position), cmp.Compare(a.TLSContainerID, b.TLSContainerID))
		})
		for _, c := range cidrs[l.ID] {
			lt.CIDRs = append(lt.CIDRs, c.CIDR)
		}
		slices.Sort(lt.CIDRs)
		t.Listeners = append(t.Listeners, lt)
	}
	return nil
}

// readPolicies returns the L7 policies of each listener by position.
func readPolicies(ctx context.Context, tx *Tx, lbID string) (map[string][]L7PolicyTree, error) {
	policies, err := sorted(ctx, tx, ofListeners, lbID, func(p *L7Policy) (*time.Time, string) { return p.CreatedAt, p.ID })
	if err != nil || len(policies) == 0 {
		return nil, err
	}
	rules, err := sorted(ctx, tx, ofPolicies, lbID, func(r *L7Rule) (*time.Time, string) { return r.CreatedAt, r.ID })
	if err != nil {
		return nil, err
	}
	byPolicy := group(rules, func(r *L7Rule) string { return r.L7policyID })
	slices.SortStableFunc(policies, func(a, b L7Policy) int { return cmp.Compare(a.Position, b.Position) })
	out := map[string][]L7PolicyTree{}
	for _, p := range policies {
		out[p.ListenerID] = append(out[p.ListenerID], L7PolicyTree{L7Policy: p, Rules: byPolicy[p.ID]})
	}
	return out, nil
}

func readPools(ctx context.Context, tx *Tx, t *Tree) error {
	lbID := t.LoadBalancer.ID
	pools, err := sorted(ctx, tx, ofLoadBalancer, lbID, func(p *Pool) (*time.Time, string) { return p.CreatedAt, p.ID })
	if err != nil || len(pools) == 0 {
		return err
	}
	persistences, err := grouped(ctx, tx, ofPools, lbID, func(s *SessionPersistence) string { return s.PoolID })
	if err != nil {
		return err
	}
	monitors, err := grouped(ctx, tx, ofPools, lbID, func(h *HealthMonitor) string { return h.PoolID })
	if err != nil {
		return err
	}
	members, err := sorted(ctx, tx, ofPools, lbID, func(m *Member) (*time.Time, string) { return m.CreatedAt, m.ID })
	if err != nil {
		return err
	}
	byPool := group(members, func(m *Member) string { return m.PoolID })
	for _, p := range pools {
		t.Pools = append(t.Pools, PoolTree{
			Pool: p, Persistence: first(persistences[p.ID]), Monitor: first(monitors[p.ID]), Members: byPool[p.ID],
		})
	}
	return nil
}

func readAmphorae(ctx context.Context, tx *Tx, t *Tree) error {
	lbID := t.LoadBalancer.ID
	var err error
	t.Amphorae, err = sorted(ctx, tx, ofLoadBalancer+" AND status <> 'DELETED'", lbID,
		func(a *Amphora) (*time.Time, string) { return a.CreatedAt, a.ID })
	if err != nil {
		return err
	}
	if len(t.Amphorae) > 0 {
		t.MemberPorts, err = sorted(ctx, tx, ofAmphorae, lbID,
			func(p *AmphoraMemberPort) (*time.Time, string) { return p.CreatedAt, p.PortID })
		if err != nil {
			return err
		}
	}
	groups, err := Where[VRRPGroup](ctx, tx, ofLoadBalancer, lbID)
	t.VRRP = first(groups)
	return err
}

// sorted reads rows in order of creation, then id.
func sorted[M any](ctx context.Context, tx *Tx, query, lbID string, key func(*M) (*time.Time, string)) ([]M, error) {
	rows, err := Where[M](ctx, tx, query, lbID)
	slices.SortFunc(rows, func(a, b M) int {
		at, aid := key(&a)
		bt, bid := key(&b)
		return cmp.Or(cmpTime(at, bt), cmp.Compare(aid, bid))
	})
	return rows, err
}

// grouped reads rows by owner.
func grouped[M any](ctx context.Context, tx *Tx, query, lbID string, owner func(*M) string) (map[string][]M, error) {
	rows, err := Where[M](ctx, tx, query, lbID)
	return group(rows, owner), err
}

func group[M any](rows []M, owner func(*M) string) map[string][]M {
	out := map[string][]M{}
	for i := range rows {
		o := owner(&rows[i])
		out[o] = append(out[o], rows[i])
	}
	return out
}

func first[M any](rows []M) *M {
	if len(rows) == 0 {
		return nil
	}
	return &rows[0]
}

// cmpTime orders times with nil first.
func cmpTime(a, b *time.Time) int {
	if a == nil || b == nil {
		return cmp.Compare(btoi(a != nil), btoi(b != nil))
	}
	return a.Compare(*b)
}

// cmpPtr orders numbers with nil first.
func cmpPtr(a, b *int) int {
	if a == nil || b == nil {
		return cmp.Compare(btoi(a != nil), btoi(b != nil))
	}
	return cmp.Compare(*a, *b)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
