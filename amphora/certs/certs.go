// Package certs is the controller's certificate authority: server certificates of amphorae,
// and creation of the CAs and the client certificate for a new installation.
package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // RFC 5280's way to name a key; nothing depends on its strength
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// keyBits is the size of all keys made here, as upstream's.
const keyBits = 2048

// skew is how much earlier than now a certificate becomes valid, so that an amphora whose
// clock is behind believes it.
const skew = 5 * time.Minute

// CA signs server certificates of amphorae ([certificates] ca_certificate, ca_private_key).
type CA struct {
	cert      *x509.Certificate
	key       crypto.Signer
	algorithm x509.SignatureAlgorithm // of what it signs; 0 = what goes with its key
}

// LoadCA reads the CA from PEM; passphrase "" = unencrypted key (PKCS#1 or PKCS#8, legacy PEM encryption included).
func LoadCA(certPEM, keyPEM []byte, passphrase string) (*CA, error) {
	block, _ := pem.Decode(certPEM)
	if block == nil {
		return nil, errors.New("no certificate in the CA's file")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("CA certificate: %w", err)
	}
	key, err := parseKey(keyPEM, passphrase)
	if err != nil {
		return nil, fmt.Errorf("CA key: %w", err)
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(cert.PublicKey) {
		return nil, errors.New("the CA's key is not the one of its certificate")
	}
	return &CA{cert: cert, key: key}, nil
}

// algorithms are those of signatures by a key with a digest.
var algorithms = map[string]struct{ rsa, ecdsa x509.SignatureAlgorithm }{
	"sha256": {x509.SHA256WithRSA, x509.ECDSAWithSHA256},
	"sha384": {x509.SHA384WithRSA, x509.ECDSAWithSHA384},
	"sha512": {x509.SHA512WithRSA, x509.ECDSAWithSHA512},
}

// SignWith says which digest the CA's signatures are of: [certificates] signing_digest.
func (c *CA) SignWith(digest string) error {
	by, ok := algorithms[strings.ToLower(digest)]
	if !ok {
		return fmt.Errorf("%q is none of sha256, sha384, sha512", digest)
	}
	switch c.key.Public().(type) {
	case *rsa.PublicKey:
		c.algorithm = by.rsa
	case *ecdsa.PublicKey:
		c.algorithm = by.ecdsa
	} // other keys have but one
	return nil
}

// Issued is a certificate with its key.
type Issued struct {
	CertPEM, KeyPEM []byte // the key is PKCS#1
	NotAfter        time.Time
}

// Bundle is certificate then key, as the agent's server.pem wants it.
func (i Issued) Bundle() []byte { return append(append([]byte{}, i.CertPEM...), i.KeyPEM...) }

// Server issues a certificate for an amphora: CN and DNS SAN = id, RSA 2048, valid for d from now
// (backdated a few minutes against clock skew).
func (c *CA) Server(id string, now time.Time, d time.Duration) (Issued, error) {
	return c.issue(id, now, d, true)
}

// Client issues a controller's client certificate.
func (c *CA) Client(commonName string, now time.Time, d time.Duration) (Issued, error) {
	return c.issue(commonName, now, d, false)
}

func (c *CA) issue(name string, now time.Time, d time.Duration, server bool) (Issued, error) {
	template, err := newTemplate(name, now, d)
	if err != nil {
		return Issued{}, err
	}
	template.SignatureAlgorithm = c.algorithm
	template.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if server {
		template.DNSNames = []string{name}
		template.KeyUsage |= x509.KeyUsageDataEncipherment | x509.KeyUsageKeyAgreement
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	return sign(template, c.cert, c.key)
}

// NewCA makes a self-signed CA.
func NewCA(commonName string, now time.Time, d time.Duration) (Issued, error) {
	template, err := newTemplate(commonName, now, d)
	if err != nil {
		return Issued{}, err
	}
	template.IsCA = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	return sign(template, template, nil)
}

func newTemplate(name string, now time.Time, d time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-skew).UTC(), NotAfter: now.Add(d).UTC().Truncate(time.Second),
		BasicConstraintsValid: true,
	}, nil
}

// sign makes a key for the template and signs it; signer nil means by itself.
func sign(template, parent *x509.Certificate, signer crypto.Signer) (Issued, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return Issued{}, err
	}
	if signer == nil {
		signer = key
	}
	template.SubjectKeyId = keyID(&key.PublicKey)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return Issued{}, fmt.Errorf("sign certificate of %s: %w", template.Subject.CommonName, err)
	}
	return Issued{
		CertPEM:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		KeyPEM:   pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
		NotAfter: template.NotAfter,
	}, nil
}

func keyID(key *rsa.PublicKey) []byte {
	der, err := asn1.Marshal(*key)
	if err != nil {
		return nil
	}
	sum := sha1.Sum(der) //nolint:gosec // see the import
	return sum[:]
}
