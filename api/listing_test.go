package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/db"
)

// fill inserts pools of a new load balancer.
func (f *fixture) fill(n int) {
	f.t.Helper()
	lb := f.loadBalancer()
	owner := project
	rows := make([]db.Pool, n)
	for i := range rows {
		rows[i] = db.Pool{
			ID: fmt.Sprintf("%08d-0000-4000-8000-000000000000", i), ProjectID: &owner, LoadBalancerID: &lb, Protocol: "TCP",
			LBAlgorithm: "ROUND_ROBIN", ProvisioningStatus: db.Active, OperatingStatus: db.Online,
		}
	}
	err := f.store.Tx(f.t.Context(), func(ctx context.Context, tx *db.Tx) error { return db.InsertAll(ctx, tx, rows) })
	if err != nil {
		f.t.Fatal(err)
	}
}

// gauge is a response that keeps only how much memory was alive at most while it was written.
type gauge struct {
	header http.Header
	live   uint64
	bytes  int
}

func (g *gauge) Header() http.Header { return g.header }
func (g *gauge) WriteHeader(int)     {}
func (g *gauge) Write(b []byte) (int, error) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	g.live = max(g.live, m.HeapAlloc)
	g.bytes += len(b)
	return len(b), nil
}

// TestLongListsStayFlat: a list of 10,000 rows takes not much more memory than one of 2,000. Not parallel: it measures
// the heap of the process.
func TestLongListsStayFlat(t *testing.T) {
	peak := map[int]uint64{}
	for _, n := range []int{2000, 10000} {
		f := newFixture(t, func(c *api.Config, _ *api.Deps) { c.PaginationMaxLimit = -1 })
		f.fill(n)
		for _, query := range []string{"", "?fields=id&fields=name"} {
			base, g := &gauge{}, &gauge{header: http.Header{}}
			if _, err := base.Write(nil); err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequestWithContext(t.Context(), "GET", "http://lb.example"+pools+query, nil)
			r.Header.Set("X-Roles", "member,reader")
			r.Header.Set("X-Project-Id", project)
			f.handler.ServeHTTP(g, r)
			if g.bytes < 50*n {
				t.Fatalf("%d rows: got %d bytes only", n, g.bytes)
			}
			peak[n] = max(peak[n], g.live-min(g.live, base.live))
		}
	}
	if peak[10000] > 2*peak[2000]+1<<20 {
		t.Errorf("memory: got %d bytes for 10,000 rows, want about the %d for 2,000", peak[10000], peak[2000])
	}
}

// TestLongLists: batches come together to the list that one statement would give.
func TestLongLists(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, f *fixture) {
		t.Helper()
		f.fill(2500)
		for query, want := range map[string]struct{ rows, first, last int }{
			"?limit=infinite":                                          {2500, 0, 2499},
			"?limit=infinite&sort=id:desc&fields=id":                   {2500, 2499, 0},
			"?limit=infinite&sort=protocol,id&fields=id":               {2500, 0, 2499},
			"?limit=2200&fields=id":                                    {2200, 0, 2199},
			"?limit=infinite&marker=" + poolID(499):                    {2000, 500, 2499},
			"?limit=2000&fields=id":                                    {2000, 0, 1999},
			"?limit=infinite&id=" + absent:                             {},
			"?limit=infinite&page_reverse=True&marker=" + poolID(2400): {2400, 0, 2399},
		} {
			got := f.must(200, "GET", pools+query, "")
			rows := got.at("pools").([]any)
			seen := map[any]bool{}
			for _, o := range rows {
				seen[o.(map[string]any)["id"]] = true
			}
			if len(rows) != want.rows || len(seen) != want.rows {
				t.Errorf("%s: got %d rows, %d different ones, want %d", query, len(rows), len(seen), want.rows)
				continue
			}
			if want.rows == 0 {
				expect(t, got, "pools_links", "[]")
				continue
			}
			expect(t, got, "pools.0.id", show(poolID(want.first)), fmt.Sprintf("pools.%d.id", want.rows-1), show(poolID(want.last)))
			links := got.at("pools_links").([]any)
			next := links[len(links)-1].(map[string]any)
			if href := next["href"].(string); next["rel"] != "next" || !strings.HasSuffix(href, "marker="+poolID(want.last)) {
				t.Errorf("%s: the last link is %v", query, next)
			}
		}
	}, func(c *api.Config, _ *api.Deps) { c.PaginationMaxLimit = -1 })
}

func poolID(i int) string { return fmt.Sprintf("%08d-0000-4000-8000-000000000000", i) }

// breaking is a response that calls fn after each write.
type breaking struct {
	http.ResponseWriter
	fn func()
}

func (b breaking) Write(p []byte) (int, error) {
	defer b.fn()
	return b.ResponseWriter.Write(p)
}

// TestBrokenListIsNoList: a list that fails in its middle breaks the connection, so that nobody takes what came for all.
func TestBrokenListIsNoList(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *api.Config, _ *api.Deps) { c.PaginationMaxLimit = -1 })
	f.fill(3000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context()) // the next statement fails
		defer cancel()
		f.handler.ServeHTTP(breaking{w, cancel}, r.WithContext(ctx))
	}))
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+pools, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"X-Roles": {"member,reader"}, "X-Project-Id": {project}}
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil || answer.StatusCode != 200 || json.Valid(body) {
		t.Errorf("got %d, %d bytes and the error %v, want a part and an error", answer.StatusCode, len(body), err)
	}
}
