package secret_test

import (
	"bytes"
	"testing"

	"github.com/ottavino/ottavino/secret"
)

func sealer(t *testing.T, keys ...string) *secret.Sealer {
	t.Helper()
	s, err := secret.NewSealer(keys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSealer: the first key encrypts, all decrypt, and what was sealed opens only where it belongs and as it was.
func TestSealer(t *testing.T) {
	t.Parallel()
	const older, newer = "insecure-key-do-not-use-this-key", "another-key-do-not-use-this-one-"
	plain := []byte("-----BEGIN EC PRIVATE KEY-----")
	before, after := sealer(t, older), sealer(t, newer, older)
	sealed := before.Seal(plain, "row")
	if bytes.Contains(sealed, plain[:8]) {
		t.Error("the text is readable")
	}
	if bytes.Equal(sealed, before.Seal(plain, "row")) {
		t.Error("sealed twice, it is the same")
	}
	if got, err := after.Open(sealed, "row"); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("with the older key as second: got %q, %v", got, err)
	}
	cut := bytes.Clone(sealed)
	cut[len(cut)-1] ^= 1
	for name, open := range map[string]func() ([]byte, error){
		"of another row":        func() ([]byte, error) { return before.Open(sealed, "other") },
		"changed":               func() ([]byte, error) { return before.Open(cut, "row") },
		"cut":                   func() ([]byte, error) { return before.Open(sealed[:5], "row") },
		"empty":                 func() ([]byte, error) { return before.Open(nil, "row") },
		"under a newer key":     func() ([]byte, error) { return before.Open(after.Seal(plain, "row"), "row") },
		"under a forgotten key": func() ([]byte, error) { return sealer(t, newer).Open(sealed, "row") },
	} {
		if got, err := open(); err == nil {
			t.Errorf("%s: got %q, want an error", name, got)
		}
	}
	if _, err := secret.NewSealer(nil); err == nil {
		t.Error("made a sealer without a key")
	}
}
