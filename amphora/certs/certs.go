// Package certs is the controller's certificate authority: server certificates of amphorae,
// and creation of the CAs and the client certificate for a new installation.
package certs

import "time"

// CA signs server certificates of amphorae ([certificates] ca_certificate, ca_private_key).
type CA struct{}

// LoadCA reads the CA from PEM; passphrase "" = unencrypted key (PKCS#1 or PKCS#8, legacy PEM encryption included).
func LoadCA(certPEM, keyPEM []byte, passphrase string) (*CA, error) { panic("todo") }

// Issued is a certificate with its key.
type Issued struct {
	CertPEM, KeyPEM []byte // the key is PKCS#1
	NotAfter        time.Time
}

// Bundle is certificate then key, as the agent's server.pem wants it.
func (i Issued) Bundle() []byte { return append(append([]byte{}, i.CertPEM...), i.KeyPEM...) }

// Server issues a certificate for an amphora: CN and DNS SAN = id, RSA 2048, valid for d from now
// (backdated a few minutes against clock skew).
func (c *CA) Server(id string, now time.Time, d time.Duration) (Issued, error) { panic("todo") }

// NewCA makes a self-signed CA.
func NewCA(commonName string, now time.Time, d time.Duration) (Issued, error) { panic("todo") }

// Client issues a controller's client certificate.
func (c *CA) Client(commonName string, now time.Time, d time.Duration) (Issued, error) { panic("todo") }
