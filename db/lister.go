package db

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// joined are the one-to-one tables whose columns a list may use, by listed table.
var joined = map[string]struct {
	model any
	on    string
}{
	"load_balancer": {&VIP{}, "vip.load_balancer_id = load_balancer.id"},
	"pool":          {&HealthMonitor{}, "health_monitor.pool_id = pool.id"},
	"amphora":       {&LoadBalancer{}, "load_balancer.id = amphora.load_balancer_id"},
}

// lister builds the query of one List.
type lister struct {
	tx    *Tx
	model any
	table *schema.Schema
	other *schema.Schema // the joined table, nil without
	joins bool           // the query uses it
}

// listColumn is a column that a list filters or sorts by.
type listColumn struct {
	clause.Column
	field *schema.Field
}

// sortKey is a column with its direction.
type sortKey struct {
	listColumn
	desc bool
}

func newLister[M any](tx *Tx) (*lister, error) {
	table, err := schemaOf[M](tx.db)
	if err != nil {
		return nil, err
	}
	l := &lister{tx: tx, model: new(M), table: table}
	if j, ok := joined[table.Table]; ok {
		stmt := &gorm.Statement{DB: tx.db}
		if err := stmt.Parse(j.model); err != nil {
			return nil, fmt.Errorf("understand model: %w", err)
		}
		l.other = stmt.Schema
	}
	return l, nil
}

// column finds a column by the name that ListQuery has for it.
func (l *lister) column(name string) (listColumn, error) {
	table, plain := l.table, name
	if prefix, rest, ok := strings.Cut(name, "."); ok {
		plain = rest
		switch {
		case prefix == l.table.Table:
		case l.other != nil && prefix == l.other.Table:
			table, l.joins = l.other, true
		default:
			return listColumn{}, &UnknownColumnError{Column: name}
		}
	}
	f := table.FieldsByDBName[plain]
	if f == nil {
		return listColumn{}, &UnknownColumnError{Column: name}
	}
	return listColumn{clause.Column{Table: table.Table, Name: plain}, f}, nil
}

func (l *lister) primary() clause.Column {
	return clause.Column{Table: l.table.Table, Name: l.table.PrimaryFieldDBNames[0]}
}

func (l *lister) quote(name any) string { return l.tx.db.Statement.Quote(name) }

// from starts a query of the table, with the joined one where it is needed.
func (l *lister) from(ctx context.Context) *gorm.DB {
	g := l.tx.db.WithContext(ctx).Model(l.model)
	if l.joins {
		g = g.Joins("LEFT JOIN " + l.quote(l.other.Table) + " ON " + joined[l.table.Table].on)
	}
	return g
}

// conditions are a query's filters of all sorts.
func (l *lister) conditions(q ListQuery) ([]clause.Expression, error) {
	var out []clause.Expression
	if !q.IncludeDeleted {
		out = l.live()
	}
	if q.ProjectID != nil {
		name := "project_id"
		if l.table.Table == "amphora" {
			name = "load_balancer.project_id"
		}
		c, err := l.column(name)
		if err != nil {
			return nil, err
		}
		out = append(out, clause.Eq{Column: c.Column, Value: *q.ProjectID})
	}
	for _, f := range q.Filters {
		c, err := l.column(f.Column)
		if err != nil {
			return nil, err
		}
		out = append(out, c.equals(f.Value))
	}
	return append(out, l.tags(q)...), nil
}

// live leaves out what the API does not show.
func (l *lister) live() []clause.Expression {
	table := l.table.Table
	switch table {
	case "amphora":
		return []clause.Expression{clause.Neq{Column: clause.Column{Table: table, Name: "status"}, Value: Deleted}}
	case "flavor", "flavor_profile", "availability_zone", "availability_zone_profile":
		return []clause.Expression{clause.Neq{Column: l.primary(), Value: Placeholder}}
	}
	if l.table.FieldsByDBName["provisioning_status"] == nil {
		return nil
	}
	return []clause.Expression{clause.Neq{Column: clause.Column{Table: table, Name: "provisioning_status"}, Value: Deleted}}
}

func (l *lister) tags(q ListQuery) []clause.Expression {
	var out []clause.Expression
	var all []clause.Expression
	for _, tag := range q.Tags {
		out = append(out, l.hasTag([]string{tag}))
	}
	if len(q.TagsAny) > 0 {
		out = append(out, l.hasTag(q.TagsAny))
	}
	for _, tag := range q.NotTags {
		all = append(all, l.hasTag([]string{tag}))
	}
	if len(all) > 0 {
		out = append(out, negated{clause.And(all...)})
	}
	if len(q.NotTagsAny) > 0 {
		out = append(out, negated{l.hasTag(q.NotTagsAny)})
	}
	return out
}

// negated is NOT (…). gorm's own clause.Not rewrites what it negates by its shape.
type negated struct{ inner clause.Expression }

// Build implements clause.Expression.
func (n negated) Build(b clause.Builder) {
	_, _ = b.WriteString("NOT (")
	n.inner.Build(b)
	_ = b.WriteByte(')')
}

// hasTag matches rows with at least one of the tags.
func (l *lister) hasTag(tags []string) clause.Expression {
	return clause.Expr{
		SQL:  "EXISTS (SELECT 1 FROM tags WHERE tags.resource_id = ? AND tags.tag IN ?)",
		Vars: []any{l.primary(), tags},
	}
}

// nothing matches no row.
var nothing = clause.Expr{SQL: "1 = 0"}

// floatSlack is how far a stored float may be from a filter's: MariaDB's float has 24 bits.
const floatSlack = 1e-4

// equals is an exact match, converting the value to the column's type.
func (c listColumn) equals(value any) clause.Expression {
	if v := reflect.ValueOf(value); v.Kind() == reflect.Pointer {
		value = nil
		if !v.IsNil() {
			value = v.Elem().Interface()
		}
	}
	if value == nil {
		return clause.Eq{Column: c.Column, Value: nil}
	}
	if text, ok := value.(string); ok {
		if value, ok = c.convert(text); !ok {
			return nothing
		}
	}
	switch v := value.(type) {
	case time.Time:
		value = v.UTC()
	case float64:
		return clause.Expr{SQL: "? BETWEEN ? AND ?", Vars: []any{c.Column, v - floatSlack, v + floatSlack}}
	}
	return clause.Eq{Column: c.Column, Value: value}
}

// timeFormats are those in which the API gives and takes times.
var timeFormats = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"}

// convert reads a text as a value of the column's type; ok is false when it is none.
func (c listColumn) convert(text string) (value any, ok bool) {
	var err error
	typ := c.field.IndirectFieldType
	switch typ.Kind() {
	case reflect.String:
		return text, true
	case reflect.Bool:
		return isTrue(text), true
	case reflect.Int, reflect.Int64:
		value, err = strconv.ParseInt(text, 10, 64)
		return value, err == nil
	case reflect.Float64:
		value, err = strconv.ParseFloat(text, 64)
		return value, err == nil
	default: // a time, or nothing that a text can be
	}
	if typ != reflect.TypeFor[time.Time]() {
		return nil, false
	}
	for _, f := range timeFormats {
		if value, err = time.Parse(f, text); err == nil {
			return value, true
		}
	}
	return nil, false
}

// sortKeys completes an order so that it is total.
func (l *lister) sortKeys(orders []Order) ([]sortKey, error) {
	names := make([]Order, 0, len(orders)+2)
	names = append(names, orders...)
	for _, tail := range append([]string{"created_at"}, l.table.PrimaryFieldDBNames...) {
		if l.table.FieldsByDBName[tail] != nil {
			names = append(names, Order{Column: tail})
		}
	}
	var keys []sortKey
	for _, o := range names {
		c, err := l.column(o.Column)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(keys, func(k sortKey) bool { return k.Column == c.Column }) {
			keys = append(keys, sortKey{c, o.Desc})
		}
	}
	return keys, nil
}

func (l *lister) orderBy(k sortKey) string {
	by := l.quote(k.Column)
	if k.desc {
		by += " DESC"
	}
	if l.tx.engine != enginePostgres { // the others take null for the least value
		return by
	}
	if k.desc {
		return by + " NULLS LAST"
	}
	return by + " NULLS FIRST"
}

// after matches the rows behind the marker's row in the order of keys; before it when reverse.
func (l *lister) after(ctx context.Context, keys []sortKey, marker any, reverse bool) (clause.Expression, error) {
	values, err := l.valuesOf(ctx, keys, marker)
	if err != nil {
		return nil, err
	}
	var either, same []clause.Expression
	for i, k := range keys {
		if beyond := k.beyond(values[i], k.desc != reverse); beyond != nil {
			either = append(either, clause.And(append(slices.Clone(same), beyond)...))
		}
		same = append(same, k.equals(values[i]))
	}
	if len(either) == 0 {
		return nothing, nil
	}
	return clause.And(clause.Or(either...)), nil
}

// beyond matches values on the far side of v, null being the least; nil when there are none.
func (k sortKey) beyond(v any, less bool) clause.Expression {
	if f, ok := v.(float64); ok { // beyond what equals takes for the same
		v = f + floatSlack
		if less {
			v = f - floatSlack
		}
	}
	switch {
	case v == nil && less:
		return nil
	case v == nil:
		return clause.Neq{Column: k.Column, Value: nil}
	case less:
		return clause.And(clause.Or(clause.Lt{Column: k.Column, Value: v}, clause.Eq{Column: k.Column, Value: nil}))
	}
	return clause.Gt{Column: k.Column, Value: v}
}

// valuesOf reads the sorted columns of the marker's row; nil for null.
func (l *lister) valuesOf(ctx context.Context, keys []sortKey, marker any) ([]any, error) {
	var names []string
	scans := make([]any, len(keys))
	for i, k := range keys {
		names = append(names, l.quote(k.Column))
		scans[i] = reflect.New(reflect.PointerTo(k.field.IndirectFieldType)).Interface()
	}
	rows, err := l.from(ctx).Select(strings.Join(names, ", ")).
		Where(clause.Eq{Column: l.primary(), Value: marker}).Limit(1).Rows()
	if err != nil {
		return nil, fmt.Errorf("read marker: %w", err)
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		return nil, errors.Join(rows.Err(), &MarkerError{Marker: fmt.Sprint(marker)})
	}
	if err := rows.Scan(scans...); err != nil {
		return nil, fmt.Errorf("read marker: %w", err)
	}
	values := make([]any, len(keys))
	for i, s := range scans {
		if v := reflect.ValueOf(s).Elem(); !v.IsNil() {
			values[i] = v.Elem().Interface()
		}
	}
	return values, rows.Err()
}
