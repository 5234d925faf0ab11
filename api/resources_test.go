package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/db"
)

// sample is what the tests of all resources must know of one.
type sample struct {
	post    func(x tree, i int) string // attributes of the i-th new object; nil: it is not made by POST
	plant   func(f *fixture, x tree, i int) string
	put     string // attributes of a right PUT
	needs   string // an attribute that a POST must have; "" is none
	twice   int    // status of the same POST again
	key     string // attribute that paths name it by; "" is id
	admin   bool   // only administrators may write it
	secret  bool   // only administrators may see it
	catalog bool   // belongs to no project
	putAll  bool   // PUT of the collection is a call of its own
	missing string // attribute that PUT and DELETE of the collection miss; "" is id
	title   string // of its DELETE, where that differs
	forever bool   // shown also when it is not there
	prefix  string // of its paths; "" is the usual ones
}

// samples are by the wrapper key of many. A new resource needs a row here, and has all tests below.
var samples = map[string]sample{
	"loadbalancers": {post: func(_ tree, i int) string {
		return fmt.Sprintf(`"vip_subnet_id": %q, "project_id": %q, "name": "n%d", "tags": ["t"]`, subnet, project, i)
	}, put: `"name": "m"`, twice: 201},
	"listeners": {post: func(x tree, i int) string {
		return fmt.Sprintf(`"loadbalancer_id": %q, "protocol": "TCP", "protocol_port": %d, "name": "n%d", "tags": ["t"]`, x.lb, 1000+i, i)
	}, put: `"name": "m"`, needs: "loadbalancer_id", twice: 409},
	"pools": {post: func(x tree, i int) string {
		return fmt.Sprintf(`"loadbalancer_id": %q, "protocol": "TCP", "lb_algorithm": "SOURCE_IP", "name": "n%d", "tags": ["t"]`, x.lb, i)
	}, put: `"name": "m"`, needs: "lb_algorithm", twice: 201},
	"members": {post: func(_ tree, i int) string {
		return fmt.Sprintf(`"address": "10.1.%d.%d", "protocol_port": 80, "name": "n%d", "tags": ["t"]`, i/250, i%250+1, i)
	}, put: `"weight": 2`, needs: "address", twice: 409, putAll: true},
	"healthmonitors": {plant: func(f *fixture, x tree, i int) string {
		pool := f.create(pools, `{"pool": {"loadbalancer_id": "`+x.lb+`", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}}`)
		f.settle(x.lb)
		id := f.create(monitors, fmt.Sprintf(`{"healthmonitor": {"pool_id": %q, "type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2,
			"http_version": 1.%d, "name": "n%d", "tags": ["t"]}}`, pool, i%2, i))
		f.settle(x.lb)
		return id
	}, post: func(x tree, _ int) string {
		return `"pool_id": "` + x.pool + `", "type": "TCP", "delay": 5, "timeout": 3, "max_retries": 2`
	}, put: `"delay": 6`, needs: "delay", twice: 409},
	"l7policies": {post: func(x tree, i int) string {
		return fmt.Sprintf(`"listener_id": %q, "action": "REJECT", "name": "n%d", "tags": ["t"]`, x.listener, i)
	}, put: `"name": "m"`, needs: "action", twice: 201},
	"rules": {post: func(_ tree, i int) string {
		return fmt.Sprintf(`"type": "PATH", "compare_type": "EQUAL_TO", "value": "/n%d", "tags": ["t"]`, i)
	}, put: `"value": "/m"`, needs: "value", twice: 201},
	"quotas": {plant: func(f *fixture, _ tree, i int) string {
		id := fmt.Sprintf("%032d", i)
		f.admin().must(202, "PUT", "/v2/quotas/"+id, fmt.Sprintf(`{"quota": {"listener": %d}}`, i))
		return id
	}, put: `"listener": 5`, key: "project_id", admin: true, forever: true, missing: "project_id"},
	"flavors": {post: func(x tree, i int) string {
		return fmt.Sprintf(`"name": "n%d", "flavor_profile_id": %q`, i, x.flavorProfile)
	}, put: `"description": "m"`, needs: "name", twice: 409, admin: true, catalog: true, missing: "flavor_id"},
	"flavorprofiles": {post: func(_ tree, i int) string {
		return fmt.Sprintf(`"name": "n%d", "provider_name": "amphora", "flavor_data": "{}"`, i)
	}, put: `"name": "m"`, needs: "flavor_data", twice: 201, admin: true, secret: true, catalog: true, missing: "flavor_profile_id", title: "Flavor profile"},
	"availability_zones": {post: func(x tree, i int) string {
		return fmt.Sprintf(`"name": "n%d", "availability_zone_profile_id": %q`, i, x.zoneProfile)
	}, put: `"description": "m"`, needs: "name", twice: 409, key: "name", admin: true, catalog: true, missing: "availability_zone_name"},
	"availability_zone_profiles": {post: func(_ tree, i int) string {
		return fmt.Sprintf(`"name": "n%d", "provider_name": "amphora", "availability_zone_data": "{}"`, i)
	}, put: `"name": "m"`, needs: "name", twice: 201, admin: true, secret: true, catalog: true, missing: "availability_zone_profile_id"},
	"amphorae": {plant: func(f *fixture, x tree, i int) string {
		id := fmt.Sprintf("%08d-0000-4000-8000-000000000000", i)
		f.insert(&db.Amphora{ID: id, LoadBalancerID: &x.lb, Status: db.Allocated, VRRPPriority: &i})
		return id
	}, admin: true, secret: true, catalog: true, prefix: "/octavia"},
}

// insert writes a row that the API does not make.
func (f *fixture) insert(a *db.Amphora) {
	f.t.Helper()
	err := f.store.Tx(f.t.Context(), func(ctx context.Context, tx *db.Tx) error { return db.Insert(ctx, tx, a) })
	if err != nil {
		f.t.Fatal(err)
	}
}

// tested is a resource with its sample and where it is.
type tested struct {
	api.Collection
	sample
	path string // of the collection, with /v2 and the usual prefix
	x    tree
}

// eachResource runs a test for all rows of the table of resources on one API.
func (f *fixture) eachResource(x tree, test func(t *testing.T, r tested)) {
	f.t.Helper()
	t := f.t.(*testing.T)
	for _, c := range f.server.Collections() {
		s, ok := samples[c.Plural]
		if !ok {
			t.Errorf("resource %s has no sample", c.Plural)
			continue
		}
		s.key, s.missing = or(s.key, "id"), or(s.missing, "id")
		s.prefix, s.title = or(s.prefix, "/lbaas"), or(s.title, c.Title)
		path := "/v2" + s.prefix + c.Path
		if c.Parent != "" {
			parents := map[string]string{"pools": x.pool, "l7policies": x.policy}
			path = "/v2" + s.prefix + "/" + c.Parent + "/" + parents[c.Parent] + c.Path
		}
		t.Run(c.Plural, func(t *testing.T) { test(t, tested{c, s, path, x}) })
	}
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// body wraps attributes.
func (r tested) body(attributes string) string { return `{"` + r.Singular + `": {` + attributes + `}}` }

// create makes the i-th object and returns what paths name it by.
func (r tested) create(f *fixture, i int) string {
	f.t.Helper()
	f = f.admin()
	if r.plant != nil {
		return r.plant(f, r.x, i)
	}
	id, _ := f.must(201, "POST", r.path, r.body(r.post(r.x, i))).at(r.Singular + "." + r.key).(string)
	f.settle(r.x.lb)
	if r.Plural == "loadbalancers" {
		f.settle(id)
	}
	return id
}

// in is a fixture whose failures are a subtest's.
func (f *fixture) in(t *testing.T) *fixture {
	t.Helper()
	g := *f
	g.t = t
	return &g
}

// whole is a tree with what catalogues need, too.
func (f *fixture) whole() tree {
	f.t.Helper()
	x := f.tree()
	x.policy = f.policy(x.lb, x.listener, `"action": "REJECT"`)
	a := f.admin()
	x.flavorProfile = a.create(flavorProfiles, `{"flavorprofile": {"name": "p", "provider_name": "amphora", "flavor_data": "{}"}}`)
	x.zoneProfile = a.create(zoneProfiles, `{"availability_zone_profile": {"name": "p", "provider_name": "amphora", "availability_zone_data": "{}"}}`)
	return x
}

// TestEveryResource walks all rows of the table of resources through what they have in common.
func TestEveryResource(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, f *fixture) {
		t.Helper()
		x := f.whole()
		keystone, err := api.New(api.Config{}, api.Deps{
			Store: f.store, VIP: f.neutron, Cloud: f.cloud, Certificates: noopCertificates(t), Auth: tokens{},
		})
		if err != nil {
			t.Fatal(err)
		}
		f.eachResource(x, func(t *testing.T, r tested) {
			t.Helper()
			g := f.in(t)
			id := r.create(g, 0)
			r.testRights(t, g, id, keystone)
			r.testBodies(t, g, id)
			r.testPaths(t, g, id)
			r.testView(t, g, id)
			r.testLock(t, g, id)
		})
	})
}

// testRights: who may do nothing is told so, by 401 or 403.
func (r tested) testRights(t *testing.T, f *fixture, id string, keystone *api.Server) {
	t.Helper()
	one, put := r.path+"/"+id, r.body(r.put)
	anonymous := *f
	anonymous.handler = keystone.Handler()
	calls := []struct{ method, path, body string }{
		{"GET", r.path, ""}, {"GET", one, ""}, {"POST", r.path, put}, {"PUT", one, put}, {"DELETE", one, ""},
	}
	for _, c := range calls {
		if got := anonymous.do(c.method, c.path, c.body); got.status != 401 || got.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s %s without a token: got %d, want 401", c.method, c.path, got.status)
		}
	}
	f.as("", project).refuse(wrong{"no role", "GET", r.path, "", 403, refused}, wrong{"no role", "GET", one, "", 403, refused})
	outsider := f.as("member,reader", foreign)
	reader := f.as("reader", project)
	if r.put != "" {
		outsider.refuse(wrong{"foreign put", "PUT", one, put, 403, refused})
		reader.refuse(wrong{"reader put", "PUT", one, put, 403, refused})
	}
	if r.post != nil {
		post := r.body(r.post(r.x, 999))
		outsider.refuse(wrong{"foreign post", "POST", r.path, post, 403, refused})
		reader.refuse(wrong{"reader post", "POST", r.path, post, 403, refused})
	}
	outsider.refuse(wrong{"foreign delete", "DELETE", one, "", 403, refused})
	reader.refuse(wrong{"reader delete", "DELETE", one, "", 403, refused})
	if r.admin {
		f.refuse(wrong{"member delete", "DELETE", one, "", 403, refused})
	}
	if r.secret {
		f.refuse(wrong{"member show", "GET", one, "", 403, refused}, wrong{"member list", "GET", r.path, "", 403, refused})
	}
	if !r.catalog {
		outsider.refuse(wrong{"foreign show", "GET", one, "", 403, refused})
	}
	if !r.catalog && r.Parent == "" {
		outsider.refuse(wrong{"foreign list", "GET", r.path + "?project_id=" + project, "", 403, refused})
		f.as("member,reader", "").refuse(wrong{"list without project", "GET", r.path, "", 403, refused})
	}
}

// testBodies: bodies that are wrong in form.
func (r tested) testBodies(t *testing.T, f *fixture, id string) {
	t.Helper()
	f = f.admin()
	one := r.path + "/" + id
	arg := map[string]string{"POST": r.PostArg, "PUT": r.PutArg}
	if r.Plural == "loadbalancers" {
		arg["POST"] = "load_balancer"
	}
	for method, path := range map[string]string{"POST": r.path, "PUT": one} {
		if method == "POST" && r.post == nil || method == "PUT" && r.put == "" {
			continue
		}
		unknown := "Unknown attribute for argument " + arg[method]
		f.refuse(
			wrong{"no body", method, path, "", 400, `Missing argument: "` + arg[method] + `"`},
			wrong{"not JSON", method, path, "}", 400, "Request is not in valid JSON format"},
			wrong{"not UTF-8", method, path, "{\"\xff\": 1}", 400, "Request is not in valid JSON format"},
			wrong{"unknown", method, path, r.body(`"nonsense": 1`), 400, unknown + "." + r.Singular + ": nonsense"},
			wrong{"unknown ones", method, path, r.body(`"b": 1, "a": 2`), 400, "Unknown attributes for argument " + arg[method] + "." + r.Singular + ": a, b"},
			wrong{"wrapper", method, path, `{"nonsense": {}}`, 400, unknown + ": nonsense"},
			wrong{"empty", method, path, `{}`, 400, "Invalid input for field/attribute " + r.Singular + ". Value: 'None'. Mandatory field missing."},
			wrong{"query", method, path + "?a=1", r.body(""), 400, `Unknown argument: "a"`},
		)
		f.headers = http.Header{"Content-Type": {"text/plain"}}
		f.refuse(wrong{"type", method, path, "a", 415, "Unknown mimetype: text/plain"})
		f.headers = http.Header{}
		if a := f.do(method, path, strings.Repeat(" ", 114689)); a.status != 413 {
			t.Errorf("%s %s with a long body: got %d, want 413", method, path, a.status)
		}
	}
	if r.needs != "" {
		left := regexp.MustCompile(`"`+r.needs+`": ("[^"]*"|[^,]+),? ?`).ReplaceAllString(r.post(r.x, 998), "")
		f.refuse(wrong{"missing", "POST", r.path, r.body(strings.TrimSuffix(left, ", ")), 400,
			"Invalid input for field/attribute " + r.needs + ". Value: 'None'. Mandatory field missing."})
	}
	if r.twice != 0 {
		i := 0
		if r.plant != nil { // its POST is not what made it
			i = 997
		}
		if a := f.do("POST", r.path, r.body(r.post(r.x, i))); a.status != r.twice {
			t.Errorf("%s: the same again: got %d %s, want %d", r.Plural, a.status, a.body, r.twice)
		}
		f.settle(r.x.lb)
	}
	f.refuse(wrong{"query", "DELETE", one + "?a=1", "", 400, `Unknown argument: "a"`})
}

// testPaths: paths that name nothing, methods that are not there, and all prefixes.
func (r tested) testPaths(t *testing.T, f *fixture, id string) {
	t.Helper()
	f = f.admin()
	one, put := r.path+"/"+id, r.body(r.put)
	var names []string
	for _, name := range []string{absent, "not-a-uuid", strings.ToUpper(id), strings.Repeat("x", 300), "é😀"} {
		if name != id {
			names = append(names, name)
		}
	}
	for _, name := range names {
		gone, path := r.Title+" "+name+" not found.", r.path+"/"+url.PathEscape(name)
		if r.forever {
			f.must(200, "GET", path, "")
			continue
		}
		f.refuse(
			wrong{"show", "GET", path, "", 404, gone},
			wrong{"delete", "DELETE", path, "", 404, r.title + " " + name + " not found."},
		)
		if r.put != "" {
			f.refuse(wrong{"put", "PUT", path, put, 404, gone})
			if !r.catalog {
				f.refuse(wrong{"put, nothing inside", "PUT", path, "{}", 404, gone})
			}
		}
	}
	for _, c := range [][2]string{{"GET", r.path + "/%00"}, {"DELETE", r.path + "/a%00b"}, {"GET", r.path + "/%ff"}, {"GET", r.path + "?name=%00"}, {"GET", r.path + "?%ff=1"}} {
		f.refuse(wrong{"URL", c[0], c[1], "", 400, "The URL must be UTF-8 without NUL characters."})
	}
	for _, c := range [][2]string{{"PATCH", r.path}, {"PATCH", one}, {"POST", one}, {"HEAD", one}} {
		if a := f.do(c[0], c[1], ""); a.status != 405 {
			t.Errorf("%s %s: got %d, want 405", c[0], c[1], a.status)
		}
	}
	if !r.putAll {
		name := r.missing
		if r.catalog && r.key != "project_id" {
			name = r.key
		}
		f.refuse(wrong{"put of all", "PUT", r.path, put, 400, fmt.Sprintf("Missing argument: %q", name)})
	}
	f.refuse(wrong{"delete of all", "DELETE", r.path, "", 400, fmt.Sprintf("Missing argument: %q", r.missing)})
	tail := strings.TrimPrefix(one, "/v2"+r.prefix)
	prefixes := []string{"/v2", "/v2.0", "/v2/lbaas", "/v2.0/lbaas", "/load-balancer/v2", "/load-balancer/v2.0/lbaas"}
	if r.prefix == "/octavia" {
		prefixes = []string{"/v2/octavia", "/v2.0/octavia", "/load-balancer/v2.0/octavia"}
	}
	for _, p := range prefixes {
		query := ""
		if !r.forever {
			query = "?fields=" + r.key
		}
		for _, suffix := range []string{"", "/", ".json"} {
			expect(t, f.must(200, "GET", p+tail+suffix+query, ""), r.Singular+"."+r.key, `"`+id+`"`)
		}
	}
}

// testView: what is shown, alone and in lists, and what may be asked of it.
func (r tested) testView(t *testing.T, f *fixture, id string) {
	t.Helper()
	f = f.admin()
	one := r.path + "/" + id
	shown := f.must(200, "GET", one, "").at(r.Singular).(map[string]any)
	all := f.must(200, "GET", r.path, "").at(r.Plural).([]any)
	at := slices.IndexFunc(all, func(o any) bool { return o.(map[string]any)[r.key] == id })
	if at < 0 {
		t.Fatalf("%s: %s is not listed", r.Plural, id)
	}
	if show(all[at]) != show(shown) && !r.forever {
		t.Errorf("%s: list and show differ: %s\n%s", r.Plural, show(all), show(shown))
	}
	if created, ok := shown["created_at"]; ok && !regexp.MustCompile(`^"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?"$`).MatchString(show(created)) && r.Plural != "amphorae" {
		t.Errorf("%s: created_at is %s", r.Plural, show(created))
	}
	for name := range shown {
		if name == "tenant_id" || r.forever { // an alias only
			continue
		}
		expect(t, f.must(200, "GET", one+"?fields=nonsense&fields="+name, ""), r.Singular, show(map[string]any{name: shown[name]}))
		expect(t, f.must(200, "GET", r.path+"?"+r.key+"="+id+"&fields="+name, ""), r.Plural, show([]any{map[string]any{name: shown[name]}}))
	}
	for _, name := range r.Columns {
		value, ok := all[at].(map[string]any)[name]
		// Null is shown as "" and found as neither.
		if _, nested := value.([]any); !ok || value == nil || value == "" || nested || name == "insert_headers" {
			f.must(200, "GET", r.path+"?"+name+"=nonsense", "")
			continue
		}
		if list := show(f.must(200, "GET", r.path+"?"+name+"="+url.QueryEscape(fmt.Sprint(value)), "").at(r.Plural)); !strings.Contains(list, id) {
			t.Errorf("%s?%s=%v: got %s, want %s among them", r.Plural, name, value, list, id)
		}
		if _, boolean := value.(bool); boolean {
			value = !value.(bool)
		} else {
			value = "987654321"
		}
		if list := show(f.must(200, "GET", fmt.Sprintf("%s?%s=%v", r.path, name, value), "").at(r.Plural)); strings.Contains(list, id) {
			t.Errorf("%s?%s=%v: got %s, want none of %s", r.Plural, name, value, list, id)
		}
	}
	twice := r.key
	if r.forever { // where project_id is no filter but the scope
		twice = "listener"
	}
	f.refuse(
		wrong{"filter", "GET", r.path + "?nonsense=1", "", 400, "One or more arguments are either duplicate or invalid"},
		wrong{"filter twice", "GET", r.path + "?" + twice + "=1&" + twice + "=2", "", 400, "One or more arguments are either duplicate or invalid"},
		wrong{"sort key", "GET", r.path + "?sort=nonsense", "", 400, "Supplied sort key 'nonsense' is not valid."},
		wrong{"sort direction", "GET", r.path + "?sort=" + r.key + ":up", "", 400, "Supplied sort direction 'up' is not valid."},
		wrong{"sort item", "GET", r.path + "?sort=name:asc:x", "", 400, "Supplied sort key '['name', 'asc', 'x']' is not valid."},
		wrong{"limit", "GET", r.path + "?limit=abc", "", 400, "Supplied pagination limit 'abc' is not valid."},
		wrong{"huge limit", "GET", r.path + "?limit=" + strings.Repeat("9", 40), "", 400, "Supplied pagination limit '" + strings.Repeat("9", 40) + "' is not valid."},
		wrong{"limit of a show", "GET", one + "?limit=abc", "", 400, "Supplied pagination limit 'abc' is not valid."},
		wrong{"marker", "GET", r.path + "?marker=abc", "", 400, "Supplied pagination marker 'abc' is not valid."},
		wrong{"empty marker", "GET", r.path + "?marker=", "", 400, "Supplied pagination marker '' is not valid."},
	)
	f.must(200, "GET", r.path+"?limit=9223372036854775807&fields="+strings.Repeat("x", 3000)+strings.Repeat("&fields=id", 2000), "")
}

// testLock: what is below a load balancer is locked with it, and goes only once.
func (r tested) testLock(t *testing.T, f *fixture, id string) {
	t.Helper()
	f = f.admin()
	one := r.path + "/" + id
	if r.Statuses {
		lb := r.x.lb
		if r.Plural == "loadbalancers" {
			lb = id
		}
		f.setStatus(lb, db.PendingUpdate)
		calls := [][3]string{{"PUT", one, r.body(r.put)}, {"DELETE", one, ""}}
		if r.Plural != "loadbalancers" && r.plant == nil {
			calls = append(calls, [3]string{"POST", r.path, r.body(r.post(r.x, 996))})
		}
		for _, c := range calls {
			if a := f.do(c[0], c[1], c[2]); a.status != 409 || a.header.Get("Retry-After") != "1" || !strings.Contains(faultText(a), lb) {
				t.Errorf("%s %s while pending: got %d %s, Retry-After %q, want 409 and 1", c[0], c[1], a.status, a.body, a.header.Get("Retry-After"))
			}
		}
		f.setStatus(lb, db.Active)
	}
	if r.Plural == "amphorae" {
		return // are removed by a worker
	}
	if a := f.do("DELETE", one, ""); a.status != 204 && a.status != 202 || len(a.body) != 0 {
		t.Fatalf("DELETE %s: got %d %s", one, a.status, a.body)
	}
	if r.Statuses {
		if a := f.do("DELETE", one, ""); a.status != 409 {
			t.Errorf("DELETE %s again: got %d %s, want 409", one, a.status, a.body)
		}
		f.settle(r.x.lb)
		if r.Plural == "loadbalancers" {
			f.settle(id)
		}
	}
	if !r.forever {
		f.refuse(wrong{"second delete", "DELETE", one, "", 404, r.title + " " + id + " not found."})
	}
}

// TestEveryPage pages through each resource in each order, following the links: all objects come, once.
func TestEveryPage(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, f *fixture) {
		t.Helper()
		x := f.whole()
		f.eachResource(x, func(t *testing.T, r tested) {
			t.Helper()
			g := f.in(t)
			for i := range 5 {
				r.create(g, i)
			}
			g = g.admin()
			var want []string
			for _, o := range g.must(200, "GET", r.path, "").at(r.Plural).([]any) {
				want = append(want, o.(map[string]any)[r.key].(string))
			}
			slices.Sort(want)
			orders := []string{"", "sort_key=" + r.key + "&sort_dir=desc"}
			for _, name := range r.Columns {
				orders = append(orders, "sort="+name, "sort="+name+":desc,"+r.key)
			}
			for _, order := range orders {
				if got := g.pages(r, order); !slices.Equal(got, want) {
					t.Errorf("%s in the order %q: got %q, want %q", r.Plural, order, got, want)
				}
			}
		})
	})
}

// pages are the objects of all pages, sorted.
func (f *fixture) pages(r tested, order string) []string {
	f.t.Helper()
	var ids []string
	next := r.path + "?limit=2&" + order
	for range 50 {
		page := f.must(200, "GET", next, "")
		for _, o := range page.at(r.Plural).([]any) {
			ids = append(ids, o.(map[string]any)[r.key].(string))
		}
		next = ""
		for _, l := range page.at(r.Links).([]any) {
			if l.(map[string]any)["rel"] == "next" {
				next = strings.TrimPrefix(l.(map[string]any)["href"].(string), "http://lb.example")
			}
		}
		if next == "" {
			slices.Sort(ids)
			return ids
		}
		if dir := regexp.MustCompile(`sort_dir=\w+`).FindString(order); dir != "" { // links do not name it
			next += "&" + dir
		}
	}
	f.t.Fatalf("%s: pages do not end", r.Plural)
	return nil
}
