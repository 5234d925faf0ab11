package haproxy

import (
	"errors"
	"fmt"
	"strings"
)

func control(c rune) bool { return c < ' ' || c == 0x7f }

var errControl = errors.New("holds control characters")

// word writes a user's text as one word of a directive. What haproxy's parser would take for
// something else is escaped; control characters, line feeds above all, are refused.
func word(s string) (string, error) {
	if strings.ContainsFunc(s, control) {
		return "", errControl
	}
	var out strings.Builder
	for _, c := range []byte(s) {
		switch c {
		case ' ', '\\', '#':
			out.WriteByte('\\')
			out.WriteByte(c)
		case '"', '\'':
			fmt.Fprintf(&out, `\x%02x`, c)
		default:
			out.WriteByte(c)
		}
	}
	return out.String(), nil
}

// pattern is word for what an acl compares with: "--" keeps haproxy from taking it for a flag, such as -f <file>.
func pattern(s string) (string, error) {
	w, err := word(s)
	if err == nil && strings.HasPrefix(s, "-") {
		w = "-- " + w
	}
	return w, err
}

// logFormatWord is word where haproxy expands %[...] and %-variables: a user's text must not read the
// amphora's environment, and %20 has to stay %20.
func logFormatWord(s string) (string, error) { return word(strings.ReplaceAll(s, "%", "%%")) }

// argument is text between the parentheses of a sample fetch, where few characters can be escaped. Those of names of headers and
// cookies can, in quotes that haproxy's first look leaves for the second.
func argument(s string) (string, error) {
	if s == "" || strings.ContainsFunc(s, control) || strings.ContainsAny(s, " \"\\(),") {
		return "", errors.New("cannot be used as the argument of a haproxy expression")
	}
	if !strings.ContainsAny(s, "#'") {
		return s, nil
	}
	return `\"` + strings.NewReplacer("#", `\#`, "'", `\'`).Replace(s) + `\"`, nil
}
