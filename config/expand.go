package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// reference is what oslo.config takes for one inside a value: $$, $name, ${name}, each name with or without a group.
var reference = regexp.MustCompile(`(?i)\$(?:\$|([_a-z][._a-z0-9]*)|\{([_a-z][._a-z0-9]*)\})`)

// references resolves $name and $group.name inside values.
type references struct {
	src  *source
	rows map[name]*row
}

func newReferences(rows []row, src *source) *references {
	refs := &references{src: src, rows: make(map[name]*row, len(rows))}
	for i := range rows {
		for _, n := range rows[i].names {
			refs.rows[n] = &rows[i]
		}
	}
	return refs
}

// fallback is the text of an option that nothing sets.
func (x *references) fallback(r *row) string {
	if r.env != "" {
		if v, ok := x.src.env(r.env); ok {
			return v
		}
	}
	return r.Default
}

// expand substitutes the references in an option's text.
func (x *references) expand(r *row, text string) (string, error) {
	out, err := x.substitute(r.Group, text, []name{r.names[0]})
	if err != nil && r.secret() {
		// What follows the dollar may be part of the secret.
		return "", errors.New("a $ refers to no other option; write $$ for a dollar sign")
	}
	return out, err
}

// substitute works in the group of the text; path is how it got there, to stop circles.
func (x *references) substitute(group, text string, path []name) (string, error) {
	if !strings.Contains(text, "$") {
		return text, nil
	}
	var errs []error
	out := reference.ReplaceAllStringFunc(strings.ReplaceAll(text, `\$`, "$$"), func(ref string) string {
		if ref == "$$" {
			return "$"
		}
		value, err := x.resolve(group, strings.Trim(ref, "${}"), path)
		errs = append(errs, err)
		return value
	})
	return out, errors.Join(errs...)
}

// resolve gives a reference's value: of the group it names, else of this group, else of DEFAULT.
func (x *references) resolve(group, ref string, path []name) (string, error) {
	candidates := []name{newName(group, ref), newName("DEFAULT", ref)}
	if g, key, ok := strings.Cut(ref, "."); ok {
		candidates = append([]name{newName(g, key)}, candidates...)
	}
	for _, n := range candidates {
		text, canonical, ok := x.text(n)
		if !ok {
			continue
		}
		for _, seen := range path {
			if seen == canonical {
				return "", fmt.Errorf("$%s refers to itself", ref)
			}
		}
		return x.substitute(canonical.group, text, append(path[:len(path):len(path)], canonical))
	}
	return "", fmt.Errorf("$%s refers to no option; write $$ for a dollar sign", ref)
}

// text is the unexpanded text of an option, of ours or of anything else the files hold.
func (x *references) text(n name) (string, name, bool) {
	if r, ok := x.rows[n]; ok {
		if e, ok := x.src.find(r.names); ok {
			return e.value, r.names[0], true
		}
		return x.fallback(r), r.names[0], true
	}
	e, ok := x.src.find([]name{n})
	return e.value, n, ok
}
