package api

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/ottavino/ottavino/api/policy"
	"github.com/ottavino/ottavino/db"
)

const callKey = "ottavino.call"

// call is one request after authentication.
type call struct {
	who   Identity
	query url.Values
	page  page
	key   *db.KeyClaim // of a POST that may be repeated; nil: it has none
}

// callOf returns what the middleware found out about a request.
func callOf(c echo.Context) *call { return c.Get(callKey).(*call) }

// only refuses query parameters other than those named.
func (q *call) only(names ...string) error {
	for _, k := range sortedKeys(q.query) {
		if !slices.Contains(names, k) {
			return BadRequest(`Unknown argument: "` + k + `"`)
		}
	}
	return nil
}

func sortedKeys(q url.Values) []string {
	keys := make([]string, 0, len(q))
	for k := range q {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// flag reads a query parameter as upstream reads booleans: anything unknown is false.
func (q *call) flag(name string) bool {
	return slices.Contains([]string{"1", "t", "true", "on", "y", "yes"}, strings.ToLower(strings.TrimSpace(q.query.Get(name))))
}

// credentials are the caller as policy sees it.
func (id Identity) credentials() policy.Credentials {
	c := policy.Credentials{
		UserID: id.UserID, UserDomainID: id.UserDomainID,
		ProjectID: id.ProjectID, ProjectDomainID: id.ProjectDomainID,
		DomainID: id.DomainID, SystemScope: id.SystemScope,
		Roles: id.Roles, NotAdminProject: id.NotAdminProject, IsAdmin: id.IsAdmin,
	}
	if s := id.Service; s != nil {
		c.Service = policy.ServiceCredentials{
			UserID: s.UserID, UserDomainID: s.UserDomainID,
			ProjectID: s.ProjectID, ProjectDomainID: s.ProjectDomainID, Roles: s.Roles,
		}
	}
	return c
}

// may says whether a rule (type:action) passes for an object of a project.
func (s *Server) may(who Identity, rule, projectID string) bool {
	return s.deps.Policy.Authorize(policy.CallPrefix+rule, who.credentials(), policy.Target{"project_id": projectID})
}

// authorize is may as an error.
func (s *Server) authorize(who Identity, rule, projectID string) error {
	if !s.may(who, rule, projectID) {
		return errForbidden
	}
	return nil
}

// receive reads the body of a request, as much as is allowed, and leaves it to be read again.
func (s *Server) receive(c echo.Context) ([]byte, error) {
	r := c.Request()
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, s.cfg.MaxBody))
	if err != nil {
		return nil, &routingFault{status: http.StatusRequestEntityTooLarge, title: "Request Entity Too Large"}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body, nil
}

// readBody reads the JSON body of a request; none is an empty slice.
func (s *Server) readBody(c echo.Context) ([]byte, error) {
	body, err := s.receive(c)
	if err != nil || len(body) == 0 {
		return nil, err
	}
	mime, _, _ := strings.Cut(c.Request().Header.Get(echo.HeaderContentType), ";")
	switch strings.ToLower(strings.TrimSpace(mime)) {
	case "application/json", "text/javascript", "application/javascript":
		return body, nil
	default:
		return nil, &Fault{Status: http.StatusUnsupportedMediaType, Text: "Unknown mimetype: " + mime}
	}
}
