// Package cloudtest starts the sandbox's Keystone and Neutron for tests of what calls them.
package cloudtest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/sandbox/keystone"
	"github.com/ottavino/ottavino/sandbox/neutron"
	"github.com/ottavino/ottavino/sandbox/rest"
)

// password of everybody.
const password = "s3cret-of-all"

// Cloud is Keystone and Neutron behind HTTP, and a session of the user octavia, who is admin
// of the project service.
type Cloud struct {
	Hub      *rest.Hub // calls and faults
	Keystone *keystone.Keystone
	Neutron  *neutron.Neutron
	Session  *cloud.Session
	Project  string // id of the project service
}

// New starts a cloud; it ends with the test.
func New(t *testing.T, cfg keystone.Config) *Cloud {
	t.Helper()
	c := &Cloud{Hub: rest.NewHub(0)}
	var err error
	if c.Keystone, err = keystone.New(c.Hub, cfg); err != nil {
		t.Fatal(err)
	}
	c.Keystone.URL = serve(t, c.Keystone)
	c.Neutron = neutron.New(c.Hub, c.Keystone)
	c.Neutron.URL = serve(t, c.Neutron)
	c.Keystone.AddService("network", "neutron", c.Neutron.URL)
	c.Project = c.Keystone.AddProject("service").ID
	c.Keystone.AddUser("octavia", password, c.Project, "admin")
	c.Session = c.NewSession(t, c.Auth())
	t.Cleanup(c.Hub.Close) // first of all: lets hanging calls go
	return c
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// Auth is how the user octavia logs in.
func (c *Cloud) Auth() cloud.Auth {
	return cloud.Auth{
		URL: c.Keystone.URL, Username: "octavia", Password: password, UserDomain: keystone.DomainID,
		ProjectName: "service", ProjectDomain: keystone.DomainID, Timeout: 5 * time.Second,
	}
}

// NewSession makes a session whose connections end with the test.
func (c *Cloud) NewSession(t *testing.T, auth cloud.Auth) *cloud.Session {
	t.Helper()
	s, err := cloud.NewSession(auth)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// User makes a project of a user with roles and returns its id and a token in it.
func (c *Cloud) User(t *testing.T, name string, roles ...string) (projectID, token string) {
	t.Helper()
	projectID = c.Keystone.AddProject(name + "-project").ID
	c.Keystone.AddUser(name, password, projectID, roles...)
	login := fmt.Sprintf(`{"auth": {"identity": {"methods": ["password"], "password": {"user": {
		"name": %q, "domain": {"id": %q}, "password": %q}}}, "scope": {"project": {"id": %q}}}}`,
		name, keystone.DomainID, password, projectID)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.Keystone.URL+"/v3/auth/tokens", strings.NewReader(login))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if token = resp.Header.Get("X-Subject-Token"); token == "" {
		t.Fatalf("login of %s: got %s", name, resp.Status)
	}
	return projectID, token
}

// Count tells how many calls arrived whose method and path (with query) begin so: "POST /v3/auth/tokens".
func (c *Cloud) Count(t *testing.T, prefix string) int {
	t.Helper()
	n := 0
	for _, call := range c.Hub.Calls() {
		path, err := url.PathUnescape(call.Path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(call.Method+" "+path, prefix) {
			n++
		}
	}
	return n
}
