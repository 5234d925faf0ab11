package db

import (
	"context"
	"fmt"
)

// Adopt makes load balancers due that are pending while nobody has work on them: those that
// Octavia's own workers left when they were stopped. Ours are due in the transaction that makes
// them pending. It returns how many it found.
func (s *Store) Adopt(ctx context.Context) (int, error) {
	const stranded = `provisioning_status IN ? AND (provider IS NULL OR provider IN ?) AND NOT EXISTS (
SELECT 1 FROM ottavino_work w WHERE w.load_balancer_id = load_balancer.id AND (w.run_after IS NOT NULL OR w.lease_until IS NOT NULL))`
	var found []string
	err := s.Read(ctx, func(ctx context.Context, tx *Tx) error {
		return tx.db.WithContext(ctx).Model(&LoadBalancer{}).
			Where(stranded, []string{PendingCreate, PendingUpdate, PendingDelete},
				[]string{ProviderAmphora, ProviderOctavia, ProviderAmphoraV2}).Pluck("id", &found).Error
	})
	if err != nil {
		return 0, fmt.Errorf("look for stranded load balancers: %w", err)
	}
	for _, id := range found {
		err := s.Tx(ctx, func(ctx context.Context, tx *Tx) error { return tx.Touch(ctx, id) })
		if err != nil {
			return 0, err
		}
	}
	return len(found), nil
}
