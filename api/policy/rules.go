package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Rule is a rule in force.
type Rule struct {
	Name string
	// Value is the rule as it was written: a string, or []any of strings and lists of them.
	Value any
	// File is where it was read, "" for a default.
	File string

	line  int // in File; 0 = unknown
	check check
}

// ruleset is a complete set of rules. It is not changed once made.
type ruleset struct {
	rules    map[string]*Rule
	fallback string // the rule that stands in for those that are not there
	warnings []string
}

// find returns a rule, or the one that stands in for it, or nil.
func (s *ruleset) find(name string) *Rule {
	if r, ok := s.rules[name]; ok {
		return r
	}
	return s.rules[s.fallback]
}

// newRuleset compiles rules, puts them over base and looks for circles. All that is wrong is
// reported at once.
func newRuleset(base map[string]*Rule, rules []Rule, fallback string) (*ruleset, error) {
	s := &ruleset{rules: maps.Clone(base), fallback: fallback}
	if s.rules == nil {
		s.rules = map[string]*Rule{}
	}
	var errs []error
	for i := range rules {
		r := &rules[i]
		var err error
		if r.check, err = parse(r.Value); err != nil {
			errs = append(errs, r.fault(err))
			continue
		}
		s.rules[r.Name] = r
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if err := s.circle(); err != nil {
		return nil, err
	}
	s.warnings = s.doubts(base)
	return s, nil
}

// fault says where a rule is that something is wrong with.
func (r *Rule) fault(err error) error {
	where := ""
	switch {
	case r.line > 0:
		where = fmt.Sprintf("%s:%d: ", r.File, r.line)
	case r.File != "":
		where = r.File + ": "
	}
	return fmt.Errorf("%srule %q: %w", where, r.Name, err)
}

// circle is an error if rules name each other in a circle.
func (s *ruleset) circle() error {
	done := map[*Rule]bool{}
	var visit func(r *Rule, path []*Rule) error
	visit = func(r *Rule, path []*Rule) error {
		if i := slices.Index(path, r); i >= 0 {
			return r.fault(fmt.Errorf("it refers to itself: %s", chain(append(path[i:], r))))
		}
		if done[r] {
			return nil
		}
		path = append(path, r)
		for _, name := range references(r.check) {
			if next := s.find(name); next != nil {
				if err := visit(next, path); err != nil {
					return err
				}
			}
		}
		done[r] = true
		return nil
	}
	for _, r := range s.sorted() {
		if err := visit(r, nil); err != nil {
			return err
		}
	}
	return nil
}

func chain(rules []*Rule) string {
	names := make([]string, len(rules))
	for i, r := range rules {
		names[i] = r.Name
	}
	return strings.Join(names, ", ")
}

// doubts are rules that work and are probably not what was meant.
func (s *ruleset) doubts(base map[string]*Rule) []string {
	var out []string
	used := map[string]bool{s.fallback: true}
	for _, r := range s.sorted() {
		for _, name := range references(r.check) {
			used[name] = true
			if s.find(name) == nil {
				out = append(out, r.fault(fmt.Errorf("there is no rule %q, so this part never passes", name)).Error())
			}
		}
	}
	for _, r := range s.sorted() {
		if base[r.Name] == nil && !used[r.Name] && r.File != "" {
			out = append(out, r.fault(errors.New("no call and no other rule asks for it")).Error())
		}
	}
	return out
}

// sorted are the rules by name.
func (s *ruleset) sorted() []*Rule {
	return slices.SortedFunc(maps.Values(s.rules), func(a, b *Rule) int { return strings.Compare(a.Name, b.Name) })
}

// references are the names of the rules that a check asks.
func references(c check) []string {
	var parts []check
	switch c := c.(type) {
	case ruleRef:
		return []string{string(c)}
	case not:
		parts = c[:]
	case all:
		parts = c
	case anyOf:
		parts = c
	}
	var names []string
	for _, part := range parts {
		names = append(names, references(part)...)
	}
	return names
}
