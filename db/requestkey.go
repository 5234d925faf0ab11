package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm/clause"
)

// RequestKey is a row of ottavino_request_key: a request that a client marked with a key, so that it can repeat it.
type RequestKey struct {
	ID           string     `gorm:"column:id;primaryKey"` // hash of scope and key
	Request      string     `gorm:"column:request"`       // hash of what was asked
	Owner        string     `gorm:"column:owner"`         // the attempt that may answer
	Status       int        `gorm:"column:status"`        // HTTP status of the answer; 0 = none yet
	Body         []byte     `gorm:"column:body"`          // of the answer; null = none yet
	FirstAt      time.Time  `gorm:"column:first_at"`      // UTC with milliseconds
	RunningUntil *time.Time `gorm:"column:running_until"` // without an answer until then the attempt counts as dead
}

// TableName implements gorm's Tabler.
func (RequestKey) TableName() string { return "ottavino_request_key" }

func requestKeyTables() []table {
	return []table{{
		name: "ottavino_request_key", primary: "id",
		columns: []column{
			text("id", 64), text("request", 64), id("owner"), integer("status"),
			{name: "body", typ: typeBody, optional: true}, {name: "first_at", typ: typeMillis}, millis("running_until"),
		},
		indexes: []index{{name: "ix_ottavino_request_key_first_at", columns: "first_at"}},
	}}
}

// KeyLifetime is how long an answer is kept for repeats.
const KeyLifetime = 24 * time.Hour

// KeyClaim is an attempt at a request with a key.
type KeyClaim struct {
	ID      string // hash of scope and key, 64 characters
	Request string // hash of what is asked, 64 characters
	Owner   string // names this attempt
}

// Errors of ClaimKey and AnswerKey.
var (
	ErrKeyReused  = errors.New("key was used for another request")
	ErrKeyRunning = errors.New("a request with this key is under way")
	ErrKeyLost    = errors.New("another attempt has this key now")
)

// ClaimKey takes a key for an attempt that ends within `running`. A key that has an answer, younger than `keep`, returns
// its row; the caller then does nothing but repeat the answer. Otherwise nil: the caller goes on, and AnswerKey or
// ReleaseKey ends the attempt. Errors: ErrKeyReused, ErrKeyRunning.
func (s *Store) ClaimKey(ctx context.Context, c KeyClaim, running, keep time.Duration) (*RequestKey, error) {
	var answered *RequestKey
	err := s.Tx(ctx, func(ctx context.Context, tx *Tx) (err error) {
		answered, err = tx.claimKey(ctx, c, running, keep)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim request key: %w", err)
	}
	return answered, nil
}

func (tx *Tx) claimKey(ctx context.Context, c KeyClaim, running, keep time.Duration) (*RequestKey, error) {
	now := tx.millis()
	until := now.Add(running).Truncate(time.Millisecond)
	mine := RequestKey{ID: c.ID, Request: c.Request, Owner: c.Owner, FirstAt: now, RunningUntil: &until}
	// Insert first: of two that look for the key at the same time one waits for the other here.
	err := tx.db.WithContext(ctx).Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "id"}},
		DoUpdates: clause.Set{{Column: clause.Column{Name: "id"}, Value: c.ID}},
	}).Create(&mine).Error
	if err != nil {
		return nil, err
	}
	row, err := Lock[RequestKey](ctx, tx, c.ID)
	switch {
	case err != nil:
		return nil, err
	case row.Owner == c.Owner:
		return nil, nil //nolint:nilnil // no answer and no error: the claim
	case !row.FirstAt.Add(keep).After(now):
		return nil, tx.takeKey(ctx, &mine)
	case row.Request != c.Request:
		return nil, ErrKeyReused
	case row.Status != 0:
		return row, nil
	case row.RunningUntil.After(now):
		return nil, ErrKeyRunning
	}
	return nil, tx.takeKey(ctx, &mine) // its process died: nothing was made, or the answer would be here
}

// takeKey overwrites a row.
func (tx *Tx) takeKey(ctx context.Context, mine *RequestKey) error {
	return tx.db.WithContext(ctx).Model(&RequestKey{}).Where("id = ?", mine.ID).UpdateColumns(map[string]any{
		"request": mine.Request, "owner": mine.Owner, "status": 0, "body": nil,
		"first_at": mine.FirstAt, "running_until": mine.RunningUntil,
	}).Error
}

// AnswerKey stores the answer of an attempt. In the transaction of what the request makes, the two are committed together or
// not at all. ErrKeyLost when the attempt took too long and another has the key: the transaction must not commit.
func (tx *Tx) AnswerKey(ctx context.Context, c KeyClaim, status int, body []byte) error {
	g := tx.db.WithContext(ctx).Model(&RequestKey{}).Where("id = ? AND owner = ? AND status = 0", c.ID, c.Owner).
		UpdateColumns(map[string]any{"status": status, "body": body, "running_until": nil})
	switch {
	case g.Error != nil:
		return fmt.Errorf("store answer of request key: %w", g.Error)
	case g.RowsAffected == 0:
		return ErrKeyLost
	}
	return nil
}

// ReleaseKey forgets an attempt that has no answer, so that the key can be used again at once.
func (s *Store) ReleaseKey(ctx context.Context, c KeyClaim) error {
	return s.Tx(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := DeleteWhere[RequestKey](ctx, tx, "id = ? AND owner = ? AND status = 0", c.ID, c.Owner)
		return err
	})
}

// ForgetKeys removes keys that were first used before a time, and says how many.
func (tx *Tx) ForgetKeys(ctx context.Context, before time.Time) (int64, error) {
	return DeleteWhere[RequestKey](ctx, tx, "first_at < ?", before)
}
