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
	if taken, err := tx.raiseQuota(ctx, projectID, r, n, defaults); taken || err != nil {
		return err
	}
	row, err := tx.lockQuota(ctx, projectID)
	if err != nil {
		return err
	}
	used, err := tx.usedQuota(ctx, row, r, n)
	if err != nil {
		return err
	}
	if row.exceeds(r, used, n, defaults) {
		return &QuotaError{Resource: r}
	}
	used = max(used+n, 0)
	err = tx.db.WithContext(ctx).Model(&Quota{}).Where("project_id = ?", projectID).
		UpdateColumn("in_use_"+string(r), used).Error
	if err != nil {
		return fmt.Errorf("count %s quota of project %s: %w", r, projectID, err)
	}
	return nil
}

// raiseQuota takes in one statement what a counter that need not be recounted has room for; false: it may still be there.
func (tx *Tx) raiseQuota(ctx context.Context, projectID string, r QuotaResource, n int, defaults QuotaDefaults) (bool, error) {
	if n <= 0 {
		return false, nil
	}
	usual, ok := defaults[r]
	if !ok {
		usual = unlimited
	}
	counter, limit := "in_use_"+string(r), "COALESCE("+string(r)+", ?)"
	raise := tx.db.WithContext(ctx).Exec("UPDATE quotas SET "+counter+" = "+counter+" + ? WHERE project_id = ? AND "+counter+" > 0 AND ("+
		limit+" = ? OR "+counter+" + ? <= "+limit+")", n, projectID, usual, unlimited, n, usual)
	if raise.Error != nil {
		return false, fmt.Errorf("count %s quota of project %s: %w", r, projectID, raise.Error)
	}
	return raise.RowsAffected == 1, nil
}

// TestQuota is TakeQuota without taking: what it allows may be another's a moment later.
func (tx *Tx) TestQuota(ctx context.Context, projectID string, r QuotaResource, n int, defaults QuotaDefaults) error {
	row, err := Get[Quota](ctx, tx, projectID)
	if isNotFound(err) {
		row, err = &Quota{ProjectID: projectID}, nil
	}
	if err != nil {
		return err
	}
	used, err := tx.usedQuota(ctx, row, r, n)
	if err != nil {
		return err
	}
	if row.exceeds(r, used, n, defaults) {
		return &QuotaError{Resource: r}
	}
	return nil
}

// usedQuota is a counter, recounted if it may be wrong and n are to be taken.
func (tx *Tx) usedQuota(ctx context.Context, row *Quota, r QuotaResource, n int) (int, error) {
	_, counter := row.columns(r)
	if counter != nil && (*counter > 0 || n <= 0) {
		return *counter, nil
	}
	if n <= 0 {
		return 0, nil
	}
	return tx.countQuota(ctx, row.ProjectID, r)
}

// exceeds says that n more are too many.
func (q *Quota) exceeds(r QuotaResource, used, n int, defaults QuotaDefaults) bool {
	limit, _ := q.columns(r)
	most, ok := defaults[r]
	if limit != nil {
		most, ok = *limit, true
	}
	return n > 0 && ok && most != unlimited && used+n > most
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
