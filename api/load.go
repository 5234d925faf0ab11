package api

import (
	"context"
	"maps"
	"strings"

	"github.com/ottavino/ottavino/db"
)

// load reads what belongs to the rows with these ids, unless an earlier load has failed.
func load[V any](
	ctx context.Context, failed *error, from func(context.Context, []string) (map[string]V, error), ids []string,
) map[string]V {
	if *failed != nil || len(ids) == 0 {
		return nil
	}
	out, err := from(ctx, ids)
	*failed = err
	return out
}

// commonColumns are filters and sort keys that nearly all collections have.
var commonColumns = map[string]string{
	"id": "id", "name": "name", "project_id": "project_id", "provisioning_status": "provisioning_status",
	"operating_status": "operating_status", "admin_state_up": "enabled", "enabled": "enabled",
	"created_at": "created_at", "updated_at": "updated_at",
}

// columnsOf adds attributes to the common ones: "name", or "name=column" when they differ.
func columnsOf(attributes ...string) map[string]string {
	out := maps.Clone(commonColumns)
	for _, a := range attributes {
		name, column, differs := strings.Cut(a, "=")
		if !differs {
			column = name
		}
		out[name] = column
		if !strings.Contains(column, ".") {
			out[column] = column // upstream takes the column's name too
		}
	}
	return out
}

// each makes the view of a collection whose rows are shown from themselves alone.
func each[M, Out any](show func(*M) Out) func(context.Context, *db.Tx, []M) ([]Out, error) {
	return func(_ context.Context, _ *db.Tx, rows []M) ([]Out, error) {
		out := make([]Out, len(rows))
		for i := range rows {
			out[i] = show(&rows[i])
		}
		return out, nil
	}
}
