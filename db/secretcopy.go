package db

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"gorm.io/gorm/clause"
)

// SecretCopy is a row of ottavino_secret_copy: what a reference to a secret of a user led to when it was last good. Each
// load balancer has copies of its own, so that nobody is served what only another may read.
type SecretCopy struct {
	ID             string     `gorm:"column:id;primaryKey"` // SecretCopyID
	LoadBalancerID string     `gorm:"column:load_balancer_id"`
	Content        []byte     `gorm:"column:content"`    // encrypted by the worker
	NotAfter       *time.Time `gorm:"column:not_after"`  // of a certificate that is served; null = none
	CheckedAt      time.Time  `gorm:"column:checked_at"` // when the secret was last read, or tried to; UTC with milliseconds
	NextAt         time.Time  `gorm:"column:next_at"`    // when to read it again
	Failures       int        `gorm:"column:failures"`   // in a row, of reading
}

// TableName implements gorm's Tabler.
func (SecretCopy) TableName() string { return "ottavino_secret_copy" }

func secretCopyTables() []table {
	return []table{{
		name: "ottavino_secret_copy", primary: "id",
		columns: []column{
			text("id", 64), id("load_balancer_id"), {name: "content", typ: typeBody}, millis("not_after"),
			{name: "checked_at", typ: typeMillis}, {name: "next_at", typ: typeMillis}, integer("failures"),
		},
		indexes: []index{
			{name: "ix_ottavino_secret_copy_load_balancer_id", columns: "load_balancer_id"},
			{name: "ix_ottavino_secret_copy_not_after", columns: "not_after"},
		},
	}}
}

// SecretCopyID is the key of a load balancer's copy. kind tells what is made of the secret.
func SecretCopyID(lbID, kind, ref string) string {
	sum := sha256.Sum256([]byte(lbID + "\n" + kind + "\n" + ref))
	return hex.EncodeToString(sum[:])
}

// SecretCopies reads a load balancer's copies, by id.
func (tx *Tx) SecretCopies(ctx context.Context, lbID string) (map[string]SecretCopy, error) {
	rows, err := Where[SecretCopy](ctx, tx, ofLoadBalancer, lbID)
	out := make(map[string]SecretCopy, len(rows))
	for _, r := range rows {
		out[r.ID] = r
	}
	return out, err
}

// PutSecretCopy stores a copy, in place of the one of the same id.
func (tx *Tx) PutSecretCopy(ctx context.Context, c SecretCopy) error {
	c.CheckedAt, c.NextAt = c.CheckedAt.UTC().Truncate(time.Millisecond), c.NextAt.UTC().Truncate(time.Millisecond)
	if c.NotAfter != nil {
		c.NotAfter = new(c.NotAfter.UTC().Truncate(time.Millisecond))
	}
	if err := tx.db.WithContext(ctx).Clauses(clause.OnConflict{UpdateAll: true}).Create(&c).Error; err != nil {
		return fmt.Errorf("store a copy of a secret of load balancer %s: %w", c.LoadBalancerID, err)
	}
	return nil
}

// ForgetSecretCopies removes the copies of a load balancer except those of the given ids.
func (tx *Tx) ForgetSecretCopies(ctx context.Context, lbID string, keep []string) error {
	query, args := ofLoadBalancer, []any{lbID}
	if len(keep) > 0 {
		query, args = query+" AND id NOT IN ?", append(args, keep)
	}
	if _, err := DeleteWhere[SecretCopy](ctx, tx, query, args...); err != nil {
		return fmt.Errorf("forget copies of secrets of load balancer %s: %w", lbID, err)
	}
	return nil
}

// RecheckSecrets has the next pass read anew what a load balancer refers to: somebody has named a reference, and what is
// behind it may have changed.
func (tx *Tx) RecheckSecrets(ctx context.Context, lbID string) error {
	err := tx.db.WithContext(ctx).Model(&SecretCopy{}).Where(ofLoadBalancer, lbID).UpdateColumn("next_at", tx.millis()).Error
	if err != nil {
		return fmt.Errorf("have secrets of load balancer %s read anew: %w", lbID, err)
	}
	return nil
}

// Expiry says how certificates in use stand.
type Expiry struct {
	Certificates int
	Soon         int       // that expire before the time asked for
	Soonest      time.Time // zero without certificates
}

// CertificateExpiry counts certificates in use and those that expire before a time.
func (tx *Tx) CertificateExpiry(ctx context.Context, before time.Time) (Expiry, error) {
	var e Expiry
	g := tx.db.WithContext(ctx)
	var all, soon int64
	err := g.Model(&SecretCopy{}).Where("not_after IS NOT NULL").Count(&all).Error
	if err == nil {
		err = g.Model(&SecretCopy{}).Where("not_after < ?", before.UTC()).Count(&soon).Error
	}
	var first []SecretCopy
	if err == nil {
		err = g.Select("not_after").Where("not_after IS NOT NULL").Order("not_after").Limit(1).Find(&first).Error
	}
	if err != nil {
		return e, fmt.Errorf("read when certificates expire: %w", err)
	}
	e.Certificates, e.Soon = int(all), int(soon)
	if len(first) == 1 {
		e.Soonest = first[0].NotAfter.UTC()
	}
	return e, nil
}
