package api

import (
	"context"
	"errors"
)

// ErrUnauthorized says that a token is absent, unknown, expired or revoked: 401.
var ErrUnauthorized = errors.New("token is not valid")

// Identity is who calls, as Keystone says.
type Identity struct {
	UserID, UserName       string
	UserDomainID           string
	ProjectID, ProjectName string // empty for domain and system scope
	ProjectDomainID        string
	DomainID               string // of a domain-scoped token
	SystemScope            string // "all" for a system-scoped token, else ""
	Roles                  []string
	// NotAdminProject: Keystone has an admin project, and the token's is another.
	NotAdminProject bool
	// Service is who sent the request on behalf of the user, as X-Service-Token says; nil is nobody.
	Service *Identity
	// IsAdmin is set by the server: auth_strategy noauth, or the rule context_is_admin.
	IsAdmin bool
	// Token is the caller's, to look at Neutron with the caller's eyes. Never logged.
	Token string
}

// Authenticator turns a token into an identity.
type Authenticator interface {
	// Authenticate checks a token, which is never empty. An error that is ErrUnauthorized is
	// answered 401; any other is 503 and says that Keystone could not be asked. It may be
	// called concurrently and should cache.
	Authenticate(ctx context.Context, token string) (Identity, error)
}
