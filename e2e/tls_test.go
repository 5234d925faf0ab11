package e2e_test

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/monitors"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbtest"
	"github.com/ottavino/ottavino/internal/certtest"
)

// TestTLSListeners: what a listener says about TLS is what clients meet.
func TestTLSListeners(t *testing.T) {
	x := newTLSLab(t, "")
	ca, stranger := certtest.Issue(t, nil, "a CA"), certtest.Issue(t, nil, "another CA")
	www, shop := certtest.Issue(t, ca, "www.example.com"), certtest.Issue(t, ca, "shop.example.com")
	good, revoked, foreign := certtest.Issue(t, ca, "good"), certtest.Issue(t, ca, "revoked"), certtest.Issue(t, stranger, "foreign")
	wwwRef, shopRef, caRef, listRef := x.store(www.Bundle()), x.store(shop.Bundle()), x.store(ca.PEM()), x.store(ca.Revokes(revoked))
	pool, _ := x.pool(mirror(t, "member", nil), pools.CreateOpts{Name: "pool"})
	age := 31536000
	x.listener(443, pool, listeners.CreateOpts{
		DefaultTlsContainerRef: wwwRef, SniContainerRefs: []string{shopRef}, HSTSMaxAge: age, HSTSIncludeSubdomains: true, HSTSPreload: true,
	})
	x.listener(1443, pool, listeners.CreateOpts{
		DefaultTlsContainerRef: wwwRef, TLSVersions: []listeners.TLSVersion{"TLSv1.3"}, ALPNProtocols: []string{"http/1.1"},
	})
	x.listener(2443, pool, listeners.CreateOpts{
		DefaultTlsContainerRef: wwwRef, TLSVersions: []listeners.TLSVersion{"TLSv1.2"}, TLSCiphers: "ECDHE-ECDSA-AES128-GCM-SHA256",
	})
	x.listener(3443, pool, listeners.CreateOpts{
		DefaultTlsContainerRef: wwwRef, TLSVersions: []listeners.TLSVersion{"TLSv1.1"}, TLSCiphers: "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0",
	})
	x.listener(4443, pool, listeners.CreateOpts{
		DefaultTlsContainerRef: wwwRef, ClientCATLSContainerRef: caRef, ClientCRLContainerRef: listRef, ClientAuthentication: "MANDATORY",
		InsertHeaders: map[string]string{
			"X-SSL-Client-Verify": "true", "X-SSL-Client-Has-Cert": "true", "X-SSL-Client-DN": "true", "X-SSL-Client-CN": "true",
			"X-SSL-Issuer": "true", "X-SSL-Client-SHA1": "true", "X-SSL-Client-Not-Before": "true", "X-SSL-Client-Not-After": "true",
			"X-Forwarded-Proto": "true",
		},
	})
	x.listener(5443, pool, listeners.CreateOpts{
		DefaultTlsContainerRef: wwwRef, ClientCATLSContainerRef: caRef, ClientAuthentication: "OPTIONAL",
		InsertHeaders: map[string]string{"X-SSL-Client-Has-Cert": "true"},
	})
	x.listener(6443, pool, listeners.CreateOpts{
		DefaultTlsContainerRef: wwwRef, TLSVersions: []listeners.TLSVersion{"TLSv1.3"}, TLSCiphers: "TLS_AES_128_GCM_SHA256",
	})
	x.listener(9443, "", listeners.CreateOpts{Protocol: "PROMETHEUS", DefaultTlsContainerRef: wwwRef})
	x.settle()
	trust := func(name string, certificates ...*certtest.Issued) *tls.Config {
		conf := &tls.Config{RootCAs: ca.Pool(), ServerName: name, MinVersion: tls.VersionTLS10}
		for _, c := range certificates {
			conf.Certificates = append(conf.Certificates, c.TLS())
		}
		return conf
	}
	x.serves(443, trust("www.example.com"), "member")

	t.Run("server names", func(t *testing.T) {
		for name, want := range map[string]string{"www.example.com": "www.example.com", "shop.example.com": "shop.example.com", "": "www.example.com", "else.example.com": "www.example.com"} {
			state, err := x.handshake(443, &tls.Config{ServerName: name, InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			if got := state.PeerCertificates[0].Subject.CommonName; got != want {
				t.Errorf("for %q: got the certificate of %s, want %s", name, got, want)
			}
		}
	})
	t.Run("HTTP/2 and HSTS", func(t *testing.T) {
		conf := trust("www.example.com")
		conf.NextProtos = []string{"h2", "http/1.1"}
		a, err := x.get(443, conf)
		if err != nil {
			t.Fatal(err)
		}
		if a.proto != "HTTP/2.0" {
			t.Errorf("got %s", a.proto)
		}
		if got, want := a.header.Get("Strict-Transport-Security"), fmt.Sprintf("max-age=%d; includeSubDomains; preload;", age); got != want {
			t.Errorf("got the header %q, want %q", got, want)
		}
		conf = trust("www.example.com")
		conf.NextProtos = []string{"h2", "http/1.1"}
		if state, err := x.handshake(1443, conf); err != nil || state.NegotiatedProtocol != "http/1.1" {
			t.Errorf("on the listener with HTTP/1.1 alone: got %q, %v", state.NegotiatedProtocol, err)
		}
	})
	t.Run("versions and ciphers", func(t *testing.T) {
		for _, c := range []struct {
			port    int
			version uint16
			ok      bool
		}{
			{443, tls.VersionTLS11, false}, {443, tls.VersionTLS12, true}, {443, tls.VersionTLS13, true},
			{1443, tls.VersionTLS12, false}, {1443, tls.VersionTLS13, true},
			{2443, tls.VersionTLS11, false}, {2443, tls.VersionTLS12, true}, {2443, tls.VersionTLS13, false},
			{3443, tls.VersionTLS11, true}, {3443, tls.VersionTLS12, false},
		} {
			conf := trust("www.example.com")
			conf.MinVersion, conf.MaxVersion = c.version, c.version
			conf.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
			if _, err := x.handshake(c.port, conf); (err == nil) != c.ok {
				t.Errorf("port %d, %s: got %v, want success %t", c.port, tls.VersionName(c.version), err, c.ok)
			}
		}
		conf := trust("www.example.com")
		conf.MaxVersion, conf.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}
		if _, err := x.handshake(2443, conf); err == nil {
			t.Error("port 2443 takes a cipher that is not in its list")
		}
		if _, err := x.handshake(443, conf); err != nil {
			t.Errorf("port 443: %v", err)
		}
		for port, want := range map[int]uint16{443: tls.TLS_AES_256_GCM_SHA384, 6443: tls.TLS_AES_128_GCM_SHA256} { // haproxy prefers the former
			state, err := x.handshake(port, trust("www.example.com"))
			if err != nil || state.CipherSuite != want {
				t.Errorf("port %d: got %s, %v, want %s", port, tls.CipherSuiteName(state.CipherSuite), err, tls.CipherSuiteName(want))
			}
		}
	})
	t.Run("client authentication", func(t *testing.T) {
		for name, certificates := range map[string][]*certtest.Issued{"nobody": nil, "the revoked": {revoked}, "the foreign": {foreign}} {
			if a, err := x.get(4443, trust("www.example.com", certificates...)); err == nil {
				t.Errorf("%s got %s", name, a.body)
			}
		}
		a, err := x.get(4443, trust("www.example.com", good))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"X-Ssl-Client-Verify: 0\r", "X-Ssl-Client-Has-Cert: 1\r", "X-Ssl-Client-Dn: /CN=good\r", "X-Ssl-Client-Cn: good\r",
			"X-Ssl-Issuer: /CN=a CA\r", fmt.Sprintf("X-Ssl-Client-Sha1: %X\r", sha1.Sum(good.Cert.Raw)), "X-Forwarded-Proto: https\r",
			"X-Ssl-Client-Not-Before: " + good.Cert.NotBefore.Format("060102150405Z"), "X-Ssl-Client-Not-After: " + good.Cert.NotAfter.Format("060102150405Z"),
		} {
			if !strings.Contains(a.body, want) {
				t.Errorf("the member got %s, want %q", a.body, want)
			}
		}
		for want, certificates := range map[string][]*certtest.Issued{"X-Ssl-Client-Has-Cert: 0": nil, "X-Ssl-Client-Has-Cert: 1": {good}} {
			if a, err := x.get(5443, trust("www.example.com", certificates...)); err != nil || !strings.Contains(a.body, want) {
				t.Errorf("optional: got %s, %v, want %s", a.body, err, want)
			}
		}
	})
	t.Run("metrics", func(t *testing.T) {
		if _, err := x.handshake(9443, trust("www.example.com")); err != nil {
			t.Error(err)
		}
	})
	out, err := x.sandbox.Exec(t.Context(), x.sandbox.Servers("amphora-")[0], "stat", "-f", "-c", "%T", "/var/lib/octavia/certs")
	if err != nil || strings.TrimSpace(string(out)) != "tmpfs" {
		t.Errorf("the amphora keeps certificates in %s, %v", out, err)
	}
	x.end()
}

// TestTLSToMembers: members are verified, and shown our certificate; one that another CA has signed gets nothing.
func TestTLSToMembers(t *testing.T) {
	x := newTLSLab(t, "")
	ca, stranger := certtest.Issue(t, nil, "members' CA"), certtest.Issue(t, nil, "another CA")
	right, wrong, revoked, ours := certtest.Issue(t, ca, "right"), certtest.Issue(t, stranger, "wrong"), certtest.Issue(t, ca, "revoked"), certtest.Issue(t, ca, "ours")
	member := func(name string, who *certtest.Issued) int {
		return mirror(t, name, &tls.Config{
			Certificates: []tls.Certificate{who.TLS()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(), MinVersion: tls.VersionTLS12,
		})
	}
	pool, _ := x.pool(member("right", right), pools.CreateOpts{
		Name: "verified", TLSEnabled: true, TLSContainerRef: x.store(ours.Bundle()), CATLSContainerRef: x.store(ca.PEM()),
		CRLContainerRef: x.store(ca.Revokes(revoked)),
	})
	bad := []string{x.member(pool, member("wrong", wrong)), x.member(pool, member("revoked", revoked))}
	x.listener(80, pool, listeners.CreateOpts{Protocol: listeners.ProtocolHTTP})
	_, err := monitors.Create(t.Context(), x.tenant, monitors.CreateOpts{
		PoolID: pool, Type: monitors.TypeTLSHELLO, Delay: 1, Timeout: 1, MaxRetries: 1, MaxRetriesDown: 1,
	}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	x.settle()
	for _, id := range bad {
		within(t, 30*time.Second, "the bad member is in ERROR", func() bool {
			m, err := pools.GetMember(t.Context(), x.tenant, pool, id).Extract()
			return err == nil && m.OperatingStatus == "ERROR"
		})
	}
	ask := func() string {
		resp, err := visitor.Get("http://" + x.vip + "/")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for range 6 {
		if got := ask(); !strings.HasPrefix(got, "right") || !strings.Contains(got, "peer: ours") {
			t.Errorf("got %s, want the right member, shown our certificate", got)
		}
	}
	// An HTTPS monitor, whose checks verify nothing, must not make traffic trust anybody.
	blind, _ := x.pool(mirror(t, "unverified", &tls.Config{Certificates: []tls.Certificate{wrong.TLS()}, MinVersion: tls.VersionTLS12}),
		pools.CreateOpts{Name: "blind", TLSEnabled: true, CATLSContainerRef: x.store(ca.PEM())})
	_, err = monitors.Create(t.Context(), x.tenant, monitors.CreateOpts{
		PoolID: blind, Type: monitors.TypeHTTPS, URLPath: "/", ExpectedCodes: "200", Delay: 1, Timeout: 1, MaxRetries: 1, MaxRetriesDown: 1,
	}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	x.listener(81, blind, listeners.CreateOpts{Protocol: listeners.ProtocolHTTP})
	x.settle()
	resp, err := visitor.Get("http://" + x.vip + ":81/")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a member of another CA: got %s, want 503", resp.Status)
	}
	// Without a CA nobody is verified.
	ca2, none := "", ""
	if _, err := pools.Update(t.Context(), x.tenant, blind, pools.UpdateOpts{CATLSContainerRef: &ca2, CRLContainerRef: &none}).Extract(); err != nil {
		t.Fatal(err)
	}
	x.settle()
	within(t, 30*time.Second, "the unverified member serves", func() bool {
		resp, err := visitor.Get("http://" + x.vip + ":81/")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	x.end()
}

// TestCertificateLife: a certificate is rotated under traffic, its secret vanishes, the amphora reboots and is replaced; no
// request fails while haproxy runs.
func TestCertificateLife(t *testing.T) {
	x := newTLSLab(t, "[certificates]\nsecret_check_interval = 1\n")
	ca := certtest.Issue(t, nil, "a CA")
	first, second := certtest.Issue(t, ca, "www.example.com"), certtest.Issue(t, ca, "www.example.com")
	ref := x.store(first.Bundle())
	pool, _ := x.pool(mirror(t, "member", nil), pools.CreateOpts{Name: "pool"})
	listener := x.listener(443, pool, listeners.CreateOpts{DefaultTlsContainerRef: ref})
	x.settle()
	conf := &tls.Config{RootCAs: ca.Pool(), ServerName: "www.example.com", MinVersion: tls.VersionTLS12}
	x.serves(443, conf, "member")
	shown := func() string {
		state, err := x.handshake(443, conf)
		if err != nil {
			return err.Error()
		}
		return state.PeerCertificates[0].SerialNumber.String()
	}

	stop := x.keepAlive(443, conf)
	x.sandbox.ReplaceSecret(ref, second.Bundle())
	within(t, 30*time.Second, "the new certificate is shown", func() bool { return shown() == second.Cert.SerialNumber.String() })
	x.hears(listener, "CertificateRotated")

	// OpenSSL finds keys of 1024 bits too short, which only haproxy can tell.
	x.sandbox.ReplaceSecret(ref, certtest.Weak(t, "weak").Bundle())
	x.hears(listener, "CertificateRefused")
	if got := shown(); got != second.Cert.SerialNumber.String() {
		t.Errorf("with a certificate that haproxy refuses: got %s, want the last good one", got)
	}

	x.sandbox.ForgetSecret(ref)
	x.hears(listener, "SecretLost")
	x.member(pool, mirror(t, "another", nil))
	x.settle()
	x.serves(443, conf, "another")
	if n, err := stop(); n < 20 || err != nil {
		t.Errorf("of %d requests one failed: %v", n, err)
	}

	amphora := x.sandbox.Servers("amphora-")[0]
	if err := x.sandbox.Reboot(t.Context(), amphora); err != nil {
		t.Fatal(err)
	}
	x.serves(443, conf, "member")
	if now := x.sandbox.Servers("amphora-"); len(now) != 1 || now[0] != amphora {
		t.Errorf("got the amphorae %v, want the one that rebooted", now)
	}
	if got := shown(); got != second.Cert.SerialNumber.String() {
		t.Errorf("after a reboot: got the certificate %s", got)
	}
	x.end()
	if n := x.copies(); n != 0 {
		t.Errorf("%d copies outlive the load balancer", n)
	}
}

// keepAlive makes requests over connections that stay open. stop says how many there were, and which error was first.
func (x *tlsLab) keepAlive(port int, conf *tls.Config) (stop func() (int, error)) {
	transport := &http.Transport{TLSClientConfig: conf.Clone(), MaxIdleConnsPerHost: 1}
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	ended, result := make(chan struct{}), make(chan struct{})
	n := 0
	var failed error
	go func() {
		defer close(result)
		defer transport.CloseIdleConnections()
		for failed == nil {
			select {
			case <-ended:
				return
			case <-time.After(5 * time.Millisecond): // a client that rests between requests
			}
			resp, err := client.Get(fmt.Sprintf("https://%s:%d/", x.vip, port))
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if err == nil && resp.StatusCode != http.StatusOK {
					err = fmt.Errorf("%s", resp.Status)
				}
			}
			n++
			failed = err
		}
	}()
	return func() (int, error) { close(ended); <-result; return n, failed }
}

// hears waits for an event about an object.
func (x *tlsLab) hears(object, reason string) {
	x.t.Helper()
	store := dbtest.Open(x.t, db.Config{URL: x.db})
	within(x.t, 30*time.Second, "the owner is told "+reason, func() bool {
		var events []db.Event
		err := store.Read(x.t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
			events, err = db.Where[db.Event](ctx, tx, "object_id = ? AND reason = ?", object, reason)
			return err
		})
		return err == nil && len(events) > 0
	})
}

func (x *tlsLab) copies() int {
	x.t.Helper()
	var rows map[string]db.SecretCopy
	store := dbtest.Open(x.t, db.Config{URL: x.db})
	err := store.Read(x.t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		rows, err = tx.SecretCopies(ctx, x.actor.lb)
		return err
	})
	if err != nil {
		x.t.Fatal(err)
	}
	return len(rows)
}
