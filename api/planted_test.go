package api_test

import (
	"database/sql"
	"strings"
	"testing"

	_ "github.com/mattn/go-sqlite3" // opens the file beside the API

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbtest"
)

// TestPlantedRows: what others write into the database is served as it is, from the next request on, and what a
// worker has to do is left to one.
func TestPlantedRows(t *testing.T) {
	t.Parallel()
	url := dbtest.Server(t, dbtest.SQLite)
	f := newFixtureOn(t, db.Config{URL: url}).admin()
	other, err := sql.Open("sqlite3", strings.TrimPrefix(url, "sqlite:///"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	exec := func(statement string, args ...any) {
		t.Helper()
		if _, err := other.ExecContext(t.Context(), statement, args...); err != nil {
			t.Fatal(err)
		}
	}
	lb := f.create(lbs, `{"loadbalancer": {"vip_subnet_id": "`+subnet+`"}}`)
	const one = "10000000-0000-4000-8000-000000000000"
	exec(`INSERT INTO amphora (id, load_balancer_id, status, cert_busy, created_at, cert_expiration)
		VALUES (?, ?, 'ALLOCATED', 0, '2026-03-14 09:26:53.000120', '2026-03-15 00:00:00')`, one, lb)
	expect(t, f.must(200, "GET", amphorae+"/"+one, ""), "amphora.loadbalancer_id", `"`+lb+`"`,
		"amphora.created_at", `"2026-03-14T09:26:53.000120"`, "amphora.cert_expiration", `"2026-03-15T00:00:00"`)

	exec(`UPDATE load_balancer SET provisioning_status = 'ACTIVE', operating_status = 'ONLINE' WHERE id = ?`, lb)
	expect(t, f.must(200, "GET", lbs+"/"+lb, ""), "loadbalancer.provisioning_status", `"ACTIVE"`, "loadbalancer.operating_status", `"ONLINE"`)
	pool := f.create(pools, `{"pool": {"loadbalancer_id": "`+lb+`", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}}`)
	expect(t, f.must(200, "GET", pools+"/"+pool, ""), "pool.provisioning_status", `"PENDING_CREATE"`)
	f.refuse(wrong{"still pending", "DELETE", pools + "/" + pool, "", 409, "Load Balancer " + lb + " is immutable and cannot be updated."})

	exec(`UPDATE load_balancer SET provisioning_status = 'ACTIVE' WHERE id = ?`, lb)
	exec(`UPDATE pool SET provisioning_status = 'DELETED' WHERE id = ?`, pool)
	f.refuse(wrong{"deleted by the worker", "GET", pools + "/" + pool, "", 404, "Pool " + pool + " not found."})
}

// TestOrderOfCreation: what was made within a second is listed in the order in which it was made.
func TestOrderOfCreation(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, f *fixture) {
		t.Helper()
		lb := f.loadBalancer()
		var want []string
		for range 8 {
			want = append(want, f.create(pools, `{"pool": {"loadbalancer_id": "`+lb+`", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}}`))
			f.setStatus(lb, db.Active)
		}
		var got []string
		for _, p := range f.must(200, "GET", pools+"?fields=id", "").at("pools").([]any) {
			got = append(got, p.(map[string]any)["id"].(string))
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("pools: got %s, want %s", got, want)
		}
	})
}

// TestQuotasInOrder: SQLite lists quotas in the order in which they were set.
func TestQuotasInOrder(t *testing.T) {
	t.Parallel()
	const quotas = "/v2.0/lbaas/quotas"
	f := newFixture(t).admin()
	for _, p := range []string{"b", "c", "a"} {
		f.must(202, "PUT", quotas+"/"+p, `{"quota": {"pool": 3}}`)
	}
	expect(t, f.must(200, "GET", quotas, ""), "quotas.0.project_id", `"b"`, "quotas.1.project_id", `"c"`, "quotas.2.project_id", `"a"`)
	expect(t, f.must(200, "GET", quotas+"?sort=project_id", ""), "quotas.0.project_id", `"a"`)
	expect(t, f.must(200, "GET", quotas+"?limit=2", ""), "quotas.1.project_id", `"b"`, "quotas.2", `"absent"`)
}
