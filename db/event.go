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
	e.Message = clip(e.Message)
	emit := tx.emit
	if tx.fresh[e.LoadBalancerID] {
		emit = tx.insertEvent
	}
	if err := emit(ctx, e); err != nil {
		return fmt.Errorf("record event %s of %s %s: %w", e.Reason, e.ObjectKind, e.ObjectID, err)
	}
	return nil
}

// Repeat is Emit for what an object is told in turns with other news, as a listener of each of its secrets: the event that says the
// same and was last repeated since a time is raised, though it is not the newest.
func (tx *Tx) Repeat(ctx context.Context, e Event, since time.Time) error {
	e.Message = clip(e.Message)
	raised := tx.db.WithContext(ctx).Model(&Event{}).
		Where("load_balancer_id = ? AND object_kind = ? AND object_id = ? AND reason = ? AND message = ? AND last_at >= ?",
			e.LoadBalancerID, e.ObjectKind, e.ObjectID, e.Reason, e.Message, since.UTC()).
		UpdateColumns(map[string]any{"count": gorm.Expr("count + 1"), "last_at": tx.Now(), "request_id": e.RequestID})
	if raised.Error != nil {
		return fmt.Errorf("repeat event %s of %s %s: %w", e.Reason, e.ObjectKind, e.ObjectID, raised.Error)
	}
	if raised.RowsAffected > 0 {
		return nil
	}
	return tx.Emit(ctx, e)
}

func (tx *Tx) emit(ctx context.Context, e Event) error {
	g := tx.db.WithContext(ctx)
	// One query for both: the object's newest event, and the one that a further event leaves no room for.
	const query = `SELECT * FROM (SELECT id, reason, message, 1 AS count FROM ottavino_event
WHERE load_balancer_id = ? AND object_kind = ? AND object_id = ? ORDER BY id DESC LIMIT 1) AS newest
UNION ALL SELECT * FROM (SELECT id, '' AS reason, '' AS message, 0 AS count FROM ottavino_event WHERE load_balancer_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?) AS surplus`
	found, err := scanned[Event](ctx, tx.db.Raw(query, e.LoadBalancerID, e.ObjectKind, e.ObjectID, e.LoadBalancerID, keepEvents-1))
	if err != nil {
		return err
	}
	var surplus int64
	for _, f := range found {
		switch {
		case f.Count == 0:
			surplus = f.ID
		case f.Reason == e.Reason && f.Message == e.Message:
			return g.Model(&Event{}).Where("id = ?", f.ID).UpdateColumns(map[string]any{
				"count": gorm.Expr("count + 1"), "last_at": tx.Now(), "request_id": e.RequestID,
			}).Error
		}
	}
	if err := tx.insertEvent(ctx, e); err != nil || surplus == 0 {
		return err
	}
	return g.Where("load_balancer_id = ? AND id <= ?", e.LoadBalancerID, surplus).Delete(&Event{}).Error
}

func (tx *Tx) insertEvent(ctx context.Context, e Event) error {
	e.ID, e.Count, e.FirstAt, e.LastAt = 0, 1, tx.Now(), tx.Now()
	return tx.db.WithContext(ctx).Create(&e).Error
}
