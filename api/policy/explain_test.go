package policy_test

import (
	"strings"
	"testing"

	"github.com/ottavino/ottavino/api/policy"
)

// outline is a step and its parts, a line each.
func outline(s policy.Step, indent string) string {
	answer := "no"
	if s.Passes {
		answer = "yes"
	}
	out := indent + answer + " " + s.Check
	if s.Why != "" {
		out += " | " + s.Why
	}
	out += "\n"
	for _, part := range s.Parts {
		out += outline(part, indent+" ")
	}
	return out
}

// TestExplain: the parts that decided are shown, and no others.
func TestExplain(t *testing.T) {
	t.Parallel()
	file := write(t, "x: not role:a\ny: (role:a and role:b) or user_id:%(nothing)s\nz: rule:none\nc: colour:red\nf: system_scope:None and not is_admin:True\n")
	e := load(t, policy.Options{File: file})
	own := policy.Target{"project_id": "p1"}
	for rule, want := range map[string]string{
		lb + "loadbalancer:post": `
yes rule:os_load-balancer_api:loadbalancer:post | default
 yes rule:load-balancer:write | default
  yes rule:load-balancer:member_and_owner | default
   yes rule:project-member | default
    yes role:member | the roles are member, a
    yes project_id:%(project_id)s | p1 against p1
`,
		lb + "quota:put": `
no rule:os_load-balancer_api:quota:put | default
 no rule:load-balancer:write-quota | default
  no rule:load-balancer:quota-admin | default
   no role:admin | the roles are member, a
  no rule:load-balancer:admin | default
   no is_admin:True | is_admin is False
   no role:admin | the roles are member, a
`,
		"x": "\nno rule:x | FILE\n no not role:a\n  yes role:a | the roles are member, a\n",
		"y": `
no rule:y | FILE
 no role:a and role:b
  no role:b | the roles are member, a
 no user_id:%(nothing)s | the object has no nothing
`,
		"z": "\nno rule:z | FILE\n no rule:none | there is no such rule\n",
		"c": "\nno rule:c | FILE\n no colour:red | a caller has no colour\n",
		"f": "\nyes rule:f | FILE\n yes system_scope:None | None against None\n yes not is_admin:True\n  no is_admin:True | is_admin is False\n",
	} {
		got := "\n" + strings.ReplaceAll(outline(e.Explain(rule, creds("p1", "member", "a"), own), ""), file, "FILE")
		if got != want {
			t.Errorf("%s: got %s\nwant %s", rule, got, want)
		}
	}
	system := policy.Credentials{SystemScope: "all", Roles: []string{"admin"}}
	if s := e.Explain("load-balancer:write", system, own); s.Passes || !strings.Contains(s.Why, "scope system") {
		t.Errorf("scope: got %s", outline(s, ""))
	}
}
