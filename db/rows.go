package db

import (
	"context"
	"strings"

	"gorm.io/gorm/schema"
)

// resourceOf names a model as errors and kinds do: the table without underscores.
func resourceOf[M any]() string {
	var m any = new(M)
	t, ok := m.(schema.Tabler)
	if !ok {
		return "row"
	}
	return strings.ReplaceAll(strings.TrimSuffix(t.TableName(), "s"), "_", "")
}

// insertAll adds rows in one statement.
func insertAll[M any](ctx context.Context, tx *Tx, rows []M) error { panic("todo") }
