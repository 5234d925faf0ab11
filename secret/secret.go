// Package secret reads the TLS material that users keep elsewhere: certificates with their keys, the
// CAs of clients and members, and revocation lists. References are those of the API.
package secret

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // names of files, which upstream made so; nothing depends on its strength
	"encoding/hex"
	"fmt"
	"time"
)

// Manager keeps secrets. Errors are *Error when the reference or what is behind it is wrong; anything
// else means that the manager cannot be asked now. Safe for concurrent use.
type Manager interface {
	// Bundle reads a certificate with its key and chain, as the service.
	Bundle(ctx context.Context, ref string) (Bundle, error)
	// Secret reads a CA or a revocation list as it is stored, as the service.
	Secret(ctx context.Context, ref string) ([]byte, error)
	// Admit lets the service read what the user of the token may read. It is called before the first
	// read of a reference that the user has just given, and may be called again.
	Admit(ctx context.Context, userToken, ref string) error
}

// Error says that a reference does not lead to what it should. Its text holds no secret.
type Error struct {
	Ref    string
	Kind   Kind
	Reason string
}

// Kind says what is wrong with a reference.
type Kind int

// Kinds of errors.
const (
	Absent     Kind = iota // there is nothing, or nothing that may be read
	Unreadable             // it is no PKCS#12 bundle, or one that needs a passphrase
	Unfit                  // the parts of a container or directory are no certificate with its key
	Nameless               // the certificate has neither CN nor DNS names
)

func (e *Error) Error() string { return fmt.Sprintf("certificate %s: %s", e.Ref, e.Reason) }

// Bundle is a certificate with all that serving it needs, in PEM.
type Bundle struct {
	Certificate []byte // as stored, which names the file
	Key         []byte // not encrypted
	Chain       [][]byte
	Names       []string // CN in lower case, then DNS names
	NotAfter    time.Time
}

// ID names the bundle's file in amphorae: SHA-1 of the certificate's PEM, as upstream.
func (b Bundle) ID() string { return ID(b.Certificate) }

// ID names the file of a CA or a revocation list.
func ID(content []byte) string {
	sum := sha1.Sum(content) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

// PEM is the file: certificate, key, chain.
func (b Bundle) PEM() []byte {
	parts := append([][]byte{b.Certificate, b.Key}, b.Chain...)
	return append(bytes.Join(parts, []byte("\n")), '\n')
}

// String keeps keys out of logs.
func (b Bundle) String() string { return "bundle " + b.ID() }

// GoString is String.
func (b Bundle) GoString() string { return b.String() }
