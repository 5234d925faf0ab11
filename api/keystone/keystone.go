// Package keystone checks the tokens of API requests with Keystone. What Keystone said is
// believed for a while; signed (JWS) tokens whose signature or age is wrong are refused
// without asking.
package keystone

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/cloud"
)

// DefaultCacheTime is how long a token is believed when Config.CacheTime is 0.
const DefaultCacheTime = 5 * time.Minute

const (
	// refusedTime is how long a refused token stays refused: short, as a token may be used
	// a moment before all of Keystone knows it.
	refusedTime = 10 * time.Second
	// maxToken is the longest token that is looked at, in bytes: PKI tokens of old had 8k.
	maxToken = 16 << 10
)

// Config is [keystone_authtoken].
type Config struct {
	// Endpoint is Keystone's, to ask about tokens. The zero value takes Keystone from the
	// catalogue; a catalogue without it, the URL the session logs in at.
	Endpoint cloud.Endpoint
	// CacheTime is token_cache_time; 0 = DefaultCacheTime, negative = tokens are not cached.
	CacheTime time.Duration
	// JWSKeys are files or directories of public keys (PEM, ECDSA P-256), as Keystone keeps
	// them in its jws_keys/public. Empty = signatures are left to Keystone.
	JWSKeys []string
	Now     func() time.Time // nil = time.Now
}

// Authenticator is api.Authenticator. It is safe for concurrent use.
type Authenticator struct {
	service   cloud.Service
	cacheTime time.Duration
	now       func() time.Time
	keys      *keyring // nil without keys
	cache     *cache
	asking    singleflight.Group
}

// New reads the public keys; it does not talk to Keystone.
func New(cfg Config, s *cloud.Session) (*Authenticator, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Endpoint.Type = cmp.Or(cfg.Endpoint.Type, "identity")
	a := &Authenticator{
		service:   cloud.Service{Session: s, Endpoint: cfg.Endpoint},
		cacheTime: cmp.Or(cfg.CacheTime, DefaultCacheTime), now: cfg.Now, cache: newCache(cfg.Now),
	}
	if len(cfg.JWSKeys) > 0 {
		var err error
		if a.keys, err = newKeyring(cfg.JWSKeys, cfg.Now); err != nil {
			return nil, fmt.Errorf("keystone: %w", err)
		}
	}
	return a, nil
}

// Authenticate implements api.Authenticator.
func (a *Authenticator) Authenticate(ctx context.Context, token string) (api.Identity, error) {
	if !plausible(token) {
		return api.Identity{}, api.ErrUnauthorized
	}
	key := cacheKey(sha256.Sum256([]byte(token)))
	v, ok := a.cache.get(key)
	if !ok {
		if a.keys != nil && isJWS(token) && !a.keys.valid(token) {
			return api.Identity{}, api.ErrUnauthorized
		}
		var err error
		if v, err = a.ask(ctx, key, token); err != nil {
			return api.Identity{}, err
		}
	}
	if v.refused {
		return api.Identity{}, api.ErrUnauthorized
	}
	who := v.who
	who.Token, who.Roles = token, slices.Clone(who.Roles) // others share the verdict
	return who, nil
}

// plausible says whether a token can be sent in a header at all.
func plausible(token string) bool {
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return false
		}
	}
	return token != "" && len(token) <= maxToken
}

// ask asks Keystone, once for all who wait for the same token. It goes on when the first of
// them gives up; the session bounds it.
func (a *Authenticator) ask(ctx context.Context, key cacheKey, token string) (verdict, error) {
	done := a.asking.DoChan(string(key[:]), func() (any, error) {
		if v, ok := a.cache.get(key); ok { // another's question was answered just now
			return v, nil
		}
		v, err := a.validate(context.WithoutCancel(ctx), token)
		if err != nil {
			return verdict{}, err
		}
		if a.cacheTime > 0 {
			a.cache.put(key, v)
		}
		return v, nil
	})
	select {
	case r := <-done:
		return r.Val.(verdict), r.Err
	case <-ctx.Done():
		return verdict{}, ctx.Err()
	}
}

// tokenDoc is Keystone's description of a token.
type tokenDoc struct {
	Token struct {
		Expires time.Time `json:"expires_at"`
		User    struct {
			ID, Name string
			Domain   struct{ ID string }
		}
		Project struct {
			ID, Name string
			Domain   struct{ ID string }
		}
		Domain struct{ ID string }
		System struct{ All bool }
		// AdminProject is there only when Keystone has an admin project.
		AdminProject *bool `json:"is_admin_project"`
		Roles        []struct{ Name string }
	}
}

func (a *Authenticator) validate(ctx context.Context, token string) (verdict, error) {
	var doc tokenDoc
	err := a.service.Do(ctx, cloud.Call{
		Op: "validate token", Method: http.MethodGet, Path: "auth/tokens", Query: url.Values{"nocatalog": {""}},
		Header: map[string]string{"X-Subject-Token": token}, Out: &doc,
	})
	if cloud.IsGone(err) {
		return verdict{refused: true, until: a.now().Add(min(refusedTime, max(a.cacheTime, 0)))}, nil
	}
	if err != nil {
		return verdict{}, fmt.Errorf("keystone: %w", err)
	}
	t := &doc.Token
	if t.User.ID == "" || t.Expires.IsZero() {
		return verdict{}, errors.New("keystone: the answer describes no token")
	}
	if !a.now().Before(t.Expires) {
		return verdict{refused: true, until: a.now().Add(refusedTime)}, nil
	}
	v := verdict{who: doc.identity(), until: a.now().Add(a.cacheTime)}
	if t.Expires.Before(v.until) {
		v.until = t.Expires
	}
	return v, nil
}

func (d *tokenDoc) identity() api.Identity {
	t := &d.Token
	who := api.Identity{
		UserID: t.User.ID, UserName: t.User.Name, UserDomainID: t.User.Domain.ID,
		ProjectID: t.Project.ID, ProjectName: t.Project.Name, ProjectDomainID: t.Project.Domain.ID,
		DomainID: t.Domain.ID,
	}
	who.NotAdminProject = t.AdminProject != nil && !*t.AdminProject
	if t.System.All {
		who.SystemScope = "all"
	}
	for _, r := range t.Roles {
		who.Roles = append(who.Roles, r.Name)
	}
	return who
}
