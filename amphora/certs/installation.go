package certs

import (
	"crypto/tls"
	"crypto/x509"
	"time"
)

// Installation is what amphorae and controllers of a new installation know each other by.
type Installation struct {
	ServerCA, ClientCA Issued // sign the certificates of amphorae and of controllers
	Client             Issued // a controller's
	Servers            *CA    // ServerCA, to sign with
}

// NewInstallation makes one that is valid for d from now.
func NewInstallation(now time.Time, d time.Duration) (*Installation, error) {
	var i Installation
	var clients *CA
	var err error
	if i.ServerCA, i.Servers, err = newLoadedCA("server CA", now, d); err != nil {
		return nil, err
	}
	if i.ClientCA, clients, err = newLoadedCA("client CA", now, d); err != nil {
		return nil, err
	}
	i.Client, err = clients.Client("controller", now, d)
	return &i, err
}

func newLoadedCA(name string, now time.Time, d time.Duration) (Issued, *CA, error) {
	made, err := NewCA(name, now, d)
	if err != nil {
		return made, nil, err
	}
	ca, err := LoadCA(made.CertPEM, made.KeyPEM, "")
	return made, ca, err
}

// Pool holds the certificate as the only one that is trusted.
func (i Issued) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(i.CertPEM)
	return pool
}

// Pair is the certificate with its key, for connections.
func (i Issued) Pair() (tls.Certificate, error) { return tls.X509KeyPair(i.CertPEM, i.KeyPEM) }
