package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/db"
)

const refused = "Policy does not allow this request to be performed."

// tree is a load balancer with one of each resource below it.
type tree struct{ lb, listener, pool, member, monitor, policy, flavorProfile, zoneProfile string }

func (f *fixture) tree() tree {
	f.t.Helper()
	var x tree
	x.lb = f.loadBalancer()
	x.listener = f.create(listeners, `{"listener": {"loadbalancer_id": "`+x.lb+`", "protocol": "HTTP", "protocol_port": 80}}`)
	f.settle(x.lb)
	x.pool = f.create(pools, `{"pool": {"listener_id": "`+x.listener+`", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}}`)
	f.settle(x.lb)
	x.member = f.create(pools+"/"+x.pool+"/members", `{"member": {"address": "10.0.0.1", "protocol_port": 80}}`)
	f.settle(x.lb)
	x.monitor = f.create(monitors, `{"healthmonitor": {"pool_id": "`+x.pool+`", "type": "TCP", "delay": 5, "timeout": 3, "max_retries": 2}}`)
	f.settle(x.lb)
	return x
}

func TestLists(t *testing.T) {
	t.Parallel()
	onEach(t, testLists, func(c *api.Config, _ *api.Deps) { c.PaginationMaxLimit = 4 })
}

func testLists(t *testing.T, f *fixture) {
	t.Helper()
	lb := f.loadBalancer()
	ids := map[string]string{}
	for _, c := range []struct{ name, more string }{
		{"a", `"tags": ["x", "y"]`}, {"b", `"tags": ["x"]`}, {"c", `"admin_state_up": false`}, {"d", `"lb_algorithm": "SOURCE_IP"`}, {"e", `"description": "z"`},
	} {
		ids[c.name] = f.create(pools, `{"pool": {"loadbalancer_id": "`+lb+`", "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN", "name": "`+c.name+`", `+c.more+`}}`)
		f.settle(lb)
	}
	names := func(query string) string {
		t.Helper()
		out := ""
		for _, p := range f.must(200, "GET", pools+query, "").at("pools").([]any) {
			out += p.(map[string]any)["name"].(string)
		}
		return out
	}
	for query, want := range map[string]string{
		"?sort=name":                                              "abcd", // the cap
		"?sort=name&limit=2":                                      "ab",
		"?sort=name&limit=9":                                      "abcd",
		"?sort=name&limit=infinite":                               "abcde",
		"?sort=name&limit=0":                                      "abcde",
		"?sort=name&limit=2&marker=" + ids["b"]:                   "cd",
		"?sort=name:desc&limit=2&marker=" + ids["d"]:              "cb",
		"?sort=name&limit=2&page_reverse=True&marker=" + ids["d"]: "ab",
		"?sort=name&limit=2&page_reverse=true&marker=" + ids["d"]: "e",
		"?sort_key=lb_algorithm,name&sort_dir=desc,desc":          "decb",
		"?sort_key=name&sort_dir=DESC&limit=infinite":             "edcba",
		"?sort=admin_state_up,name&limit=infinite":                "cabde",
		"?sort=admin_state_up,name&limit=2&marker=" + ids["c"]:    "ab",
		"?name=b":                                    "b",
		"?name=b&protocol=TCP":                       "b",
		"?name=b&protocol=UDP":                       "",
		"?admin_state_up=F&sort=name":                "c",
		"?enabled=yes&sort=name":                     "abde",
		"?description=":                              "",
		"?description=z":                             "e",
		"?loadbalancer_id=" + lb + "&sort=name":      "abcd",
		"?loadbalancer_id=nonsense":                  "",
		"?tags=x&sort=name":                          "ab",
		"?tags=x,y":                                  "a",
		"?tags=x&tags=y":                             "a",
		"?tags-any=x,y&sort=name":                    "ab",
		"?not-tags=x,y&sort=name":                    "bcde",
		"?not-tags-any=x&sort=name":                  "cde",
		"?tags=x&not-tags=y":                         "b",
		"?project_id=" + project + "&sort=name:desc": "edcb",
	} {
		if got := names(query); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	base := "http://lb.example" + pools
	page := f.must(200, "GET", pools+"?sort=name&limit=2&name=&marker="+ids["b"], "")
	expect(t, page, "pools_links", "[]")
	page = f.must(200, "GET", pools+"?sort=name&limit=2&marker="+ids["b"], "")
	expect(t, page,
		"pools_links.0", `{"href":"`+base+`?limit=2\u0026sort=name\u0026marker=`+ids["c"]+`\u0026page_reverse=True","rel":"previous"}`,
		"pools_links.1", `{"href":"`+base+`?limit=2\u0026sort=name\u0026marker=`+ids["d"]+`","rel":"next"}`)
	page = f.must(200, "GET", pools+"?sort_key=name&limit=infinite", "")
	expect(t, page, "pools_links.0", `{"href":"`+base+`?limit=None\u0026sort_key=name\u0026marker=`+ids["e"]+`","rel":"next"}`)
}

func TestListSwitches(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *api.Config, _ *api.Deps) {
		c.DisablePagination, c.DisableSorting, c.DisableFiltering, c.DisableFieldSelection = true, true, true, true
	})
	f.loadBalancer()
	got := f.must(200, "GET", lbs+"?limit=abc&sort=nonsense&nonsense=1&fields=id", "")
	expect(t, got, "loadbalancers.0.name", `""`, "loadbalancers_links", "null")

	g := newFixture(t, func(c *api.Config, _ *api.Deps) { c.APIBaseURI = "https://lb.example.org/x/" })
	id := g.loadBalancer()
	expect(t, g.must(200, "GET", lbs+"?limit=1", ""), "loadbalancers_links.0.href",
		`"https://lb.example.org/x`+lbs+`?limit=1\u0026marker=`+id+`"`)
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	lb := f.loadBalancer()
	for _, c := range []struct {
		method, path, body string
		header             [2]string
		status             int
		want               string
	}{
		{"GET", "/nowhere", "", [2]string{}, 404, `{"code":404,"title":"Not Found","description":""}`},
		{"GET", "/v2/nowhere", "", [2]string{}, 404, `{"code":404,"title":"Not Found","description":""}`},
		{"GET", lbs + "/" + lb + "/bogus", "", [2]string{}, 404, `{"code":404,"title":"Not Found","description":""}`},
		{"GET", "/healthcheck", "", [2]string{}, 404, `{"code":404,"title":"Not Found","description":""}`},
		{"PATCH", lbs, "", [2]string{}, 405, `{"code":405,"title":"Method Not Allowed","description":""}`},
		{"HEAD", lbs, "", [2]string{}, 405, ""},
		{"OPTIONS", lbs, "", [2]string{}, 200, ""},
		{"GET", "/v2", "", [2]string{}, 200, `"v2"`},
		{"GET", "/v2.0/lbaas/", "", [2]string{}, 200, `"v2"`},
		{"GET", "/v2?x=1", "", [2]string{}, 400, `{"faultcode":"Client","faultstring":"Unknown argument: \"x\"","debuginfo":null}`},
		{"GET", lbs, "", [2]string{"Accept", "text/html"}, 406, `{"code":406,"title":"Not Acceptable","description":"Only content type application/json is accepted."}`},
		{"GET", lbs, "", [2]string{"Accept", "application/json;q=0"}, 406, `{"code":406,"title":"Not Acceptable","description":"Only content type application/json is accepted."}`},
		{"GET", "/v2", "", [2]string{"Accept", "bogus"}, 200, `"v2"`},
		{"GET", "/v2", "", [2]string{"Accept", "text/html, application/*;q=0.1"}, 200, `"v2"`},
		{"POST", lbs, "a=b", [2]string{"Content-Type", "text/plain"}, 415, `{"faultcode":"Client","faultstring":"Unknown mimetype: text/plain","debuginfo":null}`},
		{"POST", lbs, `{"x": 1}`, [2]string{"Content-Type", "application/json; charset=utf-8"}, 400, `{"faultcode":"Client","faultstring":"Unknown attribute for argument load_balancer: x","debuginfo":null}`},
		{"POST", lbs, strings.Repeat(" ", 114689), [2]string{}, 413, `{"code":413,"title":"Request Entity Too Large","description":""}`},
	} {
		f.headers = http.Header{}
		if c.header[0] != "" {
			f.headers.Set(c.header[0], c.header[1])
		}
		a := f.do(c.method, c.path, c.body)
		if got := strings.TrimSpace(string(a.body)); a.status != c.status || (c.method != "HEAD" && got != c.want) {
			t.Errorf("%s %s %v: got %d %s, want %d %s", c.method, c.path, c.header, a.status, got, c.status, c.want)
		}
		if id := a.header.Get("X-Openstack-Request-Id"); !regexp.MustCompile(`^req-[0-9a-f-]{36}$`).MatchString(id) {
			t.Errorf("%s %s: request id %q", c.method, c.path, id)
		}
	}
	f.headers = http.Header{}
	versions := f.must(200, "GET", "/", "")
	expect(t, versions, "versions.0.id", `"v2.0"`, "versions.0.status", `"SUPPORTED"`, "versions.30.id", `"v2.30"`,
		"versions.30.status", `"CURRENT"`, "versions.31", `"absent"`, "versions.7.updated", `"2018-01-25T12:00:00Z"`,
		"versions.30.links", `[{"href":"http://lb.example/v2","rel":"self"}]`)
	expect(t, f.must(200, "GET", "/load-balancer/", ""), "versions.0.links.0.href", `"http://lb.example/load-balancer/v2"`)
}

// tokens is Keystone in memory.
type tokens map[string]api.Identity

var errKeystone = errors.New("keystone is away")

func (k tokens) Authenticate(_ context.Context, token string) (api.Identity, error) {
	if token == "away" {
		return api.Identity{}, errKeystone
	}
	id, ok := k[token]
	if !ok {
		return api.Identity{}, fmt.Errorf("token: %w", api.ErrUnauthorized)
	}
	return id, nil
}

func TestKeystone(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	f := newFixture(t, func(c *api.Config, d *api.Deps) {
		c.AuthStrategy, c.WWWAuthenticateURI = api.AuthKeystone, "https://keystone.example"
		c.HealthcheckEnabled = true
		d.Auth = tokens{"good": {UserID: "u", ProjectID: project, Roles: []string{"member", "reader"}}}
		d.Metrics = registry
	})
	want := `{"error":{"code":401,"title":"Unauthorized","message":"The request you have made requires authentication."}}`
	for _, token := range []string{"", "bad"} {
		f.headers = http.Header{"X-Auth-Token": {token}}
		for _, path := range []string{lbs, "/v2", "/nowhere"} {
			a := f.do("GET", path, "")
			if a.status != 401 || strings.TrimSpace(string(a.body)) != want ||
				a.header.Get("WWW-Authenticate") != `Keystone uri="https://keystone.example"` {
				t.Errorf("%s with token %q: got %d %s %s", path, token, a.status, a.body, a.header)
			}
		}
		f.must(200, "GET", "/", "")
		if a := f.do("GET", "/healthcheck", ""); a.status != 200 || string(a.body) != "OK" {
			t.Errorf("healthcheck: got %d %s, want 200 OK", a.status, a.body)
		}
	}
	f.headers = http.Header{"X-Auth-Token": {"away"}}
	f.refuse(wrong{"Keystone away", "GET", lbs, "", 503, "A service this request needs is not available. Please try again."})
	f.headers = http.Header{"X-Auth-Token": {"good"}}
	f.roles = "admin" // headers must not count
	f.must(200, "GET", lbs, "")
	f.refuse(wrong{"no admin", "GET", "/v2/octavia/amphorae", "", 403, refused})
	f.headers.Set("Accept", "application/json")
	expect(t, f.must(200, "GET", "/healthcheck", ""), "reasons", `["OK"]`, "detailed", "false")
	if a := f.do("HEAD", "/healthcheck", ""); a.status != 204 {
		t.Errorf("HEAD healthcheck: got %d, want 204", a.status)
	}
	if strings.Contains(f.log.String(), "good") {
		t.Error("a token is in the log")
	}
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "ottavino_api_request_seconds" {
		t.Errorf("metrics: got %v %v", families, err)
	}
}

func TestNoAuth(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *api.Config, _ *api.Deps) {
		c.AuthStrategy, c.Quotas = api.AuthNoAuth, db.QuotaDefaults{db.QuotaLoadBalancer: 0}
	}).as("", "")
	f.create(lbs, `{"loadbalancer": {"vip_subnet_id": "`+subnet+`", "tenant_id": "`+project+`", "project_id": "x"}}`)
	expect(t, f.must(200, "GET", lbs, ""), "loadbalancers.0.project_id", `"`+project+`"`)
	f.must(200, "GET", "/v2/octavia/amphorae", "")
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	onEach(t, testQuotas, func(c *api.Config, _ *api.Deps) {
		c.Quotas = db.QuotaDefaults{db.QuotaLoadBalancer: 1, db.QuotaListener: 0}
	})
}

func testQuotas(t *testing.T, f *fixture) {
	t.Helper()
	const quotas = "/v2/lbaas/quotas"
	expect(t, f.must(200, "GET", quotas+"/"+project, ""), "quota.loadbalancer", "1", "quota.load_balancer", "1",
		"quota.listener", "0", "quota.pool", "-1", "quota.healthmonitor", "-1", "quota.project_id", `"`+project+`"`)
	lb := f.loadBalancer()
	over := `{"loadbalancer": {"vip_subnet_id": "` + subnet + `"}}`
	f.refuse(
		wrong{"load balancer", "POST", lbs, over, 403, "Quota has been met for resources: Load Balancer"},
		wrong{"listener", "POST", listeners, `{"listener": {"loadbalancer_id": "` + lb + `", "protocol": "TCP", "protocol_port": 1}}`, 403, "Quota has been met for resources: Listener"},
		wrong{"member writes", "PUT", quotas + "/" + project, `{"quota": {}}`, 403, refused},
		wrong{"member deletes", "DELETE", quotas + "/" + project, "", 403, refused},
		wrong{"foreign", "GET", quotas + "/" + foreign, "", 403, refused},
		wrong{"fields", "GET", quotas + "/" + project + "?fields=pool", "", 400, `Unknown argument: "fields"`},
	)
	if f.neutron.count() != 1 {
		t.Errorf("ports: got %d, want 1", f.neutron.count())
	}
	a := f.admin()
	expect(t, a.must(202, "PUT", quotas+"/"+project, `{"quota": {"load_balancer": 9, "loadbalancer": "2", "listener": null}}`),
		"quota.loadbalancer", "2", "quota.listener", "0")
	expect(t, f.must(200, "GET", quotas, ""), "quotas.0.loadbalancer", "2", "quotas.0.listener", "null", "quotas.1", `"absent"`)
	expect(t, f.must(200, "GET", quotas+"/"+project+"/default", ""), "quota.loadbalancer", "1")
	f.must(201, "POST", lbs, over)
	a.refuse(
		wrong{"low", "PUT", quotas + "/" + project, `{"quota": {"listener": -2}}`, 400, "Invalid input for field/attribute listener. Value: '-2'. Value should be greater or equal to -1"},
		wrong{"high", "PUT", quotas + "/" + project, `{"quota": {"listener": 2000000001}}`, 400, "Invalid input for field/attribute listener. Value: '2000000001'. Value should be lower or equal to 2000000000"},
		wrong{"unknown", "PUT", quotas + "/" + project, `{"quota": {"project_id": "x"}}`, 400, "Unknown attribute for argument quotas.quota: project_id"},
		wrong{"no project", "PUT", quotas, `{"quota": {}}`, 400, `Missing argument: "project_id"`},
		wrong{"no row", "DELETE", quotas + "/" + foreign, "", 404, "Quotas " + foreign + " not found."},
	)
	if got := a.do("DELETE", quotas+"/"+project, ""); got.status != 202 || len(got.body) != 0 {
		t.Errorf("delete: got %d %s, want an empty 202", got.status, got.body)
	}
	expect(t, f.must(200, "GET", quotas+"/"+project, ""), "quota.loadbalancer", "1")
}

func TestProviders(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *api.Config, _ *api.Deps) { c.EnabledProviders = map[string]string{"amphora": "A.", "f5": "F."} })
	expect(t, f.must(200, "GET", "/v2/providers?fields=name", ""), "providers", `[{"name":"amphora"}]`, "providers_links", `"absent"`)
	f.refuse(
		wrong{"not ours", "POST", lbs, `{"loadbalancer": {"vip_subnet_id": "` + subnet + `", "provider": "f5"}}`, 501, "Provider 'f5' was not found."},
		wrong{"not enabled", "POST", lbs, `{"loadbalancer": {"vip_subnet_id": "` + subnet + `", "provider": "octavia"}}`, 400, "Provider 'octavia' is not enabled."},
	)
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	store := newFixture(t).store
	for name, c := range map[string]api.Config{
		"strategy": {AuthStrategy: "open"},
		"ciphers":  {AuthStrategy: api.AuthNoAuth, ListenerCiphers: "A:B", ProhibitedCiphers: []string{"B"}},
		"versions": {AuthStrategy: api.AuthNoAuth, PoolTLS: []string{"TLSv1"}, MinimumTLS: "TLSv1.2"},
		"keystone": {},
	} {
		if _, err := api.New(c, api.Deps{Store: store, VIP: &neutron{}}); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
