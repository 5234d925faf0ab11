package policy

import (
	"testing"
)

// FuzzParse: a rule that is understood can be asked, and means the same when it is written
// out and read again.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"", " ", "@", "!", "role:a", "not role:a and role:b or (role:c)", "((((", "not not not @",
		"project_id:%(project_id)s", "role:100%%", "role:%", "role:%(x", "'a':%(b)s", "12:%(n)s", "rule:x", `"quoted"`,
	} {
		f.Add(text)
	}
	creds := &Credentials{Roles: []string{"a"}, ProjectID: "p"}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseText(text)
		if err != nil {
			return
		}
		ev := &evaluation{rules: &ruleset{}, creds: creds, target: Target{"project_id": "p", "b": "a"}}
		again, err := parseText(c.String())
		if err != nil {
			t.Fatalf("%q is written as %q: %v", text, c, err)
		}
		if got, want := again.passes(ev), c.passes(ev); got != want {
			t.Errorf("%q is written as %q: got %v, want %v", text, c, got, want)
		}
		if s := ev.explain(c); s.Passes != c.passes(ev) {
			t.Errorf("%q: explained as %v", text, s)
		}
	})
}

// FuzzFile: no file ends the process, whatever is in it, and rules in it end.
func FuzzFile(f *testing.F) {
	for _, text := range []string{
		"", "{}", "[]", "null", "a: '@'", "a: rule:b\nb: rule:a", `{"a": [["role:x", "role:y"], "@"]}`, "a: !", "a: &x [*x]",
		"a: [[[]]]", "---\n---\n", "? [a]\n: b", "<<: {a: b}", "default: rule:none",
	} {
		f.Add([]byte(text))
	}
	base, err := newRuleset(nil, defaults(true), "default")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		rules, err := source{"policy.yaml", text}.rules()
		if err != nil {
			return
		}
		set, err := newRuleset(base.rules, rules, "default")
		if err != nil {
			return
		}
		ev := &evaluation{rules: set, creds: &Credentials{}, target: Target{}}
		for _, r := range rules {
			ruleRef(r.Name).passes(ev)
		}
	})
}
