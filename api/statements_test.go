package api_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbtest"
)

// counted is an API on SQLite, and a function that counts the statements that another one causes.
func counted(t *testing.T) (*fixture, func(func()) int64) {
	t.Helper()
	var n atomic.Int64
	database := db.Config{
		URL: dbtest.Server(t, dbtest.SQLite), Trace: func(context.Context, string) { n.Add(1) },
	}
	f := newFixtureOn(t, database, func(c *api.Config, _ *api.Deps) { c.PendingChanges = db.AcceptPending })
	return f, func(fn func()) int64 {
		before := n.Load()
		fn()
		return n.Load() - before
	}
}

// TestStatementsOfLists: a list takes the same number of statements, however long it is.
func TestStatementsOfLists(t *testing.T) {
	t.Parallel()
	f, count := counted(t)
	f.eachResource(f.whole(), func(t *testing.T, r tested) {
		t.Helper()
		g := f.in(t).admin()
		made := 0
		var first int64
		for _, rows := range []int{1, 10, 40} {
			for ; made < rows; made++ {
				if r.plant != nil {
					r.plant(g, r.x, made)
				} else {
					g.must(201, "POST", r.path, r.body(r.post(r.x, made)))
				}
			}
			got := count(func() { g.must(200, "GET", r.path, "") })
			if first == 0 {
				first = got
			}
			if got == 0 || got != first || got > 12 {
				t.Errorf("%d %s: got %d statements, want %d as for one, and not more than 12", rows, r.Plural, got, first)
			}
		}
	})
}

// branches are a load balancer's attributes with n listeners, each with a pool of m members.
func branches(n, m int) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf(`{"protocol": "HTTP", "protocol_port": %d, "l7policies": [{"action": "REJECT", "rules":
			[{"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}]}], "default_pool": {"name": "p%d", "protocol": "HTTP",
			"lb_algorithm": "ROUND_ROBIN", "healthmonitor": {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 2}, "members": [%s]}}`,
			i+1, i, members(m)))
	}
	return `{"loadbalancer": {"vip_subnet_id": "` + subnet + `", "listeners": [` + strings.Join(out, ", ") + `]}}`
}

func members(n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(`{"address": "10.%d.%d.%d", "protocol_port": 80, "tags": ["t"]}`, i/62500%250, i/250%250, i%250+1)
	}
	return strings.Join(out, ", ")
}

// TestStatements: what a call costs does not grow with what it is about.
func TestStatements(t *testing.T) {
	t.Parallel()
	f, count := counted(t)
	var small, big, few, many string
	for _, c := range []struct {
		name      string
		one, more func()
	}{
		{
			"create with members",
			func() { few = f.create(lbs, branches(1, 1)) },
			func() { many = f.create(lbs, branches(1, 100)) },
		},
		{
			"show", func() { f.must(200, "GET", lbs+"/"+few, "") }, func() { f.must(200, "GET", lbs+"/"+many, "") },
		},
		{
			"status tree",
			func() { f.must(200, "GET", lbs+"/"+few+"/status", "") },
			func() { f.must(200, "GET", lbs+"/"+f.create(lbs, branches(20, 20))+"/status", "") },
		},
		{
			"batch that creates",
			func() { small = f.batch(1) },
			func() { big = f.batch(100) },
		},
		{
			"batch that changes",
			func() { f.must(202, "PUT", small, `{"members": [`+members(1)+`]}`) },
			func() { f.must(202, "PUT", big, `{"members": [`+members(100)+`]}`) },
		},
		{
			"batch that removes",
			func() { f.must(202, "PUT", small, `{"members": []}`) },
			func() { f.must(202, "PUT", big, `{"members": []}`) },
		},
		{
			"cascade delete",
			func() { f.must(204, "DELETE", lbs+"/"+few+"?cascade=true", "") },
			func() { f.must(204, "DELETE", lbs+"/"+many+"?cascade=true", "") },
		},
	} {
		one, more := count(c.one), count(c.more)
		if c.name == "status tree" { // less the create
			more -= count(func() { f.create(lbs, branches(20, 20)) })
		}
		if one == 0 || more > one || more > 90 {
			t.Errorf("%s: got %d statements for many, want not more than the %d for one", c.name, more, one)
		}
	}
}

// batch fills a new pool with n members and returns the path of its members.
func (f *fixture) batch(n int) string {
	f.t.Helper()
	lb := f.create(lbs, `{"loadbalancer": {"vip_subnet_id": "`+subnet+`"}}`)
	pool := f.create(pools, `{"pool": {"loadbalancer_id": "`+lb+`", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}}`)
	path := pools + "/" + pool + "/members"
	f.must(202, "PUT", path, `{"members": [`+members(n)+`]}`)
	return path
}
