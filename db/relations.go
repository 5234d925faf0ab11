package db

import (
	"context"
	"fmt"
)

// The loaders below read what belongs to many rows at once, in one query per started
// thousand of ids. Keys of the maps are the ids asked for; an id with nothing is absent.
// Slices are in order of creation (where the table knows it), then id.

// inChunk bounds an IN list; SQLite and PostgreSQL limit the parameters of a statement.
const inChunk = 1000

// VIPs are the VIP of a load balancer and its additional ones, by subnet id.
type VIPs struct {
	VIP
	Additional []AdditionalVIP
}

// vipRow is a row of vip or of additional_vip.
type vipRow struct {
	VIP
	Additional bool `gorm:"column:additional"`
}

// VIPs returns the VIPs of each load balancer.
func (tx *Tx) VIPs(ctx context.Context, lbIDs []string) (map[string]VIPs, error) {
	const query = `SELECT load_balancer_id, ip_address, port_id, subnet_id, network_id, qos_policy_id, octavia_owned, vnic_type,
0 AS additional FROM vip WHERE load_balancer_id IN ? UNION ALL SELECT load_balancer_id, ip_address, port_id, subnet_id, network_id,
NULL, NULL, '', 1 FROM additional_vip WHERE load_balancer_id IN ? ORDER BY additional, subnet_id`
	out := map[string]VIPs{}
	return out, chunked(lbIDs, func(ids []string) error {
		rows, err := scanned[vipRow](ctx, tx.db.Raw(query, ids, ids))
		if err != nil {
			return fmt.Errorf("read VIPs: %w", err)
		}
		for _, r := range rows {
			v := out[r.LoadBalancerID]
			if r.Additional {
				v.Additional = append(v.Additional, AdditionalVIP{
					LoadBalancerID: r.LoadBalancerID, IPAddress: r.IPAddress, PortID: r.PortID, SubnetID: deref(r.SubnetID), NetworkID: r.NetworkID,
				})
			} else {
				v.VIP = r.VIP
			}
			out[r.LoadBalancerID] = v
		}
		return nil
	})
}

// Members returns the members of each pool.
func (tx *Tx) Members(ctx context.Context, poolIDs []string) (map[string][]Member, error) {
	return many(ctx, tx, "pool_id", "created_at, id", poolIDs,
		func(m *Member) (string, Member) { return m.PoolID, *m })
}

// Monitors returns the health monitor of each pool.
func (tx *Tx) Monitors(ctx context.Context, poolIDs []string) (map[string]HealthMonitor, error) {
	return one(ctx, tx, "pool_id", poolIDs, func(m *HealthMonitor) string { return m.PoolID })
}

// Persistences returns the session persistence of each pool.
func (tx *Tx) Persistences(ctx context.Context, poolIDs []string) (map[string]SessionPersistence, error) {
	return one(ctx, tx, "pool_id", poolIDs, func(s *SessionPersistence) string { return s.PoolID })
}

// Policies returns the L7 policies of each listener, by position.
func (tx *Tx) Policies(ctx context.Context, listenerIDs []string) (map[string][]L7Policy, error) {
	return many(ctx, tx, "listener_id", "position, id", listenerIDs,
		func(p *L7Policy) (string, L7Policy) { return p.ListenerID, *p })
}

// Rules returns the L7 rules of each policy.
func (tx *Tx) Rules(ctx context.Context, policyIDs []string) (map[string][]L7Rule, error) {
	return many(ctx, tx, "l7policy_id", "created_at, id", policyIDs,
		func(r *L7Rule) (string, L7Rule) { return r.L7policyID, *r })
}

// PoolListenerIDs returns the listeners that use each pool, as ListenersOfPool has it.
func (tx *Tx) PoolListenerIDs(ctx context.Context, poolIDs []string) (map[string][]string, error) {
	const using = `SELECT p.id AS owner, l.id AS id FROM pool p JOIN listener l ON l.default_pool_id = p.id
WHERE p.id IN ? UNION SELECT p.redirect_pool_id AS owner, p.listener_id AS id FROM l7policy p
WHERE p.redirect_pool_id IN ? AND p.enabled = ? AND EXISTS (SELECT 1 FROM l7rule r WHERE r.l7policy_id = p.id)
ORDER BY owner, id`
	out := map[string][]string{}
	return out, chunked(poolIDs, func(ids []string) error {
		var rows []struct{ Owner, ID string }
		if err := tx.db.WithContext(ctx).Raw(using, ids, ids, true).Scan(&rows).Error; err != nil {
			return fmt.Errorf("read listeners of pools: %w", err)
		}
		for _, r := range rows {
			out[r.Owner] = append(out[r.Owner], r.ID)
		}
		return nil
	})
}

// Projects returns the project of each load balancer (amphorae have none of their own).
func (tx *Tx) Projects(ctx context.Context, lbIDs []string) (map[string]string, error) {
	out := map[string]string{}
	rows, err := one(ctx, tx, "id", lbIDs, func(lb *LoadBalancer) string { return lb.ID })
	for id, lb := range rows {
		out[id] = deref(lb.ProjectID)
	}
	return out, err
}

// rootQueries find the load balancer of one object, by kind.
var rootQueries = map[Kind]string{
	KindLoadBalancer:  `SELECT id FROM load_balancer WHERE id = ?`,
	KindListener:      `SELECT load_balancer_id FROM listener WHERE id = ?`,
	KindPool:          `SELECT load_balancer_id FROM pool WHERE id = ?`,
	KindMember:        `SELECT p.load_balancer_id FROM pool p JOIN member m ON m.pool_id = p.id WHERE m.id = ?`,
	KindHealthMonitor: `SELECT p.load_balancer_id FROM pool p JOIN health_monitor h ON h.pool_id = p.id WHERE h.id = ?`,
	KindL7Policy:      `SELECT l.load_balancer_id FROM listener l JOIN l7policy p ON p.listener_id = l.id WHERE p.id = ?`,
	KindL7Rule: `SELECT l.load_balancer_id FROM listener l JOIN l7policy p ON p.listener_id = l.id
JOIN l7rule r ON r.l7policy_id = p.id WHERE r.id = ?`,
	KindAmphora: `SELECT load_balancer_id FROM amphora WHERE id = ?`,
}

// LoadBalancerOf returns the load balancer that an object belongs to; "" for an amphora
// that has none. Absent object: *NotFoundError.
func (tx *Tx) LoadBalancerOf(ctx context.Context, kind Kind, id string) (string, error) {
	var roots []*string
	if err := tx.db.WithContext(ctx).Raw(rootQueries[kind], id).Scan(&roots).Error; err != nil {
		return "", fmt.Errorf("find load balancer of %s %s: %w", kind, id, err)
	}
	if len(roots) == 0 {
		return "", &NotFoundError{Resource: string(kind), ID: id}
	}
	return deref(roots[0]), nil
}

// one reads the rows whose column is one of ids, at most one for each id.
func one[M any](ctx context.Context, tx *Tx, column string, ids []string, key func(*M) string) (map[string]M, error) {
	out := map[string]M{}
	return out, chunked(ids, func(ids []string) error {
		rows, err := Where[M](ctx, tx, column+" IN ?", ids)
		for i := range rows {
			out[key(&rows[i])] = rows[i]
		}
		return err
	})
}

// many reads the rows whose column is one of ids and groups what split takes from each by its owner.
func many[M, V any](ctx context.Context, tx *Tx, column, order string, ids []string,
	split func(*M) (owner string, value V),
) (map[string][]V, error) {
	out := map[string][]V{}
	return out, chunked(ids, func(ids []string) error {
		rows, err := scanned[M](ctx, tx.db.Model(new(M)).Where(column+" IN ?", ids).Order(order))
		if err != nil {
			return fmt.Errorf("read %s rows: %w", resourceOf[M](), err)
		}
		for i := range rows {
			owner, value := split(&rows[i])
			out[owner] = append(out[owner], value)
		}
		return nil
	})
}

// chunked calls fn with at most inChunk ids at a time, and not at all without any.
func chunked(ids []string, fn func([]string) error) error {
	for len(ids) > 0 {
		n := min(len(ids), inChunk)
		if err := fn(ids[:n]); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
