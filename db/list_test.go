package db_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ottavino/ottavino/db"
)

// list lists and returns the ids, or fails.
func list[M any](w *world, q db.ListQuery, id func(*M) string) []string {
	w.t.Helper()
	ids := []string{}
	w.see(func(ctx context.Context, tx *db.Tx) error {
		rows, err := db.List[M](ctx, tx, q)
		for i := range rows {
			ids = append(ids, id(&rows[i]))
		}
		return err
	})
	return ids
}

func balancers(w *world, q db.ListQuery) []string {
	w.t.Helper()
	return list(w, q, func(lb *db.LoadBalancer) string { return lb.ID })
}

func TestListFilters(t *testing.T) {
	each(t, func(w *world) {
		a := w.balancer("p", db.Active)
		w.clock.Pass(time.Hour)
		b := w.balancer("p", db.Error)
		c := w.balancer("q", db.Active)
		gone := w.balancer("p", db.Deleted)
		must(w, &db.VIP{LoadBalancerID: a.ID, IPAddress: ptr("192.0.2.1"), VNICType: "normal"})
		c.Enabled, c.Name = false, nil
		w.tx(func(ctx context.Context, tx *db.Tx) error { return db.Update(ctx, tx, c, "enabled", "name") })
		filter := func(column string, value any) db.ListQuery {
			return db.ListQuery{Filters: []db.Filter{{Column: column, Value: value}}}
		}
		for name, x := range map[string]struct {
			q    db.ListQuery
			want []*db.LoadBalancer
		}{
			"all live":           {db.ListQuery{}, []*db.LoadBalancer{a, b, c}},
			"deleted too":        {db.ListQuery{IncludeDeleted: true}, []*db.LoadBalancer{a, b, c, gone}},
			"project":            {db.ListQuery{ProjectID: ptr("p")}, []*db.LoadBalancer{a, b}},
			"text":               {filter("provisioning_status", db.Error), []*db.LoadBalancer{b}},
			"own table's name":   {filter("load_balancer.provisioning_status", db.Error), []*db.LoadBalancer{b}},
			"vip":                {filter("vip.ip_address", "192.0.2.1"), []*db.LoadBalancer{a}},
			"true":               {filter("enabled", "Yes"), []*db.LoadBalancer{a, b}},
			"false":              {filter("enabled", "whatever"), []*db.LoadBalancer{c}},
			"bool":               {filter("enabled", false), []*db.LoadBalancer{c}},
			"null":               {filter("name", nil), []*db.LoadBalancer{c}},
			"pointer":            {filter("name", ptr("lb")), []*db.LoadBalancer{a, b}},
			"empty is not null":  {filter("name", ""), nil},
			"time":               {filter("created_at", "2026-03-01T11:00:00"), []*db.LoadBalancer{a}},
			"local time":         {filter("created_at", "2026-03-01T13:00:00+01:00"), []*db.LoadBalancer{b, c}},
			"no time":            {filter("created_at", "yesterday"), nil},
			"limit":              {db.ListQuery{Limit: 2}, []*db.LoadBalancer{a, b}},
			"sorted":             {db.ListQuery{Sort: []db.Order{{Column: "created_at", Desc: true}, {Column: "id", Desc: true}}}, []*db.LoadBalancer{c, b, a}},
			"null first":         {db.ListQuery{Sort: []db.Order{{Column: "name"}}}, []*db.LoadBalancer{c, a, b}},
			"null last":          {db.ListQuery{Sort: []db.Order{{Column: "name", Desc: true}}}, []*db.LoadBalancer{a, b, c}},
			"by vip":             {db.ListQuery{Sort: []db.Order{{Column: "vip.ip_address", Desc: true}}}, []*db.LoadBalancer{a, b, c}},
			"after":              {db.ListQuery{Marker: &a.ID}, []*db.LoadBalancer{b, c}},
			"after the last":     {db.ListQuery{Marker: &c.ID}, nil},
			"after a deleted":    {db.ListQuery{Marker: &gone.ID}, nil},
			"before":             {db.ListQuery{Marker: &c.ID, Reverse: true}, []*db.LoadBalancer{a, b}},
			"before, by limit":   {db.ListQuery{Marker: &c.ID, Reverse: true, Limit: 1}, []*db.LoadBalancer{a}},
			"marker and project": {db.ListQuery{Marker: &a.ID, ProjectID: ptr("q")}, []*db.LoadBalancer{c}},
		} {
			want := []string{}
			for _, lb := range x.want {
				want = append(want, lb.ID)
			}
			if got := balancers(w, x.q); !slices.Equal(got, want) {
				w.t.Errorf("%s: got %v, want %v", name, got, want)
			}
		}
	})
}

func TestListOfOtherTables(t *testing.T) {
	each(t, func(w *world) {
		lb := w.balancer("p", db.Active)
		p, bare := w.pool(lb), w.pool(lb)
		m := must(w, &db.HealthMonitor{
			ID: w.id(), PoolID: p.ID, Type: "HTTP", Delay: 5, HTTPVersion: ptr(1.1),
			ProvisioningStatus: db.Active, OperatingStatus: db.Online,
		})
		a, old := w.amphora(lb, db.Allocated), w.amphora(lb, db.Deleted)
		filter := func(column string, value any) db.ListQuery {
			return db.ListQuery{Filters: []db.Filter{{Column: column, Value: value}}}
		}
		amphorae := func(q db.ListQuery) []string { return list(w, q, func(a *db.Amphora) string { return a.ID }) }
		monitors := func(q db.ListQuery) []string { return list(w, q, func(h *db.HealthMonitor) string { return h.ID }) }
		pools := func(q db.ListQuery) []string { return list(w, q, func(p *db.Pool) string { return p.ID }) }
		zones := func(q db.ListQuery) []string {
			return list(w, q, func(z *db.AvailabilityZone) string { return z.Name })
		}
		must(w, &db.AvailabilityZoneProfile{ID: "zp", AvailabilityZoneData: "{}"})
		for _, n := range []string{"z2", "z1"} {
			must(w, &db.AvailabilityZone{Name: n, AvailabilityZoneProfileID: "zp"})
		}
		for what, x := range map[string]struct{ got, want []string }{
			"amphorae of a project":     {amphorae(db.ListQuery{ProjectID: ptr("p")}), []string{a.ID}},
			"amphorae of another":       {amphorae(db.ListQuery{ProjectID: ptr("q")}), []string{}},
			"amphorae by their project": {amphorae(filter("load_balancer.project_id", "p")), []string{a.ID}},
			"deleted amphorae":          {amphorae(db.ListQuery{IncludeDeleted: true}), []string{a.ID, old.ID}},
			"float":                     {monitors(filter("http_version", "1.1")), []string{m.ID}},
			"another float":             {monitors(filter("http_version", 1.0)), []string{}},
			"number":                    {monitors(filter("delay", "5")), []string{m.ID}},
			"no number":                 {monitors(filter("delay", "five")), []string{}},
			"pool by monitor":           {pools(filter("health_monitor.id", m.ID)), []string{p.ID}},
			"pool without monitor":      {pools(filter("health_monitor.id", nil)), []string{bare.ID}},
			"zones, no placeholder":     {zones(db.ListQuery{}), []string{"z1", "z2"}},
			"zones by marker":           {zones(db.ListQuery{Marker: ptr("z1")}), []string{"z2"}},
			"zones sorted":              {zones(db.ListQuery{Sort: []db.Order{{Column: "name", Desc: true}}}), []string{"z2", "z1"}},
		} {
			if !slices.Equal(x.got, x.want) {
				w.t.Errorf("%s: got %v, want %v", what, x.got, x.want)
			}
		}
		err := w.Read(w.t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, e1 := db.Live[db.Amphora](ctx, tx, old.ID)
			_, e2 := db.Live[db.FlavorProfile](ctx, tx, "00000000-0000-0000-0000-000000000000")
			_ = wantError[*db.NotFoundError](w.t, e1)
			_ = wantError[*db.NotFoundError](w.t, e2)
			_, err := db.Live[db.Amphora](ctx, tx, a.ID)
			return err
		})
		if err != nil {
			w.t.Error(err)
		}
	})
}

func TestListErrors(t *testing.T) {
	each(t, func(w *world) {
		err := func(q db.ListQuery) error {
			return w.Read(w.t.Context(), func(ctx context.Context, tx *db.Tx) error {
				_, err := db.List[db.LoadBalancer](ctx, tx, q)
				return err
			})
		}
		for _, column := range []string{"names", "pool.id", "vip.nope", "id; DROP TABLE tags", ""} {
			_ = wantError[*db.UnknownColumnError](w.t, err(db.ListQuery{Filters: []db.Filter{{Column: column}}}))
			e := wantError[*db.UnknownColumnError](w.t, err(db.ListQuery{Sort: []db.Order{{Column: column}}}))
			if e.Column != column {
				w.t.Errorf("got column %q, want %q", e.Column, column)
			}
		}
		_ = wantError[*db.MarkerError](w.t, err(db.ListQuery{Marker: ptr("nope")}))
	})
}

func TestListTags(t *testing.T) {
	each(t, func(w *world) {
		byID := map[string]string{}
		for _, tags := range []string{"", "a", "b", "a b", "c"} {
			lb := w.balancer("p", db.Active)
			byID[lb.ID] = tags
			w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.SetTags(ctx, lb.ID, strings.Fields(tags)) })
		}
		ab := []string{"a", "b"}
		for name, x := range map[string]struct {
			q    db.ListQuery
			want []string
		}{
			"all of":         {db.ListQuery{Tags: ab}, []string{"a b"}},
			"any of":         {db.ListQuery{TagsAny: ab}, []string{"a", "b", "a b"}},
			"not all of":     {db.ListQuery{NotTags: ab}, []string{"", "a", "b", "c"}},
			"none of":        {db.ListQuery{NotTagsAny: ab}, []string{"", "c"}},
			"combined":       {db.ListQuery{TagsAny: []string{"a", "c"}, NotTagsAny: []string{"b"}}, []string{"a", "c"}},
			"with a project": {db.ListQuery{Tags: ab, ProjectID: ptr("q")}, nil},
		} {
			var got []string
			for _, id := range balancers(w, x.q) {
				got = append(got, byID[id])
			}
			if !slices.Equal(got, x.want) {
				w.t.Errorf("%s: got %q, want %q", name, got, x.want)
			}
		}
	})
}

// TestPagesAddUp walks lists page by page in random orders over columns with nulls and equal
// values: pages must add up to the whole list.
func TestPagesAddUp(t *testing.T) {
	each(t, func(w *world) {
		for i := range 12 {
			lb := w.balancer("p", db.Active)
			lb.Name = []*string{nil, ptr("x"), ptr("y")}[i%3]
			lb.Enabled = i%2 == 0
			lb.Description = []*string{ptr("d"), nil}[i%2]
			w.tx(func(ctx context.Context, tx *db.Tx) error {
				err := db.Update(ctx, tx, lb, "name", "enabled", "description")
				if i%4 == 0 {
					err = errors.Join(err, db.Insert(ctx, tx, &db.VIP{LoadBalancerID: lb.ID, IPAddress: ptr("192.0.2.1"), VNICType: "normal"}))
				}
				return err
			})
		}
		rapid.Check(w.t, func(r *rapid.T) {
			columns := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{
				"name", "enabled", "description", "vip.ip_address", "created_at", "updated_at", "id",
			}), 0, 4, rapid.ID).Draw(r, "columns")
			q := db.ListQuery{Limit: rapid.IntRange(1, 13).Draw(r, "limit")}
			for _, c := range columns {
				q.Sort = append(q.Sort, db.Order{Column: c, Desc: rapid.Bool().Draw(r, "desc")})
			}
			whole := balancers(w, db.ListQuery{Sort: q.Sort})
			var pages []string
			for {
				page := balancers(w, q)
				pages = append(pages, page...)
				if len(page) < q.Limit || len(pages) > len(whole) {
					break
				}
				q.Marker = &page[len(page)-1]
			}
			if !slices.Equal(pages, whole) {
				r.Fatalf("pages %v are not the list %v", pages, whole)
			}
			at := rapid.IntRange(0, len(whole)-1).Draw(r, "marker")
			before := balancers(w, db.ListQuery{Sort: q.Sort, Marker: &whole[at], Reverse: true})
			if !slices.Equal(before, whole[:at]) {
				r.Fatalf("got %v before %s, want %v", before, whole[at], whole[:at])
			}
		})
	})
}
