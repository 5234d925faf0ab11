package agent_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const certificateName = "0123456789012345678901234567890123456789.pem"

func (r *rig) certPath(name string) string { return filepath.Join(r.dir, "certs", lbID, name) }

// secure is a frontend's second bind, with a list of certificates.
func (r *rig) secure() string {
	return fmt.Sprintf("    bind %s:443 ssl crt-list %s\n", vip, r.certPath("L1.pem"))
}

// upload puts a file where certificates are.
func (r *rig) upload(name, content string) {
	r.t.Helper()
	if code, body := r.raw("PUT", "/1.0/loadbalancer/"+lbID+"/certificates/"+name, content); code != http.StatusOK {
		r.t.Fatal(code, body)
	}
}

// certificate uploads the listener's certificate, and its list.
func (r *rig) certificate(bundle string) {
	r.t.Helper()
	r.upload(certificateName, bundle)
	r.upload("L1.pem", r.certPath(certificateName)+"\n")
}

// selfSigned is a certificate and its key.
func (r *rig) selfSigned() string {
	r.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.issue(&key.PublicKey, key, encoded)
}

func (r *rig) selfSignedRSA() string {
	r.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		r.t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.issue(&key.PublicKey, key, encoded)
}

func (r *rig) issue(public, private any, encoded []byte) string {
	r.t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		r.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "site"}, DNSNames: []string{"site"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + "\n" +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
}

// shown is what a client sees; its connection stays open.
func (r *rig) shown() (*tls.Conn, string) {
	r.t.Helper()
	conn, err := tls.Dial("tcp", vip+":443", &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	return conn, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: conn.ConnectionState().PeerCertificates[0].Raw}))
}

// TestCertificateOfListener: a renewed certificate is what the next client sees; who is connected stays, and so does the worker.
func TestCertificateOfListener(t *testing.T) {
	r := newRig(t).plugged()
	first := r.selfSigned()
	r.certificate(first)
	cfg := r.site(site{frontend: r.secure(), members: []string{fmt.Sprintf("M1 %s:%d weight 1", outside, r.web("one"))}})
	r.apply(cfg)
	worker := r.worker()
	conn, seen := r.shown()
	if !strings.HasPrefix(first, seen) {
		t.Fatal("got another certificate than was uploaded")
	}
	for _, next := range []string{r.selfSigned(), r.selfSignedRSA(), r.selfSigned()} {
		r.certificate(next)
		r.apply(cfg)
		if _, seen := r.shown(); !strings.HasPrefix(next, seen) {
			t.Error("got an old certificate")
		}
	}
	// Controllers name files by what is in them: a renewed one has another name, and the old one goes.
	name := certificateName
	for i := range 3 {
		next := r.selfSigned()
		old := name
		name = fmt.Sprintf("%040d.pem", i)
		r.upload(name, next)
		r.upload("L1.pem", r.certPath(name)+"\n")
		r.apply(cfg)
		if _, seen := r.shown(); !strings.HasPrefix(next, seen) {
			t.Errorf("got an old certificate instead of %s", name)
		}
		if code, body := r.raw("DELETE", "/1.0/loadbalancer/"+lbID+"/certificates/"+old, ""); code != http.StatusOK {
			t.Fatal(code, body)
		}
		r.stop() // another agent knows as well what haproxy calls it
		r.run()
	}
	if r.worker() != worker {
		t.Error("got another worker")
	}
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	answer := make([]byte, 15)
	if _, err := conn.Read(answer); err != nil || string(answer) != "HTTP/1.1 200 OK" {
		t.Errorf("got %q, %v over the connection from before", answer, err)
	}
	r.upload("second.pem", r.selfSigned())
	r.upload("L1.pem", r.certPath(name)+"\n"+r.certPath("second.pem")+" second\n")
	r.apply(cfg)
	if r.worker() == worker {
		t.Error("haproxy did not read the new list")
	}
}

// TestLongChain: what is too long for a command is taken with a reload.
func TestLongChain(t *testing.T) {
	r := newRig(t).plugged()
	r.certificate(r.selfSigned())
	cfg := r.site(site{frontend: r.secure(), members: []string{fmt.Sprintf("M1 %s:%d weight 1", outside, r.web("one"))}})
	r.apply(cfg)
	worker := r.worker()
	long := r.selfSigned()
	for range 40 {
		other, _, _ := strings.Cut(r.selfSigned(), "\n\n")
		long += other + "\n"
	}
	r.certificate(long)
	r.apply(cfg)
	if _, seen := r.shown(); !strings.HasPrefix(long, seen) || len(long) < 16<<10 {
		t.Error("the new certificate is not served")
	}
	if r.worker() == worker {
		t.Error("got no other worker")
	}
}

// TestBadCertificate: what is no certificate is refused in haproxy's words, the one before is served and comes back, also
// when haproxy or the agent is started anew; and no key is in any answer.
func TestBadCertificate(t *testing.T) {
	r := newRig(t).plugged()
	good := r.selfSigned()
	r.certificate(good)
	cfg := r.site(site{frontend: r.secure(), members: []string{fmt.Sprintf("M1 %s:%d weight 1", outside, r.web("one"))}})
	r.apply(cfg)
	mixed := strings.Split(r.selfSigned(), "\n\n")[0] + "\n\n" + strings.Split(r.selfSigned(), "\n\n")[1]
	for name, bad := range map[string]string{"nonsense": "nonsense", "another's key": mixed} {
		t.Run(name, func(t *testing.T) {
			worker := r.worker()
			r.stop()
			r.run()
			r.upload(certificateName, bad)
			code, body := r.raw("PUT", "/1.0/loadbalancer/"+amphoraID+"/"+lbID+"/haproxy", string(cfg))
			if text, err := os.ReadFile(r.certPath(certificateName)); code != 400 || !strings.Contains(body, certificateName) || err != nil || string(text) != good {
				t.Errorf("got %d %s, want a refusal and the good certificate back in its file (%v)", code, body, err)
			}
			r.upload(certificateName, bad)
			err := r.driver.Apply(t.Context(), r.target, lbID, cfg)
			if status(err) != http.StatusInternalServerError || !strings.Contains(err.Error(), certificateName) {
				t.Errorf("got %v, want haproxy's words about the file", err)
			}
			if err != nil && strings.Contains(err.Error(), "KEY") {
				t.Error("a key is in the answer")
			}
			if _, seen := r.shown(); !strings.HasPrefix(good, seen) || r.worker() != worker {
				t.Error("the certificate from before is not served any more")
			}
			if text, err := os.ReadFile(r.certPath(certificateName)); err != nil || string(text) != good {
				t.Errorf("the certificate from before is not in its file: %v", err)
			}
		})
	}
	next := r.selfSigned()
	r.certificate(next)
	r.apply(cfg)
	if _, seen := r.shown(); !strings.HasPrefix(next, seen) {
		t.Error("the next good certificate is not served")
	}
}
