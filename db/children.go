package db

import (
	"context"
	"fmt"

	"gorm.io/gorm"
)

// DeleteWhere removes the rows matching a gorm condition and says how many there were. It
// cascades nothing: it is for rows without children (tags, SNIs, CIDRs, additional VIPs …).
func DeleteWhere[M any](ctx context.Context, tx *Tx, query string, args ...any) (int64, error) {
	n, err := gorm.G[M](tx.db).Where(query, args...).Delete(ctx)
	if err != nil {
		return 0, fmt.Errorf("delete %s rows: %w", resourceOf[M](), err)
	}
	return int64(n), nil
}

// SetTags replaces the tags of a resource. Repeats are dropped.
func (tx *Tx) SetTags(ctx context.Context, resourceID string, tags []string) error {
	return replace(ctx, tx, "resource_id", resourceID, tags,
		func(tag string) Tag { return Tag{ResourceID: resourceID, Tag: tag} })
}

// SetSNIs replaces the SNI container references of a listener.
func (tx *Tx) SetSNIs(ctx context.Context, listenerID string, refs []string) error {
	return replace(ctx, tx, "listener_id", listenerID, refs,
		func(ref string) SNI { return SNI{ListenerID: listenerID, TLSContainerID: ref} })
}

// SetCIDRs replaces the allowed CIDRs of a listener.
func (tx *Tx) SetCIDRs(ctx context.Context, listenerID string, cidrs []string) error {
	return replace(ctx, tx, "listener_id", listenerID, cidrs,
		func(cidr string) ListenerCIDR { return ListenerCIDR{ListenerID: listenerID, CIDR: cidr} })
}

// SetVIPSecurityGroups replaces the user's security groups on a load balancer's VIP.
func (tx *Tx) SetVIPSecurityGroups(ctx context.Context, lbID string, sgIDs []string) error {
	return replace(ctx, tx, "load_balancer_id", lbID, sgIDs,
		func(sg string) VIPSecurityGroup { return VIPSecurityGroup{LoadBalancerID: lbID, SGID: sg} })
}

// SetPersistence replaces the session persistence of a pool; nil removes it.
func (tx *Tx) SetPersistence(ctx context.Context, poolID string, p *SessionPersistence) error {
	if _, err := DeleteWhere[SessionPersistence](ctx, tx, "pool_id = ?", poolID); err != nil || p == nil {
		return err
	}
	row := *p
	row.PoolID = poolID
	return Insert(ctx, tx, &row)
}

// replace makes the rows whose owner column is id be those of values.
func replace[M any](ctx context.Context, tx *Tx, owner, id string, values []string, row func(string) M) error {
	if _, err := DeleteWhere[M](ctx, tx, owner+" = ?", id); err != nil {
		return err
	}
	rows := make([]M, 0, len(values))
	seen := map[string]bool{}
	for _, v := range values {
		if !seen[v] {
			seen[v] = true
			rows = append(rows, row(v))
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return insertAll(ctx, tx, rows)
}

// PeerPort returns the haproxy peers port for the next listener of a load balancer: 1025 for
// the first, then the highest and one more.
func (tx *Tx) PeerPort(ctx context.Context, lbID string) (int, error) { panic("todo") }

// PlacePolicy puts an L7 policy at a position of its listener's list (1 is first; nil or past
// the end: last) and renumbers the others to a dense 1..n. With an empty policyID it only renumbers.
func (tx *Tx) PlacePolicy(ctx context.Context, listenerID, policyID string, position *int) error {
	panic("todo")
}
