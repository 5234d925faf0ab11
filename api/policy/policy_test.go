package policy_test

import (
	"os"
	"strings"
	"testing"

	"github.com/ottavino/ottavino/api/policy"
)

const lb = "os_load-balancer_api:"

func creds(project string, roles ...string) policy.Credentials {
	return policy.Credentials{UserID: "u", ProjectID: project, Roles: roles}
}

// TestDefaultRules walks the outcome table of roles and calls.
func TestDefaultRules(t *testing.T) {
	t.Parallel()
	neu := load(t, policy.Options{})
	old := load(t, policy.Options{OldDefaults: true})
	own, other := policy.Target{"project_id": "p1"}, policy.Target{"project_id": "p2"}
	for _, c := range []struct {
		name   string
		e      *policy.Enforcer
		who    policy.Credentials
		rule   string
		target policy.Target
		want   bool
	}{
		{"member reads own", neu, creds("p1", "member"), "loadbalancer:get_one", own, true},
		{"member reads other", neu, creds("p1", "member"), "loadbalancer:get_one", other, false},
		{"member writes own", neu, creds("p1", "member"), "listener:post", own, true},
		{"member writes other", neu, creds("p1", "member"), "listener:delete", other, false},
		{"member lists all", neu, creds("p1", "member"), "pool:get_all-global", own, false},
		{"member fails over", neu, creds("p1", "member"), "loadbalancer:put_failover", own, false},
		{"member reads quota", neu, creds("p1", "member"), "quota:get_one", own, true},
		{"member writes quota", neu, creds("p1", "member"), "quota:put", own, false},
		{"role in capitals", neu, creds("p1", "Member"), "listener:post", own, true},
		{"reader reads own", neu, creds("p1", "reader"), "healthmonitor:get_all", own, true},
		{"reader writes own", neu, creds("p1", "reader"), "healthmonitor:post", own, false},
		{"admin writes other", neu, creds("p1", "admin"), "listener:put", other, true},
		{"admin lists all", neu, creds("p1", "admin"), "loadbalancer:get_all-global", own, true},
		{"admin sees amphorae", neu, creds("p1", "admin"), "amphora:get_all", own, true},
		{"admin without project", neu, creds("", "admin"), "flavor-profile:get_all", policy.Target{"project_id": ""}, true},
		{"is_admin needs no role", neu, policy.Credentials{IsAdmin: true}, "quota:delete", other, true},
		{"no project, what belongs to nobody", neu, creds("", "reader"), "flavor:get_all", policy.Target{"project_id": ""}, true},
		{"no project, what belongs to one", neu, creds("", "member"), "loadbalancer:get_one", own, false},
		{"service lists members", neu, creds("p1", "service"), "member:get_all", other, true},
		{"service shows a member", neu, creds("p1", "service"), "member:get_one", other, false},
		{"unknown rule", neu, creds("p1", "admin"), "loadbalancer:dance", own, false},
		{"legacy member, new defaults", neu, creds("p1", "load-balancer_member"), "loadbalancer:post", own, false},
		{"legacy member, old defaults", old, creds("p1", "load-balancer_member"), "loadbalancer:post", own, true},
		{"legacy member, other project", old, creds("p1", "load-balancer_member"), "loadbalancer:post", other, false},
		{"legacy observer reads", old, creds("p1", "load-balancer_observer"), "loadbalancer:get_all", own, true},
		{"legacy global observer", old, creds("p1", "load-balancer_global_observer"), "loadbalancer:get_one", other, true},
		{"legacy global observer writes", old, creds("p1", "load-balancer_global_observer"), "loadbalancer:put", own, false},
		{"legacy quota admin", old, creds("p1", "load-balancer_quota_admin"), "quota:put", other, true},
		{"legacy quota admin reads", old, creds("p1", "load-balancer_quota_admin"), "loadbalancer:get_all", own, false},
		{"legacy admin", old, creds("p1", "load-balancer_admin"), "amphora:delete", other, true},
		{"member with old defaults", old, creds("p1", "member"), "loadbalancer:post", own, true},
	} {
		if got := c.e.Authorize(lb+c.rule, c.who, c.target); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// TestNames: every rule that Octavia's policy files may name is there.
func TestNames(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/names.txt")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, r := range policy.Defaults().Rules() {
		have[r.Name] = true
	}
	names := strings.Fields(string(text))
	for _, name := range names {
		if !have[name] {
			t.Errorf("there is no rule %q", name)
		}
	}
	if len(names) < 97 {
		t.Errorf("got %d names, want all", len(names))
	}
}

// TestIsAdmin: the rule context_is_admin sees the caller only.
func TestIsAdmin(t *testing.T) {
	t.Parallel()
	system := policy.Credentials{SystemScope: "all", Roles: []string{"admin"}}
	domain := policy.Credentials{DomainID: "d", Roles: []string{"admin"}}
	file := write(t, `context_is_admin: "role:boss and project_id:%(project_id)s"`)
	for _, c := range []struct {
		name string
		opts policy.Options
		who  policy.Credentials
		want bool
	}{
		{"admin", policy.Options{}, creds("p1", "admin"), true},
		{"member", policy.Options{}, creds("p1", "member"), false},
		{"legacy admin", policy.Options{}, creds("p1", "load-balancer_admin"), false},
		{"legacy admin with old defaults", policy.Options{OldDefaults: true}, creds("p1", "load-balancer_admin"), true},
		{"token of the system", policy.Options{}, system, false},
		{"token of the system, any scope", policy.Options{AnyScope: true}, system, true},
		{"token of a domain", policy.Options{}, domain, true},
		{"the target is the caller", policy.Options{File: file}, creds("p1", "boss"), true},
		{"a file replaces the default", policy.Options{File: file, OldDefaults: true}, creds("p1", "admin"), false},
	} {
		if got := load(t, c.opts).IsAdmin(c.who); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// TestScope: base rules that are asked themselves are for tokens of projects, calls are not.
func TestScope(t *testing.T) {
	t.Parallel()
	system := policy.Credentials{SystemScope: "all", Roles: []string{"admin"}}
	e, any := load(t, policy.Options{}), load(t, policy.Options{AnyScope: true})
	own := policy.Target{"project_id": "p1"}
	if !e.Authorize(lb+"loadbalancer:post", system, own) {
		t.Error("a call: got no, want yes")
	}
	if e.Authorize("load-balancer:write", system, own) {
		t.Error("a base rule: got yes, want no")
	}
	if e.Authorize("load-balancer:write", policy.Credentials{DomainID: "d", Roles: []string{"admin"}}, own) {
		t.Error("a base rule, token of a domain: got yes, want no")
	}
	if !any.Authorize("load-balancer:write", system, own) {
		t.Error("a base rule, any scope: got no, want yes")
	}
}
