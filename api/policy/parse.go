package policy

import (
	"fmt"
	"slices"
	"strings"
)

// check is a compiled rule.
type check func(*evaluation) bool

// evaluation is one question to the rules.
type evaluation struct {
	rules  map[string]check
	creds  Credentials
	target Target
	depth  int // of rules that name rules
}

// maxDepth ends rules that name each other in a circle.
const maxDepth = 50

// rule asks a rule by name.
func (e *evaluation) rule(name string) bool {
	c, ok := e.rules[name]
	if !ok {
		if c, ok = e.rules["default"]; !ok {
			return false
		}
	}
	if e.depth++; e.depth > maxDepth {
		return false
	}
	defer func() { e.depth-- }()
	return c(e)
}

// parser reads a rule: or binds least, then and, then not.
type parser struct {
	tokens []string
}

// parse compiles a rule; the empty one always passes.
func parse(text string) (check, error) {
	p := &parser{tokens: tokenize(text)}
	if len(p.tokens) == 0 {
		return always, nil
	}
	c, err := p.or()
	if err != nil {
		return nil, err
	}
	if len(p.tokens) > 0 {
		return nil, fmt.Errorf("unexpected %q", p.tokens[0])
	}
	return c, nil
}

func always(*evaluation) bool { return true }
func never(*evaluation) bool  { return false }

// tokenize splits at white space and splits off parentheses, except those of %(name)s.
func tokenize(text string) []string {
	var tokens []string
	for _, word := range strings.Fields(text) {
		inner := strings.TrimLeft(word, "(")
		for range len(word) - len(inner) {
			tokens = append(tokens, "(")
		}
		bare := strings.TrimRight(inner, ")")
		closing := len(inner) - len(bare)
		if bare != "" {
			tokens = append(tokens, bare)
		}
		for range closing {
			tokens = append(tokens, ")")
		}
	}
	return tokens
}

// accept takes the next token when it is this word.
func (p *parser) accept(word string) bool {
	if len(p.tokens) == 0 || !strings.EqualFold(p.tokens[0], word) {
		return false
	}
	p.tokens = p.tokens[1:]
	return true
}

func (p *parser) or() (check, error) {
	left, err := p.and()
	for err == nil && p.accept("or") {
		var right check
		a := left
		right, err = p.and()
		left = func(e *evaluation) bool { return a(e) || right(e) }
	}
	return left, err
}

func (p *parser) and() (check, error) {
	left, err := p.not()
	for err == nil && p.accept("and") {
		var right check
		a := left
		right, err = p.not()
		left = func(e *evaluation) bool { return a(e) && right(e) }
	}
	return left, err
}

func (p *parser) not() (check, error) {
	if p.accept("not") {
		inner, err := p.not()
		return func(e *evaluation) bool { return !inner(e) }, err
	}
	if p.accept("(") {
		inner, err := p.or()
		if err == nil && !p.accept(")") {
			err = fmt.Errorf("a parenthesis is not closed")
		}
		return inner, err
	}
	if len(p.tokens) == 0 {
		return nil, fmt.Errorf("the rule ends too early")
	}
	word := p.tokens[0]
	p.tokens = p.tokens[1:]
	return leaf(word)
}

// leaf compiles one kind:match.
func leaf(word string) (check, error) {
	switch word {
	case "@":
		return always, nil
	case "!":
		return never, nil
	}
	kind, match, ok := strings.Cut(word, ":")
	if !ok || slices.Contains([]string{"http", "https"}, kind) {
		return nil, fmt.Errorf("check %q is not supported", word)
	}
	switch kind {
	case "rule":
		return func(e *evaluation) bool { return e.rule(match) }, nil
	case "role":
		return func(e *evaluation) bool {
			want, ok := e.expand(match)
			return ok && slices.ContainsFunc(e.creds.Roles, func(r string) bool { return strings.EqualFold(r, want) })
		}, nil
	default:
		return func(e *evaluation) bool {
			want, ok := e.expand(match)
			have := e.fact(kind)
			return ok && have != "" && have == want
		}, nil
	}
}

// fact is what a rule compares: a literal in quotes, or a credential. "" is unknown and
// never equal to anything.
func (e *evaluation) fact(kind string) string {
	switch kind {
	case "user_id":
		return e.creds.UserID
	case "project_id", "tenant_id", "tenant":
		return e.creds.ProjectID
	case "system_scope":
		return e.creds.SystemScope
	case "is_admin":
		if e.creds.IsAdmin {
			return "True"
		}
		return "False"
	}
	if n := len(kind); n > 2 && kind[0] == kind[n-1] && (kind[0] == '\'' || kind[0] == '"') {
		return kind[1 : n-1]
	}
	return ""
}

// expand replaces %(name)s by the target's value; without it the check fails.
func (e *evaluation) expand(match string) (string, bool) {
	for {
		i := strings.Index(match, "%(")
		if i < 0 {
			return match, true
		}
		name, rest, ok := strings.Cut(match[i+2:], ")s")
		value, known := e.target[name]
		if !ok || !known {
			return "", false
		}
		if strings.Contains(value, "%(") { // a value is never read as a pattern
			return "", false
		}
		match = match[:i] + value + rest
	}
}
