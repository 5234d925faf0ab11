package certs_test

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/ottavino/ottavino/amphora/certs"
)

func TestInstallation(t *testing.T) {
	now := time.Now()
	i, err := certs.NewInstallation(now, day)
	if err != nil {
		t.Fatal(err)
	}
	server, err := i.Servers.Server("amphora", now, day)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		issued    certs.Issued
		ca, other certs.Issued
		usage     x509.ExtKeyUsage
	}{
		{"server", server, i.ServerCA, i.ClientCA, x509.ExtKeyUsageServerAuth},
		{"client", i.Client, i.ClientCA, i.ServerCA, x509.ExtKeyUsageClientAuth},
	} {
		pair, err := c.issued.Pair()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: c.ca.Pool(), KeyUsages: []x509.ExtKeyUsage{c.usage}}); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: c.other.Pool(), KeyUsages: []x509.ExtKeyUsage{c.usage}}); err == nil {
			t.Errorf("%s: the other CA vouches for it", c.name)
		}
	}
}
