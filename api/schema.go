package api

import (
	"encoding/json"
	"slices"
)

// form is a type of attribute: how a value of it is read, and how the description of the API
// shows it. The schema is a function, since reading needs none.
type form[T any] struct {
	convert func(json.RawMessage) (T, error)
	schema  func() *schema
}

// schema is a JSON schema, as far as this API needs them.
type schema struct {
	Ref         string             `json:"$ref,omitempty"`
	Type        types              `json:"type,omitempty"`
	Description string             `json:"description,omitempty"`
	Format      string             `json:"format,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Enum        []any              `json:"enum,omitempty"`
	Default     any                `json:"default,omitempty"`
	Deprecated  bool               `json:"deprecated,omitempty"`
	Minimum     *int               `json:"minimum,omitempty"`
	Maximum     *int               `json:"maximum,omitempty"`
	MinLength   int                `json:"minLength,omitempty"`
	MaxLength   int                `json:"maxLength,omitempty"` // 0: any
	Items       *schema            `json:"items,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Additional  any                `json:"additionalProperties,omitempty"` // false, or the schema of a dict's values
	AllOf       []*schema          `json:"allOf,omitempty"`
	AnyOf       []*schema          `json:"anyOf,omitempty"`
}

// types are the JSON types of a value.
type types []string

// MarshalJSON implements json.Marshaler: one type stands alone.
func (t types) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

const null = "null"

// orNull lets a schema's value be null, too.
func (s *schema) orNull() *schema {
	if s.Ref != "" {
		return &schema{AnyOf: []*schema{s, {Type: types{null}}}}
	}
	out := *s
	out.Type = append(slices.Clip(s.Type), null)
	if s.Enum != nil {
		out.Enum = append(slices.Clip(s.Enum), nil)
	}
	return &out
}

// butNull takes null away again.
func (s *schema) butNull() *schema {
	out := *s
	out.Type = slices.DeleteFunc(slices.Clone(s.Type), func(t string) bool { return t == null })
	out.Enum = slices.DeleteFunc(slices.Clone(s.Enum), func(v any) bool { return v == nil })
	return &out
}

// oneOf is a schema of some words or numbers.
func oneOf[T any](kind string, values ...T) func() *schema {
	return func() *schema {
		s := &schema{Type: types{kind}}
		for _, v := range values {
			s.Enum = append(s.Enum, v)
		}
		return s
	}
}

// formatted is a schema of text in a format of JSON schema's.
func formatted(format string) func() *schema {
	return func() *schema { return &schema{Type: types{"string"}, Format: format} }
}

// describe runs a decoder on no body at all, to learn what it reads.
func describe[T any](decode func(*object) T) *schema {
	o := &object{known: map[string]bool{}, described: &schema{
		Type: types{"object"}, Properties: map[string]*schema{}, Additional: false,
	}}
	decode(o)
	slices.Sort(o.described.Required)
	return o.described
}

// The methods below say what decoding itself cannot show. They do nothing unless the
// attributes are being described.

// notNull says that null is refused by what comes after decoding, which words it.
func (o *object) notNull(names ...string) {
	if o.described == nil {
		return
	}
	for _, name := range names {
		o.described.Properties[name] = o.described.Properties[name].butNull()
	}
}

// hide keeps attributes out of the description: those that are read only to be refused.
func (o *object) hide(names ...string) {
	if o.described == nil {
		return
	}
	for _, name := range names {
		delete(o.described.Properties, name)
	}
}

// defaults names the values that attributes get when they are absent.
func (o *object) defaults(values map[string]any) {
	if o.described == nil {
		return
	}
	for name, v := range values {
		o.described.Properties[name].Default = v
	}
}

// deprecate marks an attribute that has a better name.
func (o *object) deprecate(name string) {
	if o.described != nil {
		o.described.Properties[name].Deprecated = true
	}
}
