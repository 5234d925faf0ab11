// Package barbican is the sandbox's key manager: secrets with their access lists, and containers.
package barbican

import (
	"encoding/base64"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ottavino/ottavino/sandbox/rest"
)

// Secret is a secret with its payload and who may read it.
type Secret struct {
	ID          string
	Name        string
	ContentType string // of the payload: text/plain or application/octet-stream
	Kind        string
	Payload     []byte
	Access      Access
	Created     time.Time
}

// Access says who may read.
type Access struct {
	ProjectID string
	CreatorID string
	Readers   []string // users of any project
	Private   bool     // not open to the project's other users
}

// Container is a set of named secrets.
type Container struct {
	ID      string
	Name    string
	Kind    string
	Access  Access
	Members []Member
}

// Member is a secret in a container.
type Member struct {
	Name string `json:"name"`
	Ref  string `json:"secret_ref"`
}

// Barbican is the service.
type Barbican struct {
	*rest.Service
	URL        string // of itself, without a version; set before the first call
	secrets    *rest.Collection[Secret]
	containers *rest.Collection[Container]
}

// New makes a Barbican that keeps nothing yet.
func New(hub *rest.Hub, auth rest.Authenticator) *Barbican {
	b := &Barbican{
		Service: rest.NewService("key-manager", hub, auth, fail),
		secrets: rest.NewCollection[Secret](), containers: rest.NewCollection[Container](),
	}
	b.HandleOpen("GET /{$}", b.versions)
	b.Handle("GET /v1/secrets", b.list)
	b.Handle("POST /v1/secrets", b.create)
	b.Handle("GET /v1/secrets/{id}", b.withSecret(b.show))
	b.Handle("GET /v1/secrets/{id}/payload", b.withSecret(b.payload))
	b.Handle("PUT /v1/secrets/{id}", b.withSecret(b.store))
	b.Handle("DELETE /v1/secrets/{id}", b.withSecret(b.remove))
	b.Handle("GET /v1/secrets/{id}/acl", b.withSecret(b.acl))
	b.Handle("PUT /v1/secrets/{id}/acl", b.withSecret(b.setACL))
	b.Handle("PATCH /v1/secrets/{id}/acl", b.withSecret(b.setACL))
	b.Handle("DELETE /v1/secrets/{id}/acl", b.withSecret(b.resetACL))
	b.Handle("GET /v1/containers/{id}/acl", b.withContainer(b.containerACL))
	b.Handle("PUT /v1/containers/{id}/acl", b.withContainer(b.setContainerACL))
	b.Handle("PATCH /v1/containers/{id}/acl", b.withContainer(b.setContainerACL))
	b.Handle("GET /v1/containers", b.listContainers)
	b.Handle("POST /v1/containers", b.createContainer)
	b.Handle("GET /v1/containers/{id}", b.withContainer(b.showContainer))
	b.Handle("DELETE /v1/containers/{id}", b.removeContainer)
	b.Handle("POST /v1/containers/{id}/consumers", b.withContainer(b.showContainer))
	return b
}

func fail(e *rest.Error) any {
	return rest.Doc{"code": e.Status, "title": http.StatusText(e.Status), "description": e.Message}
}

func (b *Barbican) versions(*rest.Request) (int, any, error) {
	return http.StatusMultipleChoices, rest.Doc{"versions": rest.Doc{"values": []any{rest.Doc{
		"id": "v1", "status": "stable", "links": []any{rest.Doc{"rel": "self", "href": b.URL + "/v1"}},
	}}}}, nil
}

func (b *Barbican) ref(kind, id string) string { return b.URL + "/v1/" + kind + "/" + id }

// withSecret finds the secret of a path, if the caller may read it.
func (b *Barbican) withSecret(h func(*rest.Request, Secret) (int, any, error)) rest.Handler {
	return func(r *rest.Request) (int, any, error) {
		s, ok := b.secrets.Get(r.PathValue("id"))
		if !ok {
			return 0, nil, rest.NotFound("Not Found. Sorry but your secret is in another castle.")
		}
		if !s.Access.allows(r) {
			return 0, nil, rest.Forbidden("Secret retrieval attempt not allowed - please review your user/project privileges")
		}
		return h(r, s)
	}
}

func (a Access) allows(r *rest.Request) bool {
	ours := a.ProjectID == r.ProjectID && (!a.Private || a.CreatorID == r.UserID || r.Admin())
	return ours || slices.Contains(a.Readers, r.UserID)
}

// withContainer is withSecret for containers.
func (b *Barbican) withContainer(h func(*rest.Request, Container) (int, any, error)) rest.Handler {
	return func(r *rest.Request) (int, any, error) {
		c, ok := b.containers.Get(r.PathValue("id"))
		if !ok {
			return 0, nil, rest.NotFound("Not Found. Sorry but your container is in another castle.")
		}
		if !c.Access.allows(r) {
			return 0, nil, rest.Forbidden("Container retrieval attempt not allowed - please review your user/project privileges")
		}
		return h(r, c)
	}
}

type wireSecret struct {
	Name     string `json:"name"`
	Payload  string `json:"payload"`
	Type     string `json:"payload_content_type"`
	Encoding string `json:"payload_content_encoding"`
	Kind     string `json:"secret_type"`
}

func (b *Barbican) create(r *rest.Request) (int, any, error) {
	var in wireSecret
	if err := r.Decode(&in); err != nil {
		return 0, nil, err
	}
	s := Secret{
		ID: rest.NewID(), Name: in.Name, Access: Access{ProjectID: r.ProjectID, CreatorID: r.UserID}, Kind: in.Kind,
		ContentType: strings.TrimSpace(strings.SplitN(in.Type, ";", 2)[0]), Payload: []byte(in.Payload), Created: time.Now().UTC(),
	}
	if in.Encoding == "base64" {
		data, err := base64.StdEncoding.DecodeString(in.Payload)
		if err != nil {
			return 0, nil, rest.BadRequest("Unable to decode request data: %v", err)
		}
		s.Payload = data
	}
	b.secrets.Put(s.ID, s)
	return http.StatusCreated, rest.Doc{"secret_ref": b.ref("secrets", s.ID)}, nil
}

// store is the second step of a secret that was made without a payload.
func (b *Barbican) store(r *rest.Request, s Secret) (int, any, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, nil, err
	}
	if len(s.Payload) > 0 {
		return 0, nil, rest.Conflict("", "Secret already has data, cannot modify it.")
	}
	s.Payload, s.ContentType = data, r.Request.Header.Get("Content-Type")
	b.secrets.Put(s.ID, s)
	return http.StatusNoContent, nil, nil
}

func (b *Barbican) doc(s Secret) rest.Doc {
	return rest.Doc{
		"secret_ref": b.ref("secrets", s.ID), "name": s.Name, "status": "ACTIVE", "secret_type": s.Kind, "creator_id": s.Access.CreatorID,
		"content_types": rest.Doc{"default": s.ContentType}, "created": s.Created.Format("2006-01-02T15:04:05"), "expiration": nil,
		"algorithm": nil, "bit_length": nil, "mode": nil,
	}
}

func (b *Barbican) list(r *rest.Request) (int, any, error) {
	docs := []any{}
	for _, s := range b.secrets.Where(func(s Secret) bool { return s.Access.ProjectID == r.ProjectID }) {
		docs = append(docs, b.doc(s))
	}
	return http.StatusOK, rest.Doc{"secrets": docs, "total": len(docs)}, nil
}

func (b *Barbican) show(_ *rest.Request, s Secret) (int, any, error) {
	return http.StatusOK, b.doc(s), nil
}

func (b *Barbican) payload(r *rest.Request, s Secret) (int, any, error) {
	accept := r.Request.Header.Get("Accept")
	if accept != "" && accept != "*/*" && !strings.HasPrefix(accept, s.ContentType) {
		return 0, nil, &rest.Error{Status: http.StatusNotAcceptable, Message: "Not Acceptable"}
	}
	return http.StatusOK, rest.Raw{Type: s.ContentType, Bytes: s.Payload}, nil
}

func (b *Barbican) remove(r *rest.Request, s Secret) (int, any, error) {
	if s.Access.ProjectID != r.ProjectID {
		return 0, nil, rest.Forbidden("Secret deletion attempt not allowed - please review your user/project privileges")
	}
	b.secrets.Delete(s.ID)
	return http.StatusNoContent, nil, nil
}

func (b *Barbican) acl(_ *rest.Request, s Secret) (int, any, error) {
	return http.StatusOK, s.Access.doc(), nil
}

func (b *Barbican) setACL(r *rest.Request, s Secret) (int, any, error) {
	if err := s.Access.change(r); err != nil {
		return 0, nil, err
	}
	b.secrets.Put(s.ID, s)
	return http.StatusOK, rest.Doc{"acl_ref": b.ref("secrets", s.ID) + "/acl"}, nil
}

func (b *Barbican) resetACL(r *rest.Request, s Secret) (int, any, error) {
	if s.Access.ProjectID != r.ProjectID {
		return 0, nil, rest.Forbidden("ACL(s) Delete attempt not allowed - please review your user/project privileges")
	}
	s.Access.Readers, s.Access.Private = nil, false
	b.secrets.Put(s.ID, s)
	return http.StatusOK, nil, nil
}

func (b *Barbican) containerACL(_ *rest.Request, c Container) (int, any, error) {
	return http.StatusOK, c.Access.doc(), nil
}

func (b *Barbican) setContainerACL(r *rest.Request, c Container) (int, any, error) {
	if err := c.Access.change(r); err != nil {
		return 0, nil, err
	}
	b.containers.Put(c.ID, c)
	return http.StatusOK, rest.Doc{"acl_ref": b.ref("containers", c.ID) + "/acl"}, nil
}

func (a Access) doc() rest.Doc {
	return rest.Doc{"read": rest.Doc{"project-access": !a.Private, "users": slices.Concat([]string{}, a.Readers)}}
}

// change does what the body of an ACL's PUT or PATCH says.
func (a *Access) change(r *rest.Request) error {
	var in struct {
		Read struct {
			Users         *[]string `json:"users"`
			ProjectAccess *bool     `json:"project-access"`
		} `json:"read"`
	}
	if err := r.Decode(&in); err != nil {
		return err
	}
	if a.ProjectID != r.ProjectID {
		return rest.Forbidden("ACL(s) Update attempt not allowed - please review your user/project privileges")
	}
	if in.Read.Users != nil {
		a.Readers = *in.Read.Users
	}
	if in.Read.ProjectAccess != nil {
		a.Private = !*in.Read.ProjectAccess
	}
	return nil
}

func (b *Barbican) createContainer(r *rest.Request) (int, any, error) {
	var in struct {
		Name    string   `json:"name"`
		Kind    string   `json:"type"`
		Members []Member `json:"secret_refs"`
	}
	if err := r.Decode(&in); err != nil {
		return 0, nil, err
	}
	for _, m := range in.Members {
		if _, ok := b.secrets.Get(path.Base(m.Ref)); !ok {
			return 0, nil, rest.NotFound("Secret %s not found.", m.Ref)
		}
	}
	access := Access{ProjectID: r.ProjectID, CreatorID: r.UserID}
	c := Container{ID: rest.NewID(), Name: in.Name, Kind: in.Kind, Access: access, Members: in.Members}
	b.containers.Put(c.ID, c)
	return http.StatusCreated, rest.Doc{"container_ref": b.ref("containers", c.ID)}, nil
}

func (b *Barbican) containerDoc(c Container) rest.Doc {
	return rest.Doc{
		"container_ref": b.ref("containers", c.ID), "name": c.Name, "type": c.Kind, "status": "ACTIVE", "secret_refs": c.Members,
		"consumers": []any{}, "creator_id": c.Access.CreatorID,
	}
}

func (b *Barbican) showContainer(_ *rest.Request, c Container) (int, any, error) {
	return http.StatusOK, b.containerDoc(c), nil
}

func (b *Barbican) listContainers(r *rest.Request) (int, any, error) {
	docs := []any{}
	for _, c := range b.containers.Where(func(c Container) bool { return c.Access.ProjectID == r.ProjectID }) {
		docs = append(docs, b.containerDoc(c))
	}
	return http.StatusOK, rest.Doc{"containers": docs, "total": len(docs)}, nil
}

func (b *Barbican) removeContainer(r *rest.Request) (int, any, error) {
	b.containers.Delete(r.PathValue("id"))
	return http.StatusNoContent, nil, nil
}

// Forget removes a secret as if its owner had, so that references lead nowhere.
func (b *Barbican) Forget(ref string) {
	b.Lock.Lock()
	defer b.Lock.Unlock()
	b.secrets.Delete(path.Base(ref))
}

// Replace gives a secret another payload, which the real service allows nobody: rotation behind
// one reference, as other key managers do it.
func (b *Barbican) Replace(ref string, payload []byte) {
	b.Lock.Lock()
	defer b.Lock.Unlock()
	if s, ok := b.secrets.Get(path.Base(ref)); ok {
		s.Payload = payload
		b.secrets.Put(s.ID, s)
	}
}
