package secret

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ottavino/ottavino/cloud"
)

// Barbican is upstream's barbican_cert_manager. Certificates are PKCS#12 secrets without a
// passphrase, or certificate containers, which came before.
type Barbican struct{ service cloud.Service }

// NewBarbican wires a session; it makes no call. An empty e.Type means key-manager.
func NewBarbican(s *cloud.Session, e cloud.Endpoint) *Barbican {
	e.Type = cmp.Or(e.Type, "key-manager")
	return &Barbican{cloud.Service{Session: s, Endpoint: e}}
}

const (
	secrets    = "secrets"
	containers = "containers"
)

// locate takes a reference apart. Only its end counts: tokens go to the configured Barbican alone.
func locate(ref string) (kind, id string, err error) {
	u, err := url.Parse(ref)
	if err == nil {
		parts := strings.Split(strings.Trim(u.Path, "/"), "/")
		if n := len(parts); n >= 2 && (parts[n-2] == secrets || parts[n-2] == containers) && parts[n-1] != "" {
			return parts[n-2], parts[n-1], nil
		}
	}
	return "", "", &Error{Ref: ref, Kind: Absent, Reason: "it is no reference of a secret or a container"}
}

// Bundle implements Manager.
func (b *Barbican) Bundle(ctx context.Context, ref string) (Bundle, error) {
	kind, id, err := locate(ref)
	if err != nil {
		return Bundle{}, err
	}
	if kind == containers {
		p, err := b.container(ctx, ref, id)
		if err != nil {
			return Bundle{}, err
		}
		bundle, err := p.bundle()
		return bundle, wrong(ref, Unfit, err)
	}
	return b.pkcs12(ctx, ref, id)
}

// pkcs12 reads a secret that holds all of a certificate.
func (b *Barbican) pkcs12(ctx context.Context, ref, id string) (Bundle, error) {
	data, err := b.payload(ctx, ref, id)
	if err != nil {
		return Bundle{}, err
	}
	bundle, err := parsePKCS12(data)
	return bundle, wrong(ref, Unreadable, err)
}

// Secret implements Manager.
func (b *Barbican) Secret(ctx context.Context, ref string) ([]byte, error) {
	_, id, err := locate(ref)
	if err != nil {
		return nil, err
	}
	return b.payload(ctx, ref, id)
}

func (b *Barbican) payload(ctx context.Context, ref, id string) ([]byte, error) {
	var data []byte
	err := b.service.Do(ctx, cloud.Call{
		Op: "read secret", Method: http.MethodGet, Path: secrets + "/" + cloud.ID(id) + "/payload", Raw: &data,
		Header: map[string]string{"Accept": "application/octet-stream"},
	})
	if notAcceptable(err) { // a secret of text, which Barbican hands out as such only
		err = b.service.Do(ctx, cloud.Call{
			Op: "read secret", Method: http.MethodGet, Path: secrets + "/" + cloud.ID(id) + "/payload", Raw: &data,
			Header: map[string]string{"Accept": "text/plain"},
		})
	}
	return data, b.understand(ref, err)
}

func notAcceptable(err error) bool {
	var said *cloud.Error
	return errors.As(err, &said) && said.Status == http.StatusNotAcceptable
}

// understand tells what the user can mend from what only time can.
func (b *Barbican) understand(ref string, err error) error {
	var said *cloud.Error
	if !errors.As(err, &said) {
		return err
	}
	switch said.Status {
	case http.StatusNotFound, http.StatusForbidden, http.StatusBadRequest, http.StatusNotAcceptable, http.StatusGone:
		return &Error{Ref: ref, Kind: Absent, Reason: fmt.Sprintf("Barbican answers %d", said.Status)}
	}
	return err
}

type wireRef struct {
	Name string `json:"name"`
	Ref  string `json:"secret_ref"`
}

// members are the secrets of a container.
func (b *Barbican) members(ctx context.Context, as cloud.Service, ref, id string) ([]wireRef, error) {
	var out struct {
		Secrets []wireRef `json:"secret_refs"`
	}
	err := as.Do(ctx, cloud.Call{Op: "read container", Method: http.MethodGet, Path: containers + "/" + cloud.ID(id), Out: &out})
	return out.Secrets, b.understand(ref, err)
}

func (b *Barbican) container(ctx context.Context, ref, id string) (parts, error) {
	var p parts
	members, err := b.members(ctx, b.service, ref, id)
	if err != nil {
		return p, err
	}
	into := map[string]*[]byte{
		"certificate": &p.certificate, "private_key": &p.key, "intermediates": &p.intermediates, "private_key_passphrase": &p.passphrase,
	}
	for _, m := range members {
		at, ok := into[m.Name]
		if !ok {
			continue
		}
		if *at, err = b.Secret(ctx, m.Ref); err != nil {
			return p, err
		}
	}
	return p, nil
}

// Admit adds the service's user to the readers of a secret, or of a container and all its secrets, as
// the user of the token. Readers stay when the reference goes: another may need them.
func (b *Barbican) Admit(ctx context.Context, userToken, ref string) error {
	kind, id, err := locate(ref)
	if err != nil || userToken == "" {
		return err
	}
	as := b.service
	as.Token = userToken
	me, err := b.service.Session.UserID(ctx)
	if err != nil {
		return err
	}
	if err := b.admitTo(ctx, as, me, ref, kind, id); err != nil || kind == secrets {
		return err
	}
	members, err := b.members(ctx, as, ref, id)
	if err != nil {
		return err
	}
	for _, m := range members {
		kind, id, err := locate(m.Ref)
		if err != nil {
			return err
		}
		if err := b.admitTo(ctx, as, me, ref, kind, id); err != nil {
			return err
		}
	}
	return nil
}

func (b *Barbican) admitTo(ctx context.Context, as cloud.Service, me, ref, kind, id string) error {
	path := kind + "/" + cloud.ID(id) + "/acl"
	var acl map[string]json.RawMessage
	err := as.Do(ctx, cloud.Call{Op: "read ACL", Method: http.MethodGet, Path: path, Out: &acl})
	if err != nil {
		return b.understand(ref, err)
	}
	var read struct {
		Users []string `json:"users"`
	}
	_ = json.Unmarshal(acl["read"], &read) // none yet
	if slices.Contains(read.Users, me) {
		return nil
	}
	// Only the users are given: whether the secret is open to its project stays as it is.
	in := map[string]any{"read": map[string]any{"users": append(read.Users, me)}}
	err = as.Do(ctx, cloud.Call{Op: "change ACL", Method: http.MethodPatch, Path: path, In: in})
	return b.understand(ref, err)
}
