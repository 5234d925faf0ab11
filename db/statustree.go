package db

import (
	"context"
	"fmt"
)

// StatusNode is what the status tree shows of an object below a load balancer.
type StatusNode struct {
	Kind               string  `gorm:"column:kind"` // a Kind
	ID                 string  `gorm:"column:id;primaryKey"`
	OwnerID            string  `gorm:"column:owner"` // what it is directly below
	Name               *string `gorm:"column:name"`
	ProvisioningStatus string  `gorm:"column:provisioning_status"`
	OperatingStatus    string  `gorm:"column:operating_status"`
	// Text is the default pool of a listener, the pool that an L7 policy redirects to, the type of a monitor or the
	// address of a member; nil = none.
	Text *string `gorm:"column:text"`
	Port int     `gorm:"column:port"` // of a member
}

// TableName implements gorm's Tabler, for messages.
func (StatusNode) TableName() string { return "status" }

// StatusNodes reads what the status tree shows below a load balancer in one query, in order of creation. Of the L7 policies it
// has those that redirect to a pool, by position: enabled ones with rules.
func (tx *Tx) StatusNodes(ctx context.Context, lbID string) ([]StatusNode, error) {
	const query = `SELECT kind, id, owner, name, provisioning_status, operating_status, text, port FROM (
SELECT 'listener' AS kind, id, load_balancer_id AS owner, name, provisioning_status, operating_status, default_pool_id AS text,
0 AS port, created_at AS made, 0 AS nr FROM listener WHERE load_balancer_id = ?
UNION ALL SELECT 'l7policy', p.id, p.listener_id, p.name, p.provisioning_status, p.operating_status, p.redirect_pool_id,
0, p.created_at, p.position FROM l7policy p JOIN listener l ON l.id = p.listener_id
WHERE l.load_balancer_id = ? AND p.enabled = ? AND p.redirect_pool_id IS NOT NULL
AND EXISTS (SELECT 1 FROM l7rule r WHERE r.l7policy_id = p.id)
UNION ALL SELECT 'pool', id, load_balancer_id, name, provisioning_status, operating_status, NULL,
0, created_at, 0 FROM pool WHERE load_balancer_id = ?
UNION ALL SELECT 'healthmonitor', h.id, h.pool_id, h.name, h.provisioning_status, h.operating_status, h.type,
0, h.created_at, 0 FROM health_monitor h JOIN pool p ON p.id = h.pool_id WHERE p.load_balancer_id = ?
UNION ALL SELECT 'member', m.id, m.pool_id, m.name, m.provisioning_status, m.operating_status, m.ip_address,
m.protocol_port, m.created_at, 0 FROM member m JOIN pool p ON p.id = m.pool_id WHERE p.load_balancer_id = ?
) AS nodes ORDER BY nr, made, id`
	nodes, err := scanned[StatusNode](ctx, tx.db.Raw(query, lbID, lbID, true, lbID, lbID, lbID))
	if err != nil {
		return nil, fmt.Errorf("read statuses below load balancer %s: %w", lbID, err)
	}
	return nodes, nil
}
