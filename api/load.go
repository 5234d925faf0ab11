package api

import (
	"context"
	"maps"
	"strings"
)

// loader runs the loads of a view and keeps their first error.
type loader struct {
	ctx context.Context //nolint:containedctx // lives for one call of a view
	err error
}

// load reads what belongs to the rows with these ids.
func load[V any](l *loader, from func(context.Context, []string) (map[string]V, error), ids []string) map[string]V {
	if l.err != nil || len(ids) == 0 {
		return nil
	}
	var out map[string]V
	out, l.err = from(l.ctx, ids)
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
