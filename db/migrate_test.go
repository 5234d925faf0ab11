package db_test

import (
	"database/sql"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbtest"
)

func TestMigrateUpDownUp(t *testing.T) {
	dbtest.EachEmpty(t, func(t *testing.T, cfg db.Config) {
		t.Helper()
		s := dbtest.Open(t, cfg)
		for _, want := range []int64{7, 6, 5, 4, 3, 2, 1, 0, 7} {
			err := s.MigrateDown(t.Context(), want)
			if want == 7 {
				err = s.Migrate(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			applied, newest, err := s.SchemaVersion(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if applied != want || newest != 7 {
				t.Fatalf("got version %d of %d, want %d of 7", applied, newest, want)
			}
		}
	})
}

func TestMigrateFromSeveralProcesses(t *testing.T) {
	dbtest.EachEmpty(t, func(t *testing.T, cfg db.Config) {
		t.Helper()
		var all sync.WaitGroup
		for range 4 {
			s := dbtest.Open(t, cfg)
			all.Go(func() {
				if err := s.Migrate(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		got := texts(t, dbtest.Open(t, cfg), "SELECT version_id FROM ottavino_schema WHERE version_id > 0 ORDER BY id")
		if want := []string{"1", "2", "3", "4", "5", "6", "7"}; !slices.Equal(got, want) {
			t.Errorf("got applied migrations %v, want %v", got, want)
		}
	})
}

// texts runs a query for one column, as text.
func texts(t *testing.T, s *db.Store, query string, args ...any) []string {
	t.Helper()
	rows, err := s.Pool().QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var text sql.NullString
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		out = append(out, text.String)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestMigratedSchemaIsOctavias(t *testing.T) {
	each(t, func(w *world) {
		for query, want := range map[string]string{
			"SELECT version_num FROM alembic_version":               "fabf4983846b",
			"SELECT COUNT(*) FROM provisioning_status":              "10",
			"SELECT COUNT(*) FROM protocol":                         "9",
			"SELECT COUNT(*) FROM client_authentication_mode":       "3",
			"SELECT COUNT(*) FROM spares_pool":                      "1",
			"SELECT slots_used FROM amphora_build_slots WHERE id=1": "0",
			"SELECT provider_name FROM flavor_profile":              "DELETED",
			"SELECT availability_zone_profile_id FROM availability_zone WHERE name = '00000000-0000-0000-0000-000000000000'": "00000000-0000-0000-0000-000000000000",
		} {
			if got := texts(w.t, w.Store, query); !slices.Equal(got, []string{want}) {
				w.t.Errorf("%s: got %q, want %q", query, got, want)
			}
		}
	})
}

// TestModelsFitSchema compares the columns of models and tables, both ways. That the types fit, the
// other tests show by writing and reading.
func TestModelsFitSchema(t *testing.T) {
	each(t, func(w *world) {
		for _, fit := range []func(*world){
			fits[db.AdditionalVIP], fits[db.Amphora], fits[db.AmphoraBuildRequest], fits[db.AmphoraBuildSlots],
			fits[db.AmphoraHealth], fits[db.AmphoraMemberPort], fits[db.AvailabilityZone], fits[db.AvailabilityZoneProfile],
			fits[db.Flavor], fits[db.FlavorProfile], fits[db.HealthMonitor], fits[db.L7Policy], fits[db.L7Rule],
			fits[db.Listener], fits[db.ListenerCIDR], fits[db.ListenerStatistics], fits[db.LoadBalancer], fits[db.Member],
			fits[db.Pool], fits[db.Quota], fits[db.SessionPersistence], fits[db.SNI], fits[db.Tag], fits[db.VIP],
			fits[db.VIPSecurityGroup], fits[db.VRRPGroup], fits[db.Work], fits[db.Event], fits[db.RequestKey], fits[db.SecretCopy],
		} {
			fit(w)
		}
	})
}

func fits[M any](w *world) {
	w.t.Helper()
	table := any(*new(M)).(interface{ TableName() string }).TableName()
	quoted := `"` + table + `"`
	if w.Engine() == "mysql" {
		quoted = "`" + table + "`"
	}
	rows, err := w.Pool().QueryContext(w.t.Context(), "SELECT * FROM "+quoted)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	got, err := rows.Columns()
	if err := errors.Join(err, rows.Err()); err != nil {
		w.t.Fatal(err)
	}
	var want []string
	for f := range reflect.TypeFor[M]().Fields() {
		name, _, _ := strings.Cut(strings.TrimPrefix(f.Tag.Get("gorm"), "column:"), ";")
		want = append(want, name)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.t.Errorf("%s: got columns %v, model has %v", table, got, want)
	}
}

func TestMigrateAdoptsOctavia(t *testing.T) {
	each(t, func(w *world) {
		w.balancer("p", db.Active)
		if err := w.MigrateDown(w.t.Context(), 1); err != nil {
			w.t.Fatal(err)
		}
		// What is left is what Octavia's own migrations leave behind.
		run(w, "DROP TABLE ottavino_schema")
		run(w, "DELETE FROM protocol WHERE name = 'PROMETHEUS'")
		if err := w.Migrate(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		if got := texts(w.t, w.Store, "SELECT COUNT(*) FROM protocol"); got[0] != "8" {
			w.t.Errorf("migrating touched Octavia's rows: %s protocols", got[0])
		}
		if got := texts(w.t, w.Store, "SELECT COUNT(*) FROM ottavino_work"); got[0] != "0" {
			w.t.Errorf("got %s work rows, want 0", got[0])
		}
		if err := w.MigrateDown(w.t.Context(), 0); err == nil || !strings.Contains(err.Error(), "not empty") {
			w.t.Errorf("got %v, want a refusal to drop tables with rows", err)
		}
		run(w, "INSERT INTO protocol (name) VALUES ('PROMETHEUS')")
		run(w, "DELETE FROM load_balancer")
		if err := w.Migrate(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	})
}

func TestMigrateRefusesOldOctavia(t *testing.T) {
	dbtest.EachEmpty(t, func(t *testing.T, cfg db.Config) {
		t.Helper()
		s := dbtest.Open(t, cfg)
		for _, sql := range []string{
			"CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)",
			"INSERT INTO alembic_version VALUES ('034756a182a2')",
		} {
			if _, err := s.Pool().ExecContext(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "034756a182a2") {
			t.Errorf("got %v, want an error with the revision found", err)
		}
	})
}

func run(w *world, sql string) {
	w.t.Helper()
	if _, err := w.Pool().ExecContext(w.t.Context(), sql); err != nil {
		w.t.Fatal(err)
	}
}
