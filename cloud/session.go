package cloud

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"golang.org/x/sync/singleflight"
)

// renewBefore is how long before its end a token is replaced: long enough for the services
// that pass it on.
const renewBefore = time.Minute

// Session is an authenticated identity. It authenticates lazily at the first call, again when
// the token expires, and is safe for concurrent use. A Keystone that is down at start
// makes calls fail with class Unavailable, not the process.
type Session struct {
	auth    Auth
	opts    *tokens.AuthOptions
	now     func() time.Time
	logins  singleflight.Group
	timeout time.Duration

	mu         sync.Mutex
	grant      *grant                           // nil before the first login
	transports map[transportKey]*http.Transport // shared by all clients
}

// grant is what a login brought.
type grant struct {
	token     string
	project   string // id; "" without project scope
	user      string // id
	catalogue []tokens.CatalogEntry
	renewAt   time.Time
}

// NewSession checks auth for completeness; it does not talk to Keystone.
func NewSession(auth Auth) (*Session, error) {
	opts, err := auth.credentials()
	if err != nil {
		return nil, fmt.Errorf("cloud: %w", err)
	}
	s := &Session{
		auth: auth, opts: opts, now: time.Now, timeout: auth.Timeout,
		transports: make(map[transportKey]*http.Transport),
	}
	if s.timeout <= 0 {
		s.timeout = DefaultTimeout
	}
	if _, err := s.transport(transportKey{}); err != nil {
		return nil, err
	}
	return s, nil
}

// Close drops idle connections. The session stays usable.
func (s *Session) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.transports {
		t.CloseIdleConnections()
	}
}

// Client returns gophercloud's client for a service, authenticated and bounded in time. It
// asks Keystone only when the catalogue is needed and not known. Errors are *Error.
func (s *Session) Client(ctx context.Context, e Endpoint) (*gophercloud.ServiceClient, error) {
	return s.client(ctx, e, s.ownToken)
}

// ProjectID returns the id of the project we work in, "" when the session is not scoped to one.
func (s *Session) ProjectID(ctx context.Context) (string, error) {
	g, err := s.login(ctx, "")
	if err != nil {
		return "", Classify(identity, "log in", err)
	}
	return g.project, nil
}

// Token returns a token that is valid for a while, for who calls on our behalf.
func (s *Session) Token(ctx context.Context) (string, error) {
	g, err := s.login(ctx, "")
	if err != nil {
		return "", Classify(identity, "log in", err)
	}
	return g.token, nil
}

// UserID returns the id of the user we are.
func (s *Session) UserID(ctx context.Context) (string, error) {
	g, err := s.login(ctx, "")
	if err != nil {
		return "", Classify(identity, "log in", err)
	}
	return g.user, nil
}

// ClientAs is Client with another's token, for looking with the eyes of a user. The endpoint
// still comes from the session's own catalogue. A refused token is class Unauthorized.
func (s *Session) ClientAs(ctx context.Context, e Endpoint, token string) (*gophercloud.ServiceClient, error) {
	return s.client(ctx, e, func(_ context.Context, stale string) (string, error) {
		if stale != "" {
			return "", errForeignToken
		}
		return token, nil
	})
}

// errForeignToken stops the second try: nobody can renew another's token.
var errForeignToken = errors.New("a user's token cannot be renewed")

func (s *Session) client(ctx context.Context, e Endpoint, tokenFor tokenSource) (*gophercloud.ServiceClient, error) {
	base, err := s.transport(transportKey{ca: e.CAFile, insecure: e.Insecure})
	if err != nil {
		return nil, &Error{Class: Final, Service: e.Type, Op: "connect", Err: err}
	}
	address := e.Override
	if address == "" {
		g, err := s.login(ctx, "")
		if err != nil {
			return nil, Classify(identity, "log in", err)
		}
		address, err = e.find(g.catalogue)
		if err != nil && e.Type == identity {
			address, err = s.auth.URL, nil // where we just were
		}
		if err != nil {
			return nil, &Error{Class: Unavailable, Service: e.Type, Op: "look up endpoint", Err: err}
		}
	}
	return &gophercloud.ServiceClient{
		ProviderClient: s.provider(&tokenTransport{base: base, token: tokenFor}),
		Endpoint:       withVersion(e.Type, address),
		Type:           e.Type,
	}, nil
}

func (s *Session) provider(t http.RoundTripper) *gophercloud.ProviderClient {
	return &gophercloud.ProviderClient{HTTPClient: http.Client{Transport: t, Timeout: s.timeout}}
}

// ownToken is the session's token, another than stale.
func (s *Session) ownToken(ctx context.Context, stale string) (string, error) {
	g, err := s.login(ctx, stale)
	if err != nil {
		return "", err
	}
	return g.token, nil
}

// login returns the current grant, or a new one when there is none, it is old, or its token
// is the stale one that a service refused. Callers at one time share one login, which goes
// on when the caller that began it gives up.
func (s *Session) login(ctx context.Context, stale string) (*grant, error) {
	if g := s.current(stale); g != nil {
		return g, nil
	}
	done := s.logins.DoChan("", func() (any, error) {
		if g := s.current(stale); g != nil { // another's login ended just now
			return g, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
		defer cancel()
		g, err := s.askKeystone(ctx)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.grant = g
		return g, nil
	})
	select {
	case r := <-done:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*grant), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Session) current(stale string) *grant {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.grant == nil || s.grant.token == stale || !s.now().Before(s.grant.renewAt) {
		return nil
	}
	return s.grant
}

func (s *Session) askKeystone(ctx context.Context) (*grant, error) {
	base, err := s.transport(transportKey{})
	if err != nil {
		return nil, err
	}
	client := &gophercloud.ServiceClient{
		ProviderClient: s.provider(&agentTransport{base}),
		Endpoint:       withVersion(identity, s.auth.URL),
		Type:           identity,
	}
	opts := *s.opts // Create fills in what it is given
	result := tokens.Create(ctx, client, &opts)
	var body struct {
		Project   struct{ ID string }
		User      struct{ ID string }
		Catalogue []tokens.CatalogEntry `json:"catalog"`
		Issued    time.Time             `json:"issued_at"`
		Expires   time.Time             `json:"expires_at"`
	}
	if err := result.ExtractIntoStructPtr(&body, "token"); err != nil {
		return nil, Classify(identity, "log in", err)
	}
	token, err := result.ExtractTokenID()
	if err != nil || token == "" {
		return nil, &Error{Class: Unavailable, Service: identity, Op: "log in", Message: "the answer has no token", Err: err}
	}
	// Keystone's own clock tells how long the token lives; ours may differ.
	life := body.Expires.Sub(body.Issued)
	if body.Issued.IsZero() {
		life = body.Expires.Sub(s.now())
	}
	return &grant{
		token: token, project: body.Project.ID, user: body.User.ID, catalogue: body.Catalogue,
		renewAt: s.now().Add(life - min(renewBefore, life/2)),
	}, nil
}

// String hides what is inside: credentials and tokens.
func (s *Session) String() string { return "session at " + s.auth.URL }
