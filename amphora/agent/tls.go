package agent

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// tls is the server's side of mutual TLS. Files are read for every connection, so that a rotated certificate needs no restart.
func (a *Agent) tls() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			conf := a.config()
			cert, err := tls.LoadX509KeyPair(conf.ServerCert, conf.ServerCert)
			if err != nil {
				return nil, fmt.Errorf("server certificate: %w", err)
			}
			pem, err := os.ReadFile(conf.ClientCA)
			if err != nil {
				return nil, fmt.Errorf("client CA: %w", err)
			}
			pool := x509.NewCertPool()
			if !pool.AppendCertsFromPEM(pem) {
				return nil, errors.New("client CA: no certificate in the file")
			}
			return &tls.Config{
				MinVersion: conf.MinTLS, Certificates: []tls.Certificate{cert},
				ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
			}, nil
		},
	}
}
