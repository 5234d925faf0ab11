package api

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// unbounded is no upper limit of an integer.
const unbounded = math.MaxInt32

func (o *object) text(name string, maxLen int) field[string] {
	return read(o, name, textOf(0, maxLen, nil))
}

// pattern is a rule for text. Source is upstream's expression, which faults quote; it is in
// Python's syntax, so the match is a function.
type pattern struct {
	source string
	shown  string // for the description, when the source has what not everybody's syntax has
	match  func(string) bool
}

// textLike reads text that must match a pattern.
func (o *object) textLike(name string, minLen, maxLen int, p pattern) field[string] {
	return read(o, name, textOf(minLen, maxLen, &p))
}

func (o *object) uuid(name string) field[string] { return read(o, name, uuidForm) }

func (o *object) integer(name string, lowest, highest int) field[int] {
	return read(o, name, form[int]{
		convert: func(raw json.RawMessage) (int, error) {
			n, err := integerOf(raw)
			switch {
			case err != nil:
				return 0, err
			case n < lowest:
				return 0, wrongValue(fmt.Sprintf("Value should be greater or equal to %d", lowest))
			case n > highest && highest != unbounded:
				return 0, wrongValue(fmt.Sprintf("Value should be lower or equal to %d", highest))
			}
			return min(n, unbounded), nil
		},
		schema: func() *schema {
			s := &schema{Type: types{"integer"}, Minimum: &lowest}
			if highest != unbounded {
				s.Maximum = &highest
			}
			return s
		},
	})
}

func (o *object) boolean(name string) field[bool] {
	return read(o, name, form[bool]{booleanOf, func() *schema { return &schema{Type: types{"boolean"}} }})
}

// enum reads one of some words.
func (o *object) enum(name string, values ...string) field[string] {
	return read(o, name, form[string]{
		convert: func(raw json.RawMessage) (string, error) {
			var s string
			if json.Unmarshal(raw, &s) != nil || !slices.Contains(values, s) {
				return "", wrongValue("Value should be one of: " + strings.Join(values, ", "))
			}
			return s, nil
		},
		schema: oneOf("string", values...),
	})
}

// httpVersion reads 1.0 or 1.1, as a number or as text.
func (o *object) httpVersion(name string) field[float64] {
	return read(o, name, form[float64]{
		convert: func(raw json.RawMessage) (float64, error) {
			v, err := strconv.ParseFloat(strings.TrimSpace(pyStr(raw)), 64)
			if err != nil || (v != 1.0 && v != 1.1) {
				return 0, wrongValue("Value should be one of: 1.0, 1.1")
			}
			return v, nil
		},
		schema: httpVersions,
	})
}

func (o *object) address(name string) field[string] {
	return read(o, name, form[string]{addressOf, func() *schema {
		return &schema{Type: types{"string"}, AnyOf: []*schema{{Format: "ipv4"}, {Format: "ipv6"}}}
	}})
}

func (o *object) urlPath(name string) field[string] {
	return read(o, name, form[string]{urlPathOf, func() *schema {
		return &schema{Type: types{"string"}, Pattern: `^/([^/\s\x00-\x1f\x7f-\x9f][^\s\x00-\x1f\x7f-\x9f]*)?$`, MaxLength: highestURL}
	}})
}

func urlPathOf(raw json.RawMessage) (string, error) {
	const bad = wrongValue("Value must be a valid URL Path string")
	var s string
	if json.Unmarshal(raw, &s) != nil || !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") {
		return "", bad
	}
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return "", bad
	}
	if utf8.RuneCountInString(s) > highestURL {
		return "", tooLong(highestURL)
	}
	return s, nil
}

// highestURL bounds a URL and a path of one, in characters.
const highestURL = 255

// url reads an http or https URL.
func (o *object) url(name string) field[string] {
	return read(o, name, form[string]{urlOf, func() *schema {
		return &schema{Type: types{"string"}, Format: "uri", Pattern: "^https?://", MaxLength: highestURL}
	}})
}

func urlOf(raw json.RawMessage) (string, error) {
	const bad = wrongValue("Value must be a valid URL string")
	var s string
	if json.Unmarshal(raw, &s) != nil || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || (r >= 0x7f && r <= 0x9f) }) {
		return "", bad
	}
	if utf8.RuneCountInString(s) > highestURL {
		return "", tooLong(highestURL)
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return "", bad
	}
	return s, nil
}

// list reads a JSON array; an element that is wrong is reported with the whole list.
func list[T any](o *object, name string, of form[T]) field[[]T] {
	return read(o, name, form[[]T]{
		convert: func(raw json.RawMessage) ([]T, error) {
			items, err := elements(raw)
			if err != nil {
				return nil, err
			}
			out := make([]T, 0, len(items))
			for _, item := range items {
				v, err := of.convert(item)
				if err != nil {
					return nil, err
				}
				out = append(out, v)
			}
			return out, nil
		},
		schema: func() *schema { return &schema{Type: types{"array"}, Items: of.schema()} },
	})
}

func (o *object) texts(name string, maxLen int) field[[]string] {
	return list(o, name, textOf(0, maxLen, nil))
}

// tags reads a list of tags; a repeated one counts once.
func (o *object) tags() field[[]string] { return o.texts("tags", 255) }

func (o *object) uuids(name string) field[[]string] { return list(o, name, uuidForm) }

func (o *object) alpn(name string) field[[]string] {
	return o.joinable(name, list(o, name, form[string]{alpnOf, oneOf("string", alpnIDs...)}))
}

func alpnOf(raw json.RawMessage) (string, error) {
	var s string
	if json.Unmarshal(raw, &s) != nil || !slices.Contains(alpnIDs, s) {
		return "", wrongValue("Value should be a valid ALPN protocol ID")
	}
	return s, nil
}

// cidrs reads a list of networks, masked and with their prefix length.
func (o *object) cidrs(name string) field[[]string] {
	return list(o, name, form[string]{cidrOf, func() *schema {
		return &schema{Type: types{"string"}, Pattern: `^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$`}
	}})
}

func cidrOf(raw json.RawMessage) (string, error) {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			return netip.PrefixFrom(a, a.BitLen()).String(), nil
		}
		if p, err := netip.ParsePrefix(s); err == nil {
			return p.Masked().String(), nil
		}
	}
	return "", wrongValue("Value should be IPv4 or IPv6 CIDR format")
}

// dict reads an object whose values are text.
func (o *object) dict(name string, maxLen int) field[map[string]string] {
	text := textOf(0, maxLen, nil)
	return read(o, name, form[map[string]string]{
		convert: func(raw json.RawMessage) (map[string]string, error) {
			var items map[string]json.RawMessage
			if json.Unmarshal(raw, &items) != nil {
				return nil, wrongBody("Value not a valid dict: " + pyStr(raw))
			}
			out := map[string]string{}
			for k, v := range items {
				s, err := text.convert(v)
				if err != nil {
					return nil, err
				}
				out[k] = s
			}
			return out, nil
		},
		schema: func() *schema { return &schema{Type: types{"object"}, Additional: text.schema()} },
	})
}

// projectID reads project_id and its alias tenant_id, which wins.
func (o *object) projectID() field[string] {
	project, tenant := o.text("project_id", 36), o.text("tenant_id", 36)
	o.deprecate("tenant_id")
	if tenant.set {
		return tenant
	}
	return project
}

func tooLong(most int) wrongValue {
	return wrongValue(fmt.Sprintf("Value should have a maximum character requirement of %d", most))
}

// joinedMost is the size of columns that hold a list joined with commas.
const joinedMost = 512

// joinable refuses a list that its column cannot hold.
func (o *object) joinable(name string, list field[[]string]) field[[]string] {
	if o.err == nil && utf8.RuneCountInString(strings.Join(list.value, ",")) > joinedMost {
		o.err = wrongAttribute(name, pyStr(o.raw[name]), string(tooLong(joinedMost)))
	}
	return list
}

// versions reads a list of TLS versions.
func (o *object) versions(name string) field[[]string] { return o.joinable(name, o.texts(name, 32)) }

func elements(raw json.RawMessage) ([]json.RawMessage, error) {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return nil, wrongBody("Value not a valid list: " + pyStr(raw))
	}
	return items, nil
}

func textOf(minLen, maxLen int, p *pattern) form[string] {
	return form[string]{
		convert: func(raw json.RawMessage) (string, error) {
			var s string
			if isNull(raw) || json.Unmarshal(raw, &s) != nil {
				return "", wrongValue("Value should be string")
			}
			switch n := utf8.RuneCountInString(s); {
			case strings.ContainsRune(s, 0): // PostgreSQL stores none, and nothing behind it expects one
				return "", wrongValue("Value should not contain NUL characters")
			case n < minLen:
				return "", wrongValue(fmt.Sprintf("Value should have a minimum character requirement of %d", minLen))
			case n > maxLen:
				return "", tooLong(maxLen)
			case p != nil && !p.match(s):
				return "", wrongValue("Value should match the pattern " + p.source)
			}
			return s, nil
		},
		schema: func() *schema {
			s := &schema{Type: types{"string"}, MinLength: minLen, MaxLength: maxLen}
			if p != nil {
				s.Pattern = cmp.Or(p.shown, p.source)
			}
			return s
		},
	}
}

var uuidForm = form[string]{uuidOf, formatted("uuid")}

func uuidOf(raw json.RawMessage) (string, error) {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		if id, err := uuid.Parse(s); err == nil {
			return id.String(), nil
		}
	}
	return "", wrongValue("Value should be UUID format")
}

func addressOf(raw json.RawMessage) (string, error) {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			return s, nil
		}
	}
	return "", wrongValue("Value should be IPv4 or IPv6 format")
}

// integerOf accepts what Python's int() does: numbers (cut off), digits as text, booleans.
func integerOf(raw json.RawMessage) (int, error) {
	text := strings.TrimSpace(pyStr(raw))
	switch raw[0] {
	case 't':
		return 1, nil
	case 'f':
		return 0, nil
	case '[', '{':
		return 0, wrongValue("Value should be an integer")
	case '"':
		n, err := strconv.Atoi(text)
		if err != nil {
			return 0, wrongBody("invalid literal for int() with base 10: " + pyQuote(pyStr(raw)))
		}
		return n, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, wrongValue("Value should be an integer")
	}
	return int(max(min(f, math.MaxInt64/2), math.MinInt64/2)), nil
}

// booleanOf accepts true and false, integers, and upstream's words in lower case.
func booleanOf(raw json.RawMessage) (bool, error) {
	text := pyStr(raw)
	switch raw[0] {
	case 't':
		return true, nil
	case 'f':
		return false, nil
	case '"':
		switch text {
		case "true", "t", "yes", "y", "on", "1":
			return true, nil
		case "false", "f", "no", "n", "off", "0":
			return false, nil
		}
	default:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n != 0, nil
		}
	}
	return false, wrongBody("Value not an unambiguous boolean: " + text)
}
