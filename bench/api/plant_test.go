package main

import (
	"log/slog"
	"testing"

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbserver"
)

// What is planted fits ottavino's schema, and reset undoes what requests do.
func TestPlantAndReset(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	server, err := dbserver.StartMariaDB(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := server.Admin().ExecContext(ctx, "CREATE DATABASE ottavino CHARACTER SET utf8"); err != nil {
		t.Fatal(err)
	}
	migrate(t, server.URL("ottavino"))
	conn, err := server.Open("ottavino")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := plant(ctx, conn); err != nil {
		t.Fatal(err)
	}
	count := func(where string, want int) {
		t.Helper()
		var got int
		if err := conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+where).Scan(&got); err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", where, got, err, want)
		}
	}
	count("load_balancer", everybody())
	count("member WHERE pool_id = '"+id(pool, 0)+"'", manyMembers)
	count("load_balancer WHERE project_id = '"+projectOf(100)+"'", 100)
	for _, change := range []string{
		"UPDATE load_balancer SET provisioning_status = 'PENDING_DELETE'",
		"INSERT INTO load_balancer (id, name, provisioning_status, operating_status, enabled) VALUES ('x', '" + made + "', 'ACTIVE', 'ONLINE', 1)",
		"INSERT INTO vip (load_balancer_id) VALUES ('x')",
	} {
		if _, err := conn.ExecContext(ctx, change); err != nil {
			t.Fatal(err)
		}
	}
	if err := (&peer{db: conn, own: ottavino("bin").own}).restore(ctx); err != nil {
		t.Fatal(err)
	}
	count("load_balancer WHERE provisioning_status = 'ACTIVE'", everybody())
	count("vip", everybody())
}

func migrate(t *testing.T, url string) {
	t.Helper()
	s, err := db.Open(t.Context(), db.Config{URL: url, MaxRetries: 1}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
