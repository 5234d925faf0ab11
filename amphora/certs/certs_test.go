package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ottavino/ottavino/amphora/certs"
)

const day = 24 * time.Hour

func parse(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestServerCertificate(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	root, err := certs.NewCA("root", now, 365*day)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := certs.LoadCA(root.CertPEM, root.KeyPEM, "")
	if err != nil {
		t.Fatal(err)
	}
	const id = "0f0e0d0c-1111-2222-3333-444455556666"
	issued, err := ca.Server(id, now, 30*day)
	if err != nil {
		t.Fatal(err)
	}
	cert, roots := parse(t, issued.CertPEM), x509.NewCertPool()
	roots.AppendCertsFromPEM(root.CertPEM)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: id, CurrentTime: now}); err != nil {
		t.Error(err)
	}
	if cert.Subject.CommonName != id || !cert.NotAfter.Equal(now.Add(30*day)) || !issued.NotAfter.Equal(cert.NotAfter) {
		t.Errorf("got CN %s until %s", cert.Subject.CommonName, cert.NotAfter)
	}
	if !cert.NotBefore.Before(now) {
		t.Errorf("got not before %s, want earlier than now", cert.NotBefore)
	}
	if _, err := tls.X509KeyPair(issued.Bundle(), issued.Bundle()); err != nil {
		t.Error(err)
	}
}

func TestDigestOfSignatures(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	root, err := certs.NewCA("root", now, 365*day)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := certs.LoadCA(root.CertPEM, root.KeyPEM, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := ca.SignWith("sha384"); err != nil {
		t.Fatal(err)
	}
	issued, err := ca.Server("x", now, day)
	if err != nil {
		t.Fatal(err)
	}
	if got := parse(t, issued.CertPEM).SignatureAlgorithm; got != x509.SHA384WithRSA {
		t.Errorf("got %s, want SHA-384", got)
	}
	if err := ca.SignWith("md5"); err == nil {
		t.Error("md5 is taken")
	}
}

// TestKeysAsOpensslWritesThem loads CA keys in every form that upstream's guides lead to.
func TestKeysAsOpensslWritesThem(t *testing.T) {
	dir := t.TempDir()
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command("openssl", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	run("genrsa", "-out", "plain.pem", "2048")
	run("req", "-x509", "-key", "plain.pem", "-subj", "/CN=ca", "-out", "cert.pem")
	run("rsa", "-in", "plain.pem", "-traditional", "-out", "pkcs1.pem")
	run("rsa", "-in", "plain.pem", "-traditional", "-aes256", "-passout", "pass:secret", "-out", "legacy.pem")
	run("pkcs8", "-topk8", "-in", "plain.pem", "-v2", "aes256", "-passout", "pass:secret", "-out", "pkcs8.pem")
	run("pkcs8", "-topk8", "-in", "plain.pem", "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1", "-passout", "pass:secret", "-out", "sha1.pem")
	run("genrsa", "-out", "other.pem", "2048")
	run("ecparam", "-name", "prime256v1", "-genkey", "-out", "ec.pem") // writes the curve's parameters first
	run("req", "-x509", "-key", "ec.pem", "-subj", "/CN=ca", "-out", "ec-cert.pem")
	if _, err := certs.LoadCA(read(t, dir, "ec-cert.pem"), read(t, dir, "ec.pem"), ""); err != nil {
		t.Errorf("elliptic curve: %v", err)
	}
	cert := read(t, dir, "cert.pem")
	for _, c := range []struct {
		file, passphrase string
		ok               bool
	}{
		{"plain.pem", "", true}, {"pkcs1.pem", "", true}, {"legacy.pem", "secret", true}, {"pkcs8.pem", "secret", true},
		{"sha1.pem", "secret", true}, {"pkcs8.pem", "wrong", false}, {"legacy.pem", "", false},
		{"other.pem", "", false}, {"cert.pem", "", false},
	} {
		if _, err := certs.LoadCA(cert, read(t, dir, c.file), c.passphrase); (err == nil) != c.ok {
			t.Errorf("%s with %q: got error %v, want ok %t", c.file, c.passphrase, err, c.ok)
		}
	}
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
