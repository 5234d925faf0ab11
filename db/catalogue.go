package db

import (
	"context"
	"fmt"
)

// ReleaseFlavor prepares a flavor's removal: load balancers that are DELETED forget it for the
// placeholder that upstream seeds. It is false, and nothing changes, when others use it.
func (tx *Tx) ReleaseFlavor(ctx context.Context, id string) (bool, error) {
	return tx.release(ctx, "flavor_id", id)
}

// ReleaseZone is ReleaseFlavor for an availability zone.
func (tx *Tx) ReleaseZone(ctx context.Context, name string) (bool, error) {
	return tx.release(ctx, "availability_zone", name)
}

// release points what names a value in a column of load_balancer to the placeholder.
func (tx *Tx) release(ctx context.Context, column, value string) (bool, error) {
	g := tx.db.WithContext(ctx).Model(&LoadBalancer{})
	var users int64
	err := g.Where(column+" = ? AND provisioning_status <> ?", value, Deleted).Count(&users).Error
	if err != nil {
		return false, fmt.Errorf("count users of %s %s: %w", column, value, err)
	}
	if users > 0 {
		return false, nil
	}
	err = tx.db.WithContext(ctx).Model(&LoadBalancer{}).Where(column+" = ?", value).UpdateColumn(column, Placeholder).Error
	if err != nil {
		return false, fmt.Errorf("release %s %s: %w", column, value, err)
	}
	return true, nil
}
