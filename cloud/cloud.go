// Package cloud opens Keystone sessions for the OpenStack clients and sorts their errors
// into the few classes that callers act on. It is the one place that knows gophercloud's
// authentication and error types.
package cloud

import (
	"context"
	"time"

	"github.com/gophercloud/gophercloud/v2"
)

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

// Endpoint selects one service's URL.
type Endpoint struct {
	Type     string // catalogue type: compute, network, image
	Name     string // catalogue name; "" = any
	Region   string // "" = any
	Override string // full URL; "" = from the catalogue
	// Interface is public, internal or admin; upstream's publicURL is accepted. "" = public.
	Interface string
	CAFile    string
	Insecure  bool
}

// Session is an authenticated identity. It authenticates lazily at the first call, again when
// the token expires, and is safe for concurrent use. A Keystone that is down at start
// makes calls fail with class Unavailable, not the process.
type Session struct{}

// NewSession checks auth for completeness; it does not talk to Keystone.
func NewSession(auth Auth) (*Session, error) { panic("todo") }

// Client returns gophercloud's client for a service, authenticated and bounded in time.
func (s *Session) Client(ctx context.Context, e Endpoint) (*gophercloud.ServiceClient, error) {
	panic("todo")
}

// Class is what a caller may do about a failed call.
type Class int

// Classes.
const (
	Final        Class = iota // asking again cannot help: bad request, forbidden
	Gone                      // 404
	Conflict                  // 409 that is not quota
	Quota                     // over quota or no capacity, whatever code the service says it with
	RateLimited               // 429, 413 with Retry-After
	Unauthorized              // 401 after a fresh login
	Unavailable               // 5xx, connection errors, timeouts, garbage where JSON was due
)

// Error is a classified failure of one call.
type Error struct {
	Class      Class
	Service    string        // compute, network, image, identity
	Op         string        // our verb, e.g. "create server"
	Status     int           // HTTP status; 0 = no answer
	Message    string        // the service's own words, bounded, without secrets
	RetryAfter time.Duration // 0 = not said
	Err        error
}

func (e *Error) Error() string { panic("todo") }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Classify wraps a gophercloud error; nil stays nil. It knows gophercloud's value and pointer
// forms, Neutron's OverQuota inside 409, and Nova's quota inside 403.
func Classify(service, op string, err error) error { panic("todo") }

// IsGone, IsConflict, IsQuota tell the class of any error in err's chain.
func IsGone(err error) bool     { panic("todo") }
func IsConflict(err error) bool { panic("todo") }
func IsQuota(err error) bool    { panic("todo") }

// Retryable: everything but Final and Gone.
func Retryable(err error) bool { panic("todo") }
