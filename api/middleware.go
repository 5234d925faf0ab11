package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

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
		who.IsAdmin = s.cfg.AuthStrategy == AuthNoAuth ||
			s.deps.Policy.Authorize("context_is_admin", who.credentials(), nil)
		q.who = who
		c.SetRequest(r.WithContext(obs.With(r.Context(), obs.IDs{ProjectID: who.ProjectID})))
		return next(c)
	}
}

func (s *Server) identify(r *http.Request) (Identity, error) {
	if s.cfg.AuthStrategy != AuthKeystone {
		return Identity{
			UserID: r.Header.Get("X-User-Id"), UserName: r.Header.Get("X-User-Name"),
			ProjectID: r.Header.Get("X-Project-Id"), ProjectName: r.Header.Get("X-Project-Name"),
			SystemScope: r.Header.Get("Openstack-System-Scope"),
			Roles:       splitList(strings.ReplaceAll(r.Header.Get("X-Roles"), " ", "")),
		}, nil
	}
	token := r.Header.Get("X-Auth-Token")
	if token == "" {
		return Identity{}, ErrUnauthorized
	}
	return s.deps.Auth.Authenticate(r.Context(), token)
}

// unauthorized answers as Keystone's middleware does.
func (s *Server) unauthorized(c echo.Context) error {
	type body struct {
		Code    int    `json:"code"`
		Title   string `json:"title"`
		Message string `json:"message"`
	}
	c.Response().Header().Set("WWW-Authenticate", fmt.Sprintf("Keystone uri=%q", s.cfg.WWWAuthenticateURI))
	return c.JSON(http.StatusUnauthorized, map[string]body{"error": {
		http.StatusUnauthorized, "Unauthorized", "The request you have made requires authentication.",
	}})
}

// parseQuery reads the query, and for a GET its paging, which every GET checks.
func (s *Server) parseQuery(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		q := callOf(c)
		q.query = c.QueryParams()
		if c.Request().Method == http.MethodGet {
			var err error
			if q.page, err = s.parsePage(q.query); err != nil {
				return err
			}
		}
		return next(c)
	}
}
