package keystone

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// leeway is how far our clock may be from Keystone's.
	leeway = 30 * time.Second
	// rereadAfter keeps forged tokens from making us read files all the time.
	rereadAfter = 5 * time.Second
)

// keyring holds Keystone's public keys. Keystone says in no token which key signed it, and
// rotates keys: a token that fits none makes the files be read again.
type keyring struct {
	paths  []string
	now    func() time.Time
	parser *jwt.Parser

	mu   sync.Mutex
	keys []*ecdsa.PublicKey
	read time.Time
}

func newKeyring(paths []string, now func() time.Time) (*keyring, error) {
	keys, err := readKeys(paths)
	if err != nil {
		return nil, err
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodES256.Alg()}),
		jwt.WithExpirationRequired(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(now))
	return &keyring{paths: paths, now: now, parser: parser, keys: keys, read: now()}, nil
}

// isJWS knows signed tokens from Fernet's and UUIDs: JSON in base64 and three parts.
func isJWS(token string) bool {
	return strings.HasPrefix(token, "eyJ") && strings.Count(token, ".") == 2
}

// valid says whether one of the keys signed the token and it has not expired.
func (k *keyring) valid(token string) bool {
	ok, forged := k.check(token, k.current())
	if !forged {
		return ok
	}
	keys, fresh := k.reread()
	if fresh {
		ok, _ = k.check(token, keys)
	}
	return ok
}

// check tells forged (fits no key) from otherwise invalid.
func (k *keyring) check(token string, keys []*ecdsa.PublicKey) (ok, forged bool) {
	for _, key := range keys {
		_, err := k.parser.Parse(token, func(*jwt.Token) (any, error) { return key, nil })
		if err == nil {
			return true, false
		}
		if !errors.Is(err, jwt.ErrTokenSignatureInvalid) {
			return false, false
		}
	}
	return false, true
}

func (k *keyring) current() []*ecdsa.PublicKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys
}

func (k *keyring) reread() (keys []*ecdsa.PublicKey, fresh bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.now().Sub(k.read) < rereadAfter {
		return nil, false
	}
	k.read = k.now()
	read, err := readKeys(k.paths)
	if err != nil {
		return nil, false // a rotation on its way: the keys of before still hold
	}
	k.keys = read
	return read, true
}

// readKeys reads all keys; none is an error.
func readKeys(paths []string) ([]*ecdsa.PublicKey, error) {
	var keys []*ecdsa.PublicKey
	for _, path := range paths {
		files, err := filesAt(path)
		if err != nil {
			return nil, fmt.Errorf("find JWS keys: %w", err)
		}
		for _, file := range files {
			pem, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("read JWS key: %w", err)
			}
			key, err := jwt.ParseECPublicKeyFromPEM(pem)
			if err != nil {
				return nil, fmt.Errorf("JWS key %s: %w", file, err)
			}
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("no JWS keys at %s", strings.Join(paths, ", "))
	}
	return keys, nil
}

func filesAt(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	return filepath.Glob(filepath.Join(path, "*.pem"))
}
