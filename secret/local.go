package secret

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/google/uuid"
)

// Local is upstream's local_cert_manager: files of a directory, named by UUIDs.
type Local struct{ dir string }

// NewLocal reads from [certificates] storage_path.
func NewLocal(dir string) *Local { return &Local{dir} }

// Bundle reads <uuid>.crt, .key and, if they are there, .int and .pass.
func (l *Local) Bundle(_ context.Context, ref string) (Bundle, error) {
	var p parts
	for _, file := range []struct {
		suffix   string
		into     *[]byte
		optional bool
	}{{".crt", &p.certificate, false}, {".key", &p.key, false}, {".int", &p.intermediates, true}, {".pass", &p.passphrase, true}} {
		content, err := l.read(ref, file.suffix)
		if errors.Is(err, fs.ErrNotExist) && file.optional {
			continue
		}
		if err != nil {
			return Bundle{}, absent(ref, err)
		}
		*file.into = content
	}
	b, err := p.bundle()
	return b, wrong(ref, err)
}

// Secret reads <uuid>.crt.
func (l *Local) Secret(_ context.Context, ref string) ([]byte, error) {
	content, err := l.read(ref, ".crt")
	if err != nil {
		return nil, absent(ref, err)
	}
	return content, nil
}

// Admit does nothing: the files are the service's.
func (l *Local) Admit(context.Context, string, string) error { return nil }

func (l *Local) read(ref, suffix string) ([]byte, error) {
	id := path.Base(ref)
	if uuid.Validate(id) != nil {
		return nil, errors.New("it is not named by a UUID")
	}
	return os.ReadFile(filepath.Join(l.dir, id+suffix))
}

// absent is the error for what cannot be read.
func absent(ref string, err error) error {
	reason := err.Error()
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok { // without our directories
		reason = pathErr.Err.Error()
	}
	return &Error{Ref: ref, Kind: Absent, Reason: reason}
}

// wrong is the error for what was read and cannot be used; nil for nil.
func wrong(ref string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNameless):
		return &Error{Ref: ref, Kind: Nameless, Reason: err.Error()}
	}
	return &Error{Ref: ref, Kind: Unreadable, Reason: err.Error()}
}

// Noop is upstream's noop_cert_manager: one certificate for every reference.
type Noop struct{ bundle Bundle }

// NewNoop makes its certificate.
func NewNoop(now time.Time) (*Noop, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "noop.example.com"}, DNSNames: []string{"noop.example.com"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	b := Bundle{Certificate: encode(typeCertificate, der), NotAfter: template.NotAfter, Names: template.DNSNames}
	if b.Key, err = encodeKey(key); err != nil {
		return nil, err
	}
	return &Noop{b}, nil
}

// Bundle returns the certificate.
func (n *Noop) Bundle(context.Context, string) (Bundle, error) { return n.bundle, nil }

// Secret returns the certificate.
func (n *Noop) Secret(context.Context, string) ([]byte, error) { return n.bundle.Certificate, nil }

// Admit does nothing.
func (n *Noop) Admit(context.Context, string, string) error { return nil }
