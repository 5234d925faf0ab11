package api

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
)

// openAPI is the description of the API, made of the rows that are also its routes.
type openAPI struct {
	Version    string                           `json:"openapi"`
	Info       openAPIInfo                      `json:"info"`
	Servers    []openAPIServer                  `json:"servers"`
	Security   []map[string][]string            `json:"security,omitempty"`
	Paths      map[string]map[string]*operation `json:"paths"` // by method in small letters
	Components components                       `json:"components"`

	paged bool // lists have links
}

type openAPIInfo struct {
	Title       string `json:"title"`
	Description string `json:"description"`
	Version     string `json:"version"`
}

type openAPIServer struct {
	URL string `json:"url"`
}

type components struct {
	Schemas         map[string]*schema        `json:"schemas"`
	Responses       map[string]*response      `json:"responses"`
	Headers         map[string]*header        `json:"headers"`
	SecuritySchemes map[string]securityScheme `json:"securitySchemes,omitempty"`
}

type operation struct {
	ID         string               `json:"operationId"`
	Summary    string               `json:"summary"`
	Tags       []string             `json:"tags"`
	Parameters []*parameter         `json:"parameters,omitempty"`
	Body       *requestBody         `json:"requestBody,omitempty"`
	Responses  map[string]*response `json:"responses"`
}

type parameter struct {
	Name        string  `json:"name"`
	In          string  `json:"in"`
	Description string  `json:"description,omitempty"`
	Required    bool    `json:"required,omitempty"`
	Explode     *bool   `json:"explode,omitempty"` // of a list: false separates with commas
	Schema      *schema `json:"schema"`
}

type requestBody struct {
	Required bool                 `json:"required"`
	Content  map[string]mediaType `json:"content"`
}

type mediaType struct {
	Schema *schema `json:"schema"`
}

type response struct {
	Ref         string               `json:"$ref,omitempty"`
	Description string               `json:"description,omitempty"`
	Headers     map[string]*header   `json:"headers,omitempty"`
	Content     map[string]mediaType `json:"content,omitempty"`
}

type header struct {
	Ref         string  `json:"$ref,omitempty"`
	Description string  `json:"description,omitempty"`
	Schema      *schema `json:"schema,omitempty"`
}

type securityScheme struct {
	Type string `json:"type"`
	In   string `json:"in"`
	Name string `json:"name"`
}

const openAPIText = `The Octavia v2 API as this server serves it.

Every path is also served below /v2, and those below /lbaas without it, too. What this document allows is understood. Some
of what it does not allow is understood as well, because Octavia does: numbers and booleans written as text, UUIDs in any
of their forms, a .json or a slash at the end of a path. An attribute that may be null and is absent keeps its value in a
PUT, and has its default in a POST.`

// tokenScheme names the way of authentication.
const tokenScheme = "token"

// describeAPI makes the description.
func (s *Server) describeAPI(lbaas, octavia []route) *openAPI {
	d := &openAPI{
		Version: "3.1.0",
		Info:    openAPIInfo{"Ottavino", openAPIText, fmt.Sprintf("2.%d", len(versionDates)-1)},
		Paths:   map[string]map[string]*operation{},
		paged:   !s.cfg.DisablePagination,
		Components: components{
			Schemas: map[string]*schema{}, Responses: map[string]*response{},
			Headers: map[string]*header{
				requestIDHeader: {Description: "The id of the request, as logs and events have it.", Schema: plain("string")},
				replayedHeader:  {Description: "true: the answer is that to an earlier request with the same key.", Schema: plain("string")},
				"Retry-After":   {Description: "Seconds after which another try makes sense.", Schema: plain("integer")},
			},
		},
	}
	if s.cfg.AuthStrategy == AuthKeystone {
		d.Security = []map[string][]string{{tokenScheme: {}}}
		d.Components.SecuritySchemes = map[string]securityScheme{tokenScheme: {"apiKey", "header", "X-Auth-Token"}}
	}
	d.describeFaults()
	for _, r := range lbaas {
		d.add("/lbaas", r)
	}
	for _, r := range octavia {
		d.add("/octavia", r)
	}
	return d
}

// describeFaults adds the answers that all calls can have.
func (d *openAPI) describeFaults() {
	fault, routing, denied := d.of(typeOf[faultBody]()), d.of(typeOf[routingBody]()), d.of(typeOf[unauthorizedBody]())
	d.Components.Responses["Fault"] = d.answers("The call was refused or failed.", &schema{AnyOf: []*schema{fault, routing}})
	d.Components.Responses["Conflict"] = d.answers("The state of something does not allow the call.", fault, "Retry-After")
	d.Components.Responses["Unauthorized"] = d.answers("There is no token, or it is not valid.", &schema{
		Type: types{"object"}, Properties: map[string]*schema{"error": denied}, Required: []string{"error"},
	})
}

// answers is an answer with a body; nil is none.
func (d *openAPI) answers(description string, body *schema, headers ...string) *response {
	r := &response{Description: description, Headers: map[string]*header{}}
	for _, name := range append(headers, requestIDHeader) {
		r.Headers[name] = &header{Ref: "#/components/headers/" + name}
	}
	if body != nil {
		r.Content = inJSON(body)
	}
	return r
}

func inJSON(s *schema) map[string]mediaType {
	return map[string]mediaType{echo.MIMEApplicationJSON: {s}}
}

// add describes one call.
func (d *openAPI) add(prefix string, r route) {
	if r.name == "" {
		return
	}
	path, parameters := pathOf(r.path)
	op := &operation{
		ID: strings.ReplaceAll(r.name, " ", "_"), Summary: strings.ToUpper(r.name[:1]) + r.name[1:],
		Tags: []string{collectionOf(r.path)}, Parameters: append(parameters, r.query...), Responses: map[string]*response{},
	}
	if r.body != nil {
		op.Body = &requestBody{true, inJSON(d.body(r.body))}
	}
	op.Responses[strconv.Itoa(r.status)] = d.answers(http.StatusText(r.status), d.answer(r.answer))
	if r.body != nil && r.answer.of != nil {
		d.refine(r.answer.of, r.body.attributes)
	}
	if r.method == http.MethodPost { // as mount has it
		op.Parameters = append(op.Parameters, keyParameter())
		op.Responses[strconv.Itoa(r.status)].Headers[replayedHeader] = &header{Ref: "#/components/headers/" + replayedHeader}
	}
	for _, code := range r.refusals() {
		op.Responses[strconv.Itoa(code)] = &response{Ref: "#/components/responses/" + refusalName(code)}
	}
	if d.Paths[prefix+path] == nil {
		d.Paths[prefix+path] = map[string]*operation{}
	}
	d.Paths[prefix+path][strings.ToLower(r.method)] = op
}

// refusals are the codes of the faults that a call may answer.
func (r *route) refusals() []int {
	codes := []int{
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotAcceptable,
		http.StatusInternalServerError, http.StatusServiceUnavailable,
	}
	if r.body != nil || strings.Contains(r.path, ":") {
		codes = append(codes, http.StatusNotFound, http.StatusNotImplemented)
	}
	if r.body != nil {
		codes = append(codes, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	if r.method == http.MethodPost {
		codes = append(codes, http.StatusUnprocessableEntity)
	}
	if r.method != http.MethodGet {
		codes = append(codes, http.StatusConflict)
	}
	return codes
}

func refusalName(code int) string {
	switch code {
	case http.StatusUnauthorized:
		return "Unauthorized"
	case http.StatusConflict:
		return "Conflict"
	}
	return "Fault"
}

// pathOf writes a path of echo's with braces, and describes its parameters.
func pathOf(path string) (string, []*parameter) {
	parts := strings.Split(path, "/")
	var out []*parameter
	for i, part := range parts {
		if name, ok := strings.CutPrefix(part, ":"); ok {
			parts[i] = "{" + name + "}"
			out = append(out, &parameter{Name: name, In: "path", Required: true, Schema: plain("string")})
		}
	}
	return strings.Join(parts, "/"), out
}

// collectionOf is the collection that a path belongs to: that of the parent's children, if it has a parent.
func collectionOf(path string) string {
	parts := strings.Split(path, "/")
	if i := slices.Index(parts, ":parent"); i > 0 {
		return parts[i+1]
	}
	return parts[1]
}

// body describes what a call is sent, and names the attributes of the object in it.
func (d *openAPI) body(b *body) *schema {
	d.Components.Schemas[b.name] = b.attributes
	inner := &schema{Ref: "#/components/schemas/" + b.name}
	if b.list {
		inner = &schema{Type: types{"array"}, Items: inner}
	}
	return &schema{
		Type: types{"object"}, Properties: map[string]*schema{b.wrapper: inner}, Required: []string{b.wrapper}, Additional: false,
	}
}

// serveOpenAPI answers GET …/openapi.json, with the URL it was asked at as the server's.
func (s *Server) serveOpenAPI(c echo.Context) error {
	if err := callOf(c).only(); err != nil {
		return err
	}
	out := *s.openAPI
	base := strings.TrimSuffix(strings.TrimSuffix(s.requestURL(c), "/"), jsonSuffix)
	out.Servers = []openAPIServer{{strings.TrimSuffix(base, openAPIPath)}}
	return c.JSON(http.StatusOK, &out)
}

// openAPIPath is where the description is, without the ending that every path may have.
const openAPIPath = "/openapi"
