package sandbox_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"

	"github.com/ottavino/ottavino/sandbox"
)

// clients are a user's view of the cloud.
type clients struct {
	t                               *testing.T
	provider                        *gophercloud.ProviderClient
	identity, nova, neutron, glance *gophercloud.ServiceClient
}

func options(st sandbox.Settings, who sandbox.Login) gophercloud.AuthOptions {
	return gophercloud.AuthOptions{
		IdentityEndpoint: st.AuthURL, Username: who.User, Password: who.Password, TenantName: who.Project, DomainName: "Default",
	}
}

// login logs a user in and finds the services in the catalogue.
func login(t *testing.T, s *sandbox.Sandbox, who sandbox.Login) *clients {
	t.Helper()
	st := s.Settings()
	provider, err := openstack.AuthenticatedClient(t.Context(), options(st, who))
	if err != nil {
		t.Fatal(err)
	}
	c := &clients{t: t, provider: provider}
	where := gophercloud.EndpointOpts{Region: st.Region}
	for into, find := range map[**gophercloud.ServiceClient]func(*gophercloud.ProviderClient, gophercloud.EndpointOpts) (*gophercloud.ServiceClient, error){
		&c.identity: openstack.NewIdentityV3, &c.nova: openstack.NewComputeV2, &c.neutron: openstack.NewNetworkV2, &c.glance: openstack.NewImageV2,
	} {
		if *into, err = find(provider, where); err != nil {
			t.Fatal(err)
		}
	}
	c.nova.Microversion = "2.15"
	return c
}

// answer is what a service said to one call.
type answer struct {
	status int
	body   map[string]any
}

// call sends a JSON body ("" = none) and returns the answer, whatever it is.
func (c *clients) call(client *gophercloud.ServiceClient, method, path, body string) answer {
	c.t.Helper()
	opts := &gophercloud.RequestOpts{KeepResponseBody: true, OkCodes: []int{200, 201, 202, 204}}
	if body != "" {
		opts.JSONBody = json.RawMessage(body)
	}
	resp, err := client.Request(c.t.Context(), method, client.ServiceURL(path), opts)
	var out answer
	var text []byte
	if refused, ok := asRefusal(err); ok {
		out.status, text = refused.Actual, refused.Body
	} else if err != nil {
		c.t.Fatal(err)
	} else {
		defer resp.Body.Close()
		out.status = resp.StatusCode
		if resp.StatusCode == http.StatusNoContent || resp.ContentLength == 0 {
			return out
		}
		if err := json.NewDecoder(resp.Body).Decode(&out.body); err != nil {
			c.t.Fatalf("%s %s: %v", method, path, err)
		}
		return out
	}
	if err := json.Unmarshal(text, &out.body); err != nil {
		c.t.Fatalf("%s %s answered %d %s: %v", method, path, out.status, text, err)
	}
	return out
}

func asRefusal(err error) (gophercloud.ErrUnexpectedResponseCode, bool) {
	refused, ok := err.(gophercloud.ErrUnexpectedResponseCode) //nolint:errorlint // gophercloud does not wrap it
	return refused, ok
}

// make posts a body, fails the test unless it was accepted, and returns what is in the envelope.
func (c *clients) make(client *gophercloud.ServiceClient, path, body string) map[string]any {
	c.t.Helper()
	a := c.call(client, http.MethodPost, path, body)
	if a.status >= 300 {
		c.t.Fatalf("POST %s %s: got %d %v", path, body, a.status, a.body)
	}
	for _, v := range a.body {
		if doc, ok := v.(map[string]any); ok {
			return doc
		}
	}
	return a.body
}

func id(doc map[string]any) string { return doc["id"].(string) }

// fault is the kind of error: Neutron's exception, or the key Nova wraps its message in.
func (a answer) fault() (kind, message string) {
	for key, v := range a.body {
		doc, ok := v.(map[string]any)
		if !ok {
			continue
		}
		kind, message = key, doc["message"].(string)
		if key == "NeutronError" {
			kind = doc["type"].(string)
		}
	}
	return kind, message
}

// refusal is a call that has to be refused.
type refusal struct {
	name, method, path, body string
	status                   int
	kind, message            string // message: a part of it
}

func (c *clients) assertRefused(client *gophercloud.ServiceClient, cases []refusal) {
	c.t.Helper()
	for _, r := range cases {
		a := c.call(client, r.method, r.path, r.body)
		kind, message := a.fault()
		if a.status != r.status || kind != r.kind || !strings.Contains(message, r.message) {
			c.t.Errorf("%s: got %d %s %q, want %d %s with %q", r.name, a.status, kind, message, r.status, r.kind, r.message)
		}
	}
}
