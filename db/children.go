package db

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
)

// SetTags replaces the tags of a resource. Repeats are dropped.
func (tx *Tx) SetTags(ctx context.Context, resourceID string, tags []string) error {
	return replace(ctx, tx, "resource_id", resourceID, tags,
		func(tag string) Tag { return Tag{ResourceID: resourceID, Tag: tag} })
}

// SetTagsOf replaces the tags of many resources. Repeats are dropped.
func (tx *Tx) SetTagsOf(ctx context.Context, tags map[string][]string) error {
	ids := slices.Sorted(maps.Keys(tags))
	old := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return tx.fresh[id] })
	err := chunked(old, func(ids []string) error {
		_, err := DeleteWhere[Tag](ctx, tx, "resource_id IN ?", ids)
		return err
	})
	if err != nil {
		return err
	}
	var rows []Tag
	for _, id := range ids {
		for _, tag := range slices.Compact(slices.Sorted(slices.Values(tags[id]))) {
			rows = append(rows, Tag{ResourceID: id, Tag: tag})
		}
	}
	return InsertAll(ctx, tx, rows)
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
	if !tx.fresh[id] {
		if _, err := DeleteWhere[M](ctx, tx, owner+" = ?", id); err != nil {
			return err
		}
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
	return InsertAll(ctx, tx, rows)
}

// firstPeerPort is the haproxy peers port of a load balancer's first listener.
const firstPeerPort = 1025

// PeerPort returns the haproxy peers port for the next listener of a load balancer: 1025 for
// the first, then the highest and one more.
func (tx *Tx) PeerPort(ctx context.Context, lbID string) (int, error) {
	var highest *int
	err := tx.db.WithContext(ctx).Model(&Listener{}).Select("MAX(peer_port)").
		Where("load_balancer_id = ?", lbID).Scan(&highest).Error
	if err != nil {
		return 0, fmt.Errorf("find peer port for load balancer %s: %w", lbID, err)
	}
	if highest == nil {
		return firstPeerPort, nil
	}
	return *highest + 1, nil
}

// PlacePolicy puts an L7 policy at a position of its listener's list (1 is first; nil or past
// the end: last) and renumbers the others to a dense 1..n. With an empty policyID it only renumbers.
func (tx *Tx) PlacePolicy(ctx context.Context, listenerID, policyID string, position *int) error {
	policies, err := Where[L7Policy](ctx, tx, "listener_id = ?", listenerID)
	if err != nil {
		return err
	}
	slices.SortFunc(policies, func(a, b L7Policy) int {
		return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.ID, b.ID))
	})
	if at := slices.IndexFunc(policies, func(p L7Policy) bool { return p.ID == policyID }); at >= 0 {
		placed := policies[at]
		policies = slices.Delete(policies, at, at+1)
		to := len(policies)
		if position != nil {
			to = min(max(*position-1, 0), to)
		}
		policies = slices.Insert(policies, to, placed)
	}
	for i, p := range policies {
		if p.Position == i+1 {
			continue
		}
		// Not Update: moving aside is no change of the policy that its owner made.
		err := tx.db.WithContext(ctx).Model(&L7Policy{}).Where("id = ?", p.ID).UpdateColumn("position", i+1).Error
		if err != nil {
			return fmt.Errorf("number l7policy %s: %w", p.ID, err)
		}
	}
	return nil
}
