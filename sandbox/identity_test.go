package sandbox_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"

	"github.com/ottavino/ottavino/sandbox"
)

func TestWrongLoginsAreRefused(t *testing.T) {
	s := start(t, sandbox.Config{})
	st := s.Settings()
	for name, change := range map[string]func(*gophercloud.AuthOptions){
		"password": func(o *gophercloud.AuthOptions) { o.Password = "wrong" },
		"user":     func(o *gophercloud.AuthOptions) { o.Username = "nobody" },
		"project":  func(o *gophercloud.AuthOptions) { o.TenantName = st.Other.Project },
		"domain":   func(o *gophercloud.AuthOptions) { o.DomainName = "elsewhere" },
	} {
		o := options(st, st.Tenant)
		change(&o)
		if _, err := openstack.AuthenticatedClient(t.Context(), o); !gophercloud.ResponseCodeIs(err, http.StatusUnauthorized) {
			t.Errorf("wrong %s: got %v, want 401", name, err)
		}
	}
}

// TestApplicationCredentials logs in with one, which gives its user's project and nothing after it was deleted.
func TestApplicationCredentials(t *testing.T) {
	s := start(t, sandbox.Config{})
	st := s.Settings()
	c := login(t, s, st.Tenant)
	users := c.call(c.identity, http.MethodGet, "users", "").body["users"].([]any)
	if len(users) != 1 {
		t.Fatalf("got users %v, want a tenant to see only themselves", users)
	}
	path := "users/" + id(users[0].(map[string]any)) + "/application_credentials"
	made := c.make(c.identity, path, `{"application_credential": {"name": "app"}}`)
	o := gophercloud.AuthOptions{
		IdentityEndpoint: st.AuthURL, ApplicationCredentialID: id(made), ApplicationCredentialSecret: made["secret"].(string),
	}
	provider, err := openstack.AuthenticatedClient(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	neutron, err := openstack.NewNetworkV2(provider, gophercloud.EndpointOpts{Region: st.Region})
	if err != nil {
		t.Fatal(err)
	}
	app := &clients{t: t}
	port := app.make(neutron, "ports", fmt.Sprintf(`{"port": {"network_id": %q}}`, st.NetworkID))
	if port["project_id"] != st.Tenant.ProjectID {
		t.Errorf("got %v, want a port of the tenant's project", port)
	}
	if shown := c.call(c.identity, http.MethodGet, path+"/"+id(made), "").body["application_credential"].(map[string]any); shown["secret"] != nil {
		t.Error("the secret is shown a second time")
	}
	c.call(c.identity, http.MethodDelete, path+"/"+id(made), "")
	if _, err := openstack.AuthenticatedClient(t.Context(), o); !gophercloud.ResponseCodeIs(err, http.StatusUnauthorized) {
		t.Errorf("got %v with a deleted credential, want 401", err)
	}
}

func TestRevokedTokensOpenNothing(t *testing.T) {
	s := start(t, sandbox.Config{})
	c := login(t, s, s.Settings().Tenant)
	token := c.provider.Token()
	if a := c.call(c.neutron, http.MethodGet, "networks", ""); a.status != http.StatusOK {
		t.Fatalf("got %d, want 200", a.status)
	}
	//nolint:bodyclose // gophercloud closes it
	_, err := c.identity.Request(t.Context(), http.MethodDelete, c.identity.ServiceURL("auth", "tokens"),
		&gophercloud.RequestOpts{MoreHeaders: map[string]string{"X-Subject-Token": token}, OkCodes: []int{204}})
	if err != nil {
		t.Fatal(err)
	}
	if a := c.call(c.neutron, http.MethodGet, "networks", ""); a.status != http.StatusUnauthorized {
		t.Errorf("got %d with a revoked token, want 401", a.status)
	}
}

func TestLoadBalancersAreInTheCatalogueOnceRegistered(t *testing.T) {
	s := start(t, sandbox.Config{})
	st := s.Settings()
	const url = "http://127.0.0.1:9876"
	find := func() (string, error) {
		return login(t, s, st.Tenant).provider.EndpointLocator(gophercloud.EndpointOpts{
			Type: "load-balancer", Region: st.Region, Availability: gophercloud.AvailabilityPublic,
		})
	}
	if at, err := find(); err == nil {
		t.Errorf("got %s before it was registered, want none", at)
	}
	s.RegisterLoadBalancer(url)
	if at, err := find(); err != nil || at != url+"/" {
		t.Errorf("got %s, %v, want %s", at, err, url)
	}
}

// TestImagesBelongToTheirProject: the amphora image is the service project's, so a tenant cannot see it.
func TestImagesBelongToTheirProject(t *testing.T) {
	s := start(t, sandbox.Config{})
	st := s.Settings()
	service, tenant := login(t, s, st.Service), login(t, s, st.Tenant)
	image := imageID(service)
	if a := service.call(service.glance, http.MethodGet, "images/"+image, ""); a.body["status"] != "active" || a.body["owner"] != st.Service.ProjectID {
		t.Errorf("got %v, want the service project's active image", a.body)
	}
	for query, want := range map[string]int{"tag=amphora": 1, "tag=other": 0, "tag=amphora&status=queued": 0, "owner=" + st.Tenant.ProjectID: 0} {
		if list := service.call(service.glance, http.MethodGet, "images?"+query, "").body["images"].([]any); len(list) != want {
			t.Errorf("%s: got %v, want %d images", query, list, want)
		}
	}
	if list := tenant.call(tenant.glance, http.MethodGet, "images?tag=amphora", "").body["images"].([]any); len(list) != 0 {
		t.Errorf("got %v as a tenant, want no images", list)
	}
	if a := tenant.call(tenant.glance, http.MethodGet, "images/"+image, ""); a.status != http.StatusNotFound {
		t.Errorf("got %d as a tenant, want 404", a.status)
	}
}

// TestImagesHaveASchema: Python's glanceclient lists no images without one.
func TestImagesHaveASchema(t *testing.T) {
	s := start(t, sandbox.Config{})
	service := login(t, s, s.Settings().Service)
	schema := service.call(service.glance, http.MethodGet, "schemas/image", "").body["properties"].(map[string]any)
	for name := range service.call(service.glance, http.MethodGet, "images/"+imageID(service), "").body {
		if schema[name] == nil {
			t.Errorf("the schema of images has no %s", name)
		}
	}
}
