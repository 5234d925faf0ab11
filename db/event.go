package db

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// keepEvents is how many events a load balancer keeps.
const keepEvents = 200

// Event is a row of ottavino_event: something that happened to a load balancer, for its owner.
type Event struct {
	ID             int64     `gorm:"column:id;primaryKey;autoIncrement"`
	LoadBalancerID string    `gorm:"column:load_balancer_id"`
	ProjectID      string    `gorm:"column:project_id"`
	ObjectKind     string    `gorm:"column:object_kind"` // a Kind
	ObjectID       string    `gorm:"column:object_id"`
	Type           string    `gorm:"column:type"`    // "Normal" or "Warning"
	Reason         string    `gorm:"column:reason"`  // CamelCase, stable, e.g. ServerBuildFailed
	Message        string    `gorm:"column:message"` // for people; never holds secrets
	RequestID      string    `gorm:"column:request_id"`
	Count          int       `gorm:"column:count"` // repeats of the same object, reason and message in a row
	FirstAt        time.Time `gorm:"column:first_at"`
	LastAt         time.Time `gorm:"column:last_at"`
}

// TableName implements gorm's Tabler.
func (Event) TableName() string { return "ottavino_event" }

// Emit records an event. The same object, reason and message as the object's newest one only
// raises its count. At most 200 rows are kept per load balancer. ID, Count and the times are
// set here.
func (tx *Tx) Emit(ctx context.Context, e Event) error {
	if err := tx.emit(ctx, e); err != nil {
		return fmt.Errorf("record event %s of %s %s: %w", e.Reason, e.ObjectKind, e.ObjectID, err)
	}
	return nil
}

func (tx *Tx) emit(ctx context.Context, e Event) error {
	g := tx.db.WithContext(ctx)
	e.Message = clip(e.Message)
	var newest []Event
	err := g.Where("load_balancer_id = ? AND object_kind = ? AND object_id = ?", e.LoadBalancerID, e.ObjectKind, e.ObjectID).
		Order("id DESC").Limit(1).Find(&newest).Error
	if err != nil {
		return err
	}
	if len(newest) == 1 && newest[0].Reason == e.Reason && newest[0].Message == e.Message {
		return g.Model(&Event{}).Where("id = ?", newest[0].ID).UpdateColumns(map[string]any{
			"count": gorm.Expr("count + 1"), "last_at": tx.Now(), "request_id": e.RequestID,
		}).Error
	}
	e.ID, e.Count, e.FirstAt, e.LastAt = 0, 1, tx.Now(), tx.Now()
	if err := g.Create(&e).Error; err != nil {
		return err
	}
	var surplus []int64
	err = g.Model(&Event{}).Where("load_balancer_id = ?", e.LoadBalancerID).
		Order("id DESC").Offset(keepEvents).Limit(1).Pluck("id", &surplus).Error
	if err != nil || len(surplus) == 0 {
		return err
	}
	return g.Where("load_balancer_id = ? AND id <= ?", e.LoadBalancerID, surplus[0]).Delete(&Event{}).Error
}
