package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/obs"
)

const requestIDHeader = "X-Openstack-Request-Id"

// servicePrefix is where web servers often mount the service; links keep it.
const servicePrefix = "/load-balancer"

// jsonSuffix may end every path, as of a file.
const jsonSuffix = ".json"

var requestIDForm = regexp.MustCompile(`^req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// openPaths need no token.
var openPaths = []string{"/", servicePrefix + "/", "/healthcheck", servicePrefix + "/healthcheck"}

type originalPathKey struct{}

// requestID gives every request an id, in the answer and in the log. A client's own id, the
// global one, joins the log only.
func (s *Server) requestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := "req-" + uuid.NewString()
		r := c.Request()
		c.Response().Header().Set(requestIDHeader, id)
		ctx := db.WithRequestID(obs.With(r.Context(), obs.IDs{RequestID: id}), id)
		if global := r.Header.Get(requestIDHeader); requestIDForm.MatchString(global) {
			s.deps.Log.DebugContext(ctx, "request has a global id", "global_request_id", global)
		}
		c.SetRequest(r.WithContext(context.WithValue(ctx, originalPathKey{}, r.URL.Path)))
		return next(c)
	}
}

// originalPath is the path of the request as the client wrote it.
func originalPath(r *http.Request) string {
	path, _ := r.Context().Value(originalPathKey{}).(string)
	return path
}

// rewritePath removes what routes do not have: the service's prefix, a final slash, .json.
func rewritePath(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		u := c.Request().URL
		path := u.Path
		if path == servicePrefix || strings.HasPrefix(path, servicePrefix+"/") {
			path = strings.TrimPrefix(path, servicePrefix)
		}
		if strings.HasPrefix(path, "/v2") {
			path = strings.TrimSuffix(path, jsonSuffix)
		}
		path = "/" + strings.Trim(path, "/")
		u.Path, u.RawPath = path, "" // in place: the router looks at the request it was given
		return next(c)
	}
}

// options answers OPTIONS of anything.
func options(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().Method == http.MethodOptions {
			return c.NoContent(http.StatusOK)
		}
		return next(c)
	}
}

// recover makes a panic a 500 with its stack in the log.
func (s *Server) recover(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler { //nolint:errorlint // net/http panics with this very value
				panic(p)
			}
			s.deps.Log.ErrorContext(c.Request().Context(), "handler panicked", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}()
		return next(c)
	}
}

// accept refuses clients that do not want JSON.
func accept(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().URL.Path == "/healthcheck" || acceptsJSON(c.Request().Header.Get(echo.HeaderAccept)) {
			return next(c)
		}
		return &routingFault{
			status: http.StatusNotAcceptable, title: "Not Acceptable",
			description: "Only content type application/json is accepted.",
		}
	}
}

// acceptsJSON reads an Accept header; one that makes no sense accepts everything.
func acceptsJSON(header string) bool {
	sensible := false
	for item := range strings.SplitSeq(header, ",") {
		mime, params, _ := strings.Cut(item, ";")
		mime = strings.ToLower(strings.TrimSpace(mime))
		if !strings.Contains(mime, "/") {
			continue
		}
		sensible = true
		if slices.Contains([]string{"application/json", "application/*", "*/*"}, mime) && quality(params) > 0 {
			return true
		}
	}
	return !sensible
}

// quality is the q of a media range, 1 unless given.
func quality(params string) float64 {
	for p := range strings.SplitSeq(params, ";") {
		if v, ok := strings.CutPrefix(strings.TrimSpace(p), "q="); ok {
			q, err := strconv.ParseFloat(v, 64)
			if err == nil {
				return q
			}
		}
	}
	return 1
}

// authenticate finds out who calls.
func (s *Server) authenticate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		q := &call{}
		c.Set(callKey, q)
		r := c.Request()
		if slices.Contains(openPaths, originalPath(r)) {
			return next(c)
		}
		who, err := s.identify(r)
		if errors.Is(err, ErrUnauthorized) {
			return s.unauthorized(c)
		}
		if err != nil {
			return fmt.Errorf("%w: check token: %w", ErrUnavailable, err)
		}
		who.IsAdmin = s.cfg.AuthStrategy == AuthNoAuth || s.deps.Policy.IsAdmin(who.credentials())
		q.who = who
		c.SetRequest(r.WithContext(obs.With(r.Context(), obs.IDs{ProjectID: who.ProjectID})))
		return next(c)
	}
}

// identify asks Keystone about the request's tokens.
func (s *Server) identify(r *http.Request) (Identity, error) {
	if s.cfg.AuthStrategy != AuthKeystone {
		return identityIn(r.Header), nil
	}
	token := r.Header.Get("X-Auth-Token")
	if token == "" {
		return Identity{}, ErrUnauthorized
	}
	who, err := s.deps.Auth.Authenticate(r.Context(), token)
	if err != nil {
		return Identity{}, err
	}
	if token := r.Header.Get("X-Service-Token"); token != "" {
		service, err := s.deps.Auth.Authenticate(r.Context(), token)
		if err != nil {
			return Identity{}, err
		}
		who.Service = &service
	}
	return who, nil
}

// identityIn believes the headers that Keystone's middleware would set.
func identityIn(h http.Header) Identity {
	who := Identity{
		UserID: anyOf(h, "X-User-Id", "X-User"), UserName: h.Get("X-User-Name"),
		UserDomainID: h.Get("X-User-Domain-Id"),
		ProjectID:    anyOf(h, "X-Project-Id", "X-Tenant-Id", "X-Tenant"), ProjectName: anyOf(h, "X-Project-Name", "X-Tenant-Name"),
		ProjectDomainID: h.Get("X-Project-Domain-Id"),
		DomainID:        h.Get("X-Domain-Id"), SystemScope: h.Get("Openstack-System-Scope"),
		Roles: rolesIn(anyOf(h, "X-Roles", "X-Role")), Token: h.Get("X-Auth-Token"),
	}
	if v := h.Get("X-Is-Admin-Project"); v != "" {
		who.NotAdminProject = !strings.EqualFold(v, "true")
	}
	if id := h.Get("X-Service-User-Id"); id != "" || h.Get("X-Service-Roles") != "" {
		who.Service = &Identity{
			UserID: id, UserDomainID: h.Get("X-Service-User-Domain-Id"),
			ProjectID: h.Get("X-Service-Project-Id"), ProjectDomainID: h.Get("X-Service-Project-Domain-Id"),
			Roles: rolesIn(h.Get("X-Service-Roles")),
		}
	}
	return who
}

// anyOf is the first of several headers that is there.
func anyOf(h http.Header, names ...string) string {
	for _, name := range names {
		if v := h.Get(name); v != "" {
			return v
		}
	}
	return ""
}

// rolesIn splits a list of roles, whose names may have spaces inside.
func rolesIn(header string) []string {
	roles := splitList(header)
	for i, r := range roles {
		roles[i] = strings.TrimSpace(r)
	}
	return roles
}

type unauthorizedBody struct {
	Code    int    `json:"code"`
	Title   string `json:"title"`
	Message string `json:"message"`
}

// unauthorized answers as Keystone's middleware does.
func (s *Server) unauthorized(c echo.Context) error {
	c.Response().Header().Set("WWW-Authenticate", fmt.Sprintf("Keystone uri=%q", s.cfg.WWWAuthenticateURI))
	return c.JSON(http.StatusUnauthorized, map[string]unauthorizedBody{"error": {
		http.StatusUnauthorized, "Unauthorized", "The request you have made requires authentication.",
	}})
}

// parseQuery reads the query, and for a GET its paging, which every GET checks.
func (s *Server) parseQuery(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		q := callOf(c)
		q.query = c.QueryParams()
		if !wellFormed(c.Request().URL.Path, q.query) {
			return &routingFault{
				status: http.StatusBadRequest, title: "Bad Request",
				description: "The URL must be UTF-8 without NUL characters.",
			}
		}
		if c.Request().Method == http.MethodGet {
			var err error
			if q.page, err = s.parsePage(q.query); err != nil {
				return err
			}
		}
		return next(c)
	}
}

// wellFormed says that nothing in a URL is more than a database takes for text.
func wellFormed(path string, query url.Values) bool {
	bad := func(s string) bool { return strings.ContainsRune(s, 0) || !utf8.ValidString(s) }
	if bad(path) {
		return false
	}
	for name, values := range query {
		if bad(name) || slices.ContainsFunc(values, bad) {
			return false
		}
	}
	return true
}
