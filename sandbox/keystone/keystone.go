// Package keystone is the sandbox's identity service: Keystone v3 with real ES256 tokens (Keystone's "jws" provider),
// password, token and application credential logins, every scope, and the catalogue.
package keystone

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/ottavino/ottavino/sandbox/rest"
)

// DomainID is the only domain that exists from the start.
const DomainID = "default"

// Config of a Keystone.
type Config struct {
	TokenLifetime time.Duration    // 0 = one hour
	Now           func() time.Time // nil = time.Now
}

// Keystone is the service. Its resources are reached over HTTP and, for the sandbox's own seed, by the Add methods.
type Keystone struct {
	*rest.Service
	URL string // of itself, without a version; set before the first call

	lifetime time.Duration
	now      func() time.Time
	key      *ecdsa.PrivateKey
	revoked  map[string]bool // by audit id

	domains     *rest.Collection[Domain]
	projects    *rest.Collection[Project]
	users       *rest.Collection[User]
	roles       *rest.Collection[Role]
	services    *rest.Collection[Service]
	endpoints   *rest.Collection[Endpoint]
	regions     *rest.Collection[Region]
	credentials *rest.Collection[AppCredential]
	groups      *rest.Collection[Group]
	assigned    []Assignment
}

// Domain is an identity domain.
type Domain struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Enabled     bool   `json:"enabled"`
}

// Project is a project.
type Project struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	DomainID    string   `json:"domain_id"`
	ParentID    string   `json:"parent_id"`
	Description string   `json:"description"`
	Enabled     bool     `json:"enabled"`
	IsDomain    bool     `json:"is_domain"`
	Tags        []string `json:"tags"`
}

// User is a user. The password is kept apart so that no answer can hold it.
type User struct {
	ID               string   `json:"id"`
	Name             string   `json:"name"`
	DomainID         string   `json:"domain_id"`
	DefaultProjectID string   `json:"default_project_id,omitempty"`
	Description      string   `json:"description,omitempty"`
	Email            string   `json:"email,omitempty"`
	Enabled          bool     `json:"enabled"`
	PasswordExpires  *string  `json:"password_expires_at"`
	Password         password `json:"password,omitzero"`
}

// password is read from requests and never written.
type password struct{ secret string }

func (p *password) UnmarshalText(b []byte) error { p.secret = string(b); return nil }

// IsZero leaves the password out of every answer.
func (password) IsZero() bool { return true }

// Role is a role.
type Role struct {
	ID          string  `json:"id"`
	Name        string  `json:"name"`
	DomainID    *string `json:"domain_id"`
	Description string  `json:"description"`
}

// Service is a catalogue service.
type Service struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Type        string `json:"type"`
	Description string `json:"description"`
	Enabled     bool   `json:"enabled"`
}

// Endpoint is a catalogue endpoint.
type Endpoint struct {
	ID        string `json:"id"`
	Interface string `json:"interface"`
	Region    string `json:"region"`
	RegionID  string `json:"region_id"`
	ServiceID string `json:"service_id"`
	URL       string `json:"url"`
	Enabled   bool   `json:"enabled"`
}

// Region is a region.
type Region struct {
	ID          string `json:"id"`
	Description string `json:"description"`
}

// Group exists so that clients find an empty list.
type Group struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Assignment gives a user a role on a project, a domain or, with neither, the system.
type Assignment struct{ UserID, RoleID, ProjectID, DomainID string }

// New makes an empty Keystone with a fresh key.
func New(hub *rest.Hub, cfg Config) (*Keystone, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the token key: %w", err)
	}
	k := &Keystone{
		Service:  rest.NewService("identity", hub, nil, fail),
		lifetime: cmp.Or(cfg.TokenLifetime, time.Hour), now: cfg.Now, key: key, revoked: map[string]bool{},
		domains: rest.NewCollection[Domain](), projects: rest.NewCollection[Project](),
		users: rest.NewCollection[User](), roles: rest.NewCollection[Role](),
		services: rest.NewCollection[Service](), endpoints: rest.NewCollection[Endpoint](),
		regions: rest.NewCollection[Region](), credentials: rest.NewCollection[AppCredential](),
		groups: rest.NewCollection[Group](),
	}
	if k.now == nil {
		k.now = time.Now
	}
	// Keystone's own resources need a token as everybody's do; logging in and the version document do not.
	k.Auth = k
	k.domains.Put(DomainID, Domain{ID: DomainID, Name: "Default", Enabled: true})
	k.regions.Put(Region1, Region{ID: Region1})
	k.routes()
	return k, nil
}

// Region1 is the region of every endpoint.
const Region1 = "RegionOne"

func fail(e *rest.Error) any {
	return rest.Doc{"error": rest.Doc{"code": e.Status, "message": e.Message, "title": http.StatusText(e.Status)}}
}

func (k *Keystone) routes() {
	k.HandleOpen("GET /{$}", k.versions)
	k.HandleOpen("GET /v3", k.version)
	k.HandleOpen("POST /v3/auth/tokens", k.login)
	k.Handle("GET /v3/auth/tokens", k.showToken)
	k.Handle("DELETE /v3/auth/tokens", k.revoke)
	k.Handle("GET /v3/auth/catalog", k.showCatalog)
	k.Handle("GET /v3/auth/projects", k.myProjects)
	k.Handle("GET /v3/auth/domains", k.myDomains)
	k.resources()
	k.assignments()
}

func (k *Keystone) version(*rest.Request) (int, any, error) {
	return http.StatusOK, rest.Doc{"version": k.versionDoc()}, nil
}

func (k *Keystone) versions(*rest.Request) (int, any, error) {
	return http.StatusMultipleChoices, rest.Doc{"versions": rest.Doc{"values": []any{k.versionDoc()}}}, nil
}

func (k *Keystone) versionDoc() rest.Doc {
	return rest.Doc{
		"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
		"links":       []any{rest.Doc{"rel": "self", "href": k.URL + "/v3/"}},
		"media-types": []any{rest.Doc{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}},
	}
}

// AddProject makes a project in the default domain.
func (k *Keystone) AddProject(name string) Project {
	k.Lock.Lock()
	defer k.Lock.Unlock()
	p := Project{ID: hexID(), Name: name, DomainID: DomainID, ParentID: DomainID, Enabled: true, Tags: []string{}}
	k.projects.Put(p.ID, p)
	return p
}

// AddUser makes a user in the default domain with roles (made when missing) on a project.
func (k *Keystone) AddUser(name, secret, projectID string, roles ...string) User {
	k.Lock.Lock()
	defer k.Lock.Unlock()
	u := User{ID: hexID(), Name: name, DomainID: DomainID, Enabled: true, Password: password{secret}}
	k.users.Put(u.ID, u)
	for _, r := range roles {
		k.assigned = append(k.assigned, Assignment{UserID: u.ID, RoleID: k.roleNamed(r), ProjectID: projectID})
	}
	return u
}

// Assign gives a user roles (made when missing) on a project, a domain or, with neither, the system.
func (k *Keystone) Assign(userID, projectID, domainID string, roles ...string) {
	k.Lock.Lock()
	defer k.Lock.Unlock()
	for _, r := range roles {
		k.assigned = append(k.assigned, Assignment{userID, k.roleNamed(r), projectID, domainID})
	}
}

// AddRole makes a role unless there is one of this name.
func (k *Keystone) AddRole(name string) {
	k.Lock.Lock()
	defer k.Lock.Unlock()
	k.roleNamed(name)
}

func (k *Keystone) roleNamed(name string) string {
	for _, r := range k.roles.Where(func(r Role) bool { return r.Name == name }) {
		return r.ID
	}
	r := Role{ID: hexID(), Name: name}
	k.roles.Put(r.ID, r)
	return r.ID
}

// AddService puts a service with its three endpoints into the catalogue.
func (k *Keystone) AddService(kind, name, url string) {
	k.Lock.Lock()
	defer k.Lock.Unlock()
	s := Service{ID: hexID(), Type: kind, Name: name, Enabled: true}
	k.services.Put(s.ID, s)
	for _, i := range []string{"public", "internal", "admin"} {
		e := Endpoint{ID: hexID(), Interface: i, Region: Region1, RegionID: Region1, ServiceID: s.ID, URL: url, Enabled: true}
		k.endpoints.Put(e.ID, e)
	}
}

// rolesOf returns the names of a user's roles in a scope, with what they imply.
func (k *Keystone) rolesOf(userID, projectID, domainID string) []Role {
	var out []Role
	for _, a := range k.assigned {
		if a.UserID == userID && a.ProjectID == projectID && a.DomainID == domainID {
			if r, ok := k.roles.Get(a.RoleID); ok && !slices.Contains(out, r) {
				out = append(out, r)
			}
		}
	}
	return out
}
