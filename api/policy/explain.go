package policy

import (
	"fmt"
	"strings"
)

// Step is a part of a rule and what came of it.
type Step struct {
	Check  string // in the rule language
	Passes bool
	Why    string // what was compared; "" where the parts say it
	Parts  []Step // those that decided, no others
}

// Explain answers as Authorize does, and says how the answer came about.
func (e *Enforcer) Explain(rule string, c Credentials, t Target) Step {
	if scope := e.outOfScope(rule, &c, c.DomainID); scope != "" {
		return Step{Check: "rule:" + rule, Why: "the rule is not for tokens of scope " + scope}
	}
	ev := &evaluation{rules: e.current(), creds: &c, target: t}
	return ev.explain(ruleRef(rule))
}

func (e *evaluation) explain(c check) Step {
	s := Step{Check: c.String(), Passes: c.passes(e)}
	switch c := c.(type) {
	case ruleRef:
		r := e.rules.find(string(c))
		if r == nil {
			s.Why = "there is no such rule"
			break
		}
		s.Why = r.origin(string(c))
		s.Parts = e.decisive(r.check, s.Passes)
	case not:
		s.Parts = []Step{e.explain(c[0])}
	case all, anyOf:
		s.Parts = e.decisive(c, s.Passes)
	case role:
		s.Why = "the roles are " + list(e.creds.Roles)
	case isAdmin:
		s.Why = "is_admin is " + python(e.creds.IsAdmin)
	case compare:
		s.Why = e.compared(c)
	}
	return s
}

// decisive explains what made a check come out as it did: the one that passed of several, or
// the one that did not, else all of them.
func (e *evaluation) decisive(c check, passes bool) []Step {
	var parts []check
	var one bool // whether one is enough for this outcome
	switch c := c.(type) {
	case all:
		parts, one = c, !passes
	case anyOf:
		parts, one = c, passes
	default:
		return []Step{e.explain(c)}
	}
	var out []Step
	for _, part := range parts {
		s := e.explain(part)
		if one && s.Passes == passes {
			return []Step{s}
		}
		out = append(out, s)
	}
	return out
}

// origin says where a rule comes from that was asked for by a name.
func (r *Rule) origin(asked string) string {
	where := "default"
	if r.File != "" {
		where = r.File
	}
	if r.Name != asked {
		where = fmt.Sprintf("there is no such rule, %q of %s stands in", r.Name, where)
	}
	return where
}

func (e *evaluation) compared(c compare) string {
	want, ok := c.match.expand(e.target)
	switch have := c.values(e.creds); {
	case !ok:
		return "the object has no " + strings.Join(c.match.unknown(e.target), ", ")
	case have == nil && c.kind != "roles" && c.kind != "service_roles":
		return "a caller has no " + c.kind
	default:
		return list(have) + " against " + want
	}
}

// unknown are the names that a target lacks.
func (t template) unknown(target Target) []string {
	var out []string
	for i := 1; i < len(t); i += 2 {
		if _, ok := target[t[i]]; !ok {
			out = append(out, t[i])
		}
	}
	return out
}

func list(values []string) string {
	if len(values) == 0 {
		return "none"
	}
	return strings.Join(values, ", ")
}
