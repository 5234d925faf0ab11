// Package certtest issues certificates as users of load balancers have them.
package certtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

// Issued is a certificate with its key.
type Issued struct {
	Cert *x509.Certificate
	Key  crypto.Signer

	tb testing.TB
}

const day = 24 * time.Hour

// Issue makes a certificate for names that is valid for 100 days, signed by a CA, or a CA when that is nil.
func Issue(tb testing.TB, by *Issued, names ...string) *Issued {
	tb.Helper()
	return IssueFor(tb, 100*day, by, names...)
}

// IssueFor is Issue with another validity.
func IssueFor(tb testing.TB, valid time.Duration, by *Issued, names ...string) *Issued {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return sign(tb, key, valid, by, names)
}

// Weak makes a certificate whose key OpenSSL finds too short.
func Weak(tb testing.TB, name string) *Issued {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // that is the point
	if err != nil {
		tb.Fatal(err)
	}
	return sign(tb, key, day, nil, []string{name})
}

func sign(tb testing.TB, key crypto.Signer, valid time.Duration, by *Issued, names []string) *Issued {
	tb.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, IsCA: by == nil, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(valid), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	parent, signer := template, key
	if by == nil {
		template.KeyUsage |= x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	} else {
		parent, signer = by.Cert, by.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return &Issued{cert, key, tb}
}

// PEM is the certificate.
func (i *Issued) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Cert.Raw})
}

// KeyPEM is its key, which must not be a weak one.
func (i *Issued) KeyPEM() []byte {
	i.tb.Helper()
	der, err := x509.MarshalECPrivateKey(i.Key.(*ecdsa.PrivateKey))
	if err != nil {
		i.tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}

// Bundle is both as PKCS#12.
func (i *Issued) Bundle() []byte {
	i.tb.Helper()
	data, err := pkcs12.Modern.Encode(i.Key, i.Cert, nil, "")
	if err != nil {
		i.tb.Fatal(err)
	}
	return data
}

// TLS is both for connections.
func (i *Issued) TLS() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{i.Cert.Raw}, PrivateKey: i.Key}
}

// Pool trusts the certificate alone.
func (i *Issued) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(i.Cert)
	return p
}

// Revokes is a CA's list of revoked certificates, as PEM.
func (i *Issued) Revokes(who ...*Issued) []byte {
	i.tb.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(day)}
	for _, w := range who {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: w.Cert.SerialNumber, RevocationTime: time.Now(),
		})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, i.Cert, i.Key)
	if err != nil {
		i.tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}
