package keystone

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/ottavino/ottavino/sandbox/rest"
)

func hexID() string { return strings.ReplaceAll(uuid.NewString(), "-", "") }

// claims are what Keystone's jws provider puts into a token: no roles and no catalogue, those are looked up.
type claims struct {
	Subject   string   `json:"sub"`
	IssuedAt  int64    `json:"iat"`
	Expires   int64    `json:"exp"`
	Methods   []string `json:"openstack_methods"`
	AuditIDs  []string `json:"openstack_audit_ids"`
	ProjectID string   `json:"openstack_project_id,omitempty"`
	DomainID  string   `json:"openstack_domain_id,omitempty"`
	System    string   `json:"openstack_system,omitempty"`
	AppCredID string   `json:"openstack_app_cred_id,omitempty"`
	IsAdmin   bool     `json:"openstack_is_admin,omitempty"` // reserved by Keystone; never set
}

func (c claims) GetExpirationTime() (*jwt.NumericDate, error) {
	return jwt.NewNumericDate(time.Unix(c.Expires, 0)), nil
}
func (c claims) GetIssuedAt() (*jwt.NumericDate, error) {
	return jwt.NewNumericDate(time.Unix(c.IssuedAt, 0)), nil
}
func (claims) GetNotBefore() (*jwt.NumericDate, error) { return nil, nil }
func (claims) GetIssuer() (string, error)              { return "", nil }
func (c claims) GetSubject() (string, error)           { return c.Subject, nil }
func (claims) GetAudience() (jwt.ClaimStrings, error)  { return nil, nil }

// PublicKey is the PEM that tokens are checked against, as Keystone keeps it under jws-keys/public.
func (k *Keystone) PublicKey() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(&k.key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("encode the token key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

func (k *Keystone) sign(c claims) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodES256, c).SignedString(k.key)
}

// parse checks signature, life time and revocation.
func (k *Keystone) parse(token string) (claims, error) {
	var c claims
	_, err := jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return &k.key.PublicKey, nil },
		jwt.WithValidMethods([]string{"ES256"}), jwt.WithTimeFunc(k.now))
	if err != nil || k.revoked[c.AuditIDs[0]] {
		return c, rest.NotFound("Could not recognize Fernet or JWS token")
	}
	if u, ok := k.users.Get(c.Subject); !ok || !u.Enabled {
		return c, rest.NotFound("Could not find user: %s.", c.Subject)
	}
	return c, nil
}

// Authenticate says who a token is. It is called by the other services.
func (k *Keystone) Authenticate(token string) (rest.Identity, error) {
	k.Lock.Lock()
	defer k.Lock.Unlock()
	c, err := k.parse(token)
	if err != nil {
		return rest.Identity{}, err
	}
	return k.identity(token, c), nil
}

func (k *Keystone) identity(token string, c claims) rest.Identity {
	u, _ := k.users.Get(c.Subject)
	p, _ := k.projects.Get(c.ProjectID)
	id := rest.Identity{Token: token, UserID: u.ID, UserName: u.Name, ProjectID: c.ProjectID, ProjectName: p.Name,
		DomainID: c.DomainID, System: c.System != ""}
	for _, r := range k.scopedRoles(c) {
		id.Roles = append(id.Roles, r.Name)
	}
	return id
}

func (k *Keystone) scopedRoles(c claims) []Role {
	if c.ProjectID == "" && c.DomainID == "" && c.System == "" {
		return nil
	}
	return k.rolesOf(c.Subject, c.ProjectID, c.DomainID)
}

const keystoneTime = "2006-01-02T15:04:05.000000Z"

// document is the body of a token, as POST and GET auth/tokens answer.
func (k *Keystone) document(c claims, catalogue bool) rest.Doc {
	u, _ := k.users.Get(c.Subject)
	t := rest.Doc{
		"methods": c.Methods, "audit_ids": c.AuditIDs,
		"issued_at": time.Unix(c.IssuedAt, 0).UTC().Format(keystoneTime), "expires_at": time.Unix(c.Expires, 0).UTC().Format(keystoneTime),
		"user": rest.Doc{"id": u.ID, "name": u.Name, "domain": k.domainRef(u.DomainID), "password_expires_at": nil},
	}
	if p, ok := k.projects.Get(c.ProjectID); ok {
		t["project"] = rest.Doc{"id": p.ID, "name": p.Name, "domain": k.domainRef(p.DomainID)}
		t["is_domain"] = false
	}
	if c.DomainID != "" {
		t["domain"] = k.domainRef(c.DomainID)
	}
	if c.System != "" {
		t["system"] = rest.Doc{"all": true}
	}
	if c.AppCredID != "" {
		t["application_credential"] = rest.Doc{"id": c.AppCredID, "restricted": true}
	}
	if roles := k.scopedRoles(c); len(roles) > 0 {
		refs := make([]rest.Doc, 0, len(roles))
		for _, r := range roles {
			refs = append(refs, rest.Doc{"id": r.ID, "name": r.Name})
		}
		t["roles"] = refs
		if catalogue {
			t["catalog"] = k.catalogue()
		}
	}
	return rest.Doc{"token": t}
}

func (k *Keystone) domainRef(id string) rest.Doc {
	d, _ := k.domains.Get(id)
	return rest.Doc{"id": d.ID, "name": d.Name}
}

func (k *Keystone) catalogue() []rest.Doc {
	out := []rest.Doc{}
	for _, s := range k.services.Where(func(s Service) bool { return s.Enabled }) {
		endpoints := []rest.Doc{}
		for _, e := range k.endpoints.Where(func(e Endpoint) bool { return e.ServiceID == s.ID && e.Enabled }) {
			endpoints = append(endpoints, rest.Doc{"id": e.ID, "interface": e.Interface, "region": e.RegionID,
				"region_id": e.RegionID, "url": e.URL})
		}
		out = append(out, rest.Doc{"id": s.ID, "type": s.Type, "name": s.Name, "endpoints": endpoints})
	}
	return out
}

// showToken validates X-Subject-Token. Keystone lets anyone ask about their own token and services about others'.
func (k *Keystone) showToken(r *rest.Request) (int, any, error) {
	c, err := k.subject(r)
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("X-Subject-Token", r.Request.Header.Get("X-Subject-Token"))
	return http.StatusOK, k.document(c, !r.URL.Query().Has("nocatalog")), nil
}

func (k *Keystone) subject(r *rest.Request) (claims, error) {
	token := r.Request.Header.Get("X-Subject-Token")
	c, err := k.parse(token)
	if err == nil && c.Subject != r.UserID && !r.Admin() && !has(r.Roles, "service") {
		err = rest.Forbidden("You are not authorized to perform the requested action: identity:validate_token.")
	}
	return c, err
}

func (k *Keystone) revoke(r *rest.Request) (int, any, error) {
	c, err := k.subject(r)
	if err != nil {
		return 0, nil, err
	}
	k.revoked[c.AuditIDs[0]] = true
	return http.StatusNoContent, nil, nil
}

func (k *Keystone) showCatalog(*rest.Request) (int, any, error) {
	return http.StatusOK, rest.Doc{"catalog": k.catalogue(), "links": rest.Doc{"self": k.URL + "/v3/auth/catalog"}}, nil
}

func has(list []string, want string) bool {
	for _, v := range list {
		if v == want {
			return true
		}
	}
	return false
}

// issue makes a token and its document.
func (k *Keystone) issue(r *rest.Request, c claims) (int, any, error) {
	now := k.now()
	c.IssuedAt, c.Expires = now.Unix(), now.Add(k.lifetime).Unix()
	c.AuditIDs = []string{hexID()[:22]}
	token, err := k.sign(c)
	if err != nil {
		return 0, nil, fmt.Errorf("sign a token: %w", err)
	}
	r.Header.Set("X-Subject-Token", token)
	return http.StatusCreated, k.document(c, !r.URL.Query().Has("nocatalog")), nil
}
