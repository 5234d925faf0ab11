package policy_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ottavino/ottavino/api/policy"
)

// TestLanguage reads rules of every form from a file.
func TestLanguage(t *testing.T) {
	t.Parallel()
	who := policy.Credentials{
		UserID: "u", UserDomainID: "d", ProjectID: "p1", ProjectDomainID: "d", SystemScope: "all", Roles: []string{"a", "B"},
		Service: policy.ServiceCredentials{UserID: "s", Roles: []string{"service"}},
	}
	target := policy.Target{"project_id": "p1", "user_id": "v", "evil": "%(project_id)s", "flag": "True", "nil": "", "r": "A"}
	for text, want := range map[string]bool{
		"":                                      true,
		"@":                                     true,
		"!":                                     false,
		"not !":                                 true,
		"not not @":                             true,
		"role:a and role:b":                     true,
		"role:a and role:c":                     false,
		"role:c or role:b":                      true,
		"role:c or role:a and role:b":           true,
		"role:a or role:c and role:c":           true,
		"role:c and role:a or role:b":           true,
		"(role:a or role:c) and not role:b":     false,
		"not role:a or role:b":                  true,
		"not (role:a or role:b)":                false,
		"((role:a))":                            true,
		"role:A OR role:c":                      true,
		"role:%(r)s":                            true,
		"project_id:%(project_id)s":             true,
		"(project_id:%(project_id)s)":           true,
		"tenant:%(project_id)s":                 true,
		"project_id:x-%(project_id)s":           false,
		"user_id:%(user_id)s":                   false,
		"project_id:%(absent)s":                 false,
		"project_id:%(evil)s":                   false,
		"user_domain_id:d":                      true,
		"user_domain_id:d and domain_id:d":      false,
		"domain_id:None":                        true,
		"domain_id:%(nil)s":                     true,
		"system_scope:all":                      true,
		"is_admin:True":                         false,
		"is_admin:true":                         false,
		"is_admin:False":                        true,
		"is_admin:no":                           true,
		"is_admin_project:True":                 true,
		"roles:a":                               true,
		"roles:b":                               false,
		"service_roles:service":                 true,
		"service_user_id:s":                     true,
		"'p1':%(project_id)s":                   true,
		"'p2':%(project_id)s":                   false,
		"True:%(flag)s":                         true,
		"None:%(nil)s":                          true,
		"7:7":                                   true,
		"'100%%':100%%":                         false,
		"'100%':100%%":                          true,
		"colour:red":                            false,
		"colour:None":                           false,
		"user.id:u":                             false,
		"rule:missing":                          false,
		"not rule:missing":                      true,
		"rule:context_is_admin or role:%(xx)s":  false,
		"rule:other":                            true,
		"rule:other and\n  not rule:missing":    true,
		"\trole:a  and\trole:b ":                true,
		"role:c or ( role:a and (not role:c) )": true,
	} {
		for _, form := range []string{yamlFile(t, text), jsonFile(t, text)} {
			e := load(t, policy.Options{File: write(t, form)})
			if got := e.Authorize("x", who, target); got != want {
				t.Errorf("%q: got %v, want %v", text, got, want)
			}
		}
	}
}

func yamlFile(t *testing.T, rule any) string {
	t.Helper()
	text, err := json.Marshal(rule) // YAML understands it
	if err != nil {
		t.Fatal(err)
	}
	return "# a comment\nother: role:a\nx: " + string(text) + "\n"
}

func jsonFile(t *testing.T, rule any) string {
	t.Helper()
	text, err := json.MarshalIndent(map[string]any{"other": "role:a", "x": rule}, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestLists reads the older form: a list of alternatives, each a list of checks.
func TestLists(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`[]`:                                  true,
		`null`:                                true,
		`[[]]`:                                false,
		`["role:a"]`:                          true,
		`["role:c"]`:                          false,
		`[["role:a", "role:c"]]`:              false,
		`[["role:a", "role:c"], ["role:b"]]`:  true,
		`[["role:c"], "role:b"]`:              true,
		`[["role:a", "rule:other", "@"], []]`: true,
		`[["role:a", "!"]]`:                   false,
	} {
		e := load(t, policy.Options{File: write(t, "other: role:b\nx: "+text+"\n")})
		if got := e.Authorize("x", creds("p1", "a", "b"), nil); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}

// TestDefaultRule stands in for rules that are not there.
func TestDefaultRule(t *testing.T) {
	t.Parallel()
	file := write(t, "default: role:a\nspare: role:b\nx: rule:missing\n")
	for name, c := range map[string]struct {
		rule, role, stand string
		want              bool
	}{
		"a rule names it":      {"x", "a", "", true},
		"it says no":           {"x", "b", "", false},
		"asked by a call":      {"nothing", "a", "", true},
		"another one":          {"x", "b", "spare", true},
		"not for those we set": {lb + "loadbalancer:put_failover", "a", "", false},
	} {
		e := load(t, policy.Options{File: file, DefaultRule: c.stand})
		if got := e.Authorize(c.rule, creds("p1", c.role), nil); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// TestRefusesAtLoad: what cannot be meant is an error that names file, line and rule.
func TestRefusesAtLoad(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`x: "role:a and"`:                    `policy.yaml:1: rule "x": the rule ends too early`,
		`x: "(role:a"`:                       `rule "x": a parenthesis is not closed`,
		`x: "role:a)"`:                       `rule "x": ")" is unexpected`,
		`x: "role:a role:b"`:                 `rule "x": "role:b" is unexpected`,
		`x: "or role:b"`:                     `rule "x": "or" is unexpected`,
		`x: role`:                            `rule "x": "role" is not of the form kind:match`,
		`x: "'role:a'"`:                      `rule "x": "'role:a'" is not of the form kind:match`,
		`x: " "`:                             `rule "x": the rule ends too early`,
		`x: "http://example.org/x"`:          `rule "x": "http://example.org/x": rules that ask another server`,
		`x: "role:%d"`:                       `rule "x": "%d" is not of the form %(name)s`,
		`x: 12`:                              `rule "x": a rule is text or a list, not 12`,
		`x: [[12]]`:                          `rule "x": a check is text, not 12`,
		"a: '@'\n\"ü x\": !\n":               `policy.yaml:2: rule "ü x": write "!" with quotes`,
		`x: !`:                               `rule "x": write "!" with quotes`,
		"y: '@'\nx: rule:x":                  `policy.yaml:2: rule "x": it refers to itself: x, x`,
		"x: not rule:y\ny: role:a or rule:x": `it refers to itself: x, y, x`,
		"default: role:a and rule:none":      `rule "default": it refers to itself: default, default`,
		"x: [":                               `policy.yaml: yaml`,
		"- x":                                `policy.yaml:1: not a mapping of rules`,
		"a: '@'\n---\nb: '@'":                `policy.yaml: more than one document`,
		`["x"]`:                              `policy.yaml: not an object of rules`,
		"x: role\ny: (":                      `rule "y"`, // besides x
		"project-member: rule:load-balancer:write":                          `it refers to itself`,
		"x: " + strings.Repeat("(", 5000) + "@" + strings.Repeat(")", 5000): `parentheses inside each other`,
	} {
		_, err := policy.Load(policy.Options{File: write(t, text)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %q", text, err, want)
		}
	}
}

// TestSameNameTwice: the last one counts, as it always did.
func TestSameNameTwice(t *testing.T) {
	t.Parallel()
	e := load(t, policy.Options{File: write(t, "x: '!'\nx: '@'\n")})
	if !e.Authorize("x", creds("p1"), nil) {
		t.Error("got the first, want the last")
	}
}
