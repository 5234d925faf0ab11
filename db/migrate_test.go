package db_test

import (
	"database/sql"
	"slices"
	"sync"
	"testing"

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbtest"
)

func TestMigrateUpDownUp(t *testing.T) {
	dbtest.EachEmpty(t, func(t *testing.T, cfg db.Config) {
		s := dbtest.Open(t, cfg)
		for _, want := range []int64{3, 2, 1, 0, 3} {
			err := s.MigrateDown(t.Context(), want)
			if want == 3 {
				err = s.Migrate(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			applied, newest, err := s.SchemaVersion(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if applied != want || newest != 3 {
				t.Fatalf("got version %d of %d, want %d of 3", applied, newest, want)
			}
		}
	})
}

func TestMigrateFromSeveralProcesses(t *testing.T) {
	dbtest.EachEmpty(t, func(t *testing.T, cfg db.Config) {
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
		if want := []string{"1", "2", "3"}; !slices.Equal(got, want) {
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
