// Package rest is what the sandbox's OpenStack services have in common: a recorded and faultable HTTP server,
// identities, and collections of resources with list, show, create, update and delete written once.
package rest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Identity is who asks: a token's owner and scope.
type Identity struct {
	Token, UserID, UserName string
	ProjectID, ProjectName  string // "" = not scoped to a project
	DomainID                string // of the project, or of a domain scope
	Roles                   []string
	System                  bool // system scope
}

// Admin says whether the role admin is among the roles.
func (i Identity) Admin() bool { return slices.Contains(i.Roles, "admin") }

// Authenticator turns a token into an identity; an unknown or expired one is an error.
type Authenticator interface {
	Authenticate(token string) (Identity, error)
}

// Request is one call as a handler sees it.
type Request struct {
	*http.Request
	Identity
	Header http.Header // of the answer
}

// Decode reads the JSON body into v. An error is the caller's fault.
func (r *Request) Decode(v any) error {
	if err := json.NewDecoder(r.Body).Decode(v); err != nil {
		return BadRequest("Malformed request body: %v", err)
	}
	return nil
}

// Handler answers one call. A body of nil sends none; an *Error is rendered as its service does.
type Handler func(r *Request) (status int, body any, err error)

// Service is one OpenStack service: routes, a lock, and its own way to say what is wrong.
//
// Handlers run under the lock, so they need none of their own and must not wait.
type Service struct {
	Name string // identity, compute, network, image: what Fault.Service and Call.Service say
	// Fail renders an error as the real service does.
	Fail func(e *Error) any
	// Auth checks tokens; nil leaves that to the handlers (Keystone).
	Auth Authenticator
	// Changed is called after every call but a GET that succeeded, before it is answered and without the lock. It may be nil.
	Changed func()

	Lock sync.Mutex
	mux  http.ServeMux
	hub  *Hub
}

// NewService makes a service without routes that reports to hub.
func NewService(name string, hub *Hub, auth Authenticator, fail func(*Error) any) *Service {
	return &Service{Name: name, Fail: fail, Auth: auth, hub: hub}
}

// Handle routes a pattern ("GET /v2/images/{id}") that needs a token.
func (s *Service) Handle(pattern string, h Handler) { s.route(pattern, h, s.Auth != nil) }

// HandleOpen routes a pattern that needs no token.
func (s *Service) HandleOpen(pattern string, h Handler) { s.route(pattern, h, false) }

func (s *Service) route(pattern string, h Handler, authenticated bool) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, hr *http.Request) {
		r := &Request{Request: hr, Header: w.Header()}
		status, body, err := 0, any(nil), error(nil)
		if authenticated {
			r.Identity, err = s.Auth.Authenticate(hr.Header.Get("X-Auth-Token"))
		}
		if err != nil {
			w.Header().Set("WWW-Authenticate", `Keystone uri="sandbox"`)
			err = &Error{Status: http.StatusUnauthorized, Message: "The request you have made requires authentication."}
		} else {
			status, body, err = s.locked(h, r)
			if err == nil && s.Changed != nil && hr.Method != http.MethodGet {
				s.Changed()
			}
		}
		s.answer(w, status, body, err)
	})
}

func (s *Service) locked(h Handler, r *Request) (int, any, error) {
	s.Lock.Lock()
	defer s.Lock.Unlock()
	status, body, err := h(r)
	if raw, ok := body.(Raw); err != nil || ok || body == nil {
		return status, raw.orNil(body), err
	}
	// Encoded under the lock, because bodies point into the collections.
	encoded, err := json.Marshal(body)
	return status, Raw{Type: "application/json", Bytes: encoded}, err
}

// Raw is a body that is not JSON, or JSON already.
type Raw struct {
	Type  string
	Bytes []byte
}

func (raw Raw) orNil(body any) any {
	if body == nil {
		return nil
	}
	return raw
}

func (s *Service) answer(w http.ResponseWriter, status int, body any, err error) {
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			e = &Error{Status: http.StatusInternalServerError, Message: err.Error()}
		}
		status, body = e.Status, s.Fail(e)
	}
	raw, ok := body.(Raw)
	if body != nil && !ok {
		encoded, _ := json.Marshal(body)
		raw = Raw{Type: "application/json", Bytes: encoded}
	}
	if raw.Type != "" {
		w.Header().Set("Content-Type", raw.Type)
	}
	w.WriteHeader(status)
	_, _ = w.Write(raw.Bytes)
}

// ServeHTTP records the call, applies faults, and serves it. Services differ in trailing slashes; here none matters.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p := r.URL.Path; len(p) > 1 && strings.HasSuffix(p, "/") {
		r.URL.Path = strings.TrimRight(p, "/")
	}
	w.Header().Set("X-Openstack-Request-Id", "req-"+NewID())
	s.hub.serve(w, r, s.Name, http.HandlerFunc(s.serve))
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request) {
	if _, pattern := s.mux.Handler(r); pattern == "" {
		// The body is read so that the connection can be used again.
		_, _ = io.Copy(io.Discard, r.Body)
		s.answer(w, 0, nil, NotFound("The resource could not be found."))
		return
	}
	s.mux.ServeHTTP(w, r)
}
