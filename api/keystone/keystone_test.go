package keystone_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/api/keystone"
	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/internal/clocktest"
	"github.com/ottavino/ottavino/internal/cloudtest"
	sandbox "github.com/ottavino/ottavino/sandbox/keystone"
	"github.com/ottavino/ottavino/sandbox/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ api.Authenticator = (*keystone.Authenticator)(nil)

const question = "GET /v3/auth/tokens"

func newAuth(t *testing.T, cfg keystone.Config) (*keystone.Authenticator, *cloudtest.Cloud, *clocktest.Clock) {
	t.Helper()
	c := cloudtest.New(t, sandbox.Config{})
	k := clocktest.New(time.Now())
	cfg.Now = k.Now
	a, err := keystone.New(cfg, c.Session)
	if err != nil {
		t.Fatal(err)
	}
	return a, c, k
}

func TestIdentity(t *testing.T) {
	a, c, _ := newAuth(t, keystone.Config{})
	project, token := c.User(t, "alice", "member", "reader")
	who, err := a.Authenticate(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if who.UserName != "alice" || who.UserID == "" || who.UserDomainID != "default" || who.ProjectID != project ||
		who.ProjectName != "alice-project" || who.ProjectDomainID != "default" || who.SystemScope != "" || who.Token != token {
		t.Errorf("got %+v", who)
	}
	if !slices.Contains(who.Roles, "member") || !slices.Contains(who.Roles, "reader") || who.IsAdmin {
		t.Errorf("got roles %q, admin %v", who.Roles, who.IsAdmin)
	}
}

func TestRefusedTokens(t *testing.T) {
	a, c, _ := newAuth(t, keystone.Config{})
	for name, tc := range map[string]struct {
		token string
		asked int
	}{
		"unknown":    {"gAAAAABunknown", 1},
		"newline":    {"abc\r\nX-Evil: 1", 0},
		"not ASCII":  {"ä", 0},
		"space":      {"a b", 0},
		"much":       {strings.Repeat("a", 20_000), 0},
		"JWS of all": {"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.", 1}, // no keys here: Keystone decides
	} {
		t.Run(name, func(t *testing.T) {
			c.Hub.ResetCalls()
			if _, err := a.Authenticate(t.Context(), tc.token); !errors.Is(err, api.ErrUnauthorized) {
				t.Errorf("got %v, want ErrUnauthorized", err)
			}
			if n := c.Count(t, question); n != tc.asked {
				t.Errorf("Keystone was asked %d times, want %d", n, tc.asked)
			}
		})
	}
}

func TestCache(t *testing.T) {
	for _, tc := range []struct {
		name      string
		cacheTime time.Duration
		known     bool
		after     time.Duration
		asked     int
	}{
		{"fresh", 0, true, 299 * time.Second, 1},
		{"old", 0, true, 300 * time.Second, 2},
		{"configured", time.Minute, true, time.Minute, 2},
		{"off", -time.Second, true, 0, 2},
		{"not beyond the token's end", 24 * time.Hour, true, 61 * time.Minute, 2},
		{"refused", 0, false, 9 * time.Second, 1},
		{"refused long ago", 0, false, 10 * time.Second, 2},
		{"refused, off", -time.Second, false, 0, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, c, k := newAuth(t, keystone.Config{CacheTime: tc.cacheTime})
			token := "gAAAAABunknown"
			if tc.known {
				_, token = c.User(t, "alice", "member")
			}
			for range 2 {
				_, err := a.Authenticate(t.Context(), token)
				if (err == nil) != tc.known && k.Now().Before(time.Now().Add(time.Hour)) {
					t.Errorf("got %v", err)
				}
				k.Pass(tc.after)
			}
			if n := c.Count(t, question); n != tc.asked {
				t.Errorf("Keystone was asked %d times, want %d", n, tc.asked)
			}
		})
	}
}

func TestAnswersShareNothing(t *testing.T) {
	a, c, _ := newAuth(t, keystone.Config{})
	_, token := c.User(t, "alice", "member")
	for range 3 {
		who, err := a.Authenticate(t.Context(), token)
		if err != nil || !slices.Contains(who.Roles, "member") {
			t.Fatalf("got %+v, %v", who, err)
		}
		for i := range who.Roles {
			who.Roles[i] = "admin"
		}
	}
}

func TestOneQuestionForAll(t *testing.T) {
	a, c, _ := newAuth(t, keystone.Config{})
	_, token := c.User(t, "alice", "member")
	c.Hub.Inject(rest.Fault{Service: "identity", Method: "GET", Delay: 50 * time.Millisecond})
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			if who, err := a.Authenticate(t.Context(), token); err != nil || who.UserName != "alice" {
				t.Errorf("got %+v, %v", who, err)
			}
		})
	}
	all.Wait()
	if n := c.Count(t, question); n != 1 {
		t.Errorf("Keystone was asked %d times, want 1", n)
	}
}

func TestKeystoneIsAway(t *testing.T) {
	for name, fault := range map[string]rest.Fault{
		"503": {Status: 503}, "garbage": {Status: 200, Body: "<html>"}, "empty": {Status: 200, Body: `{"token": {}}`},
		"our identity is refused": {Status: 401}, "our role does not suffice": {Status: 403, Body: `{"error": {"message": "no"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			a, c, _ := newAuth(t, keystone.Config{})
			_, token := c.User(t, "alice", "member")
			fault.Service, fault.Method = "identity", "GET"
			mend := c.Hub.Inject(fault)
			_, err := a.Authenticate(t.Context(), token)
			if err == nil || errors.Is(err, api.ErrUnauthorized) || strings.Contains(err.Error(), token) {
				t.Errorf("got %v, want an error that is not ErrUnauthorized and has no token", err)
			}
			mend()
			if _, err := a.Authenticate(t.Context(), token); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
	t.Run("caller gives up", func(t *testing.T) {
		a, c, _ := newAuth(t, keystone.Config{})
		_, token := c.User(t, "alice", "member")
		defer c.Hub.Inject(rest.Fault{Service: "identity", Hang: true, Times: 1})()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := a.Authenticate(ctx, token); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want DeadlineExceeded", err)
		}
	})
}

// signed makes a token as Keystone's jws provider does.
func signed(t *testing.T, method jwt.SigningMethod, key any, expires time.Time) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": "u", "iat": expires.Add(-time.Hour).Unix()}
	if !expires.IsZero() {
		claims["exp"] = expires.Unix()
	}
	token, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func newKey(t *testing.T) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestJWS(t *testing.T) {
	dir := t.TempDir()
	ours, public := newKey(t)
	write(t, filepath.Join(dir, "a.pem"), public)
	write(t, filepath.Join(dir, "README"), []byte("no key"))
	a, c, k := newAuth(t, keystone.Config{JWSKeys: []string{dir}})
	other, _ := newKey(t)
	for name, tc := range map[string]struct {
		token string
		asked int
	}{
		"forged":        {signed(t, jwt.SigningMethodES256, other, k.Now().Add(time.Hour)), 0},
		"expired":       {signed(t, jwt.SigningMethodES256, ours, k.Now().Add(-time.Minute)), 0},
		"just expired":  {signed(t, jwt.SigningMethodES256, ours, k.Now().Add(-10*time.Second)), 1}, // clocks differ
		"without end":   {signed(t, jwt.SigningMethodES256, ours, time.Time{}), 0},
		"none":          {signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, k.Now().Add(time.Hour)), 0},
		"HMAC with key": {signed(t, jwt.SigningMethodHS256, public, k.Now().Add(time.Hour)), 0},
		"no JSON":       {"eyJ.x.y", 0},
		"good, but revoked or unknown to Keystone": {signed(t, jwt.SigningMethodES256, ours, k.Now().Add(time.Hour)), 1},
		"Fernet": {"gAAAAABx", 1},
	} {
		t.Run(name, func(t *testing.T) {
			c.Hub.ResetCalls()
			if _, err := a.Authenticate(t.Context(), tc.token); !errors.Is(err, api.ErrUnauthorized) {
				t.Errorf("got %v, want ErrUnauthorized", err)
			}
			if n := c.Count(t, question); n != tc.asked {
				t.Errorf("Keystone was asked %d times, want %d", n, tc.asked)
			}
		})
	}
}

// Keystone's own tokens pass, and so they do when Keystone changes its key under us.
func TestJWSKeysRotate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key.pem")
	_, stale := newKey(t)
	write(t, file, stale)
	a, c, k := newAuth(t, keystone.Config{JWSKeys: []string{file}})
	_, token := c.User(t, "alice", "member")
	k.Pass(time.Minute)
	if _, err := a.Authenticate(t.Context(), token); !errors.Is(err, api.ErrUnauthorized) {
		t.Fatalf("before: got %v, want ErrUnauthorized", err)
	}
	fresh, err := c.Keystone.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, fresh)
	if _, err := a.Authenticate(t.Context(), token); !errors.Is(err, api.ErrUnauthorized) {
		t.Errorf("at once: got %v, want ErrUnauthorized: files are not read all the time", err)
	}
	k.Pass(6 * time.Second)
	if who, err := a.Authenticate(t.Context(), token); err != nil || !slices.Contains(who.Roles, "member") {
		t.Errorf("after: got %+v, %v", who, err)
	}
	write(t, file, []byte("half a file"))
	k.Pass(time.Hour / 2)
	_, another := c.User(t, "bob", "member")
	if _, err := a.Authenticate(t.Context(), another); err != nil {
		t.Errorf("with a broken file the keys of before hold: %v", err)
	}
}

func TestNewReadsKeys(t *testing.T) {
	session, err := cloud.NewSession(cloud.Auth{URL: "http://k", UserID: "u", Password: "p", ProjectID: "p"})
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "x.pem")
	write(t, broken, []byte("x"))
	for _, path := range []string{"/no/such/file", broken, t.TempDir()} {
		if _, err := keystone.New(keystone.Config{JWSKeys: []string{path}}, session); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}
