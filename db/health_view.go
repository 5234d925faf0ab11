package db

import (
	"context"
	"fmt"
)

// Health is what heartbeats are compared with: the objects of a load balancer that have an operating status of
// their own. It is a Tree's small sister, because every heartbeat reads it.
type Health struct {
	LoadBalancer              HealthRow
	Listeners, Pools, Members []HealthRow // by id
}

// HealthRow is one object of a Health.
type HealthRow struct {
	Kind               Kind
	ID                 string
	PoolID             string // a member's; else ""
	Enabled            bool
	ProvisioningStatus ProvisioningStatus
	OperatingStatus    OperatingStatus
}

// Health reads a load balancer's statuses. Absent: *NotFoundError.
func (tx *Tx) Health(ctx context.Context, lbID string) (*Health, error) {
	const query = `SELECT 'loadbalancer' AS kind, id, '' AS pool_id, enabled, provisioning_status, operating_status
FROM load_balancer WHERE id = ?
UNION ALL SELECT 'listener', id, '', enabled, provisioning_status, operating_status FROM listener WHERE load_balancer_id = ?
UNION ALL SELECT 'pool', id, '', enabled, provisioning_status, operating_status FROM pool WHERE load_balancer_id = ?
UNION ALL SELECT 'member', m.id, m.pool_id, m.enabled, m.provisioning_status, m.operating_status
FROM member m JOIN pool p ON p.id = m.pool_id WHERE p.load_balancer_id = ?
ORDER BY id`
	var rows []HealthRow
	if err := tx.db.WithContext(ctx).Raw(query, lbID, lbID, lbID, lbID).Scan(&rows).Error; err != nil {
		return nil, fmt.Errorf("read statuses of load balancer %s: %w", lbID, err)
	}
	h := &Health{}
	for _, r := range rows {
		switch r.Kind {
		case KindLoadBalancer:
			h.LoadBalancer = r
		case KindListener:
			h.Listeners = append(h.Listeners, r)
		case KindPool:
			h.Pools = append(h.Pools, r)
		default:
			h.Members = append(h.Members, r)
		}
	}
	if h.LoadBalancer.ID == "" {
		return nil, &NotFoundError{Resource: string(KindLoadBalancer), ID: lbID}
	}
	return h, nil
}

// ChangeAmphorae gives amphorae that have one status another, and leaves those that have a third.
func (tx *Tx) ChangeAmphorae(ctx context.Context, ids []string, from, to ProvisioningStatus) error {
	err := chunked(ids, func(ids []string) error {
		return tx.db.WithContext(ctx).Model(&Amphora{}).Where("id IN ? AND status = ?", ids, from).
			UpdateColumns(map[string]any{"status": to, "updated_at": tx.Now()}).Error
	})
	if err != nil {
		return fmt.Errorf("make amphorae %s: %w", to, err)
	}
	return nil
}
