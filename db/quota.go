package db

import (
	"context"
	"fmt"

	"gorm.io/gorm/clause"
)

// QuotaResource is a counted resource; the value is the column of the limit in quotas.
type QuotaResource string

// Counted resources.
const (
	QuotaLoadBalancer  QuotaResource = "load_balancer"
	QuotaListener      QuotaResource = "listener"
	QuotaPool          QuotaResource = "pool"
	QuotaMember        QuotaResource = "member"
	QuotaHealthMonitor QuotaResource = "health_monitor"
	QuotaL7Policy      QuotaResource = "l7policy"
	QuotaL7Rule        QuotaResource = "l7rule"
)

// QuotaDefaults holds [quotas] default_*_quota by resource; -1 (or absent) is unlimited.
type QuotaDefaults map[QuotaResource]int

// unlimited is the limit of who may have as many as he likes.
const unlimited = -1

// columns returns where the row holds a resource's limit and counter; nil for an unknown resource.
func (q *Quota) columns(r QuotaResource) (limit, used *int) {
	switch r {
	case QuotaLoadBalancer:
		return q.LoadBalancer, q.InUseLoadBalancer
	case QuotaListener:
		return q.Listener, q.InUseListener
	case QuotaPool:
		return q.Pool, q.InUsePool
	case QuotaMember:
		return q.Member, q.InUseMember
	case QuotaHealthMonitor:
		return q.HealthMonitor, q.InUseHealthMonitor
	case QuotaL7Policy:
		return q.L7policy, q.InUseL7policy
	case QuotaL7Rule:
		return q.L7rule, q.InUseL7rule
	}
	return nil, nil
}

// TakeQuota locks the project's row (created on first use), recounts a null or zero counter,
// and raises it by n; past the limit: *QuotaError. n may be negative to give back. Call it
// before inserting what it counts.
func (tx *Tx) TakeQuota(ctx context.Context, projectID string, r QuotaResource, n int, defaults QuotaDefaults) error {
	row, err := tx.lockQuota(ctx, projectID)
	if err != nil {
		return err
	}
	limit, counter := row.columns(r)
	used := 0
	if counter != nil {
		used = *counter
	}
	if n > 0 && used == 0 {
		if used, err = tx.countQuota(ctx, projectID, r); err != nil {
			return err
		}
	}
	if n > 0 {
		most, ok := defaults[r]
		if limit != nil {
			most, ok = *limit, true
		}
		if ok && most != unlimited && used+n > most {
			return &QuotaError{Resource: r}
		}
	}
	used = max(used+n, 0)
	err = tx.db.WithContext(ctx).Model(&Quota{}).Where("project_id = ?", projectID).
		UpdateColumn("in_use_"+string(r), used).Error
	if err != nil {
		return fmt.Errorf("count %s quota of project %s: %w", r, projectID, err)
	}
	return nil
}

// lockQuota locks a project's row, which it makes when it is not there.
func (tx *Tx) lockQuota(ctx context.Context, projectID string) (*Quota, error) {
	row, err := Lock[Quota](ctx, tx, projectID)
	if !isNotFound(err) {
		return row, err
	}
	// Of concurrent inserts all but one update, which waits for the row's lock without
	// taking a shared one first, so none ends in a deadlock.
	err = tx.db.WithContext(ctx).Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "project_id"}},
		DoUpdates: clause.Set{{Column: clause.Column{Name: "project_id"}, Value: projectID}},
	}).Create(&Quota{ProjectID: projectID}).Error
	if err != nil {
		return nil, fmt.Errorf("make quota of project %s: %w", projectID, err)
	}
	return Lock[Quota](ctx, tx, projectID)
}

// countQuota counts what a project really has.
func (tx *Tx) countQuota(ctx context.Context, projectID string, r QuotaResource) (int, error) {
	var n int64
	err := tx.db.WithContext(ctx).Table(string(r)).
		Where("project_id = ? AND provisioning_status <> ?", projectID, Deleted).Count(&n).Error
	if err != nil {
		return 0, fmt.Errorf("count %s rows of project %s: %w", r, projectID, err)
	}
	return int(n), nil
}
