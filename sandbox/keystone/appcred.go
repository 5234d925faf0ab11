package keystone

import (
	"encoding/json"
	"net/http"

	"github.com/ottavino/ottavino/sandbox/rest"
)

// UnmarshalJSON reads a scope in its two forms.
func (s *scope) UnmarshalJSON(b []byte) error {
	if string(b) == `"unscoped"` {
		s.None = true
		return nil
	}
	var in struct {
		Project  *named           `json:"project"`
		Domain   *named           `json:"domain"`
		System   *json.RawMessage `json:"system"`
		Unscoped *json.RawMessage `json:"unscoped"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*s = scope{Project: in.Project, Domain: in.Domain, System: in.System != nil, None: in.Unscoped != nil}
	return nil
}

// AppCredential is an application credential: a login for one user on one project.
type AppCredential struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	Description  string   `json:"description"`
	UserID       string   `json:"user_id"`
	ProjectID    string   `json:"project_id"`
	Unrestricted bool     `json:"unrestricted"`
	ExpiresAt    *string  `json:"expires_at"`
	Roles        []Role   `json:"roles"`
	Secret       password `json:"secret,omitzero"`
}

func (k *Keystone) appLogin(c claims, n, user named, secret string) (claims, error) {
	found, ok := k.credentials.Get(n.ID)
	if u, known := k.findUser(user); n.ID == "" && known {
		found, ok = first(k.credentials.Where(func(a AppCredential) bool { return a.UserID == u.ID && a.Name == n.Name }))
	}
	if !ok || found.Secret.secret != secret {
		return c, errLogin
	}
	c.Subject, c.ProjectID, c.AppCredID = found.UserID, found.ProjectID, found.ID
	return c, nil
}

func (k *Keystone) appCredentials() *rest.Resource[AppCredential] {
	mine := func(r *rest.Request, a AppCredential) bool {
		return a.UserID == r.PathValue("user") && (a.UserID == r.UserID || r.Admin())
	}
	return &rest.Resource[AppCredential]{
		Path: "/v3/users/{user}/application_credentials", Singular: "application_credential",
		Plural: "application_credentials", Items: k.credentials, Links: true, Visible: mine,
		ID: func(a *AppCredential) *string { return &a.ID },
		Default: func(r *rest.Request) AppCredential {
			return AppCredential{UserID: r.UserID, ProjectID: r.ProjectID, Secret: password{hexID()}}
		},
		Create: func(r *rest.Request, a *AppCredential) error {
			a.ID, a.Roles = hexID(), k.rolesOf(a.UserID, a.ProjectID, "")
			return nil
		},
		Delete: func(*rest.Request, AppCredential) error { return nil },
	}
}

// createAppCredential is the one answer that shows the secret.
func (k *Keystone) createAppCredential(res *rest.Resource[AppCredential]) rest.Handler {
	return func(r *rest.Request) (int, any, error) {
		var body struct {
			In json.RawMessage `json:"application_credential"`
		}
		if err := r.Decode(&body); err != nil {
			return 0, nil, err
		}
		a, err := res.Add(r, body.In)
		return http.StatusCreated, rest.Doc{"application_credential": rest.Doc{
			"id": a.ID, "name": a.Name, "description": a.Description, "user_id": a.UserID, "project_id": a.ProjectID,
			"secret": a.Secret.secret, "roles": a.Roles, "unrestricted": a.Unrestricted, "expires_at": a.ExpiresAt,
		}}, err
	}
}
