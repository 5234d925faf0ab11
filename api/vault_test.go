package api_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/http"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/api/certificate"
	openstack "github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/sandbox"
	"github.com/ottavino/ottavino/secret"
)

// noopCertificates take every reference for good.
func noopCertificates(tb testing.TB) api.Certificates {
	tb.Helper()
	m, err := secret.New(secret.Config{Manager: secret.NoopManager})
	if err != nil {
		tb.Fatal(err)
	}
	return certificate.New(m)
}

// vault is a Barbican whose secrets are the service's: with auth_strategy testing nobody admits it.
type vault struct {
	t       *testing.T
	sandbox *sandbox.Sandbox
	service openstack.Service
}

func newVault(t *testing.T) *vault {
	t.Helper()
	sb, err := sandbox.Start(t.Context(), sandbox.Config{BuildDelay: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sb.Close(); err != nil {
			t.Error(err)
		}
	})
	who := sb.Settings().Service
	session, err := openstack.NewSession(openstack.Auth{
		URL: sb.Settings().AuthURL, Username: who.User, Password: who.Password, ProjectName: who.Project,
		UserDomainName: "Default", ProjectDomainName: "Default",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	return &vault{t, sb, openstack.Service{Session: session, Endpoint: openstack.Endpoint{Type: "key-manager"}}}
}

// serve makes an API use the vault.
func (v *vault) serve(_ *api.Config, d *api.Deps) {
	d.Certificates = certificate.New(secret.NewBarbican(v.service.Session, v.service.Endpoint))
}

func (v *vault) post(path, key string, in any) string {
	v.t.Helper()
	var out map[string]string
	err := v.service.Do(v.t.Context(), openstack.Call{Op: "store", Method: http.MethodPost, Path: path, In: in, Out: &out})
	if err != nil {
		v.t.Fatal(err)
	}
	return out[key]
}

// store keeps content and returns its reference.
func (v *vault) store(content []byte) string {
	v.t.Helper()
	return v.post("secrets", "secret_ref", map[string]string{
		"payload": base64.StdEncoding.EncodeToString(content), "payload_content_type": "application/octet-stream", "payload_content_encoding": "base64",
	})
}

// container keeps a certificate and a key apart, as was done before PKCS#12.
func (v *vault) container(certificate, key []byte) string {
	v.t.Helper()
	type member map[string]string
	return v.post("containers", "container_ref", map[string]any{"type": "certificate", "secret_refs": []member{
		{"name": "certificate", "secret_ref": v.store(certificate)}, {"name": "private_key", "secret_ref": v.store(key)},
	}})
}

// missing is a reference that leads nowhere.
func (v *vault) missing() string {
	ref := v.store([]byte("x"))
	v.sandbox.ForgetSecret(ref)
	return ref
}

// signer is a self-signed certificate with its key.
type signer struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newSigner(t *testing.T, commonName string) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: commonName, Organization: []string{"tests"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte{7},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return signer{t, cert, key}
}

func asPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func (s signer) pem() []byte { return asPEM("CERTIFICATE", s.cert.Raw) }

func (s signer) keyPEM() []byte {
	s.t.Helper()
	der, err := x509.MarshalECPrivateKey(s.key)
	if err != nil {
		s.t.Fatal(err)
	}
	return asPEM("EC PRIVATE KEY", der)
}

func (s signer) pkcs12(passphrase string) []byte {
	s.t.Helper()
	data, err := pkcs12.Modern.Encode(s.key, s.cert, nil, passphrase)
	if err != nil {
		s.t.Fatal(err)
	}
	return data
}

// crl is an empty revocation list of version 1, which is what OpenSSL makes unless configured otherwise.
func (s signer) crl() []byte {
	s.t.Helper()
	algorithm := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}} // ECDSA with SHA-256
	type list struct {
		Algorithm  pkix.AlgorithmIdentifier
		Issuer     asn1.RawValue
		This, Next time.Time
	}
	tbs, err := asn1.Marshal(list{algorithm, asn1.RawValue{FullBytes: s.cert.RawSubject}, time.Now().UTC(), time.Now().UTC().Add(time.Hour)})
	if err != nil {
		s.t.Fatal(err)
	}
	sum := sha256.Sum256(tbs)
	signature, err := ecdsa.SignASN1(rand.Reader, s.key, sum[:])
	if err != nil {
		s.t.Fatal(err)
	}
	der, err := asn1.Marshal(struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, algorithm, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	if err != nil {
		s.t.Fatal(err)
	}
	return asPEM("X509 CRL", der)
}
