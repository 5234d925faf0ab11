// Package cloud opens Keystone sessions for the OpenStack clients and sorts their errors
// into the few classes that callers act on. It is the one place that knows gophercloud's
// authentication and error types. It never repeats a failed call, apart from one login when
// a token is refused: retrying is the callers'.
package cloud

import (
	"errors"
	"fmt"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
)

// DefaultTimeout bounds one HTTP call when Auth.Timeout is 0.
const DefaultTimeout = time.Minute

// userAgent is what services log about us.
const userAgent = "ottavino"

// Auth is a keystoneauth section of octavia.conf ([service_auth], [neutron], [keystone_authtoken]).
type Auth struct {
	URL                         string
	Type                        string // password, v3password, v3applicationcredential; "" = password
	Username, UserID            string
	Password                    string
	UserDomainName, UserDomain  string // Domain = id
	ProjectName, ProjectID      string
	ProjectDomainName           string
	ProjectDomain               string // id
	ApplicationCredentialID     string
	ApplicationCredentialName   string
	ApplicationCredentialSecret string
	SystemScope                 string
	CAFile                      string
	CertFile, KeyFile           string
	Insecure                    bool
	Timeout                     time.Duration // of one HTTP call; 0 = 60s
}

// String hides everything: an Auth is full of secrets.
func (a Auth) String() string { return "auth at " + a.URL }

// GoString hides what String hides.
func (a Auth) GoString() string { return a.String() }

// credentials words auth for Keystone, or says what is missing.
func (a Auth) credentials() (*tokens.AuthOptions, error) {
	if a.URL == "" {
		return nil, errors.New("auth_url is not set")
	}
	switch a.Type {
	case "", "password", "v3password":
		return a.password()
	case "v3applicationcredential":
		return a.applicationCredential()
	default:
		return nil, fmt.Errorf("auth_type %q is not supported: use password, v3password or v3applicationcredential", a.Type)
	}
}

func (a Auth) password() (*tokens.AuthOptions, error) {
	opts, err := a.user()
	if err != nil {
		return nil, err
	}
	if a.Password == "" {
		return nil, errors.New("password is not set")
	}
	opts.Password = a.Password
	opts.Scope, err = a.scope()
	return opts, err
}

func (a Auth) applicationCredential() (*tokens.AuthOptions, error) {
	opts := &tokens.AuthOptions{}
	if a.ApplicationCredentialID == "" {
		if a.ApplicationCredentialName == "" {
			return nil, errors.New("application_credential_id is not set")
		}
		var err error
		if opts, err = a.user(); err != nil {
			return nil, err
		}
	}
	if a.ApplicationCredentialSecret == "" {
		return nil, errors.New("application_credential_secret is not set")
	}
	opts.ApplicationCredentialID = a.ApplicationCredentialID
	opts.ApplicationCredentialName = a.ApplicationCredentialName
	opts.ApplicationCredentialSecret = a.ApplicationCredentialSecret
	return opts, nil // the credential carries its scope
}

// user names the user; Keystone refuses a domain beside a user's id.
func (a Auth) user() (*tokens.AuthOptions, error) {
	switch {
	case a.UserID != "":
		return &tokens.AuthOptions{UserID: a.UserID}, nil
	case a.Username == "":
		return nil, errors.New("username is not set")
	case a.UserDomain != "":
		return &tokens.AuthOptions{Username: a.Username, DomainID: a.UserDomain}, nil
	case a.UserDomainName != "":
		return &tokens.AuthOptions{Username: a.Username, DomainName: a.UserDomainName}, nil
	default:
		return nil, errors.New("user_domain_name or user_domain_id is needed with username")
	}
}

func (a Auth) scope() (tokens.Scope, error) {
	switch {
	case a.SystemScope != "":
		return tokens.Scope{System: true}, nil
	case a.ProjectID != "":
		return tokens.Scope{ProjectID: a.ProjectID}, nil
	case a.ProjectName == "":
		return tokens.Scope{}, errors.New("project_name, project_id or system_scope is not set")
	case a.ProjectDomain != "":
		return tokens.Scope{ProjectName: a.ProjectName, DomainID: a.ProjectDomain}, nil
	case a.ProjectDomainName != "":
		return tokens.Scope{ProjectName: a.ProjectName, DomainName: a.ProjectDomainName}, nil
	default:
		return tokens.Scope{}, errors.New("project_domain_name or project_domain_id is needed with project_name")
	}
}
