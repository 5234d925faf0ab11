package db

import (
	"context"
	"fmt"
	"reflect"

	"gorm.io/gorm/clause"
)

// ListQuery says which rows List returns, in which order and how many. The zero value
// returns all live rows by created_at and id.
//
// A column is a column of the listed table, or of the one row it is joined with, written
// with that table's name: "vip.ip_address" for LoadBalancer, "health_monitor.id" for Pool,
// "load_balancer.project_id" for Amphora.
type ListQuery struct {
	Filters   []Filter // all must match
	ProjectID *string  // nil: every project. For Amphora the project of its load balancer

	// Tag filters. Nil or empty: no filter. They combine by AND.
	Tags       []string // has all of them
	TagsAny    []string // has at least one
	NotTags    []string // does not have all of them
	NotTagsAny []string // has none of them

	Sort    []Order // created_at and id are appended, ascending, where the table has them
	Marker  *string // primary key of the last row seen; nil: from the start
	Reverse bool    // rows before the marker, in the same order, counted from the start
	Limit   int     // 0 or less: no limit

	IncludeDeleted bool // DELETED rows and nil-UUID placeholders too
}

// Filter is an exact match of one column. A Value of text for a column of another type is
// converted; one that cannot be converted matches nothing, and so does "" on a null column.
// Booleans: "1 t true on y yes" in any case are true, any other text is false.
// A nil Value matches null.
type Filter struct {
	Column string
	Value  any
}

// Order sorts by one column; nulls come first when ascending, on every engine.
type Order struct {
	Column string
	Desc   bool
}

// UnknownColumnError says that List was asked to filter or sort by a column that is not there.
type UnknownColumnError struct{ Column string }

func (e *UnknownColumnError) Error() string { return fmt.Sprintf("unknown column %q", e.Column) }

// MarkerError says that ListQuery.Marker names no row.
type MarkerError struct{ Marker string }

func (e *MarkerError) Error() string { return fmt.Sprintf("no row with the marker %q", e.Marker) }

// List reads the rows of a resource in at most two queries (one when there is no marker).
// The result is never nil. Errors: *UnknownColumnError, *MarkerError.
func List[M any](ctx context.Context, tx *Tx, q ListQuery) ([]M, error) {
	var all []M
	err := Batches(ctx, tx, q, 0, func(rows []M) error { all = rows; return nil })
	if err != nil {
		return []M{}, err
	}
	return all, nil
}

// Batches is List for results that are too big to hold: fn gets them in pieces of at most size
// rows (0 is all at once), each valid until it returns. An empty result is one empty piece.
func Batches[M any](ctx context.Context, tx *Tx, q ListQuery, size int, fn func(rows []M) error) error {
	l, err := newLister[M](tx)
	if err != nil {
		return err
	}
	conditions, keys, err := l.plan(ctx, q)
	if err != nil {
		return err
	}
	if keys == nil { // there is no row to go on from
		size = 0
	}
	left := q.Limit
	for where := conditions; ; {
		n := size
		if q.Limit > 0 && (n == 0 || left < n) {
			n = left
		}
		rows, err := listed[M](ctx, l, where, keys, n)
		if err != nil {
			return err
		}
		if err := fn(rows); err != nil {
			return err
		}
		left -= len(rows)
		if n == 0 || len(rows) < n || left == 0 {
			return nil
		}
		last, _ := l.table.PrimaryFields[0].ValueOf(ctx, reflect.ValueOf(&rows[n-1]).Elem())
		behind, err := l.after(ctx, keys, last, false)
		if err != nil {
			return err
		}
		where = append(conditions[:len(conditions):len(conditions)], behind)
	}
}

// asMade says that rows are best left in the order in which the engine finds them: all quotas, as long as they are one
// page. They have no time of creation; SQLite finds them in the order in which they were set, as upstream's tests do.
func (l *lister) asMade(ctx context.Context, q ListQuery, conditions []clause.Expression) (bool, error) {
	if l.table.Table != "quotas" || l.tx.engine != engineSQLite || len(q.Sort) > 0 || q.Marker != nil {
		return false, nil
	}
	var n int64
	g := l.from(ctx)
	for _, c := range conditions {
		g = g.Where(c)
	}
	err := g.Count(&n).Error
	return q.Limit == 0 || n < int64(q.Limit), err
}

// plan is what a query's rows must match and how they are ordered; no keys leave the order to the engine.
func (l *lister) plan(ctx context.Context, q ListQuery) ([]clause.Expression, []sortKey, error) {
	conditions, err := l.conditions(q)
	if err != nil {
		return nil, nil, err
	}
	if made, err := l.asMade(ctx, q, conditions); made || err != nil {
		return conditions, nil, err
	}
	keys, err := l.sortKeys(q.Sort)
	if err != nil || q.Marker == nil {
		return conditions, keys, err
	}
	after, err := l.after(ctx, keys, *q.Marker, q.Reverse)
	return append(conditions, after), keys, err
}

// listed reads the first rows, all for 0, that match.
func listed[M any](ctx context.Context, l *lister, where []clause.Expression, keys []sortKey, limit int) ([]M, error) {
	g := l.from(ctx).Select(l.quote(l.table.Table) + ".*")
	for _, c := range where {
		g = g.Where(c)
	}
	for _, k := range keys {
		g = g.Order(l.orderBy(k))
	}
	if limit > 0 {
		g = g.Limit(limit)
	}
	rows, err := scanned[M](ctx, g)
	if err != nil {
		return nil, fmt.Errorf("list %s rows: %w", resourceOf[M](), err)
	}
	return rows, nil
}

// Live is Get for what the API shows: DELETED rows and nil-UUID placeholders are *NotFoundError.
func Live[M any](ctx context.Context, tx *Tx, id string) (*M, error) {
	l, err := newLister[M](tx)
	if err != nil {
		return nil, err
	}
	g := l.from(ctx).Where(clause.Eq{Column: l.primary(), Value: id})
	for _, c := range l.live() {
		g = g.Where(c)
	}
	return only[M](ctx, g, id)
}
