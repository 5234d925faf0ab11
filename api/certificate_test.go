package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/sandbox"
)

// material is one reference of each sort.
type material struct {
	*vault
	good, container, nameless, locked, garbage, unfit, gone, gone2 string
	ca, crl, foreignCRL, brokenCA, brokenCRL                       string
}

func newMaterial(t *testing.T) *material {
	t.Helper()
	v := newVault(t)
	www, other, nameless := newSigner(t, "www.example.com"), newSigner(t, "other.example.com"), newSigner(t, "")
	return &material{
		vault: v, good: v.store(www.pkcs12("")), container: v.container(www.pem(), www.keyPEM()),
		nameless: v.store(nameless.pkcs12("")), locked: v.store(www.pkcs12("word")), garbage: v.store(www.pem()),
		unfit: v.container(www.pem(), other.keyPEM()), gone: v.missing(), gone2: v.missing(),
		ca: v.store(www.pem()), crl: v.store(www.crl()), foreignCRL: v.store(other.crl()),
		brokenCA: v.store(asPEM("CERTIFICATE", []byte("x"))), brokenCRL: v.store(asPEM("X509 CRL", []byte("x"))),
	}
}

const (
	unreadable = "The PKCS12 bundle is unreadable. Please check the PKCS12 bundle validity. " +
		"In addition, make sure it does not require a pass phrase. Error: "
	noName   = "No CN or DNSName(s) found in certificate. The certificate is invalid."
	noCA     = "Validation failure: The client authentication CA certificate is invalid. It must be a valid x509 PEM format certificate. Error: "
	noCRL    = "Validation failure: The client authentication certificate revocation list is invalid. It must be a valid x509 PEM format certificate revocation list. Error: "
	wrongCRL = "Validation failure: The CRL specified is not valid for client certificate authority reference supplied."
)

func unretrieved(refs ...string) string {
	return "Could not retrieve certificate: ['" + strings.Join(refs, "', '") + "']"
}

// attributes are JSON members: name, value, name, value …
func attributes(pairs ...string) string {
	var parts []string
	for i := 0; i < len(pairs); i += 2 {
		value := `"` + pairs[i+1] + `"`
		if strings.HasSuffix(pairs[i], "_refs") {
			value = `["` + strings.ReplaceAll(pairs[i+1], " ", `", "`) + `"]`
		}
		parts = append(parts, `"`+pairs[i]+`": `+value)
	}
	return strings.Join(parts, ", ")
}

// badRefs are attributes with what is wrong about them; a fault that ends in "Error: " is a beginning.
type badRefs struct{ attributes, fault string }

const (
	ofDefault, ofSNI, ofCA, ofCRL = "default_tls_container_ref", "sni_container_refs", "client_ca_tls_container_ref", "client_crl_container_ref"
	ofPool, ofPoolCA, ofPoolCRL   = "tls_container_ref", "ca_tls_container_ref", "crl_container_ref"
)

func (m *material) forListeners() []badRefs {
	good := func(pairs ...string) string { return attributes(append([]string{ofDefault, m.good}, pairs...)...) }
	return []badRefs{
		{attributes(ofDefault, "not a reference"), unretrieved("not a reference")},
		{attributes(ofDefault, m.gone), unretrieved(m.gone)},
		{attributes(ofDefault, m.gone, ofSNI, m.gone2+" "+m.good+" "+m.unfit), unretrieved(m.gone2, m.unfit, m.gone)},
		{attributes(ofDefault, m.locked), unreadable},
		{attributes(ofDefault, m.garbage), unreadable},
		{attributes(ofDefault, m.locked, ofSNI, m.gone), unreadable},
		{attributes(ofDefault, m.unfit), unretrieved(m.unfit)},
		{attributes(ofDefault, m.nameless), noName},
		{attributes(ofDefault, m.good, ofSNI, m.nameless), "Could not retrieve certificate: " + m.nameless},
		{good(ofCA, m.gone), unretrieved(m.gone)},
		{good(ofCA, m.gone, ofCRL, m.gone2), unretrieved(m.gone, m.gone2)},
		{good(ofCA, m.ca, ofCRL, m.gone), unretrieved(m.gone)},
		{good(ofCA, m.ca, ofSNI, m.gone, ofCRL, m.gone2), unretrieved(m.gone)},
		{good(ofCA, m.good), noCA},
		{good(ofCA, m.brokenCA, ofCRL, m.brokenCRL), noCA},
		{good(ofCA, m.ca, ofCRL, m.ca), noCRL},
		{good(ofCA, m.ca, ofCRL, m.brokenCRL), noCRL},
		{good(ofCA, m.ca, ofCRL, m.foreignCRL), wrongCRL},
	}
}

func (m *material) forPools() []badRefs {
	return []badRefs{
		{attributes(ofPool, m.gone), unretrieved(m.gone)},
		{attributes(ofPool, m.locked), unreadable},
		{attributes(ofPool, m.unfit, ofPoolCA, m.gone), unretrieved(m.unfit)},
		{attributes(ofPool, m.nameless), noName},
		{attributes(ofPoolCA, m.gone, ofPoolCRL, m.gone2), unretrieved(m.gone, m.gone2)},
		{attributes(ofPoolCA, m.good), noCA},
		{attributes(ofPoolCA, m.ca, ofPoolCRL, m.brokenCRL), noCRL},
		{attributes(ofPoolCA, m.ca, ofPoolCRL, m.foreignCRL), wrongCRL},
	}
}

// refuseRefs sends each case inside of a body and wants its fault.
func (f *fixture) refuseRefs(cases []badRefs, method, path string, body func(attributes string) string) {
	f.t.Helper()
	for _, c := range cases {
		a := f.do(method, path, body(c.attributes))
		got := faultText(a)
		if a.status != http.StatusBadRequest || (got != c.fault && (!strings.HasSuffix(c.fault, "Error: ") || !strings.HasPrefix(got, c.fault))) {
			f.t.Errorf("%s %s %s:\n got %d %s\nwant 400 %s", method, path, c.attributes, a.status, got, c.fault)
		}
	}
}

// untouched tests that refused requests left a load balancer as it was.
func (f *fixture) untouched(lb, listeners, pools string) {
	f.t.Helper()
	expect(f.t, f.must(200, "GET", lbs+"/"+lb, ""), "loadbalancer.provisioning_status", `"ACTIVE"`,
		"loadbalancer.listeners", listeners, "loadbalancer.pools", pools)
}

func TestListenerCertificates(t *testing.T) {
	t.Parallel()
	m := newMaterial(t)
	f := newFixture(t, m.serve)
	lb := f.loadBalancer()
	body := func(attributes string) string {
		return `{"listener": {"loadbalancer_id": "` + lb + `", "protocol": "TERMINATED_HTTPS", "protocol_port": 443, ` + attributes + `}}`
	}
	f.refuseRefs(m.forListeners(), "POST", listeners, body)
	f.untouched(lb, "[]", "[]")
	id := f.create(listeners, body(attributes(ofDefault, m.container, ofSNI, m.good+" "+m.container, ofCA, m.ca, ofCRL, m.crl)))
	f.refuse(wrong{"locked, and a bad reference", "POST", listeners, body(attributes(ofDefault, m.gone)), 409,
		"Load Balancer " + lb + " is immutable and cannot be updated."})
	f.settle(lb)
	taken := "Another Listener on this Load Balancer is already using protocol TERMINATED_HTTPS and protocol_port 443"
	f.refuse(
		wrong{"unreadable comes before a taken port", "POST", listeners, body(attributes(ofDefault, m.gone)), 400, unretrieved(m.gone)},
		wrong{"nameless comes after it", "POST", listeners, body(attributes(ofDefault, m.nameless)), 409, taken},
		wrong{"what the body alone forbids comes first", "POST", listeners, body(attributes(ofDefault, m.gone, ofCRL, m.crl)), 400,
			"Validation failure: A client authentication CA reference is required to specify a client authentication revocation list."},
	)
	path := listeners + "/" + id
	change := func(attributes string) string { return `{"listener": {` + attributes + `}}` }
	f.refuseRefs(m.forListeners(), "PUT", path, change)
	f.untouched(lb, `[{"id":"`+id+`"}]`, "[]")
	f.must(200, "PUT", path, change(attributes(ofDefault, m.good, ofSNI, m.container)))
	f.settle(lb)
	m.sandbox.ForgetSecret(m.crl)
	f.refuse(wrong{"the stored list is read with a CA", "PUT", path, change(attributes(ofCA, m.ca)), 400, unretrieved(m.crl)})
	f.must(200, "PUT", path, change(`"name": "n"`))
	f.settle(lb)
	m.sandbox.ForgetSecret(m.ca)
	f.must(200, "PUT", path, change(`"admin_state_up": false`))
	f.settle(lb)
	f.must(200, "PUT", path, change(`"client_crl_container_ref": null, "client_ca_tls_container_ref": null`))
}

func TestPoolCertificates(t *testing.T) {
	t.Parallel()
	m := newMaterial(t)
	f := newFixture(t, m.serve)
	lb := f.loadBalancer()
	body := func(attributes string) string {
		return `{"pool": {"loadbalancer_id": "` + lb + `", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", ` + attributes + `}}`
	}
	f.refuseRefs(m.forPools(), "POST", pools, body)
	f.untouched(lb, "[]", "[]")
	id := f.create(pools, body(attributes(ofPool, m.container, ofPoolCA, m.ca, ofPoolCRL, m.crl)))
	f.settle(lb)
	path := pools + "/" + id
	change := func(attributes string) string { return `{"pool": {` + attributes + `}}` }
	f.refuseRefs(m.forPools(), "PUT", path, change)
	f.untouched(lb, "[]", `[{"id":"`+id+`"}]`)
	m.sandbox.ForgetSecret(m.crl)
	f.refuse(wrong{"the stored list is read with a CA", "PUT", path, change(attributes(ofPoolCA, m.ca)), 400, unretrieved(m.crl)})
	f.must(200, "PUT", path, change(`"name": "n"`))
	f.settle(lb)
	f.must(200, "PUT", path, change(`"crl_container_ref": null`))
	f.settle(lb)
	m.sandbox.ForgetSecret(m.ca)
	f.must(200, "PUT", path, change(`"ca_tls_container_ref": null`))
	f.settle(lb)
	f.must(200, "PUT", path, change(attributes(ofPool, m.good)))
}

// TestCertificatesOfSingleCall: what is wrong below a new load balancer leaves nothing of it behind.
func TestCertificatesOfSingleCall(t *testing.T) {
	t.Parallel()
	m := newMaterial(t)
	f := newFixture(t, m.serve)
	body := func(listener, pool string) string {
		return `{"loadbalancer": {"vip_subnet_id": "` + subnet + `",
			"listeners": [{"protocol": "TERMINATED_HTTPS", "protocol_port": 443, ` + listener + `}],
			"pools": [{"name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", ` + pool + `}]}}`
	}
	f.refuseRefs(m.forListeners(), "POST", lbs, func(a string) string { return body(a, attributes(ofPool, m.good)) })
	f.refuseRefs(m.forPools(), "POST", lbs, func(a string) string { return body(attributes(ofDefault, m.good), a) })
	expect(t, f.must(200, "GET", lbs, ""), "loadbalancers", "[]")
	if n := f.neutron.count(); n != 0 {
		t.Errorf("got %d ports left behind, want none", n)
	}
	expect(t, f.must(201, "POST", lbs, body(attributes(ofDefault, m.good, ofCA, m.ca, ofCRL, m.crl), attributes(ofPool, m.container, ofPoolCA, m.ca))),
		"loadbalancer.listeners.0.client_ca_tls_container_ref", `"`+m.ca+`"`, "loadbalancer.pools.0.tls_container_ref", `"`+m.container+`"`)
}

// TestKeyManagerDown: users are told what upstream tells them, operators what is the matter, and nothing is written.
func TestKeyManagerDown(t *testing.T) {
	t.Parallel()
	m := newMaterial(t)
	f := newFixture(t, m.serve)
	lb := f.loadBalancer()
	body := func(attributes string) string {
		return `{"listener": {"loadbalancer_id": "` + lb + `", "protocol": "TERMINATED_HTTPS", "protocol_port": 443, ` + attributes + `}}`
	}
	for name, fault := range map[string]sandbox.Fault{
		"503": {Service: "key-manager", Status: 503}, "no answer": {Service: "key-manager", Drop: true},
	} {
		f.log.Reset()
		remove := m.sandbox.Inject(fault)
		f.refuse(wrong{name, "POST", listeners, body(attributes(ofDefault, m.good, ofSNI, m.container)), 400, unretrieved(m.container, m.good)})
		remove()
		if !strings.Contains(f.log.String(), "key manager cannot be asked") {
			t.Errorf("%s: the log does not say so: %s", name, f.log)
		}
	}
	f.untouched(lb, "[]", "[]")
	f.create(listeners, body(attributes(ofDefault, m.good)))
}

// TestReferencesAskedForOnce: only what can be used is read, and each reference once.
func TestReferencesAskedForOnce(t *testing.T) {
	t.Parallel()
	m := newMaterial(t)
	f := newFixture(t, m.serve)
	lb := f.loadBalancer()
	body := func(protocol, attributes string) string {
		return `{"listener": {"loadbalancer_id": "` + lb + `", "protocol": "` + protocol + `", "protocol_port": 443, ` + attributes + `}}`
	}
	calls := func() (n int) {
		for _, c := range m.sandbox.Calls() {
			if c.Service == "key-manager" {
				n++
			}
		}
		return n
	}
	m.sandbox.ResetCalls()
	f.must(400, "POST", listeners, body("HTTP", attributes(ofDefault, m.good)))
	if n := calls(); n != 0 {
		t.Errorf("a listener that takes no certificate: got %d calls, want none", n)
	}
	f.must(201, "POST", listeners, body("TERMINATED_HTTPS", attributes(ofDefault, m.good, ofSNI, m.good)))
	if n := calls(); n != 1 {
		t.Errorf("one reference, twice: got %d calls, want 1", n)
	}
}

// meanwhile does something else when certificates are asked for.
type meanwhile struct {
	api.Certificates
	do func(context.Context)
}

func (m *meanwhile) Secret(ctx context.Context, token, ref string) ([]byte, error) {
	if m.do != nil {
		m.do(ctx)
	}
	return m.Certificates.Secret(ctx, token, ref)
}

// TestOvertaken: what another request stores while references are read is not taken unread.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	m := &meanwhile{Certificates: noopCertificates(t)}
	f := newFixture(t, func(_ *api.Config, d *api.Deps) { d.Certificates = m })
	lb := f.loadBalancer()
	id := f.create(listeners, `{"listener": {"loadbalancer_id": "`+lb+`", "protocol": "TERMINATED_HTTPS", "protocol_port": 443,
		"default_tls_container_ref": "c", "client_ca_tls_container_ref": "first"}}`)
	f.settle(lb)
	m.do = func(ctx context.Context) {
		err := f.store.Tx(ctx, func(ctx context.Context, tx *db.Tx) error {
			second := "second"
			return db.Update(ctx, tx, &db.Listener{ID: id, ClientCATLSCertificateID: &second}, "client_ca_tls_certificate_id")
		})
		if err != nil {
			t.Error(err)
		}
	}
	list := `{"listener": {"client_crl_container_ref": "list"}}`
	f.refuse(wrong{"overtaken", "PUT", listeners + "/" + id, list, 409,
		"Certificate references were changed by another request. Please try again."})
	m.do = nil
	f.must(200, "PUT", listeners+"/"+id, list)
}

// TestReferencesAreLookedAtAgain: who names a reference in a PUT wants what it leads to now.
func TestReferencesAreLookedAtAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	lb := f.loadBalancer()
	listener := f.create(listeners, `{"listener": {"loadbalancer_id": "`+lb+`", "protocol": "TERMINATED_HTTPS", "protocol_port": 443, `+
		attributes(ofDefault, "https://keys/v1/secrets/1")+`}}`)
	f.settle(lb)
	pool := f.create(pools, `{"pool": {"loadbalancer_id": "`+lb+`", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "tls_enabled": true}}`)
	later := time.Now().UTC().Add(time.Hour).Truncate(time.Millisecond)
	for _, c := range []struct {
		path, body string
		again      bool
	}{
		{listeners + "/" + listener, `{"listener": {"name": "x"}}`, false},
		{pools + "/" + pool, `{"pool": {"name": "x"}}`, false},
		{listeners + "/" + listener, `{"listener": {` + attributes(ofDefault, "https://keys/v1/secrets/1") + `}}`, true},
		{listeners + "/" + listener, `{"listener": {` + attributes(ofSNI, "https://keys/v1/secrets/2") + `}}`, true},
		{listeners + "/" + listener, `{"listener": {` + attributes(ofCA, "https://keys/v1/secrets/3") + `}}`, true},
		{listeners + "/" + listener, `{"listener": {` + attributes(ofCRL, "https://keys/v1/secrets/4") + `}}`, true},
		{pools + "/" + pool, `{"pool": {` + attributes(ofPool, "https://keys/v1/secrets/1") + `}}`, true},
		{pools + "/" + pool, `{"pool": {` + attributes(ofPoolCA, "https://keys/v1/secrets/3") + `}}`, true},
		{pools + "/" + pool, `{"pool": {` + attributes(ofPoolCRL, "https://keys/v1/secrets/4") + `}}`, true},
	} {
		f.settle(lb)
		err := f.store.Tx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			return tx.PutSecretCopy(ctx, db.SecretCopy{ID: "copy", LoadBalancerID: lb, Content: []byte("x"), CheckedAt: later, NextAt: later})
		})
		if err != nil {
			t.Fatal(err)
		}
		f.must(200, "PUT", c.path, c.body)
		var row *db.SecretCopy
		err = f.store.Read(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
			row, err = db.Get[db.SecretCopy](ctx, tx, "copy")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if again := row.NextAt.Before(later); again != c.again {
			t.Errorf("PUT %s: looked at again %t, want %t", c.body, again, c.again)
		}
	}
}
