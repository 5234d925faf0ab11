package db

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
)

// sslOptions are PyMySQL's ssl_* options.
type sslOptions struct {
	ca, cert, key string
	noHostname    bool
	noVerify      bool
	wanted        bool
	disabled      bool
}

func (o *sslOptions) set(key, value string) error {
	yes := isTrue(value)
	o.wanted = true
	switch key {
	case "ssl_ca":
		o.ca = value
	case "ssl_cert":
		o.cert = value
	case "ssl_key":
		o.key = value
	case "ssl_check_hostname", "ssl_verify_identity":
		o.noHostname = !yes
	case "ssl_verify_cert":
		o.noVerify = !yes
	case "ssl":
		o.disabled = !yes
	case "ssl_disabled":
		o.disabled = yes
	default:
		return errors.New("not supported")
	}
	return nil
}

// config returns nil when no TLS is asked for. As in PyMySQL, a server is verified when there
// is a CA to verify it with.
func (o *sslOptions) config(addr string) (*tls.Config, error) {
	if !o.wanted || o.disabled {
		return nil, nil // no TLS
	}
	host, _, _ := net.SplitHostPort(addr)
	t := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return nil, fmt.Errorf("load ssl_cert and ssl_key: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	if o.ca == "" || o.noVerify {
		t.InsecureSkipVerify = true
		return t, nil
	}
	pem, err := os.ReadFile(o.ca)
	if err != nil {
		return nil, fmt.Errorf("read ssl_ca: %w", err)
	}
	t.RootCAs = x509.NewCertPool()
	if !t.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("ssl_ca holds no certificate")
	}
	if o.noHostname {
		t.InsecureSkipVerify = true
		t.VerifyConnection = chainOnly(t.RootCAs)
	}
	return t, nil
}

// chainOnly verifies a server's certificate but for its name.
func chainOnly(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(cs tls.ConnectionState) error {
		between := x509.NewCertPool()
		for _, c := range cs.PeerCertificates[1:] {
			between.AddCert(c)
		}
		_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
		return err
	}
}
