package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxNesting bounds parentheses and nots inside each other.
const maxNesting = 100

// parse compiles a rule as a file has it: text, or the older list of lists of checks. The
// empty rule always passes.
func parse(value any) (check, error) {
	switch v := value.(type) {
	case nil:
		return constant(true), nil
	case string:
		return parseText(v)
	case []any:
		return parseList(v)
	default:
		return nil, fmt.Errorf("a rule is text or a list, not %v", v)
	}
}

// parseText reads the rule language: or binds least, then and, then not.
func parseText(text string) (check, error) {
	if text == "" {
		return constant(true), nil
	}
	p := &parser{tokens: tokenize(text)}
	c, err := p.or()
	if err != nil {
		return nil, err
	}
	if len(p.tokens) > 0 {
		return nil, fmt.Errorf("%q is unexpected", p.tokens[0])
	}
	return c, nil
}

// parseList reads alternatives, each a check or a list of checks that must all pass.
func parseList(list []any) (check, error) {
	if len(list) == 0 {
		return constant(true), nil
	}
	var out anyOf
	for _, item := range list {
		parts, err := parseAlternative(item)
		if err != nil {
			return nil, err
		}
		if len(parts) > 0 { // an empty alternative is none
			out = append(out, single(parts))
		}
	}
	if len(out) == 0 {
		return constant(false), nil
	}
	return single(out), nil
}

func parseAlternative(item any) (all, error) {
	words, ok := item.([]any)
	if !ok {
		words = []any{item}
	}
	var parts all
	for _, word := range words {
		text, ok := word.(string)
		if !ok {
			return nil, fmt.Errorf("a check is text, not %v", word)
		}
		if text == "" && !isList(item) {
			continue
		}
		c, err := leaf(text)
		if err != nil {
			return nil, err
		}
		parts = append(parts, c)
	}
	return parts, nil
}

func isList(item any) bool {
	_, ok := item.([]any)
	return ok
}

// single is the only part, if there is only one.
func single[L all | anyOf](parts L) check {
	if len(parts) == 1 {
		return parts[0]
	}
	return any(parts).(check)
}

type parser struct {
	tokens []string
	depth  int
}

// tokenize splits at white space and splits off parentheses, except those of %(name)s.
func tokenize(text string) []string {
	var tokens []string
	for word := range strings.FieldsSeq(text) {
		inner := strings.TrimLeft(word, "(")
		tokens = append(tokens, slices.Repeat([]string{"("}, len(word)-len(inner))...)
		bare := strings.TrimRight(inner, ")")
		if bare != "" {
			tokens = append(tokens, bare)
		}
		tokens = append(tokens, slices.Repeat([]string{")"}, len(inner)-len(bare))...)
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
	var parts anyOf
	for {
		c, err := p.and()
		if err != nil {
			return nil, err
		}
		parts = append(parts, c)
		if !p.accept("or") {
			return single(parts), nil
		}
	}
}

func (p *parser) and() (check, error) {
	var parts all
	for {
		c, err := p.operand()
		if err != nil {
			return nil, err
		}
		parts = append(parts, c)
		if !p.accept("and") {
			return single(parts), nil
		}
	}
}

// operand reads a check, one in parentheses, or a not.
func (p *parser) operand() (check, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, fmt.Errorf("more than %d parentheses inside each other", maxNesting)
	}
	defer func() { p.depth-- }()
	switch {
	case p.accept("not"):
		c, err := p.operand()
		return not{c}, err
	case p.accept("("):
		c, err := p.or()
		if err == nil && !p.accept(")") {
			err = errors.New("a parenthesis is not closed")
		}
		return c, err
	case len(p.tokens) == 0:
		return nil, errors.New("the rule ends too early")
	}
	word := p.tokens[0]
	if slices.Contains([]string{"and", "or", ")"}, strings.ToLower(word)) {
		return nil, fmt.Errorf("%q is unexpected", word)
	}
	p.tokens = p.tokens[1:]
	return leaf(word)
}

// leaf compiles one kind:match.
func leaf(word string) (check, error) {
	switch word {
	case "@":
		return constant(true), nil
	case "!":
		return constant(false), nil
	}
	kind, match, ok := strings.Cut(word, ":")
	if !ok || quoted(word) {
		return nil, fmt.Errorf("%q is not of the form kind:match", word)
	}
	switch kind {
	case "http", "https":
		return nil, fmt.Errorf("%q: rules that ask another server are not supported", word)
	case "rule":
		return ruleRef(match), nil
	case "is_admin":
		return isAdmin(strings.EqualFold(match, "true")), nil
	}
	t, err := parseTemplate(match)
	if err != nil {
		return nil, err
	}
	if kind == "role" {
		return role(t), nil
	}
	return compare{kind: kind, literal: literal(kind), match: t}, nil
}

func quoted(word string) bool {
	n := len(word)
	return n >= 2 && word[0] == word[n-1] && (word[0] == '\'' || word[0] == '"')
}
