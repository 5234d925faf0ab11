package api

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// Upstream's fault texts show values as Python prints them, and clients match on the texts.

// pyStr is str() of a JSON value: text is bare at the top level and quoted inside.
func pyStr(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil && !isNull(raw) {
		return s
	}
	return pyRepr(raw)
}

// pyRepr is repr() of a JSON value, keys in the order of the text.
func pyRepr(raw json.RawMessage) string {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var b strings.Builder
	if err := writeRepr(&b, d); err != nil {
		return string(raw)
	}
	return b.String()
}

func writeRepr(b *strings.Builder, d *json.Decoder) error {
	tok, err := d.Token()
	if err != nil {
		return err
	}
	switch v := tok.(type) {
	case json.Delim:
		return writeContainer(b, d, v)
	case string:
		b.WriteString(pyQuote(v))
	case json.Number:
		b.WriteString(v.String())
	case bool:
		b.WriteString(pyBool(v))
	default:
		b.WriteString("None")
	}
	return nil
}

// writeContainer writes what follows an opening bracket or brace.
func writeContainer(b *strings.Builder, d *json.Decoder, open json.Delim) error {
	b.WriteString(open.String())
	for first := true; d.More(); first = false {
		if !first {
			b.WriteString(", ")
		}
		if open == '{' {
			if err := writeRepr(b, d); err != nil {
				return err
			}
			b.WriteString(": ")
		}
		if err := writeRepr(b, d); err != nil {
			return err
		}
	}
	end, err := d.Token()
	if err != nil {
		return err
	}
	b.WriteString(end.(json.Delim).String())
	return nil
}

// pyQuote is repr() of text, for text without control characters.
func pyQuote(s string) string {
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		return `"` + s + `"`
	}
	s = strconv.Quote(s)
	s = strings.ReplaceAll(s[1:len(s)-1], `\"`, `"`)
	return "'" + strings.ReplaceAll(s, "'", `\'`) + "'"
}

func pyBool(v bool) string {
	if v {
		return "True"
	}
	return "False"
}

// pyList is repr() of a list of texts.
func pyList(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = pyQuote(v)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
