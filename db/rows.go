package db

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// Get reads one row by primary key. Absent: *NotFoundError.
func Get[M any](ctx context.Context, tx *Tx, id string) (*M, error) { return take[M](ctx, tx.db, id) }

// Lock is Get with SELECT … FOR UPDATE where the engine has it. A load balancer's work row is
// locked before it, so that all transactions lock the two in the same order.
func Lock[M any](ctx context.Context, tx *Tx, id string) (*M, error) {
	if tx.engine == engineSQLite { // BEGIN IMMEDIATE has locked everything
		return Get[M](ctx, tx, id)
	}
	update := clause.Locking{Strength: clause.LockingStrengthUpdate}
	if _, ok := any(new(M)).(*LoadBalancer); ok {
		if _, err := take[Work](ctx, tx.db.Clauses(update), id); err != nil && !isNotFound(err) {
			return nil, err
		}
	}
	return take[M](ctx, tx.db.Clauses(update), id)
}

func take[M any](ctx context.Context, g *gorm.DB, id string) (*M, error) {
	table, err := schemaOf[M](g)
	if err != nil {
		return nil, err
	}
	key := clause.Eq{Column: clause.Column{Table: table.Table, Name: table.PrimaryFieldDBNames[0]}, Value: id}
	return only[M](ctx, g.Where(key), id)
}

// only reads the one row that a query finds by its id.
func only[M any](ctx context.Context, g *gorm.DB, id string) (*M, error) {
	rows, err := scanned[M](ctx, g.Model(new(M)).Limit(1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s %s: %w", resourceOf[M](), id, err)
	case len(rows) == 0:
		return nil, &NotFoundError{Resource: resourceOf[M](), ID: id}
	}
	return &rows[0], nil
}

// Where reads the rows matching a gorm condition, in no promised order.
func Where[M any](ctx context.Context, tx *Tx, query string, args ...any) ([]M, error) {
	rows, err := scanned[M](ctx, tx.db.Model(new(M)).Where(query, inUTC(args)...))
	if err != nil {
		return nil, fmt.Errorf("read %s rows: %w", resourceOf[M](), err)
	}
	return rows, nil
}

// Insert adds a row and sets created_at where the model has it and the row does not.
// A unique key already there: *DuplicateError.
func Insert[M any](ctx context.Context, tx *Tx, row *M) error {
	table, err := schemaOf[M](tx.db)
	if err != nil {
		return err
	}
	tx.stampCreated(ctx, table, reflect.ValueOf(row).Elem())
	if err := tx.db.WithContext(ctx).Create(row).Error; err != nil {
		return writeError[M]("insert", table, err)
	}
	tx.inserted(ctx, table, reflect.ValueOf(row).Elem())
	return nil
}

// inserted notes that a row is fresh, if it has an id of its own: some go by that of their owner.
func (tx *Tx) inserted(ctx context.Context, table *schema.Schema, row reflect.Value) {
	f := table.FieldsByDBName["id"]
	if f == nil {
		return
	}
	key, _ := f.ValueOf(ctx, row)
	if id, ok := key.(string); ok {
		if tx.fresh == nil {
			tx.fresh = map[string]bool{}
		}
		tx.fresh[id] = true
	}
}

// inInsert bounds the rows of one statement; engines limit its parameters.
const inInsert = 500

// InsertAll is Insert for many rows, in one statement for each started 500.
func InsertAll[M any](ctx context.Context, tx *Tx, rows []M) error {
	table, err := schemaOf[M](tx.db)
	if err != nil {
		return err
	}
	for i := range rows {
		tx.stampCreated(ctx, table, reflect.ValueOf(&rows[i]).Elem())
	}
	for some := range slices.Chunk(rows, inInsert) {
		if err := tx.db.WithContext(ctx).Create(&some).Error; err != nil {
			return writeError[M]("insert", table, err)
		}
	}
	for i := range rows {
		tx.inserted(ctx, table, reflect.ValueOf(&rows[i]).Elem())
	}
	return nil
}

// UpdateAll is Update for many rows that are there, in one statement for each started 500: all
// of a row is sent, the named columns and updated_at are written. A row that is not there is inserted.
func UpdateAll[M any](ctx context.Context, tx *Tx, rows []M, columns ...string) error {
	table, err := schemaOf[M](tx.db)
	if err != nil {
		return err
	}
	f := table.FieldsByDBName["updated_at"]
	if f != nil {
		columns = append(columns[:len(columns):len(columns)], "updated_at")
	}
	for i := range rows {
		row := reflect.ValueOf(&rows[i]).Elem()
		if f != nil {
			now := tx.Now()
			f.ReflectValueOf(ctx, row).Set(reflect.ValueOf(&now))
		}
		utc(ctx, table, row)
	}
	set := clause.OnConflict{
		Columns:   []clause.Column{{Name: table.PrimaryFieldDBNames[0]}},
		DoUpdates: clause.AssignmentColumns(columns),
	}
	for some := range slices.Chunk(rows, inInsert) {
		if err := tx.db.WithContext(ctx).Clauses(set).Create(&some).Error; err != nil {
			return writeError[M]("update", table, err)
		}
	}
	return nil
}

// Update writes the named columns of row, and updated_at where the model has it.
// Zero rows changed: *NotFoundError. No columns: does nothing.
func Update[M any](ctx context.Context, tx *Tx, row *M, columns ...string) error {
	if len(columns) == 0 {
		return nil
	}
	table, err := schemaOf[M](tx.db)
	if err != nil {
		return err
	}
	value := reflect.ValueOf(row).Elem()
	if f := table.FieldsByDBName["updated_at"]; f != nil {
		now := tx.Now()
		f.ReflectValueOf(ctx, value).Set(reflect.ValueOf(&now))
		columns = append(columns[:len(columns):len(columns)], "updated_at")
	}
	utc(ctx, table, value)
	set := make(map[string]any, len(columns))
	for _, c := range columns {
		f := table.FieldsByDBName[c]
		if f == nil {
			return fmt.Errorf("update %s: %w", resourceOf[M](), &UnknownColumnError{Column: c})
		}
		set[c], _ = f.ValueOf(ctx, value)
	}
	g := tx.db.WithContext(ctx).Model(new(M))
	for _, f := range table.PrimaryFields {
		key, _ := f.ValueOf(ctx, value)
		g = g.Where(clause.Eq{Column: clause.Column{Table: table.Table, Name: f.DBName}, Value: key})
	}
	g = g.UpdateColumns(set)
	if g.Error != nil {
		return writeError[M]("update", table, g.Error)
	}
	if _, ok := any(row).(*LoadBalancer); ok && slices.Contains(columns, "provisioning_status") {
		tx.moved = true
	}
	if g.RowsAffected == 0 {
		key, _ := table.PrimaryFields[0].ValueOf(ctx, value)
		return &NotFoundError{Resource: resourceOf[M](), ID: fmt.Sprint(key)}
	}
	return nil
}

// Delete removes one row by primary key together with what upstream's ORM cascades to
// (tags included). Removing what is not there is no error.
func Delete[M any](ctx context.Context, tx *Tx, id string) error {
	table, err := schemaOf[M](tx.db)
	if err != nil {
		return err
	}
	if err := tx.cascade(ctx, table.Table, []string{id}); err != nil {
		return fmt.Errorf("delete what belongs to %s %s: %w", resourceOf[M](), id, err)
	}
	key := clause.Eq{Column: clause.Column{Name: table.PrimaryFieldDBNames[0]}, Value: id}
	if err := tx.db.WithContext(ctx).Where(key).Delete(new(M)).Error; err != nil {
		return fmt.Errorf("delete %s %s: %w", resourceOf[M](), id, err)
	}
	return nil
}

// DeleteWhere removes the rows matching a gorm condition and says how many there were. It
// cascades nothing: it is for rows without children (tags, SNIs, CIDRs, additional VIPs …).
func DeleteWhere[M any](ctx context.Context, tx *Tx, query string, args ...any) (int64, error) {
	n, err := gorm.G[M](tx.db).Where(query, inUTC(args)...).Delete(ctx)
	if err != nil {
		return 0, fmt.Errorf("delete %s rows: %w", resourceOf[M](), err)
	}
	return int64(n), nil
}

// belonging is a table whose rows go away with the row of another table that column names.
type belonging struct {
	table, column string
	key           string // its primary key, where others belong to it in turn
	unset         bool   // the row stays and forgets its owner
}

// belongings are the cascades of upstream's ORM by table; the database itself has none. Beside
// upstream, a listener's statistics and a load balancer's events and copies of secrets go, too.
var belongings = map[string][]belonging{
	"load_balancer": {
		{table: "vip", column: "load_balancer_id", key: "load_balancer_id"},
		{table: "additional_vip", column: "load_balancer_id"},
		{table: "vrrp_group", column: "load_balancer_id"},
		{table: "listener", column: "load_balancer_id", key: "id"},
		{table: "pool", column: "load_balancer_id", key: "id"},
		{table: "tags", column: "resource_id"},
		{table: "ottavino_event", column: "load_balancer_id"},
		{table: "ottavino_secret_copy", column: "load_balancer_id"},
	},
	"vip": {{table: "vip_security_group", column: "load_balancer_id"}},
	"listener": {
		{table: "sni", column: "listener_id"},
		{table: "listener_cidr", column: "listener_id"},
		{table: "listener_statistics", column: "listener_id"},
		{table: "l7policy", column: "listener_id", key: "id"},
		{table: "tags", column: "resource_id"},
	},
	"l7policy": {
		{table: "l7rule", column: "l7policy_id", key: "id"},
		{table: "tags", column: "resource_id"},
	},
	"l7rule": {{table: "tags", column: "resource_id"}},
	"pool": {
		{table: "member", column: "pool_id", key: "id"},
		{table: "health_monitor", column: "pool_id", key: "id"},
		{table: "session_persistence", column: "pool_id"},
		{table: "listener", column: "default_pool_id", unset: true},
		{table: "l7policy", column: "redirect_pool_id", unset: true},
		{table: "tags", column: "resource_id"},
	},
	"member":         {{table: "tags", column: "resource_id"}},
	"health_monitor": {{table: "tags", column: "resource_id"}},
}

// cascade removes what belongs to rows of a table, deepest first.
func (tx *Tx) cascade(ctx context.Context, table string, ids []string) error {
	g := tx.db.WithContext(ctx)
	for _, b := range belongings[table] {
		err := chunked(ids, func(ids []string) error {
			if b.key != "" {
				var children []string
				err := g.Table(b.table).Where(b.column+" IN ?", ids).Pluck(b.key, &children).Error
				if err != nil {
					return err
				}
				if err := tx.cascade(ctx, b.table, children); err != nil || len(children) == 0 {
					return err
				}
			}
			if b.unset {
				return g.Table(b.table).Where(b.column+" IN ?", ids).UpdateColumn(b.column, nil).Error
			}
			return g.Exec("DELETE FROM "+b.table+" WHERE "+b.column+" IN ?", ids).Error
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// stampCreated fills an empty created_at and makes all times what their columns hold.
func (tx *Tx) stampCreated(ctx context.Context, table *schema.Schema, row reflect.Value) {
	if f := table.FieldsByDBName["created_at"]; f != nil {
		if v := f.ReflectValueOf(ctx, row); v.IsNil() {
			now := tx.Now()
			v.Set(reflect.ValueOf(&now))
		}
	}
	utc(ctx, table, row)
}

// utc makes the times of a row UTC and cuts what their columns do not hold: only MariaDB's
// driver converts zones, the others store the wall clock or the zone; and servers round, up too.
func utc(ctx context.Context, table *schema.Schema, row reflect.Value) {
	unit := time.Second
	if table.Table == (Work{}).TableName() {
		unit = time.Millisecond
	}
	for _, f := range table.Fields {
		switch v := f.ReflectValueOf(ctx, row); t := v.Interface().(type) {
		case time.Time:
			v.Set(reflect.ValueOf(t.UTC().Truncate(unit)))
		case *time.Time:
			if t != nil {
				u := t.UTC().Truncate(unit)
				v.Set(reflect.ValueOf(&u))
			}
		}
	}
}

// inUTC is utc for the arguments of a condition.
func inUTC(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		switch t := a.(type) {
		case time.Time:
			out[i] = t.UTC()
		case *time.Time:
			out[i] = a
			if t != nil {
				out[i] = t.UTC()
			}
		default:
			out[i] = a
		}
	}
	return out
}

func writeError[M any](verb string, table *schema.Schema, err error) error {
	if key, dup := duplicateKey(err, table.Table); dup {
		return &DuplicateError{Resource: resourceOf[M](), Key: key}
	}
	return fmt.Errorf("%s %s: %w", verb, resourceOf[M](), err)
}

func isNotFound(err error) bool {
	_, ok := errors.AsType[*NotFoundError](err)
	return ok
}

// schemaOf is what gorm knows of a model; gorm caches it.
func schemaOf[M any](g *gorm.DB) (*schema.Schema, error) {
	stmt := &gorm.Statement{DB: g}
	if err := stmt.Parse(new(M)); err != nil {
		return nil, fmt.Errorf("understand model: %w", err)
	}
	return stmt.Schema, nil
}

// resourceOf names a model as errors and kinds do: the table without underscores.
func resourceOf[M any]() string {
	var m any = new(M)
	t, ok := m.(schema.Tabler)
	if !ok {
		return "row"
	}
	return strings.ReplaceAll(strings.TrimSuffix(t.TableName(), "s"), "_", "")
}
