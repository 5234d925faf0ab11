package config

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ValueError is a value that is refused. It never holds a secret.
type ValueError struct {
	Group, Key string
	Where      string // file and line, or variable; "" = the default
	Reason     string
}

// Error names place, option and reason.
func (e *ValueError) Error() string {
	at := ""
	if e.Where != "" {
		at = e.Where + ": "
	}
	return fmt.Sprintf("%s[%s] %s: %s", at, e.Group, e.Key, e.Reason)
}

// decode sets every row's field and joins what is refused.
func decode(rows []row, src *source) error {
	refs := newReferences(rows, src)
	var errs []error
	for i := range rows {
		r := &rows[i]
		where, err := r.load(src, refs)
		if err != nil {
			errs = append(errs, &ValueError{Group: r.Group, Key: r.Key, Where: where, Reason: err.Error()})
		}
	}
	return errors.Join(errs...)
}

// load decodes a row from the text that decides it and says where that stands.
func (r *row) load(src *source, refs *references) (string, error) {
	if r.Multi {
		return r.loadMulti(src, refs)
	}
	text, where := refs.fallback(r), ""
	if e, ok := src.find(r.names); ok {
		text, where = e.value, e.where
	}
	text, err := refs.expand(r, text)
	if err != nil {
		return where, err
	}
	return where, r.set(text)
}

func (r *row) loadMulti(src *source, refs *references) (string, error) {
	all := src.findAll(r.names)
	if len(all) == 0 {
		all = []entry{{value: r.Default}}
	}
	var values []string
	for _, e := range all {
		text, err := refs.expand(r, e.value)
		if err != nil {
			return e.where, err
		}
		values = append(values, text)
	}
	r.field.Set(reflect.ValueOf(values))
	return "", nil
}

// set parses text by the field's type. An empty number, boolean, duration or address is not
// set: it leaves the zero value, as None does upstream.
func (r *row) set(text string) error {
	switch f := r.field.Addr().Interface().(type) {
	case *string:
		*f = text
		return r.checkText(text)
	case *Secret:
		*f = Secret(text)
		return nil
	case *[]string:
		*f = list(text)
		return r.checkItems(*f)
	case *[]Secret:
		for _, item := range list(text) {
			*f = append(*f, Secret(item))
		}
		return r.checkItems(list(text))
	case *map[string]string:
		return parseMap(text, f)
	}
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	return r.setScalar(text)
}

func (r *row) setScalar(text string) error {
	switch f := r.field.Addr().Interface().(type) {
	case *bool:
		return parseBool(text, f)
	case *int:
		return r.parseInt(text, f)
	case *time.Duration:
		return r.parseDuration(text, f)
	case *netip.Addr:
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return fmt.Errorf("%q is not an IP address", text)
		}
		*f = addr
		return nil
	default:
		panic(fmt.Sprintf("config: %s.%s has a type nobody parses", r.Struct, r.Field))
	}
}

func parseBool(text string, to *bool) error {
	switch strings.ToLower(text) {
	case "1", "yes", "on", "true":
		*to = true
	case "0", "no", "off", "false":
		*to = false
	default:
		return fmt.Errorf("%q is not a boolean (true or false)", text)
	}
	return nil
}

// noLimit is what form "limit" makes of "infinite", zero and negative numbers.
const noLimit = -1

func (r *row) parseInt(text string, to *int) error {
	if r.form == "limit" && strings.EqualFold(text, "infinite") {
		*to = noLimit
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%q is not a whole number", text)
	}
	if r.form == "limit" && n <= 0 {
		n = noLimit
	}
	*to = n
	return r.checkRange(float64(n))
}

// parseDuration reads a number of the row's unit, with a fraction if need be.
func (r *row) parseDuration(text string, to *time.Duration) error {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return fmt.Errorf("%q is not a number of %s", text, r.typeName())
	}
	if n < 0 {
		return fmt.Errorf("%s is negative", text)
	}
	if n*float64(r.unit) > math.MaxInt64 {
		return fmt.Errorf("%s is too long", text)
	}
	*to = time.Duration(math.Round(n * float64(r.unit)))
	return r.checkRange(n)
}

func (r *row) checkRange(n float64) error {
	lo, hi, okLo, okHi := r.bounds()
	if okLo && n < lo {
		return fmt.Errorf("%v is below %v", n, lo)
	}
	if okHi && n > hi {
		return fmt.Errorf("%v is above %v", n, hi)
	}
	return nil
}

// checkText applies choices to a text; an option that is not set and has no default is spared.
func (r *row) checkText(text string) error {
	if r.Choices == nil || text == r.Default || slices.Contains(r.Choices, text) {
		return nil
	}
	return fmt.Errorf("%q is none of %s", text, strings.Join(r.Choices, ", "))
}

func (r *row) checkItems(items []string) error {
	for _, item := range items {
		if r.Choices != nil && !slices.Contains(r.Choices, item) {
			return fmt.Errorf("%q is none of %s", item, strings.Join(r.Choices, ", "))
		}
		if err := checkForm(r.form, item); err != nil {
			return err
		}
	}
	return nil
}

// checkForm looks at one item. A fernet key is a secret, so its error does not show it.
func checkForm(form, item string) error {
	switch form {
	case "hostport":
		if _, err := netip.ParseAddrPort(item); err != nil {
			return fmt.Errorf("%q is not address:port ([address]:port for IPv6)", item)
		}
	case "fernet":
		if len(item) != 32 || strings.Trim(item, fernetAlphabet) != "" {
			return errors.New("a key is not exactly 32 characters of A-Z a-z 0-9 - _ =")
		}
	}
	return nil
}

const fernetAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_="

// list splits at commas and trims. Unlike oslo.config it drops empty items, which are only
// ever a stray comma: no option means anything by one.
func list(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func parseMap(text string, to *map[string]string) error {
	*to = map[string]string{}
	for _, item := range list(text) {
		key, value, ok := strings.Cut(item, ":")
		key = strings.TrimSpace(key)
		if !ok || key == "" {
			return fmt.Errorf("%q is not name:value", item)
		}
		if _, twice := (*to)[key]; twice {
			return fmt.Errorf("%q is given twice", key)
		}
		(*to)[key] = strings.TrimSpace(value)
	}
	return nil
}
