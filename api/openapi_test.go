package api_test

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/labstack/echo/v4"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/db"
)

const version = "/v2.0"

// openAPI reads the API's description.
func (f *fixture) openAPI() *openapi3.T {
	f.t.Helper()
	a := f.do("GET", version+"/openapi.json", "")
	if a.status != http.StatusOK {
		f.t.Fatalf("openapi.json: got %d %s, want 200", a.status, a.body)
	}
	doc, err := openapi3.NewLoader().LoadFromData(a.body)
	if err != nil {
		f.t.Fatal(err)
	}
	return doc
}

// TestOpenAPIIsValid: the document is one, whatever is switched off.
func TestOpenAPIIsValid(t *testing.T) {
	t.Parallel()
	for name, tweak := range map[string]func(*api.Config, *api.Deps){
		"all": func(*api.Config, *api.Deps) {},
		"little": func(c *api.Config, _ *api.Deps) {
			c.DisablePagination, c.DisableSorting, c.DisableFiltering, c.DisableFieldSelection = true, true, true, true
		},
		"keystone": func(c *api.Config, d *api.Deps) {
			c.AuthStrategy, d.Auth = api.AuthKeystone, tokens{"good": {ProjectID: project, Roles: []string{"reader"}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, tweak)
			f.headers.Set("X-Auth-Token", "good")
			doc := f.openAPI()
			if err := doc.Validate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := len(doc.Security) > 0; got != (name == "keystone") {
				t.Errorf("the document wants a token: got %v, want %v", got, !got)
			}
			list := doc.Paths.Value("/lbaas/pools").Get
			for _, p := range []string{"limit", "sort", "name", "tags-any", "fields"} {
				if got := list.Parameters.GetByInAndName("query", p) != nil; got != (name != "little") {
					t.Errorf("lists have %s: got %v, want %v", p, got, !got)
				}
			}
		})
	}
}

// TestOpenAPIServer: the document names the URL that it was asked for by, and needs a token as all but / does.
func TestOpenAPIServer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for path, want := range map[string]string{
		"/v2/openapi.json":                 "http://lb.example/v2",
		"/v2.0/openapi":                    "http://lb.example/v2.0",
		"/load-balancer/v2.0/openapi.json": "http://lb.example/load-balancer/v2.0",
	} {
		expect(t, f.must(200, "GET", path, ""), "servers", show([]any{map[string]any{"url": want}}), "openapi", `"3.1.0"`)
	}
	f.refuse(wrong{"query", "GET", "/v2/openapi.json?x=1", "", 400, `Unknown argument: "x"`})
	k := newFixture(t, func(c *api.Config, d *api.Deps) { c.AuthStrategy, d.Auth = api.AuthKeystone, tokens{} })
	k.must(401, "GET", "/v2.0/openapi.json", "")
}

// TestOpenAPIIsComplete: what is routed is described, and what is described is routed, under all of its paths.
func TestOpenAPIIsComplete(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *api.Config, _ *api.Deps) { c.HealthcheckEnabled = true })
	described := map[string]bool{}
	for path, item := range f.openAPI().Paths.Map() {
		for method := range item.Operations() {
			described[method+" "+path] = true
		}
	}
	other := regexp.MustCompile(`^/(healthcheck|v2(\.0)?(/lbaas|/octavia|/openapi)?)?$`)
	parameter := regexp.MustCompile(`:(\w+)`)
	routed := map[string]int{}
	for _, r := range f.handler.(*echo.Echo).Routes() {
		if other.MatchString(r.Path) {
			continue
		}
		path := parameter.ReplaceAllString(r.Path, "{$1}")
		path = strings.TrimPrefix(strings.TrimPrefix(path, "/v2.0"), "/v2")
		if !strings.HasPrefix(path, "/octavia/") {
			path = "/lbaas" + strings.TrimPrefix(path, "/lbaas")
		}
		if !described[r.Method+" "+path] {
			// What has no description has no meaning but to say what it lacks.
			a := f.do(r.Method, r.Path, "")
			text := faultText(a)
			if a.status != 405 && (a.status != 400 || !strings.HasPrefix(text, "Missing argument: ")) {
				t.Errorf("%s %s is not described and answers %d %s", r.Method, r.Path, a.status, text)
			}
			continue
		}
		routed[r.Method+" "+path]++
	}
	for call := range described {
		want := 4 // two versions, with and without lbaas
		if strings.Contains(call, "/octavia/") {
			want = 2
		}
		if routed[call] != want {
			t.Errorf("%s is described and has %d routes, want %d", call, routed[call], want)
		}
	}
}

// TestOpenAPIKnowsKeys: every POST can be sent again, with a key of the length that the document says.
func TestOpenAPIKnowsKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for path, item := range f.openAPI().Paths.Map() {
		if item.Post == nil {
			continue
		}
		key := item.Post.Parameters.GetByInAndName("header", "Idempotency-Key")
		if key == nil || item.Post.Responses.Value("422") == nil || item.Post.Responses.Value("201").Value.Headers["Idempotent-Replayed"] == nil {
			t.Errorf("POST %s: the document knows no key", path)
			continue
		}
		longest := strings.Repeat("k", int(*key.Schema.Value.MaxLength))
		if a := f.with(key.Name, longest+"k").do("POST", version+path, "{}"); !strings.HasPrefix(faultText(a), "Invalid Idempotency-Key") {
			t.Errorf("POST %s with a long key: got %d %s", path, a.status, a.body)
		}
		if a := f.with(key.Name, longest).do("POST", version+path, "{}"); strings.Contains(faultText(a), key.Name) {
			t.Errorf("POST %s with the longest key: got %d %s", path, a.status, a.body)
		}
	}
}

// example is a request of testdata/examples.txt.
type example struct {
	line               int
	method, path, body string
	status             int
	invalid            bool // the document refuses it
	keep               map[string]string
}

// formats are what the validator does not know by itself.
var formats = []openapi3.SchemaValidationOption{
	openapi3.WithStringFormatValidator("uuid", openapi3.NewRegexpFormatValidator(openapi3.FormatOfStringForUUIDOfRFC4122)),
	openapi3.WithStringFormatValidator("ipv4", openapi3.NewIPValidator(true)),
	openapi3.WithStringFormatValidator("ipv6", openapi3.NewIPValidator(false)),
}

// player plays examples.
type player struct {
	*fixture
	who    *fixture
	doc    *openapi3.T
	router routers.Router
	vars   map[string]string
	played map[string]bool // operations that have succeeded
}

// TestOpenAPIExamples plays the examples. Each request and each answer is as the document says. What the document
// refuses, the server refuses: the examples that say so, and each good body made bad in all the ways the document
// knows.
func TestOpenAPIExamples(t *testing.T) {
	t.Parallel()
	f := newFixture(t, bothProviders)
	p := newPlayer(t, f)
	text, err := os.ReadFile("testdata/examples.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i := 0; i < len(lines); i++ {
		words := strings.Fields(lines[i])
		switch {
		case len(words) == 0 || words[0] == "#" || lines[i][0] == '#':
		case words[0] == "as":
			p.as(words[1])
		case words[0] == "settle":
			f.settle(p.expand(words[1]))
		default:
			e := p.parse(i+1, words)
			for i+1 < len(lines) && lines[i+1] != "" {
				i++
				e.body += p.expand(lines[i])
			}
			p.play(e)
		}
	}
	for path, item := range p.doc.Paths.Map() {
		for method, op := range item.Operations() {
			if !p.played[op.OperationID] {
				t.Errorf("no example of %s %s succeeds", method, path)
			}
		}
	}
}

func newPlayer(t *testing.T, f *fixture) *player {
	t.Helper()
	const amphora, stray = "10000000-0000-4000-8000-000000000001", "10000000-0000-4000-8000-000000000002"
	served := f.loadBalancer()
	f.plant(
		&db.Amphora{ID: amphora, Status: db.Allocated, LoadBalancerID: &served},
		&db.Amphora{ID: stray, Status: db.Error},
		&db.ListenerStatistics{ListenerID: absent, AmphoraID: amphora, BytesIn: 1},
	)
	p := &player{
		fixture: f, who: f, doc: f.openAPI(), played: map[string]bool{}, vars: map[string]string{
			"project": project, "subnet": subnet, "network": network, "qos": policy1, "group": group1, "absent": absent,
			"served": served, "amphora": amphora, "stray": stray, "$": "$",
		},
	}
	closeAnswers(p.doc)
	var err error
	if p.router, err = legacy.NewRouter(p.doc); err != nil {
		t.Fatal(err)
	}
	return p
}

// closeAnswers makes attributes that the document does not name an error in answers, too. The document leaves this
// open, so that clients bear new ones.
func closeAnswers(doc *openapi3.T) {
	no := false
	for _, s := range doc.Components.Schemas {
		if s.Value.AdditionalProperties.Has == nil && s.Value.AdditionalProperties.Schema == nil {
			s.Value.AdditionalProperties.Has = &no
		}
	}
}

func (p *player) as(role string) {
	p.t.Helper()
	switch role {
	case "admin":
		p.who = p.admin()
	case "member":
		p.who = p.fixture
	case "stranger":
		p.who = p.fixture.as("member,reader", foreign)
	default:
		p.t.Fatalf("unknown role %s", role)
	}
}

func (p *player) expand(text string) string {
	return os.Expand(text, func(name string) string {
		v, ok := p.vars[name]
		if !ok {
			p.t.Fatalf("unknown variable $%s in %s", name, text)
		}
		return v
	})
}

func (p *player) parse(line int, words []string) example {
	p.t.Helper()
	e := example{line: line, method: words[0], path: p.expand(words[1]), keep: map[string]string{}}
	text, invalid := strings.CutSuffix(words[2], "!")
	e.invalid = invalid
	var err error
	if e.status, err = strconv.Atoi(text); err != nil {
		p.t.Fatalf("line %d: %v", line, err)
	}
	for _, word := range words[3:] {
		name, path, _ := strings.Cut(word, "=")
		e.keep[name] = path
	}
	return e
}

// play sends a request and compares it and its answer with the document.
func (p *player) play(e example) {
	p.t.Helper()
	input := p.request(e)
	err := openapi3filter.ValidateRequest(p.t.Context(), input)
	if e.invalid != (err != nil) {
		p.t.Errorf("line %d: %s %s: the document says of the request: %v", e.line, e.method, e.path, err)
	}
	if e.status < 400 {
		p.spoil(e, input.Route.Operation)
	}
	a := p.who.do(e.method, version+e.path, e.body)
	if a.status != e.status {
		p.t.Fatalf("line %d: %s %s: got %d %s, want %d", e.line, e.method, e.path, a.status, a.body, e.status)
	}
	err = openapi3filter.ValidateResponse(p.t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)),
		Options: input.Options,
	})
	if err != nil {
		p.t.Errorf("line %d: %s %s: the document says of the answer: %v", e.line, e.method, e.path, err)
	}
	if a.status < 300 {
		p.ask(e, input.Route.Operation)
		p.played[input.Route.Operation.OperationID] = true
		p.checkDefaults(e, input.Route.Operation, a)
	}
	for name, path := range e.keep {
		p.vars[name], _ = a.json(p.t).at(path).(string)
	}
}

// request is an example as the validator takes it.
func (p *player) request(e example) *openapi3filter.RequestValidationInput {
	p.t.Helper()
	r := httptest.NewRequestWithContext(p.t.Context(), e.method, "http://lb.example"+version+e.path, strings.NewReader(e.body))
	if e.body == "" {
		r.Body = http.NoBody
	}
	r.Header.Set("Content-Type", "application/json")
	route, params, err := p.router.FindRoute(r)
	if err != nil {
		p.t.Fatalf("line %d: %s %s: %v", e.line, e.method, e.path, err)
	}
	return &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route, Options: &openapi3filter.Options{
			IncludeResponseStatus: true, SkipSettingDefaults: true, RejectWhenRequestBodyNotSpecified: true,
			SchemaValidationOptions: formats,
		},
	}
}

// ask sends a GET with each query parameter of the document, which must be understood, and with one that lists do not
// have.
func (p *player) ask(e example, op *openapi3.Operation) {
	p.t.Helper()
	if e.method != "GET" || p.played[op.OperationID] {
		return
	}
	path, _, _ := strings.Cut(version+e.path, "?")
	for _, parameter := range op.Parameters {
		name, value := parameter.Value.Name, "1"
		switch s := parameter.Value.Schema.Value; {
		case parameter.Value.In != "query" || name == "marker":
			continue
		case name == "project_id":
			value = project
		case s.Enum != nil:
			value = s.Enum[0].(string)
		case s.Items != nil && s.Items.Value.Enum != nil:
			value = s.Items.Value.Enum[0].(string)
		case name == "sort":
			keys := op.Parameters.GetByInAndName("query", "sort_key").Schema.Value.Items.Value.Enum
			value = keys[len(keys)-1].(string) + ":desc"
		}
		if a := p.who.do("GET", path+"?"+name+"="+value, ""); a.status != http.StatusOK {
			p.t.Errorf("%s?%s=%s: got %d %s, want 200", path, name, value, a.status, a.body)
		}
	}
	if op.Parameters.GetByInAndName("query", "sort") == nil {
		return
	}
	if a := p.who.do("GET", path+"?nonsense=1", ""); a.status != http.StatusBadRequest {
		p.t.Errorf("%s?nonsense=1: got %d %s, want 400", path, a.status, a.body)
	}
}

// requestOf is the schema of the object in a request body, and its wrapper key.
func requestOf(op *openapi3.Operation) (wrapper string, object *openapi3.Schema) {
	if op.RequestBody == nil {
		return "", nil
	}
	for wrapper, inner := range op.RequestBody.Value.Content["application/json"].Schema.Value.Properties {
		object = inner.Value
		if object.Items != nil {
			object = object.Items.Value
		}
		return wrapper, object
	}
	return "", nil
}

// checkDefaults compares what an object got for what its request left out with the document.
func (p *player) checkDefaults(e example, op *openapi3.Operation, a answer) {
	p.t.Helper()
	wrapper, object := requestOf(op)
	if object == nil || a.status != http.StatusCreated {
		return
	}
	sent := answer{body: []byte(e.body)}.json(p.t)
	got := a.json(p.t)
	for name, s := range object.Properties {
		path := wrapper + "." + name
		if s.Value.Default == nil || sent.at(path) != "absent" || got.at(path) == "absent" {
			continue
		}
		if show(got.at(path)) != show(s.Value.Default) {
			p.t.Errorf("line %d: default of %s: got %s, want %s", e.line, path, show(got.at(path)), show(s.Value.Default))
		}
	}
}

// spoil sends the request of an example with one thing after the other made wrong.
func (p *player) spoil(e example, op *openapi3.Operation) {
	p.t.Helper()
	if e.method != "GET" {
		mark := "?"
		if strings.Contains(e.path, "?") {
			mark = "&"
		}
		a := p.who.do(e.method, version+e.path+mark+"nonsense=1", e.body)
		if got := faultText(a); a.status != 400 || got != `Unknown argument: "nonsense"` {
			p.t.Errorf("line %d: unknown argument: got %d %s", e.line, a.status, got)
		}
	}
	if op.RequestBody == nil || p.played[op.OperationID] {
		return
	}
	for _, m := range mutants(op, answer{body: []byte(e.body)}.json(p.t)) {
		if err := m.schema.VisitJSON(m.value, append(formats, openapi3.EnableJSONSchema2020())...); err == nil {
			p.t.Errorf("line %d: %s: the document allows %s", e.line, m.what, show(m.value))
		}
		a := p.who.do(e.method, version+e.path, show(m.body))
		if ok := a.status == 400 || (a.status == 404 && strings.HasPrefix(m.what, "null")); !ok {
			p.t.Errorf("line %d: %s %s: %s: got %d %s, want 400", e.line, e.method, e.path, m.what, a.status, a.body)
		}
	}
}

// mutant is a body with one thing wrong.
type mutant struct {
	what   string
	body   any
	schema *openapi3.Schema // that does not allow the value in the body
	value  any
}

// mutants make one thing after the other wrong in a good body.
func mutants(op *openapi3.Operation, good object) []mutant {
	whole := op.RequestBody.Value.Content["application/json"].Schema.Value
	wrapper, s := requestOf(op)
	var out []mutant
	for what, body := range map[string]any{"no wrapper": map[string]any{}, "other wrapper": map[string]any{"nonsense": good[wrapper]}} {
		out = append(out, mutant{what, body, whole, body})
	}
	inner, _ := good[wrapper].(map[string]any)
	wrap := func(inner map[string]any) any { return object{wrapper: inner} }
	if list, ok := good[wrapper].([]any); ok { // a batch: its first element
		inner, _ = list[0].(map[string]any)
		wrap = func(inner map[string]any) any { return object{wrapper: append([]any{inner}, list[1:]...)} }
	}
	bad := maps.Clone(inner)
	bad["nonsense"] = "x"
	out = append(out, mutant{"unknown attribute", wrap(bad), s, bad})
	for _, name := range s.Required {
		bad := maps.Clone(inner)
		delete(bad, name)
		out = append(out, mutant{"without " + name, wrap(bad), s, bad})
	}
	for name, property := range s.Properties {
		for what, value := range badValues(property.Value) {
			bad := maps.Clone(inner)
			bad[name] = value
			out = append(out, mutant{what + ": " + name, wrap(bad), property.Value, value})
		}
	}
	return out
}

// badValues are values that a schema does not allow.
func badValues(s *openapi3.Schema) map[string]any {
	out := map[string]any{}
	if !s.Type.Includes("null") {
		out["null"] = nil
	}
	switch {
	case s.Type.Includes("string"):
		out["object for text"] = map[string]any{}
		badText(s, out)
	case s.Type.Includes("integer"):
		out["list for a number"] = []any{}
		if s.Min != nil {
			out["below the minimum"] = *s.Min - 1
		}
		if s.Max != nil {
			out["above the maximum"] = *s.Max + 1
		}
		if s.Enum != nil {
			out["other number"] = 999.0
		}
	case s.Type.Includes("number"):
		out["text for a number"] = "nonsense"
	case s.Type.Includes("boolean"):
		out["text for a boolean"] = "perhaps"
	case s.Type.Includes("array"):
		out["text for a list"] = "nonsense"
		for what, value := range badValues(s.Items.Value) {
			out["in a list: "+what] = []any{value}
		}
	case s.Type.Includes("object"):
		out["text for an object"] = "nonsense"
		out["wrong value"] = map[string]any{"nonsense": true}
	}
	return out
}

func badText(s *openapi3.Schema, out map[string]any) {
	if s.MaxLength != nil {
		out["too long"] = "https://" + strings.Repeat("x", int(*s.MaxLength))
	}
	if s.MinLength > 0 {
		out["too short"] = ""
	}
	if s.Enum != nil || s.Format != "" || s.AnyOf != nil {
		out["other text"] = "nonsense"
	}
	if s.Pattern != "" {
		i := slices.IndexFunc([]string{"nonsense", "a\nb", " "}, func(text string) bool {
			return !regexp.MustCompile(s.Pattern).MatchString(text)
		})
		out["text of another pattern"] = []string{"nonsense", "a\nb", " "}[i]
	}
}
