package api_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/api/policy"
)

// rulesIn loads a policy file.
func rulesIn(t *testing.T, text string) *policy.Enforcer {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	rules, err := policy.Load(policy.Options{File: path})
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

const flavorList = "/v2/lbaas/flavors"

// TestIdentityInHeaders: with auth_strategy testing, rules see what the headers say.
func TestIdentityInHeaders(t *testing.T) {
	t.Parallel()
	for rule, headers := range map[string]http.Header{
		`[["role:load balancer", "role:b"]]`:                       {"X-Roles": {"a, load balancer , b"}},
		"role:old":                                                 {"X-Role": {"old"}},
		"user_id:u and user_domain_id:d":                           {"X-User": {"u"}, "X-User-Domain-Id": {"d"}},
		"project_id:p and project_domain_id:d":                     {"X-Tenant-Id": {"p"}, "X-Project-Domain-Id": {"d"}},
		"project_id:q":                                             {"X-Project-Id": {"q"}, "X-Tenant-Id": {"p"}},
		"domain_id:d and project_id:None":                          {"X-Domain-Id": {"d"}},
		"system_scope:all":                                         {"Openstack-System-Scope": {"all"}},
		"is_admin_project:False":                                   {"X-Is-Admin-Project": {"False"}},
		"service_roles:service and not role:a":                     {"X-Service-Roles": {"x, service"}},
		"service_user_id:s and service_roles:x":                    {"X-Service-User-Id": {"s"}, "X-Service-Roles": {"x"}},
		"is_admin:True and role:admin":                             {"X-Roles": {"admin"}},
		"service_project_id:p and user_id:u":                       {"X-Service-Project-Id": {"p"}, "X-Service-Roles": {"x"}, "X-User-Id": {"u"}},
		"is_admin:False and is_admin_project:True and role:member": {"X-Roles": {"member"}},
	} {
		f := newFixture(t, func(_ *api.Config, d *api.Deps) {
			d.Policy = rulesIn(t, `os_load-balancer_api:flavor:get_all: `+rule)
		})
		f.noIdentity = true
		f.headers = headers
		if a := f.do("GET", flavorList, ""); a.status != 200 {
			t.Errorf("%s: got %d for %v, want 200", rule, a.status, headers)
		}
		f.headers = http.Header{}
		if a := f.do("GET", flavorList, ""); a.status != 403 {
			t.Errorf("%s: got %d for no headers, want 403", rule, a.status)
		}
	}
}

// TestServiceToken is checked like the user's own and tells rules who sent the request.
func TestServiceToken(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *api.Config, d *api.Deps) {
		c.AuthStrategy = api.AuthKeystone
		d.Auth = tokens{"user": {UserID: "u", ProjectID: project}, "service": {UserID: "s", Roles: []string{"service"}}}
		d.Policy = rulesIn(t, `os_load-balancer_api:flavor:get_all: "user_id:u and service_user_id:s and service_roles:service"`)
	})
	for token, want := range map[string]int{"service": 200, "": 403, "bad": 401, "away": 503} {
		f.headers = http.Header{"X-Auth-Token": {"user"}, "X-Service-Token": {token}}
		if a := f.do("GET", flavorList, ""); a.status != want {
			t.Errorf("service token %q: got %d, want %d", token, a.status, want)
		}
	}
	f.headers = http.Header{"X-Service-Token": {"service"}}
	if a := f.do("GET", flavorList, ""); a.status != 401 {
		t.Errorf("service token alone: got %d, want 401", a.status)
	}
}

// TestGlobalListOfOwn: a rule that lets callers list all of their own project does not let
// them list all of everybody's.
func TestGlobalListOfOwn(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(_ *api.Config, d *api.Deps) {
		d.Policy = rulesIn(t, `load-balancer:read-global: "role:lister and project_id:%(project_id)s or role:admin"`)
	})
	own := f.loadBalancer()
	other := f.as("member", foreign).loadBalancer()
	lister := f.as("lister,reader", project)
	expect(t, lister.must(200, "GET", lbs, ""), "loadbalancers.0.id", show(own), "loadbalancers.1", `"absent"`)
	expect(t, lister.must(200, "GET", lbs+"?project_id="+project, ""), "loadbalancers.0.id", show(own), "loadbalancers.1", `"absent"`)
	lister.refuse(wrong{"another project", "GET", lbs + "?project_id=" + foreign, "", 403, refused})
	expect(t, f.admin().must(200, "GET", lbs+"?project_id="+foreign, ""), "loadbalancers.0.id", show(other), "loadbalancers.1", `"absent"`)
}
