package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Option describes one option, for the generator of the sample file.
type Option struct {
	Group, Key string
	Default    string   // as the file would write it; "" = not set
	Type       string   // bool, integer, seconds, milliseconds, string, address, list, map
	Choices    []string // nil = any
	Min, Max   string   // "" = no limit
	Secret     bool
	Multi      bool
	Old        []string // deprecated names: "key" or "group.key"
	Inert      string   // why the option has no effect; "" = it has
	// Struct and Field are the Go names of the declaration, whose comment explains the option.
	Struct, Field string
}

// Options lists all options in the order of their declaration.
func Options() []Option {
	var out []Option
	for _, r := range rowsOf(&Config{}) {
		o := r.Option
		o.Type = r.typeName()
		o.Secret = r.secret()
		if o.Type == "boolean" && o.Default == "" {
			o.Default = "false"
		}
		out = append(out, o)
	}
	return out
}

// row is an option and the field that takes its value.
type row struct {
	Option

	form  string
	env   string
	unit  time.Duration
	names []name // the current one first
	field reflect.Value
}

// rowsOf reads the tags of cfg's groups. A wrong tag is a mistake of ours and panics.
func rowsOf(cfg *Config) []row {
	var rows []row
	v := reflect.ValueOf(cfg).Elem()
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		group, ok := tag.Lookup("group")
		if !ok {
			continue
		}
		groups := []string{group}
		if old := tag.Get("old"); old != "" {
			groups = append(groups, old)
		}
		rows = append(rows, groupRows(groups, v.Field(i))...)
	}
	return rows
}

func groupRows(groups []string, v reflect.Value) []row {
	var rows []row
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			rows = append(rows, groupRows(groups, v.Field(i))...)
			continue
		}
		rows = append(rows, newRow(groups, v.Type().Name(), f, v.Field(i)))
	}
	return rows
}

func newRow(groups []string, owner string, f reflect.StructField, v reflect.Value) row {
	tag := f.Tag
	r := row{
		Option: Option{
			Group: groups[0], Key: tag.Get("opt"), Default: tag.Get("default"),
			Min: tag.Get("min"), Max: tag.Get("max"), Multi: tag.Get("multi") == "true",
			Choices: split(tag.Get("choices"), "|"), Old: split(tag.Get("old"), "|"),
			Struct: owner, Field: f.Name,
		},
		form: tag.Get("form"), env: tag.Get("env"), unit: time.Second, field: v,
	}
	r.Inert = inert[newName(r.Group, r.Key)]
	if r.Key == "" {
		panic(fmt.Sprintf("config: %s.%s has no opt tag", owner, f.Name))
	}
	if tag.Get("unit") == "ms" {
		r.unit = time.Millisecond
	}
	for _, g := range groups {
		r.names = append(r.names, newName(g, r.Key))
	}
	for _, old := range r.Old {
		group, key, ok := strings.Cut(old, ".")
		if !ok {
			group, key = r.Group, old
		}
		r.names = append(r.names, newName(group, key))
	}
	return r
}

// bounds are the limits as numbers; ok says which of them exist.
func (r *row) bounds() (lo, hi float64, okLo, okHi bool) {
	if r.form == "port" {
		return 0, 65535, true, true
	}
	lo, errLo := strconv.ParseFloat(r.Min, 64)
	hi, errHi := strconv.ParseFloat(r.Max, 64)
	return lo, hi, errLo == nil, errHi == nil
}

func (r *row) secret() bool {
	t := r.field.Type()
	return t == reflect.TypeFor[Secret]() || t == reflect.TypeFor[[]Secret]()
}

func (r *row) typeName() string {
	switch r.field.Type() {
	case reflect.TypeFor[time.Duration]():
		if r.unit == time.Millisecond {
			return "milliseconds"
		}
		return "seconds"
	case reflect.TypeFor[Secret]():
		return "string"
	}
	switch r.field.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int64:
		return "integer"
	case reflect.Slice:
		return "list"
	case reflect.Map:
		return "map"
	case reflect.Struct:
		return "IP address"
	default:
		return "string"
	}
}

// split is strings.Split that makes nothing of nothing.
func split(s, sep string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, sep)
}
