package secret

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"
)

// Noop is upstream's noop_cert_manager: every reference is good, and leads to one certificate that
// is a CA too, with its empty revocation list.
type Noop struct {
	bundle Bundle
	list   []byte
}

// NewNoop makes its certificate.
func NewNoop(now time.Time) (*Noop, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "noop.example.com"}, DNSNames: []string{"noop.example.com"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature, SubjectKeyId: []byte("noop"),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: template.NotBefore, NextUpdate: template.NotAfter,
	}, template, key)
	if err != nil {
		return nil, fmt.Errorf("make a revocation list: %w", err)
	}
	b := Bundle{Certificate: encode(typeCertificate, der), NotAfter: template.NotAfter, Names: template.DNSNames}
	if b.Key, err = encodeKey(key); err != nil {
		return nil, err
	}
	return &Noop{b, encode("X509 CRL", list)}, nil
}

// Bundle returns the certificate.
func (n *Noop) Bundle(context.Context, string) (Bundle, error) { return n.bundle, nil }

// Secret returns the certificate and the list: what asks for one of them finds it.
func (n *Noop) Secret(context.Context, string) ([]byte, error) {
	return bytes.Join([][]byte{n.bundle.Certificate, n.list, nil}, []byte("\n")), nil
}

// Admit does nothing.
func (n *Noop) Admit(context.Context, string, string) error { return nil }
