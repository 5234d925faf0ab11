package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm/clause"
)

// AmphoraRequest is a row of ottavino_amphora_request: an administrator wants the agent of an
// amphora to get its configuration anew.
type AmphoraRequest struct {
	AmphoraID   string    `gorm:"column:amphora_id;primaryKey"`
	RequestedAt time.Time `gorm:"column:requested_at"` // UTC
}

// TableName implements gorm's Tabler.
func (AmphoraRequest) TableName() string { return "ottavino_amphora_request" }

// amphoraRequestTables are ours for calls on amphorae.
func amphoraRequestTables() []table {
	return []table{{
		name: "ottavino_amphora_request", primary: "amphora_id",
		columns: []column{id("amphora_id"), datetime("requested_at")},
	}}
}

// RequestConfig asks the worker to give the amphora's agent its configuration. The caller
// schedules the work.
func (tx *Tx) RequestConfig(ctx context.Context, amphoraID string) error {
	row := AmphoraRequest{AmphoraID: amphoraID, RequestedAt: tx.Now()}
	err := tx.db.WithContext(ctx).Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error
	if err != nil {
		return fmt.Errorf("request configuration of amphora %s: %w", amphoraID, err)
	}
	return nil
}

// ConfigRequested says whether RequestConfig was called and not yet answered.
func (tx *Tx) ConfigRequested(ctx context.Context, amphoraID string) (bool, error) {
	_, err := Get[AmphoraRequest](ctx, tx, amphoraID)
	var absent *NotFoundError
	if errors.As(err, &absent) {
		return false, nil
	}
	return err == nil, err
}
