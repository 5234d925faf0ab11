package db

import (
	"context"
	"fmt"
	"time"
)

// TakeBuildSlot makes an amphora BOOTING unless limit others build already, whoever's they are, and says whether it did. One builds
// from then on until its server has its address or its status is another; but not for longer than patience, lest what a service that
// is gone left behind counts for ever. The caller writes the amphora's row.
func (tx *Tx) TakeBuildSlot(ctx context.Context, a *Amphora, limit int, patience time.Duration) (bool, error) {
	if _, err := Lock[AmphoraBuildSlots](ctx, tx, "1"); err != nil { // who counts, and who is counted, come one after the other
		return false, err
	}
	var building int64
	err := tx.db.WithContext(ctx).Model(&Amphora{}).
		Where("status = ? AND lb_network_ip IS NULL AND id <> ? AND COALESCE(updated_at, created_at) > ?", Booting, a.ID, tx.Now().UTC().Add(-patience)).
		Count(&building).Error
	if err != nil {
		return false, fmt.Errorf("count amphorae that build: %w", err)
	}
	if building >= int64(limit) {
		return false, nil
	}
	a.Status = Booting
	return true, Update(ctx, tx, a, "status")
}
