package health

import (
	"context"
	"slices"
	"time"

	"github.com/ottavino/ottavino/db"
)

// stop shows operators which amphorae failover_threshold keeps from being replaced, as upstream does.
func (m *Manager) stop(ctx context.Context, suspects []db.Liveness) {
	m.change(ctx, db.Allocated, db.FailoverStopped, suspects)
}

// revive takes that back from those that are heard again.
func (m *Manager) revive(ctx context.Context, live []db.Liveness, now time.Time) {
	heard := slices.Clone(live)
	m.change(ctx, db.FailoverStopped, db.Allocated, slices.DeleteFunc(heard, func(a db.Liveness) bool { return m.silent(a, now) }))
}

func (m *Manager) change(ctx context.Context, from, to db.ProvisioningStatus, amphorae []db.Liveness) {
	var ids []string
	for _, a := range amphorae {
		if a.Status == from {
			ids = append(ids, a.ID)
		}
	}
	if len(ids) == 0 {
		return
	}
	err := m.Store.Tx(ctx, func(ctx context.Context, tx *db.Tx) error { return tx.ChangeAmphorae(ctx, ids, from, to) })
	if err != nil {
		m.Log.ErrorContext(ctx, "status of amphorae not stored", "status", to, "amphorae", len(ids), "error", err)
	}
}
