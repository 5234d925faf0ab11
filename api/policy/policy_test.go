package policy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
		{"no project owns nothing", neu, creds("", "member"), "loadbalancer:get_one", policy.Target{"project_id": ""}, false},
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

// TestGrammar reads rules of every form from a file.
func TestGrammar(t *testing.T) {
	t.Parallel()
	who := policy.Credentials{UserID: "u", ProjectID: "p1", SystemScope: "all", Roles: []string{"a", "b"}}
	target := policy.Target{"project_id": "p1", "user_id": "v", "evil": "%(project_id)s"}
	for text, want := range map[string]bool{
		"":                                       true,
		"@":                                      true,
		"!":                                      false,
		"not !":                                  true,
		"role:a and role:b":                      true,
		"role:a and role:c":                      false,
		"role:c or role:b":                       true,
		"role:c or role:a and role:b":            true,
		"(role:a or role:c) and not role:b":      false,
		"role:c and role:a or role:b":            true,
		"not role:a or role:b":                   true,
		"not (role:a or role:b)":                 false,
		"((role:a))":                             true,
		"ROLE:a OR role:b":                       true,
		"project_id:%(project_id)s":              true,
		"(project_id:%(project_id)s)":            true,
		"user_id:%(user_id)s":                    false,
		"project_id:%(absent)s":                  false,
		"project_id:%(evil)s":                    false,
		"system_scope:all":                       true,
		"is_admin:True":                          false,
		"is_admin:False":                         true,
		"'p1':%(project_id)s":                    true,
		"colour:red":                             false,
		"rule:loop":                              false,
		"rule:missing":                           false,
		"rule:context_is_admin or role:%(role)s": false,
	} {
		path := write(t, "loop: rule:loop\nx: \""+text+"\"\n")
		e := load(t, policy.Options{File: path})
		if got := e.Authorize("x", who, target); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{"role:a and", "(role:a", "role:a)", "role", "role:a role:b", "http://example.org/x"} {
		if _, err := policy.Load(policy.Options{File: write(t, "x: \""+text+"\"\n")}); err == nil {
			t.Errorf("%q: got no error", text)
		}
	}
}

// TestFileIsReadAgain changes, breaks and removes the file.
func TestFileIsReadAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	var log strings.Builder
	e := load(t, policy.Options{File: path, Log: logTo(&log)})
	ask := func() bool {
		return e.Authorize(lb+"loadbalancer:post", creds("p1", "member"), policy.Target{"project_id": "p1"})
	}
	if !ask() {
		t.Fatal("absent file: got no, want the default")
	}
	set := func(text string, age time.Duration) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-age)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	set(lb+"loadbalancer:post: '!'\n", time.Hour)
	if ask() {
		t.Error("new file: got yes, want its rule")
	}
	set(lb+"loadbalancer:post: 'nonsense'\n", time.Minute)
	if ask() {
		t.Error("broken file: got yes, want the rule before")
	}
	if !strings.Contains(log.String(), "nonsense") {
		t.Errorf("broken file: log %q does not say what is wrong", log.String())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if !ask() {
		t.Error("removed file: got no, want the default")
	}
}
