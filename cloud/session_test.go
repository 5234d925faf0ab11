package cloud_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/internal/cloudtest"
	"github.com/ottavino/ottavino/sandbox/keystone"
	"github.com/ottavino/ottavino/sandbox/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const login = "POST /v3/auth/tokens"

func neutron(s *cloud.Session) cloud.Service {
	return cloud.Service{Session: s, Endpoint: cloud.Endpoint{Type: "network"}}
}

func listNetworks(ctx context.Context, s cloud.Service) error {
	_, err := cloud.List[struct{ ID string }](ctx, s, cloud.Call{Op: "list networks", Path: "networks"}, "networks")
	return err
}

func classOf(t *testing.T, err error) cloud.Class {
	t.Helper()
	var e *cloud.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v (%T), want a *cloud.Error", err, err)
	}
	return e.Class
}

func TestOneLoginForAll(t *testing.T) {
	c := cloudtest.New(t, keystone.Config{})
	if n := c.Count(t, login); n != 0 {
		t.Fatalf("got %d logins before the first call, want 0", n)
	}
	c.Hub.Inject(rest.Fault{Service: "identity", Delay: 50 * time.Millisecond})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := listNetworks(t.Context(), neutron(c.Session)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := c.Count(t, login); n != 1 {
		t.Errorf("got %d logins, want 1", n)
	}
}

func TestRefusedTokenIsRenewedOnce(t *testing.T) {
	for _, tc := range []struct {
		name          string
		refusals      int // 0 = for ever
		logins, calls int
		want          cloud.Class
	}{
		{name: "once", refusals: 1, logins: 2, calls: 2, want: -1},
		{name: "always", logins: 2, calls: 2, want: cloud.Unauthorized},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := cloudtest.New(t, keystone.Config{})
			c.Hub.Inject(rest.Fault{Service: "network", Method: "POST", Status: 401, Times: tc.refusals})
			var out struct{ Network struct{ Name string } }
			err := neutron(c.Session).Do(t.Context(), cloud.Call{
				Op: "create network", Method: http.MethodPost, Path: "networks",
				In: map[string]any{"network": map[string]string{"name": "n1"}}, Out: &out,
			})
			if tc.want < 0 && (err != nil || out.Network.Name != "n1") { // the body was sent again
				t.Errorf("got %v, network %q", err, out.Network.Name)
			}
			if tc.want >= 0 && classOf(t, err) != tc.want {
				t.Errorf("got %v, want class %v", err, tc.want)
			}
			if n := c.Count(t, login); n != tc.logins {
				t.Errorf("got %d logins, want %d", n, tc.logins)
			}
			if n := c.Count(t, "POST /v2.0/networks"); n != tc.calls {
				t.Errorf("got %d calls, want %d", n, tc.calls)
			}
		})
	}
}

func TestKeystoneComesBack(t *testing.T) {
	c := cloudtest.New(t, keystone.Config{})
	mend := c.Hub.Inject(rest.Fault{Service: "identity", Status: 503})
	if err := listNetworks(t.Context(), neutron(c.Session)); classOf(t, err) != cloud.Unavailable {
		t.Errorf("with Keystone down: got %v, want class unavailable", err)
	}
	mend()
	if err := listNetworks(t.Context(), neutron(c.Session)); err != nil {
		t.Errorf("with Keystone up: %v", err)
	}
}

func TestWrongPassword(t *testing.T) {
	c := cloudtest.New(t, keystone.Config{})
	auth := c.Auth()
	auth.Password = "not-the-secret"
	err := listNetworks(t.Context(), neutron(c.NewSession(t, auth)))
	if classOf(t, err) != cloud.Unauthorized {
		t.Errorf("got %v, want class unauthorized", err)
	}
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v %#v %s", auth, auth, c.Session)} {
		if strings.Contains(text, "not-the-secret") || strings.Contains(text, "s3cret") {
			t.Errorf("the password is in %q", text)
		}
	}
}

func TestGivingUpLeavesTheLogin(t *testing.T) {
	c := cloudtest.New(t, keystone.Config{})
	remove := c.Hub.Inject(rest.Fault{Service: "identity", Hang: true, Times: 1})
	defer remove()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := listNetworks(ctx, neutron(c.Session))
	if classOf(t, err) != cloud.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want an unavailable DeadlineExceeded", err)
	}
}

func TestUsersToken(t *testing.T) {
	c := cloudtest.New(t, keystone.Config{})
	_, token := c.User(t, "alice", "member")
	logins := c.Count(t, login)
	service := neutron(c.Session)
	service.Token = token
	if err := listNetworks(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	service.Token = "stale"
	if err := listNetworks(t.Context(), service); classOf(t, err) != cloud.Unauthorized {
		t.Errorf("got %v, want class unauthorized", err)
	}
	if n := c.Count(t, login) - logins; n != 1 { // for the catalogue
		t.Errorf("got %d logins, want 1: another's token cannot be renewed", n)
	}
	if n := c.Count(t, "GET /v2.0/networks"); n != 2 {
		t.Errorf("got %d calls, want 2", n)
	}
}

func TestEndpoints(t *testing.T) {
	c := cloudtest.New(t, keystone.Config{})
	for _, tc := range []struct {
		name string
		e    cloud.Endpoint
		want string // below Neutron's URL; "" = class unavailable
	}{
		{"catalogue", cloud.Endpoint{Type: "network"}, "/v2.0/"},
		{"all given", cloud.Endpoint{Type: "network", Name: "neutron", Region: keystone.Region1, Interface: "internalURL"}, "/v2.0/"},
		{"override", cloud.Endpoint{Type: "network", Override: c.Neutron.URL + "/net/"}, "/net/v2.0/"},
		{"override with version", cloud.Endpoint{Type: "network", Override: c.Neutron.URL + "/v2.0"}, "/v2.0/"},
		{"compute with project", cloud.Endpoint{Type: "compute", Override: c.Neutron.URL + "/v2.1/abc"}, "/v2.1/abc/"},
		{"image", cloud.Endpoint{Type: "image", Override: c.Neutron.URL}, "/v2/"},
		{"other region", cloud.Endpoint{Type: "network", Region: "r2"}, ""},
		{"other name", cloud.Endpoint{Type: "network", Name: "x"}, ""},
		{"other type", cloud.Endpoint{Type: "volume"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			client, err := c.Session.Client(t.Context(), tc.e)
			if tc.want == "" {
				if classOf(t, err) != cloud.Unavailable {
					t.Errorf("got %v, want class unavailable", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := c.Neutron.URL + tc.want; client.Endpoint != want {
				t.Errorf("got %s, want %s", client.Endpoint, want)
			}
		})
	}
	client, err := c.Session.Client(t.Context(), cloud.Endpoint{Type: "identity"}) // not in the catalogue
	if err != nil || client.Endpoint != c.Keystone.URL+"/v3/" {
		t.Errorf("identity: got %v, %v", client, err)
	}
}

func TestSessionNeedsCredentials(t *testing.T) {
	full := cloud.Auth{
		URL: "http://k/v3", Username: "u", Password: "p", UserDomain: "default", ProjectName: "service", ProjectDomain: "default",
	}
	with := func(change func(*cloud.Auth)) cloud.Auth {
		a := full
		change(&a)
		return a
	}
	for _, tc := range []struct {
		name string
		auth cloud.Auth
		want string // "" = complete
	}{
		{"full", full, ""},
		{"by id", cloud.Auth{URL: "u", UserID: "1", Password: "p", ProjectID: "2"}, ""},
		{"domain names", with(func(a *cloud.Auth) {
			a.UserDomain, a.UserDomainName, a.ProjectDomain, a.ProjectDomainName = "", "D", "", "D"
		}), ""},
		{"system", with(func(a *cloud.Auth) { a.ProjectName, a.SystemScope = "", "all" }), ""},
		{"application credential", cloud.Auth{
			URL: "u", Type: "v3applicationcredential", ApplicationCredentialID: "i", ApplicationCredentialSecret: "s",
		}, ""},
		{"no url", with(func(a *cloud.Auth) { a.URL = "" }), "auth_url"},
		{"no user", with(func(a *cloud.Auth) { a.Username = "" }), "username"},
		{"no password", with(func(a *cloud.Auth) { a.Password = "" }), "password"},
		{"no user domain", with(func(a *cloud.Auth) { a.UserDomain = "" }), "user_domain_name"},
		{"no project", with(func(a *cloud.Auth) { a.ProjectName = "" }), "project_name"},
		{"no project domain", with(func(a *cloud.Auth) { a.ProjectDomain = "" }), "project_domain_name"},
		{"type", with(func(a *cloud.Auth) { a.Type = "v3oidc" }), "v3oidc"},
		{"credential id", cloud.Auth{URL: "u", Type: "v3applicationcredential"}, "application_credential_id"},
		{"credential secret", cloud.Auth{URL: "u", Type: "v3applicationcredential", ApplicationCredentialID: "i"}, "application_credential_secret"},
		{"CA", with(func(a *cloud.Auth) { a.CAFile = "/nowhere" }), "/nowhere"},
		{"client certificate", with(func(a *cloud.Auth) { a.CertFile = "/nocert" }), "/nocert"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := cloud.NewSession(tc.auth)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestApplicationCredentialAndSystemScope(t *testing.T) {
	bodies := make(chan string, 1)
	k := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		_, _ = b.ReadFrom(r.Body)
		bodies <- b.String()
		w.Header().Set("X-Subject-Token", "t")
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprint(w, `{"token": {"expires_at": "2100-01-01T00:00:00.000000Z"}}`)
	}))
	defer k.Close()
	for name, tc := range map[string]struct {
		auth cloud.Auth
		want string
	}{
		"credential": {
			cloud.Auth{URL: k.URL, Type: "v3applicationcredential", ApplicationCredentialID: "i", ApplicationCredentialSecret: "s"},
			`{"auth":{"identity":{"application_credential":{"id":"i","secret":"s"},"methods":["application_credential"]}}}`,
		},
		"system": {
			cloud.Auth{URL: k.URL + "/v2.0/", UserID: "u", Password: "p", SystemScope: "all"},
			`{"auth":{"identity":{"methods":["password"],"password":{"user":{"id":"u","password":"p"}}},"scope":{"system":{"all":true}}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := cloud.NewSession(tc.auth)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := s.ProjectID(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := <-bodies; got != tc.want {
				t.Errorf("got %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestListFollowsPagesOnItsOwnHost(t *testing.T) {
	c := cloudtest.New(t, keystone.Config{})
	var asked []url.Values
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query())
		if r.URL.Query().Get("marker") == "" {
			_, _ = fmt.Fprint(w, `{"networks": [{"id": "1"}], "networks_links": [{"rel": "next", "href": "http://evil.example/?marker=1"}]}`)
			return
		}
		_, _ = fmt.Fprint(w, `{"networks": [{"id": "2"}], "networks_links": [{"rel": "previous", "href": "http://x/"}]}`)
	}))
	defer s.Close()
	service := cloud.Service{Session: c.Session, Endpoint: cloud.Endpoint{Type: "network", Override: s.URL}}
	got, err := cloud.List[struct{ ID string }](t.Context(), service, cloud.Call{Op: "list", Path: "networks"}, "networks")
	if err != nil || len(got) != 2 || got[1].ID != "2" {
		t.Errorf("got %v, %v, want two networks", got, err)
	}
	if len(asked) != 2 {
		t.Errorf("got %d calls, want 2", len(asked))
	}
}
