package api_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/api/policy"
)

// What callers may do, by the names of rbacCalls. "list-all" is to see others in a list.
const (
	readOwn    = " list list-own show status members catalogue "
	readAll    = readOwn + " list-all list-other show-other status-other members-other "
	writeOwn   = " create update delete "
	writeAll   = writeOwn + " create-other update-other delete-other "
	readQuotas = " quota quota-other quotas "
	putQuotas  = " put-quota put-quota-other "
	manage     = " failover failover-other amphorae profiles capabilities new-profile "
	everything = readAll + writeAll + readQuotas + putQuotas + manage

	reader     = readOwn + " quota quotas "
	member     = reader + writeOwn
	observer   = readAll + readQuotas
	quotaAdmin = readQuotas + putQuotas
)

const rbacPools = "/v2/lbaas/pools"

// persona is a caller: roles, and the scope of the token.
type persona struct {
	roles string
	scope string // "" = project, system, domain
}

// rbacCall is a call on an object of the caller's project or, other, of a foreign one.
type rbacCall struct {
	name, method, path, body string
}

// objects are what calls are about.
type objects struct{ lb, pool string }

func rbacCalls(project string, o objects) []rbacCall {
	lb := lbs + "/" + o.lb
	body := `{"loadbalancer": {"vip_subnet_id": "` + subnet + `", "project_id": "` + project + `"}}`
	return []rbacCall{
		{name: "list-own", method: "GET", path: lbs + "?project_id=" + project},
		{name: "show", method: "GET", path: lb},
		{name: "status", method: "GET", path: lb + "/status"},
		{name: "members", method: "GET", path: rbacPools + "/" + o.pool + "/members"},
		{name: "quota", method: "GET", path: "/v2/lbaas/quotas/" + project},
		{name: "create", method: "POST", path: lbs, body: body},
		{name: "update", method: "PUT", path: lb, body: `{"loadbalancer": {"name": "n"}}`},
		{name: "failover", method: "PUT", path: lb + "/failover"},
		{name: "put-quota", method: "PUT", path: "/v2/lbaas/quotas/" + project, body: `{"quota": {"pool": -1}}`},
		{name: "delete", method: "DELETE", path: lb + "?cascade=true"},
	}
}

// plainCalls are about nothing that belongs to anybody, or about all.
func plainCalls() []rbacCall {
	return []rbacCall{
		{name: "list", method: "GET", path: lbs},
		{name: "quotas", method: "GET", path: "/v2/lbaas/quotas"},
		{name: "catalogue", method: "GET", path: "/v2/lbaas/flavors"},
		{name: "catalogue", method: "GET", path: "/v2/lbaas/availabilityzones"},
		{name: "catalogue", method: "GET", path: "/v2/lbaas/providers"},
		{name: "amphorae", method: "GET", path: "/v2/octavia/amphorae"},
		{name: "profiles", method: "GET", path: "/v2/lbaas/flavorprofiles"},
		{name: "profiles", method: "GET", path: "/v2/lbaas/availabilityzoneprofiles"},
		{name: "capabilities", method: "GET", path: "/v2/lbaas/providers/amphora/flavor_capabilities"},
		{name: "new-profile", method: "POST", path: "/v2/lbaas/flavorprofiles",
			body: `{"flavorprofile": {"name": "p", "provider_name": "amphora", "flavor_data": "{}"}}`},
	}
}

// rbacModes say who may do what by what an operator has chosen.
var rbacModes = map[string]struct {
	opts policy.Options
	file string // of etc/policy
	may  map[persona]string
}{
	"built in": {may: map[persona]string{
		{roles: "member,reader"}:                  member,
		{roles: "member"}:                         member,
		{roles: "Reader"}:                         reader,
		{roles: "admin"}:                          everything,
		{roles: "service"}:                        "members members-other",
		{roles: "other, reader"}:                  reader,
		{roles: ""}:                               "",
		{roles: "load-balancer_member"}:           "",
		{roles: "load-balancer_observer"}:         "",
		{roles: "load-balancer_global_observer"}:  "",
		{roles: "load-balancer_quota_admin"}:      "",
		{roles: "load-balancer_admin"}:            "",
		{roles: "admin", scope: "system"}:         everything,
		{roles: "member,reader", scope: "system"}: "catalogue",
		{roles: "admin", scope: "domain"}:         everything,
		{roles: "member,reader", scope: "domain"}: "catalogue",
	}},
	"built in, enforce_new_defaults = false": {opts: policy.Options{OldDefaults: true}, may: map[persona]string{
		{roles: "member"}:                        member,
		{roles: "reader"}:                        reader,
		{roles: "admin"}:                         everything,
		{roles: "service"}:                       "members members-other",
		{roles: "load-balancer_member"}:          member,
		{roles: "load-balancer_observer"}:        reader,
		{roles: "load-balancer_global_observer"}: observer,
		{roles: "load-balancer_quota_admin"}:     quotaAdmin,
		{roles: "load-balancer_admin"}:           everything,
	}},
	"admin or owner": {file: "admin_or_owner-policy.yaml", may: map[persona]string{
		{roles: "anything"}:                  member,
		{roles: "reader"}:                    member,
		{roles: "service"}:                   member + "members-other",
		{roles: "admin"}:                     everything,
		{roles: "load-balancer_admin"}:       everything,
		{roles: "admin", scope: "system"}:    manage + "catalogue",
		{roles: "anything", scope: "domain"}: "catalogue",
		{roles: "admin", scope: "domain"}:    everything,
	}},
	"advanced": {file: "octavia-advanced-rbac-policy.yaml", may: map[persona]string{
		{roles: "member,reader"}:                 "",
		{roles: "service"}:                       "members members-other",
		{roles: "load-balancer_member"}:          member,
		{roles: "load-balancer_observer"}:        reader,
		{roles: "load-balancer_global_observer"}: observer,
		{roles: "load-balancer_quota_admin"}:     quotaAdmin,
		{roles: "load-balancer_admin"}:           everything,
		{roles: "admin"}:                         everything,
		{roles: "admin", scope: "system"}:        everything,
	}},
	"default roles": {file: "keystone_default_roles-policy.yaml", may: map[persona]string{
		{roles: "member,reader"}:          member,
		{roles: "member"}:                 writeOwn,
		{roles: "reader"}:                 reader,
		{roles: "admin"}:                  everything,
		{roles: "service"}:                "members members-other",
		{roles: "load-balancer_member"}:   "",
		{roles: "load-balancer_admin"}:    manage,
		{roles: "admin", scope: "system"}: observer + manage,
	}},
	"default roles with scopes": {file: "keystone_default_roles_scoped-policy.yaml", may: map[persona]string{
		{roles: "member,reader"}:                        member,
		{roles: "reader"}:                               reader,
		{roles: "admin"}:                                "",
		{roles: "admin,member,reader"}:                  member,
		{roles: "load-balancer_admin"}:                  manage,
		{roles: "reader", scope: "system"}:              observer,
		{roles: "admin,member,reader", scope: "system"}: observer + manage,
	}},
	"default roles with scopes, enforce_scope = false": {
		opts: policy.Options{AnyScope: true}, file: "keystone_default_roles_scoped-policy.yaml",
		may: map[persona]string{
			{roles: "admin"}:                   "",
			{roles: "reader", scope: "system"}: observer,
			{roles: "admin", scope: "system"}:  everything,
		},
	},
}

// TestRoles walks every kind of caller through every kind of call, in each mode that an
// operator can choose.
func TestRoles(t *testing.T) {
	t.Parallel()
	for name, mode := range rbacModes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := mode.opts
			if mode.file != "" {
				opts.File = filepath.Join("../etc/policy", mode.file)
				if _, err := os.Stat(opts.File); err != nil {
					t.Fatal(err)
				}
			}
			testRoles(t, opts, mode.may)
		})
	}
}

func testRoles(t *testing.T, opts policy.Options, may map[persona]string) {
	t.Helper()
	rules, err := policy.Load(opts)
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, func(c *api.Config, d *api.Deps) { d.Policy, c.PendingChanges = rules, "accept" })
	seed := newRoot(f)
	for who, want := range may {
		own, other := seed.objects(project), seed.objects(foreign)
		g := f.as(who.roles, project)
		g.headers = http.Header{}
		switch who.scope {
		case "system":
			g.project = ""
			g.headers.Set("Openstack-System-Scope", "all")
		case "domain":
			g.project = ""
			g.headers.Set("X-Domain-Id", "default")
		}
		if got, want := g.allowed(own, other), words(want); !slices.Equal(got, want) {
			t.Errorf("%v:\n got %s\nwant %s", who, strings.Join(got, " "), strings.Join(want, " "))
		}
	}
}

// root makes objects for anybody: an API on the same database with the built-in rules.
type root struct{ *fixture }

func newRoot(f *fixture) root {
	f.t.Helper()
	server, err := api.New(api.Config{AuthStrategy: api.AuthNoAuth, PendingChanges: "accept"},
		api.Deps{Store: f.store, VIP: f.neutron, Cloud: f.cloud, Certificates: noopCertificates(f.t)})
	if err != nil {
		f.t.Fatal(err)
	}
	g := *f
	g.handler = server.Handler()
	return root{&g}
}

func (r root) objects(project string) objects {
	r.t.Helper()
	lb := r.create(lbs, `{"loadbalancer": {"vip_subnet_id": "`+subnet+`", "project_id": "`+project+`"}}`)
	pool := r.create(rbacPools, `{"pool": {"loadbalancer_id": "`+lb+`", "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"}}`)
	r.settle(lb)
	return objects{lb, pool}
}

// allowed are the names of the calls that the caller is let do. Each is either done or
// forbidden; anything else is an error.
func (f *fixture) allowed(own, other objects) []string {
	f.t.Helper()
	may := map[string]bool{}
	try := func(name string, c rbacCall) {
		f.t.Helper()
		switch a := f.do(c.method, c.path, c.body); {
		case a.status < 300:
			if before, tried := may[name]; tried && !before {
				f.t.Errorf("%s: %s %s is allowed, others of its kind are not", f.roles, c.method, c.path)
			}
			may[name] = true
			if strings.Contains(string(a.body), other.lb) && c.path == lbs {
				may["list-all"] = true
			}
		case a.status == http.StatusForbidden:
			if may[name] {
				f.t.Errorf("%s: %s %s is refused, others of its kind are not", f.roles, c.method, c.path)
			}
			may[name] = false
			if got := faultText(a); got != refused {
				f.t.Errorf("%s: %s %s: got %q, want %q", f.roles, c.method, c.path, got, refused)
			}
		default:
			f.t.Errorf("%s: %s %s: got %d %s", f.roles, c.method, c.path, a.status, a.body)
		}
	}
	for _, c := range plainCalls() {
		try(c.name, c)
	}
	for _, c := range rbacCalls(project, own) {
		try(c.name, c)
	}
	for _, c := range rbacCalls(foreign, other) {
		name := c.name + "-other"
		if c.name == "list-own" {
			name = "list-other"
		}
		try(name, c)
	}
	var out []string
	for name, ok := range may {
		if ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func words(text string) []string {
	out := strings.Fields(text)
	slices.Sort(out)
	return slices.Compact(out)
}
