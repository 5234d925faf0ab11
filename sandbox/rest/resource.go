package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// Resource is one kind of object with its five verbs. A nil hook means the verb does not exist.
type Resource[T any] struct {
	Path     string // collection, "/v2.0/ports"; may hold path parameters
	Singular string // envelope of one
	Plural   string // envelope of many
	Items    *Collection[T]

	ID func(v *T) *string
	// Default is a resource as it is before the request's attributes are read into it; Create completes, checks
	// and refuses it. Put and the new id are done for it.
	Default func(r *Request) T
	Create  func(r *Request, v *T) error
	// Update gets the resource as it was and as the request would have it.
	Update func(r *Request, old T, v *T) error
	Delete func(r *Request, v T) error
	// Visible tells whether the caller may know of it; nil = everybody may.
	Visible func(r *Request, v T) bool
	// Missing is the error for an id that is not there; nil = a plain 404.
	Missing func(id string) error

	Strict bool     // attributes that T does not have are refused
	Ignore []string // query keys that do not filter
	Patch  bool     // updates are PATCH (Keystone), not PUT
	Links  bool     // lists carry Keystone's links
	// CreateStatus is 201 when 0.
	CreateStatus int
}

// Mount routes a resource's verbs.
func Mount[T any](s *Service, res *Resource[T]) {
	one := res.Path + "/{id}"
	s.Handle("GET "+res.Path, res.list)
	s.Handle("GET "+one, res.show)
	if res.Create != nil {
		s.Handle("POST "+res.Path, res.create)
	}
	if res.Update != nil {
		method := http.MethodPut
		if res.Patch {
			method = http.MethodPatch
		}
		s.Handle(method+" "+one, res.update)
	}
	if res.Delete != nil {
		s.Handle("DELETE "+one, res.remove)
	}
}

func (res *Resource[T]) list(r *Request) (int, any, error) {
	q := r.URL.Query()
	docs := res.Items.List(ParsePage(q, res.Ignore...), q, func(v T) bool { return res.visible(r, v) })
	body := Doc{res.Plural: docs}
	if res.Links {
		body["links"] = Doc{"self": r.URL.Path, "next": nil, "previous": nil}
	}
	return http.StatusOK, body, nil
}

func (res *Resource[T]) visible(r *Request, v T) bool { return res.Visible == nil || res.Visible(r, v) }

// Find returns the resource with this id if the caller may know of it.
func (res *Resource[T]) Find(r *Request, id string) (T, error) {
	v, ok := res.Items.Get(id)
	if !ok || !res.visible(r, v) {
		if res.Missing != nil {
			return v, res.Missing(id)
		}
		return v, NotFound("Could not find %s: %s.", res.Singular, id)
	}
	return v, nil
}

func (res *Resource[T]) show(r *Request) (int, any, error) {
	v, err := res.Find(r, r.PathValue("id"))
	return http.StatusOK, Doc{res.Singular: v}, err
}

func (res *Resource[T]) create(r *Request) (int, any, error) {
	var body map[string]json.RawMessage
	if err := r.Decode(&body); err != nil {
		return 0, nil, err
	}
	status := res.CreateStatus
	if status == 0 {
		status = http.StatusCreated
	}
	if many, ok := body[res.Plural]; ok {
		return res.createMany(r, status, many)
	}
	v, err := res.Add(r, body[res.Singular])
	return status, Doc{res.Singular: v}, err
}

// createMany is Neutron's bulk request: all or none.
func (res *Resource[T]) createMany(r *Request, status int, many json.RawMessage) (int, any, error) {
	var bodies []json.RawMessage
	if err := json.Unmarshal(many, &bodies); err != nil {
		return 0, nil, BadRequest("Malformed request body: %v", err)
	}
	made := make([]T, 0, len(bodies))
	for _, b := range bodies {
		v, err := res.Add(r, b)
		if err != nil {
			return 0, nil, errors.Join(err, res.undo(r, made))
		}
		made = append(made, v)
	}
	return status, Doc{res.Plural: made}, nil
}

// undo deletes what a bulk request has made before it failed, youngest first, with all that came with it.
func (res *Resource[T]) undo(r *Request, made []T) error {
	var errs []error
	for _, v := range slices.Backward(made) {
		if res.Delete != nil {
			errs = append(errs, res.Delete(r, v))
		}
		res.Items.Delete(*res.ID(&v))
	}
	return errors.Join(errs...)
}

// Add creates one resource from its JSON.
func (res *Resource[T]) Add(r *Request, body json.RawMessage) (T, error) {
	v := res.Default(r)
	if err := res.read(body, &v); err != nil {
		return v, err
	}
	*res.ID(&v) = NewID()
	if err := res.Create(r, &v); err != nil {
		return v, err
	}
	id := *res.ID(&v)
	res.Items.Put(id, v)
	return v, nil
}

func (res *Resource[T]) read(body json.RawMessage, v *T) error {
	if len(body) == 0 {
		return BadRequest("Unable to find '%s' in request body", res.Singular)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if res.Strict {
		dec.DisallowUnknownFields()
	}
	err := dec.Decode(v)
	if err == nil {
		return nil
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return BadRequest("Unrecognized attribute(s) '%s'", strings.Trim(name, `"`))
	}
	return BadRequest("Invalid input for %s. Reason: %v.", res.Singular, err)
}

func (res *Resource[T]) update(r *Request) (int, any, error) {
	id := r.PathValue("id")
	old, err := res.Find(r, id)
	if err != nil {
		return 0, nil, err
	}
	var body map[string]json.RawMessage
	if err := r.Decode(&body); err != nil {
		return 0, nil, err
	}
	v, err := clone(old)
	if err != nil {
		return 0, nil, err
	}
	if err := res.read(body[res.Singular], &v); err != nil {
		return 0, nil, err
	}
	*res.ID(&v) = id
	if err := res.Update(r, old, &v); err != nil {
		return 0, nil, err
	}
	res.Items.Put(id, v)
	return http.StatusOK, Doc{res.Singular: v}, nil
}

// clone copies deeply: a request decoded into a shallow copy would write into the old one's lists.
func clone[T any](v T) (T, error) {
	var out T
	encoded, err := json.Marshal(v)
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(encoded, &out)
}

func (res *Resource[T]) remove(r *Request) (int, any, error) {
	v, err := res.Find(r, r.PathValue("id"))
	if err != nil {
		return 0, nil, err
	}
	if err := res.Delete(r, v); err != nil {
		return 0, nil, err
	}
	res.Items.Delete(*res.ID(&v))
	return http.StatusNoContent, nil, nil
}
