package api

import (
	"reflect"
	"slices"
	"strings"

	"github.com/ottavino/ottavino/db"
)

// body is what a call is sent: an object, or a list of them, under a wrapper key.
type body struct {
	wrapper, name string // the name is the description's
	attributes    *schema
	list          bool
}

// takes describes a body by its decoder. Of is "Listener" of ListenerCreate.
func takes[In any](wrapper, of, verb string, decode func(*object) In) *body {
	return &body{wrapper: wrapper, name: of + verb, attributes: describe(decode)}
}

// answer is the body of a success; the zero value is none.
type answer struct {
	wrapper string
	of      reflect.Type // of the object under the wrapper key
	list    bool         // there are many
	links   string       // wrapper key of a list's links; "" is no links
	cut     bool         // ?fields may leave attributes out
}

// whole is the answer with one object and all of its attributes.
func whole[Out any](wrapper string) answer { return answer{wrapper: wrapper, of: typeOf[Out]()} }

// shown is the answer with one object, or the attributes of it that were asked for.
func shown[Out any](wrapper string) answer {
	return answer{wrapper: wrapper, of: typeOf[Out](), cut: true}
}

// many is the answer with a list.
func many[Out any](wrapper, links string) answer {
	return answer{wrapper: wrapper, of: typeOf[Out](), list: true, links: links, cut: true}
}

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// titleOf is how the description calls an object: "Listener" of listenerOut.
func titleOf(t reflect.Type) string {
	name := strings.TrimSuffix(strings.TrimSuffix(t.Name(), "Out"), "Body")
	return strings.ToUpper(name[:1]) + name[1:]
}

// answer describes the body of a success; nil is none.
func (d *openAPI) answer(a answer) *schema {
	if a.of == nil {
		return nil
	}
	inner := d.of(a.of)
	if !a.cut {
		inner = &schema{AllOf: []*schema{inner, {Required: always(a.of)}}}
	}
	if a.list {
		inner = &schema{Type: types{"array"}, Items: inner}
	}
	out := &schema{
		Type: types{"object"}, Properties: map[string]*schema{a.wrapper: inner}, Required: []string{a.wrapper},
	}
	if a.links != "" {
		out.Properties[a.links] = &schema{Type: types{"array"}, Items: d.of(typeOf[link]())}
		if !d.paged {
			out.Properties[a.links] = plain(null)
		}
		out.Required = append(out.Required, a.links)
	}
	return out
}

// words are the values of attributes that no request has.
var words = map[string]func() *schema{
	"provisioning_status": oneOf("string", db.Active, db.Deleted, db.Error, db.PendingCreate, db.PendingDelete, db.PendingUpdate),
	"operating_status":    oneOf("string", db.Online, db.Offline, db.Degraded, db.Error, db.NoMonitor, db.Draining),
}

// of describes a type as JSON shows it. Structs are described once, by name.
func (d *openAPI) of(t reflect.Type) *schema {
	switch t {
	case typeOf[stamp]():
		return &schema{Type: types{"string"}, Pattern: `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?$`, Description: "UTC."}
	case typeOf[httpVersion]():
		return httpVersions()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.of(t.Elem()).orNull()
	case reflect.Slice:
		list := &schema{Type: types{"array"}, Items: d.of(t.Elem())}
		if strings.HasPrefix(t.Name(), "nullable[") {
			return list.orNull()
		}
		return list
	case reflect.Map:
		return &schema{Type: types{"object"}, Additional: d.of(t.Elem())}
	case reflect.Struct:
		return d.object(t)
	case reflect.Bool:
		return plain("boolean")
	case reflect.Int, reflect.Int64:
		return plain("integer")
	default:
		return plain("string")
	}
}

func plain(kind string) *schema { return &schema{Type: types{kind}} }

func (d *openAPI) object(t reflect.Type) *schema {
	title := titleOf(t)
	ref := &schema{Ref: "#/components/schemas/" + title}
	if d.Components.Schemas[title] != nil {
		return ref
	}
	out := &schema{Type: types{"object"}, Properties: map[string]*schema{}}
	d.Components.Schemas[title] = out
	for _, f := range shownFields(t) {
		out.Properties[f.name] = d.of(f.Type)
		if w := words[f.name]; w != nil {
			out.Properties[f.name] = w()
		}
	}
	return ref
}

// shownField is a field of a struct that JSON shows.
type shownField struct {
	reflect.StructField
	name     string
	optional bool
}

// shownFields are the fields of a struct and of those it embeds.
func shownFields(t reflect.Type) []shownField {
	var out []shownField
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && f.Type != typeOf[none]() {
			out = append(out, shownField{f, name, options == "omitempty"})
		}
	}
	return out
}

// always are the attributes that an object never lacks, unless the client wants only some.
func always(t reflect.Type) []string {
	var out []string
	for _, f := range shownFields(t) {
		if !f.optional {
			out = append(out, f.name)
		}
	}
	slices.Sort(out)
	return out
}

// refine says of the attributes of an answer what is known from the request that sets them.
func (d *openAPI) refine(t reflect.Type, request *schema) {
	for name, out := range d.Components.Schemas[titleOf(t)].Properties {
		in := request.Properties[name]
		if in == nil || !slices.Equal(in.butNull().Type, out.butNull().Type) {
			continue
		}
		out.Format = in.Format
		if in.Enum != nil {
			out.Enum = in.butNull().Enum
			if slices.Contains(out.Type, null) {
				out.Enum = append(out.Enum, nil)
			}
		}
		if in.Items != nil && in.Items.Enum != nil {
			out.Items = in.Items
		}
	}
}
