package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// document is a request body as faults quote it.
type document struct {
	arg  string // upstream's name of the body argument
	body json.RawMessage
}

// wrong is the fault that quotes the whole body.
func (d document) wrong(reason string) *Fault {
	return BadRequest(fmt.Sprintf("Invalid input for field/attribute %s. Value: '%s'. %s", d.arg, pyStr(d.body), reason))
}

// object reads the attributes of one JSON object. Each read names an attribute that may be
// there; the first failure is kept, and every later read returns its zero value. When there is
// a description to fill, nothing is read, and each attribute that would be is noted.
type object struct {
	doc   document
	path  string // as in "Unknown attribute for argument <path>: …"
	raw   map[string]json.RawMessage
	known map[string]bool
	err   *Fault

	described *schema // nil when reading
}

// wrongBody says that a conversion failed in the way upstream reports with the whole body.
type wrongBody string

func (w wrongBody) Error() string { return string(w) }

// wrongValue says that a conversion failed in the way upstream reports with the value only.
type wrongValue string

func (w wrongValue) Error() string { return string(w) }

// openBody finds the object under the wrapper key of a body.
func openBody(arg, wrapper string, body []byte) (*object, error) {
	doc := document{arg: arg, body: bytes.TrimSpace(body)}
	raw, err := unwrap(doc, wrapper)
	if err != nil {
		return nil, err
	}
	return newObject(doc, arg+"."+wrapper, raw)
}

// unwrap returns what a body has under its only key.
func unwrap(doc document, wrapper string) (json.RawMessage, error) {
	if len(doc.body) == 0 {
		return nil, BadRequest(fmt.Sprintf("Missing argument: %q", doc.arg))
	}
	if !utf8.Valid(doc.body) || !json.Valid(doc.body) {
		return nil, BadRequest("Request is not in valid JSON format")
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(doc.body, &top); err != nil {
		return nil, doc.wrong("Value not a valid object")
	}
	inner, ok := top[wrapper]
	delete(top, wrapper)
	if len(top) > 0 {
		return nil, unknownAttributes(doc.arg, top)
	}
	if !ok || isNull(inner) {
		return nil, &nothingInside{missing(wrapper)}
	}
	return inner, nil
}

// nothingInside is the fault of a body without an object. In a PUT it counts less than that the object is absent or
// not to be changed by the caller.
type nothingInside struct{ fault *Fault }

func (n *nothingInside) Error() string { return n.fault.Error() }
func (n *nothingInside) Unwrap() error { return n.fault }

func newObject(doc document, path string, raw json.RawMessage) (*object, error) {
	o := &object{doc: doc, path: path, known: map[string]bool{}}
	if err := json.Unmarshal(raw, &o.raw); err != nil {
		return nil, doc.wrong("Value not a valid object")
	}
	return o, nil
}

// done reports unknown attributes, then the first failure.
func (o *object) done() error {
	left := map[string]json.RawMessage{}
	for k, v := range o.raw {
		if !o.known[k] {
			left[k] = v
		}
	}
	if len(left) > 0 {
		return unknownAttributes(o.path, left)
	}
	if o.err != nil {
		return o.err
	}
	return nil
}

// need makes the attribute's absence a fault.
func (o *object) need(name string) {
	if o.described != nil {
		o.described.Required = append(o.described.Required, name)
		return
	}
	if _, ok := o.raw[name]; !ok && o.err == nil {
		o.err = missing(name)
	}
}

// read converts one attribute.
func read[T any](o *object, name string, as form[T]) field[T] {
	if o.described != nil {
		o.described.Properties[name] = as.schema().orNull()
		return field[T]{}
	}
	o.known[name] = true
	raw, ok := o.raw[name]
	if !ok || o.err != nil {
		return field[T]{}
	}
	if isNull(raw) {
		return field[T]{set: true, null: true}
	}
	v, err := as.convert(raw)
	if err != nil {
		o.err = o.fault(name, raw, err)
		return field[T]{}
	}
	return field[T]{set: true, value: v}
}

// fault words a failed conversion.
func (o *object) fault(name string, raw json.RawMessage, err error) *Fault {
	var fault *Fault
	var body wrongBody
	switch {
	case errors.As(err, &fault):
		return fault
	case errors.As(err, &body):
		return o.doc.wrong(string(body))
	}
	return wrongAttribute(name, pyStr(raw), err.Error())
}

// nested reads an attribute that is an object.
func nested[T any](o *object, name string, decode func(*object) T) field[T] {
	return read(o, name, form[T]{
		convert: func(raw json.RawMessage) (T, error) {
			var zero T
			inner, err := newObject(o.doc, o.path+"."+name, raw)
			if err != nil {
				return zero, err
			}
			v := decode(inner)
			if err := inner.done(); err != nil {
				return zero, err
			}
			return v, nil
		},
		schema: func() *schema { return describe(decode) },
	})
}

// nestedList reads an attribute that is a list of objects. Null elements are refused.
func nestedList[T any](o *object, name string, decode func(*object) T) field[[]T] {
	return read(o, name, form[[]T]{
		convert: func(raw json.RawMessage) ([]T, error) { return decodeList(o.doc, o.path+"."+name, raw, decode) },
		schema:  func() *schema { return &schema{Type: types{"array"}, Items: describe(decode)} },
	})
}

// decodeList reads a JSON array of objects.
func decodeList[T any](doc document, path string, raw json.RawMessage, decode func(*object) T) ([]T, error) {
	items, err := elements(raw)
	if err != nil {
		return nil, doc.wrong(err.Error())
	}
	out := make([]T, 0, len(items))
	for _, item := range items {
		o, err := newObject(doc, path, item)
		if err != nil {
			return nil, err
		}
		if o.raw == nil {
			return nil, doc.wrong("Value not a valid object")
		}
		v := decode(o)
		if err := o.done(); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func missing(name string) *Fault { return wrongAttribute(name, "None", "Mandatory field missing.") }

func wrongAttribute(name, value, reason string) *Fault {
	return BadRequest(fmt.Sprintf("Invalid input for field/attribute %s. Value: '%s'. %s", name, value, reason))
}

func unknownAttributes(path string, left map[string]json.RawMessage) *Fault {
	names := slices.Sorted(maps.Keys(left))
	word := "attribute"
	if len(names) > 1 {
		word = "attributes"
	}
	return BadRequest(fmt.Sprintf("Unknown %s for argument %s: %s", word, path, strings.Join(names, ", ")))
}

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

// refuse makes the body a 400 with upstream's prefix for validation.
func (o *object) refuse(detail string) {
	if o.err == nil {
		o.err = Invalid(detail)
	}
}

// refuseNull is for attributes that must have a value once they are there.
func (o *object) refuseNull(names ...string) {
	o.notNull(names...)
	for _, name := range names {
		if raw, ok := o.raw[name]; ok && o.err == nil && isNull(raw) {
			o.err = notAnOption("None", name)
		}
	}
}
