package e2e_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"
	"software.sslmate.com/src/go-pkcs12"
)

// issued is a certificate with its key.
type issued struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate for names, signed by a CA, or a CA when that is nil.
func issue(t *testing.T, by *issued, names ...string) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, BasicConstraintsValid: true, IsCA: by == nil,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		IPAddresses: []net.IP{net.ParseIP(outside)},
	}
	parent, signer := template, key
	if by == nil {
		template.KeyUsage |= x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	} else {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{t, cert, key}
}

func (i *issued) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw})
}

func (i *issued) bundle() []byte {
	i.t.Helper()
	data, err := pkcs12.Modern.Encode(i.key, i.cert, nil, "")
	if err != nil {
		i.t.Fatal(err)
	}
	return data
}

// weakBundle is a certificate with a key that is too short.
func weakBundle(t *testing.T) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "weak"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	data, err := pkcs12.Modern.Encode(key, cert, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (i *issued) tls() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{i.cert.Raw}, PrivateKey: i.key}
}

func (i *issued) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(i.cert)
	return p
}

// revokes makes a CA's list of revoked certificates.
func (i *issued) revokes(who ...*issued) []byte {
	i.t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(24 * time.Hour)}
	for _, w := range who {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: w.cert.SerialNumber, RevocationTime: time.Now(),
		})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, i.cert, i.key)
	if err != nil {
		i.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

// outside is the world's own address on the tenants' network: members can be here.
const outside = "10.10.10.1"

// mirror is a member that answers with its name and the request's headers, over TLS when conf says how.
func mirror(t *testing.T, name string, conf *tls.Config) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", outside+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		TLSConfig: conf, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s\n", name, r.Proto)
			if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
				fmt.Fprintf(w, "peer: %s\n", r.TLS.PeerCertificates[0].Subject.CommonName)
			}
			_ = r.Header.Write(w)
		}),
	}
	serve := func() error { return server.Serve(l) }
	if conf != nil {
		serve = func() error { return server.ServeTLS(l, "", "") }
	}
	go func() { _ = serve() }()
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

// tlsLab is a load balancer with amphora, and who keeps secrets.
type tlsLab struct {
	*lab
	owner *owner
	actor *actor
	vip   string
}

func newTLSLab(t *testing.T, conf string) *tlsLab {
	t.Helper()
	l := newLab(t, labOptions{instances: true, conf: conf})
	l.serve()
	lb, err := loadbalancers.Create(t.Context(), l.tenant, loadbalancers.CreateOpts{Name: "tls", VipSubnetID: l.subnetID()}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	x := &tlsLab{lab: l, owner: l.owner(l.sandbox.Settings().Tenant), actor: l.actor("tls"), vip: lb.VipAddress}
	x.actor.lb = lb.ID
	x.settle()
	return x
}

// settle waits until everything is ACTIVE.
func (x *tlsLab) settle() {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.t.Context(), 60*time.Second)
	defer cancel()
	if err := x.awaitActive(ctx, x.actor); err != nil {
		x.t.Fatal(err)
	}
}

func (x *tlsLab) store(content []byte) string {
	x.t.Helper()
	return x.owner.store(x.t.Context(), content)
}

// pool makes a pool with one member of this world.
func (x *tlsLab) pool(port int, o pools.CreateOpts) (id, member string) {
	x.t.Helper()
	o.Protocol, o.LBMethod, o.LoadbalancerID = pools.ProtocolHTTP, pools.LBMethodRoundRobin, x.actor.lb
	p, err := pools.Create(x.t.Context(), x.tenant, o).Extract()
	if err != nil {
		x.t.Fatal(err)
	}
	return p.ID, x.member(p.ID, port)
}

func (x *tlsLab) member(pool string, port int) string {
	x.t.Helper()
	m, err := pools.CreateMember(x.t.Context(), x.tenant, pool, pools.CreateMemberOpts{
		Address: outside, ProtocolPort: port, SubnetID: x.subnetID(),
	}).Extract()
	if err != nil {
		x.t.Fatal(err)
	}
	return m.ID
}

func (x *tlsLab) listener(port int, pool string, o listeners.CreateOpts) string {
	x.t.Helper()
	if o.Protocol == "" {
		o.Protocol = listeners.ProtocolTerminatedHTTPS
	}
	o.ProtocolPort, o.DefaultPoolID, o.LoadbalancerID = port, pool, x.actor.lb
	l, err := listeners.Create(x.t.Context(), x.tenant, o).Extract()
	if err != nil {
		x.t.Fatal(err)
	}
	return l.ID
}

// handshake connects to a port of the VIP.
func (x *tlsLab) handshake(port int, conf *tls.Config) (tls.ConnectionState, error) {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: conf}
	conn, err := d.DialContext(x.t.Context(), "tcp", fmt.Sprintf("%s:%d", x.vip, port))
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState(), nil
}

// answer is what a request got.
type answer struct {
	status int
	proto  string
	header http.Header
	body   string
}

// get makes one request on a connection of its own.
func (x *tlsLab) get(port int, conf *tls.Config) (answer, error) {
	transport := &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true, ForceAttemptHTTP2: len(conf.NextProtos) > 0}
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Get(fmt.Sprintf("https://%s:%d/", x.vip, port))
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Proto, resp.Header, string(body)}, err
}

// serves waits until a request gets an answer that holds a text.
func (x *tlsLab) serves(port int, conf *tls.Config, want string) {
	x.t.Helper()
	within(x.t, 30*time.Second, fmt.Sprintf("port %d serves %s", port, want), func() bool {
		a, err := x.get(port, conf)
		return err == nil && a.status == http.StatusOK && strings.Contains(a.body, want)
	})
}

func (x *tlsLab) end() {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.t.Context(), 60*time.Second)
	defer cancel()
	if err := x.actor.delete(ctx); err != nil {
		x.t.Fatal(err)
	}
	if err := x.awaitGone(ctx, x.actor); err != nil {
		x.t.Fatal(err)
	}
	x.assertNoLeaks()
}
