package db

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// OperatingChange is a new operating status of one object.
type OperatingChange struct {
	Kind   Kind // loadbalancer, listener, pool, member or healthmonitor
	ID     string
	Status OperatingStatus
}

// SetOperating writes operating statuses. Objects that went away meanwhile are skipped.
func (tx *Tx) SetOperating(ctx context.Context, changes []OperatingChange) error {
	models := map[Kind]any{
		KindLoadBalancer: &LoadBalancer{}, KindListener: &Listener{}, KindPool: &Pool{},
		KindMember: &Member{}, KindHealthMonitor: &HealthMonitor{},
	}
	for _, c := range changes {
		model, ok := models[c.Kind]
		if !ok {
			return fmt.Errorf("a %s has no operating status that heartbeats set", c.Kind)
		}
		err := tx.db.WithContext(ctx).Model(model).Where("id = ?", c.ID).
			UpdateColumn("operating_status", c.Status).Error
		if err != nil {
			return fmt.Errorf("set operating status of %s %s: %w", c.Kind, c.ID, err)
		}
	}
	return nil
}

// AddStatistics adds what an amphora counted since its last report: all columns are added
// to the stored ones but active_connections, which is replaced.
func (tx *Tx) AddStatistics(ctx context.Context, rows []ListenerStatistics) error {
	return tx.putStatistics(ctx, rows, func(column string) any {
		return clause.Column{Table: ListenerStatistics{}.TableName(), Name: column}
	})
}

// ReplaceStatistics stores an amphora's counters as it reported them (heartbeats before version 3).
func (tx *Tx) ReplaceStatistics(ctx context.Context, rows []ListenerStatistics) error {
	return tx.putStatistics(ctx, rows, nil)
}

func (tx *Tx) putStatistics(ctx context.Context, rows []ListenerStatistics, old func(column string) any) error {
	for _, r := range rows {
		set := map[string]any{"active_connections": r.ActiveConnections}
		for column, n := range map[string]int64{
			"bytes_in": r.BytesIn, "bytes_out": r.BytesOut,
			"total_connections": r.TotalConnections, "request_errors": r.RequestErrors,
		} {
			set[column] = n
			if old != nil {
				set[column] = gorm.Expr("? + ?", old(column), n)
			}
		}
		err := tx.db.WithContext(ctx).Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "listener_id"}, {Name: "amphora_id"}},
			DoUpdates: clause.Assignments(set),
		}).Create(&r).Error
		if err != nil {
			return fmt.Errorf("store statistics of listener %s: %w", r.ListenerID, err)
		}
	}
	return nil
}

// Heard stores when amphorae were last heard. Times never go back.
func (s *Store) Heard(ctx context.Context, at map[string]time.Time) error {
	const batch = 500
	ids := slices.Sorted(maps.Keys(at))
	for chunk := range slices.Chunk(ids, batch) {
		err := s.Tx(ctx, func(ctx context.Context, tx *Tx) error { return tx.heard(ctx, chunk, at) })
		if err != nil {
			return fmt.Errorf("store liveness: %w", err)
		}
	}
	return nil
}

func (tx *Tx) heard(ctx context.Context, ids []string, at map[string]time.Time) error {
	rows := make([]AmphoraHealth, len(ids))
	for i, id := range ids {
		rows[i] = AmphoraHealth{AmphoraID: id, LastUpdate: at[id].UTC().Truncate(time.Second)}
	}
	newer := gorm.Expr("CASE WHEN amphora_health.last_update < excluded.last_update THEN excluded.last_update ELSE amphora_health.last_update END")
	if tx.engine == "mysql" {
		newer = gorm.Expr("GREATEST(last_update, VALUES(last_update))")
	}
	return tx.db.WithContext(ctx).Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "amphora_id"}},
		DoUpdates: clause.Set{{Column: clause.Column{Name: "last_update"}, Value: newer}},
	}).Create(&rows).Error
}

// Liveness is an amphora in service and when it was last heard.
type Liveness struct {
	Amphora
	LastUpdate *time.Time // nil: never
}

// LiveAmphorae returns the amphorae in service (ALLOCATED or FAILOVER_STOPPED), and those that boot and were heard
// already, with their liveness.
func (tx *Tx) LiveAmphorae(ctx context.Context) ([]Liveness, error) {
	watched := []string{Allocated, FailoverStopped, Booting}
	amphorae, err := Where[Amphora](ctx, tx, "status IN ?", watched)
	if err != nil {
		return nil, err
	}
	health, err := Where[AmphoraHealth](ctx, tx, "amphora_id IN (?)",
		tx.db.Model(&Amphora{}).Select("id").Where("status IN ?", watched))
	if err != nil {
		return nil, err
	}
	at := make(map[string]time.Time, len(health))
	for _, h := range health {
		at[h.AmphoraID] = h.LastUpdate
	}
	out := make([]Liveness, 0, len(amphorae))
	for _, a := range amphorae {
		l := Liveness{Amphora: a}
		if t, ok := at[a.ID]; ok {
			l.LastUpdate = &t
		}
		if l.LastUpdate != nil || a.Status != Booting {
			out = append(out, l)
		}
	}
	return out, nil
}
