package e2e_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/keymanager/v1/acls"
	"github.com/gophercloud/gophercloud/v2/openstack/keymanager/v1/containers"
	"github.com/gophercloud/gophercloud/v2/openstack/keymanager/v1/secrets"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"

	"github.com/ottavino/ottavino/internal/certtest"
	"github.com/ottavino/ottavino/sandbox"
)

// owner keeps secrets in Barbican.
type owner struct {
	t    *testing.T
	keys *gophercloud.ServiceClient
}

func (l *lab) owner(who sandbox.Login) *owner {
	l.t.Helper()
	client := l.login(who)
	keys, err := openstack.NewKeyManagerV1(client.ProviderClient, gophercloud.EndpointOpts{Region: l.sandbox.Settings().Region})
	if err != nil {
		l.t.Fatal(err)
	}
	return &owner{l.t, keys}
}

// store keeps a secret that is open to nobody but its creator.
func (o *owner) store(ctx context.Context, content []byte) string {
	o.t.Helper()
	s, err := secrets.Create(ctx, o.keys, secrets.CreateOpts{
		Payload: base64.StdEncoding.EncodeToString(content), PayloadContentType: "application/octet-stream",
		PayloadContentEncoding: "base64", SecretType: secrets.OpaqueSecret,
	}).Extract()
	if err != nil {
		o.t.Fatal(err)
	}
	closed := false
	_, err = acls.SetSecretACL(ctx, o.keys, idOf(s.SecretRef), acls.SetOpts{{Type: "read", ProjectAccess: &closed}}).Extract()
	if err != nil {
		o.t.Fatal(err)
	}
	return s.SecretRef
}

func (o *owner) container(ctx context.Context, certificate, key string) string {
	o.t.Helper()
	c, err := containers.Create(ctx, o.keys, containers.CreateOpts{Type: containers.CertificateContainer, SecretRefs: []containers.SecretRef{
		{Name: "certificate", SecretRef: certificate}, {Name: "private_key", SecretRef: key},
	}}).Extract()
	if err != nil {
		o.t.Fatal(err)
	}
	return c.ContainerRef
}

func idOf(ref string) string { return ref[strings.LastIndex(ref, "/")+1:] }

// TestCertificatesOfUsers: a user's private certificate is taken, because the user's token lets the
// service in; what the user may not read is not, whatever the service may.
func TestCertificatesOfUsers(t *testing.T) {
	t.Parallel()
	l := newLab(t, labOptions{})
	l.serve()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	us, them := l.owner(l.sandbox.Settings().Tenant), l.owner(l.sandbox.Settings().Other)
	www := certtest.Issue(t, nil, "www.example.com")
	bundle, cert, key := www.Bundle(), www.PEM(), www.KeyPEM()
	ours, theirs, gone := us.store(ctx, bundle), them.store(ctx, bundle), us.store(ctx, bundle)
	l.sandbox.ForgetSecret(gone)
	parts := us.container(ctx, us.store(ctx, cert), us.store(ctx, key))

	a := l.actor("tls")
	if err := a.createLoadBalancer(ctx); err != nil {
		t.Fatal(err)
	}
	if err := l.awaitActive(ctx, a); err != nil {
		t.Fatal(err)
	}
	listen := func(port int, ref string) (*listeners.Listener, error) {
		return listeners.Create(ctx, l.tenant, listeners.CreateOpts{
			LoadbalancerID: a.lb, Protocol: listeners.ProtocolTerminatedHTTPS, ProtocolPort: port, DefaultTlsContainerRef: ref,
		}).Extract()
	}
	for name, ref := range map[string]string{"missing": gone, "another's": theirs, "no reference": "x"} {
		_, err := listen(442, ref)
		var said gophercloud.ErrUnexpectedResponseCode
		want := "Could not retrieve certificate: ['" + ref + "']"
		if !errors.As(err, &said) || said.Actual != http.StatusBadRequest || !strings.Contains(string(said.Body), want) {
			t.Errorf("%s: got %v, want 400 %s", name, err, want)
		}
	}
	for i, ref := range []string{ours, parts} {
		made, err := listen(443+i, ref)
		if err != nil {
			t.Fatal(err)
		}
		if made.DefaultTlsContainerRef != ref {
			t.Errorf("got the reference %s, want %s", made.DefaultTlsContainerRef, ref)
		}
	}
	acl, err := acls.GetSecretACL(ctx, us.keys, idOf(ours)).Extract()
	if err != nil {
		t.Fatal(err)
	}
	if read := (*acl)["read"]; len(read.Users) != 1 || read.ProjectAccess {
		t.Errorf("got the readers %v and project access %t, want the service alone", read.Users, read.ProjectAccess)
	}
}
