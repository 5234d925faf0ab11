package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// check is a compiled rule, or a part of one.
type check interface {
	passes(*evaluation) bool
	// String is the check in the rule language.
	String() string
}

// evaluation is one question to the rules.
type evaluation struct {
	rules  *ruleset
	creds  *Credentials
	target Target
}

// The forms of a check.
type (
	constant bool // @ and !
	not      [1]check
	all      []check // and
	anyOf    []check // or
	ruleRef  string  // rule:name
	role     template
	isAdmin  bool
	// compare is kind:match: a literal or a fact about the caller against a template.
	compare struct {
		kind    string
		literal *string // kind's value when it is one
		match   template
	}
)

func (c constant) passes(*evaluation) bool { return bool(c) }

func (c constant) String() string {
	if c {
		return "@"
	}
	return "!"
}

func (c not) passes(e *evaluation) bool { return !c[0].passes(e) }
func (c not) String() string            { return "not " + group(c[0]) }

func (c all) passes(e *evaluation) bool {
	return !slices.ContainsFunc(c, func(part check) bool { return !part.passes(e) })
}
func (c all) String() string { return join(c, " and ") }

func (c anyOf) passes(e *evaluation) bool {
	return slices.ContainsFunc(c, func(part check) bool { return part.passes(e) })
}
func (c anyOf) String() string { return join(c, " or ") }

// passes: compiling has seen to it that rules do not name each other in a circle.
func (c ruleRef) passes(e *evaluation) bool {
	r := e.rules.find(string(c))
	return r != nil && r.check.passes(e)
}
func (c ruleRef) String() string { return "rule:" + string(c) }

func (c role) passes(e *evaluation) bool {
	want, ok := template(c).expand(e.target)
	return ok && slices.ContainsFunc(e.creds.Roles, func(r string) bool { return strings.EqualFold(r, want) })
}
func (c role) String() string { return "role:" + template(c).String() }

func (c isAdmin) passes(e *evaluation) bool { return e.creds.IsAdmin == bool(c) }
func (c isAdmin) String() string            { return "is_admin:" + python(bool(c)) }

func (c compare) passes(e *evaluation) bool {
	want, ok := c.match.expand(e.target)
	if !ok {
		return false
	}
	return slices.Contains(c.values(e.creds), want)
}
func (c compare) String() string { return c.kind + ":" + c.match.String() }

// values are what the left side stands for; one of them must be equal.
func (c compare) values(creds *Credentials) []string {
	if c.literal != nil {
		return []string{*c.literal}
	}
	return creds.fact(c.kind)
}

func join(parts []check, word string) string {
	texts := make([]string, len(parts))
	for i, part := range parts {
		texts[i] = group(part)
	}
	return strings.Join(texts, word)
}

// group puts what has several parts into parentheses.
func group(c check) string {
	switch c.(type) {
	case all, anyOf:
		return "(" + c.String() + ")"
	default:
		return c.String()
	}
}

// template is text with %(name)s in it: text, name, text, name … text.
type template []string

// parseTemplate reads Python's format language as far as rules use it.
func parseTemplate(text string) (template, error) {
	var out template
	var plain strings.Builder
	for {
		before, after, found := strings.Cut(text, "%")
		plain.WriteString(before)
		if !found {
			return append(out, plain.String()), nil
		}
		if rest, ok := strings.CutPrefix(after, "%"); ok {
			plain.WriteString("%")
			text = rest
			continue
		}
		inner, ok := strings.CutPrefix(after, "(")
		name, rest, closed := strings.Cut(inner, ")s")
		if !ok || !closed {
			return nil, fmt.Errorf("%q is not of the form %%(name)s (a %% itself is written %%%%)", "%"+after)
		}
		out = append(out, plain.String(), name)
		plain.Reset()
		text = rest
	}
}

// expand puts the target's values in; without one of them the check fails. Values are never
// read as templates.
func (t template) expand(target Target) (string, bool) {
	if len(t) == 1 {
		return t[0], true
	}
	var out strings.Builder
	for i, part := range t {
		if i%2 == 1 {
			value, ok := target[part]
			if !ok {
				return "", false
			}
			part = orNone(value)
		}
		out.WriteString(part)
	}
	return out.String(), true
}

func (t template) String() string {
	var out strings.Builder
	for i, part := range t {
		if i%2 == 1 {
			out.WriteString("%(" + part + ")s")
			continue
		}
		out.WriteString(strings.ReplaceAll(part, "%", "%%"))
	}
	return out.String()
}

// literal reads the left side of a comparison as Python's literal: 'text', True, None, 12.
func literal(kind string) *string {
	if quoted(kind) {
		return new(kind[1 : len(kind)-1])
	}
	if slices.Contains([]string{"True", "False", none}, kind) {
		return &kind
	}
	if n, err := strconv.Atoi(kind); err == nil && strconv.Itoa(n) == kind {
		return &kind
	}
	return nil
}
