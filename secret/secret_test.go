package secret_test

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/sandbox"
	"github.com/ottavino/ottavino/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kit makes what users make, with openssl: it is the other side of the contract.
type kit struct {
	t   *testing.T
	dir string
}

func newKit(t *testing.T) *kit { t.Helper(); return &kit{t, t.TempDir()} }

func (k *kit) path(name string) string { return filepath.Join(k.dir, name) }

func (k *kit) read(name string) []byte {
	k.t.Helper()
	b, err := os.ReadFile(k.path(name))
	if err != nil {
		k.t.Fatal(err)
	}
	return b
}

// openssl runs a command whose words beginning with @ are files of the kit.
func (k *kit) openssl(line string) {
	k.t.Helper()
	words := strings.Fields(line)
	for i, w := range words {
		if rest, ok := strings.CutPrefix(w, "@"); ok {
			words[i] = k.path(rest)
		}
		if w == "''" {
			words[i] = ""
		}
	}
	if out, err := exec.CommandContext(k.t.Context(), "openssl", words...).CombinedOutput(); err != nil {
		k.t.Fatalf("openssl %s: %v\n%s", line, err, out)
	}
}

// chain makes a CA (ca.crt, ca.key) and a certificate of it (www.crt, www.key).
func (k *kit) chain(algorithm string) {
	k.openssl("req -x509 -newkey rsa:2048 -nodes -keyout @ca.key -out @ca.crt -days 2 -subj /CN=ca.example.com")
	k.openssl("req -new -newkey " + algorithm + " -nodes -keyout @www.key -out @www.csr -subj /CN=WWW.example.com -addext subjectAltName=DNS:shop.example.com")
	k.openssl("x509 -req -in @www.csr -CA @ca.crt -CAkey @ca.key -days 1 -out @www.crt -copy_extensions copy -set_serial 5")
}

// serves tests that a bundle is what a TLS server can load, with its chain.
func serves(t *testing.T, name string, b secret.Bundle, certificates int) {
	t.Helper()
	pair, err := tls.X509KeyPair(b.PEM(), b.PEM())
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if len(pair.Certificate) != certificates || pair.Leaf.Subject.CommonName != "WWW.example.com" {
		t.Errorf("%s: got %d certificates, the first of %s", name, len(pair.Certificate), pair.Leaf.Subject)
	}
	if got := strings.Join(b.Names, " "); got != "www.example.com shop.example.com" {
		t.Errorf("%s: got names %s", name, got)
	}
	if b.NotAfter.IsZero() || len(b.ID()) != 40 {
		t.Errorf("%s: got not after %s, id %s", name, b.NotAfter, b.ID())
	}
}

// world is a Barbican with a user and the service.
type world struct {
	*kit
	sandbox  *sandbox.Sandbox
	user     cloud.Service
	token    string
	barbican *secret.Barbican
}

func newWorld(t *testing.T) *world {
	t.Helper()
	sb, err := sandbox.Start(t.Context(), sandbox.Config{BuildDelay: -1})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{kit: newKit(t), sandbox: sb}
	t.Cleanup(func() {
		if err := sb.Close(); err != nil {
			t.Error(err)
		}
	})
	tenant := w.session(sb.Settings().Tenant)
	w.user = cloud.Service{Session: tenant, Endpoint: cloud.Endpoint{Type: "key-manager"}}
	w.token, err = tenant.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.barbican = secret.NewBarbican(w.session(sb.Settings().Service), cloud.Endpoint{})
	return w
}

func (w *world) session(l sandbox.Login) *cloud.Session {
	w.t.Helper()
	s, err := cloud.NewSession(cloud.Auth{
		URL: w.sandbox.Settings().AuthURL, Username: l.User, Password: l.Password, ProjectName: l.Project,
		UserDomainName: "Default", ProjectDomainName: "Default",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(s.Close)
	return s
}

// store makes a secret as the user.
func (w *world) store(content []byte, contentType string) string {
	w.t.Helper()
	in := map[string]string{"payload_content_type": contentType, "payload": string(content)}
	if contentType == "application/octet-stream" {
		in["payload"], in["payload_content_encoding"] = base64.StdEncoding.EncodeToString(content), "base64"
	}
	var out struct {
		Ref string `json:"secret_ref"`
	}
	err := w.user.Do(w.t.Context(), cloud.Call{Op: "store", Method: http.MethodPost, Path: "secrets", In: in, Out: &out})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.Ref
}

func (w *world) container(refs map[string]string) string {
	w.t.Helper()
	members := []map[string]string{}
	for name, ref := range refs {
		members = append(members, map[string]string{"name": name, "secret_ref": ref})
	}
	var out struct {
		Ref string `json:"container_ref"`
	}
	err := w.user.Do(w.t.Context(), cloud.Call{Op: "store", Method: http.MethodPost, Path: "containers", Out: &out,
		In: map[string]any{"type": "certificate", "name": "c", "secret_refs": members}})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.Ref
}

func (w *world) bundle(ref string) (secret.Bundle, error) {
	w.t.Helper()
	if err := w.barbican.Admit(w.t.Context(), w.token, ref); err != nil {
		return secret.Bundle{}, err
	}
	return w.barbican.Bundle(w.t.Context(), ref)
}

const octets = "application/octet-stream"

// TestPKCS12 reads every form in which OpenSSL writes bundles without a passphrase.
func TestPKCS12(t *testing.T) {
	w := newWorld(t)
	for _, algorithm := range []string{"rsa:2048", "ec -pkeyopt ec_paramgen_curve:P-256"} {
		w.chain(algorithm)
		for form, flags := range map[string]string{
			"modern": "", "legacy": "-legacy", "3DES": "-legacy -certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES",
			"in the clear": "-certpbe NONE -keypbe NONE", "without MAC": "-nomac",
		} {
			w.openssl("pkcs12 -export -inkey @www.key -in @www.crt -certfile @ca.crt -passout pass: -out @www.p12 " + flags)
			b, err := w.bundle(w.store(w.read("www.p12"), octets))
			if form == "without MAC" && err != nil {
				var e *secret.Error
				if !errors.As(err, &e) {
					t.Errorf("%s %s: %v", algorithm, form, err)
				}
				continue // what cannot be told from a damaged file may be refused
			}
			if err != nil {
				t.Errorf("%s %s: %v", algorithm, form, err)
				continue
			}
			serves(t, algorithm+" "+form, b, 2)
		}
	}
}

func TestWrongMaterial(t *testing.T) {
	w := newWorld(t)
	w.chain("rsa:2048")
	w.openssl("pkcs12 -export -inkey @www.key -in @www.crt -passout pass:secret -out @locked.p12")
	w.openssl("req -x509 -newkey rsa:2048 -nodes -keyout @other.key -out @nameless.crt -days 2 -subj /O=nobody")
	w.openssl("pkcs12 -export -inkey @other.key -in @nameless.crt -passout pass: -out @nameless.p12")
	missing := strings.Replace(w.store([]byte("x"), octets), "/secrets/", "/secrets/0", 1)
	for name, c := range map[string]struct {
		ref  string
		kind secret.Kind
	}{
		"no reference":  {"not a reference", secret.Absent},
		"elsewhere":     {"https://example.com/v1/secrets/../../x/", secret.Absent},
		"missing":       {missing, secret.Absent},
		"a passphrase":  {w.store(w.read("locked.p12"), octets), secret.Unreadable},
		"no PKCS#12":    {w.store([]byte("certainly not"), octets), secret.Unreadable},
		"no name":       {w.store(w.read("nameless.p12"), octets), secret.Nameless},
		"another's key": {w.container(map[string]string{"certificate": w.store(w.read("www.crt"), "text/plain"), "private_key": w.store(w.read("ca.key"), "text/plain")}), secret.Unfit},
		"no key":        {w.container(map[string]string{"certificate": w.store(w.read("www.crt"), "text/plain")}), secret.Unfit},
	} {
		_, err := w.bundle(c.ref)
		var e *secret.Error
		if !errors.As(err, &e) || e.Kind != c.kind || e.Ref != c.ref {
			t.Errorf("%s: got %v, want an error of kind %d", name, err, c.kind)
		}
		if err != nil && strings.Contains(err.Error(), "PRIVATE") {
			t.Errorf("%s: the error tells too much: %v", name, err)
		}
	}
}

// TestContainers reads the older form: one secret for each part.
func TestContainers(t *testing.T) {
	w := newWorld(t)
	w.chain("rsa:2048")
	w.openssl("rsa -in @www.key -aes128 -passout pass:word -traditional -out @old.key")
	w.openssl("pkcs8 -topk8 -in @www.key -passout pass:word -out @new.key")
	w.openssl("crl2pkcs7 -nocrl -certfile @ca.crt -out @ca.p7")
	w.openssl("crl2pkcs7 -nocrl -certfile @ca.crt -outform DER -out @ca.p7der")
	text := func(name string) string { return w.store(w.read(name), "text/plain") }
	word := w.store([]byte("word"), "text/plain")
	for name, refs := range map[string]map[string]string{
		"plain":            {"private_key": text("www.key"), "intermediates": text("ca.crt")},
		"old encryption":   {"private_key": text("old.key"), "private_key_passphrase": word, "intermediates": text("ca.p7")},
		"newer encryption": {"private_key": text("new.key"), "private_key_passphrase": word, "intermediates": w.store(w.read("ca.p7der"), octets)},
	} {
		refs["certificate"] = text("www.crt")
		b, err := w.bundle(w.container(refs))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		serves(t, name, b, 2)
		if got, want := b.ID(), secret.ID(w.read("www.crt")); got != want {
			t.Errorf("%s: got the id %s, want that of the bytes as they are stored, %s", name, got, want)
		}
	}
}

// TestParameters: OpenSSL writes the parameters of a curve before the key, when it is asked in the old way.
func TestParameters(t *testing.T) {
	k := newKit(t)
	const id = "5f2b3f5e-0000-4000-8000-000000000001"
	k.openssl("ecparam -name prime256v1 -genkey -out @" + id + ".key")
	k.openssl("req -x509 -new -key @" + id + ".key -out @" + id + ".crt -days 2 -subj /CN=WWW.example.com -addext subjectAltName=DNS:shop.example.com")
	if text := string(k.read(id + ".key")); !strings.HasPrefix(text, "-----BEGIN EC PARAMETERS-----") {
		t.Fatalf("OpenSSL does not write what this is about: %s", text)
	}
	b, err := secret.NewLocal(k.dir).Bundle(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	serves(t, "with parameters", b, 1)
}

// TestWrongPassphrase: of whichever encryption the key is, the reason says so, and nothing more.
func TestWrongPassphrase(t *testing.T) {
	k := newKit(t)
	k.chain("rsa:2048")
	k.openssl("rsa -in @www.key -aes128 -passout pass:word -traditional -out @old.key")
	k.openssl("pkcs8 -topk8 -in @www.key -passout pass:word -out @new.key")
	const id = "5f2b3f5e-0000-4000-8000-000000000001"
	write := func(suffix string, content []byte) {
		t.Helper()
		if err := os.WriteFile(k.path(id+suffix), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(".crt", k.read("www.crt"))
	for _, form := range []string{"old.key", "new.key"} {
		write(".key", k.read(form))
		// So many that some decrypt to something that is padded well.
		for i := range 300 {
			passphrase := fmt.Sprint("wrong", i)
			write(".pass", []byte(passphrase))
			_, err := secret.NewLocal(k.dir).Bundle(t.Context(), id)
			var e *secret.Error
			if !errors.As(err, &e) || e.Kind != secret.Unfit || e.Reason != "the passphrase does not fit the private key" {
				t.Fatalf("%s, %s: got %v", form, passphrase, err)
			}
			if form == "new.key" { // its derivation is slow, and tells
				break
			}
		}
	}
}

// TestAdmission: without it the service may not read; with it, it may, and nobody else who could before is shut out.
func TestAdmission(t *testing.T) {
	w := newWorld(t)
	ref := w.store([]byte("-----BEGIN X-----"), "text/plain")
	var e *secret.Error
	if _, err := w.barbican.Secret(t.Context(), ref); !errors.As(err, &e) {
		t.Fatalf("got %v before the user let us in, want a refusal", err)
	}
	for range 2 {
		if err := w.barbican.Admit(t.Context(), w.token, ref); err != nil {
			t.Fatal(err)
		}
	}
	got, err := w.barbican.Secret(t.Context(), ref)
	if err != nil || string(got) != "-----BEGIN X-----" {
		t.Errorf("got %q %v", got, err)
	}
	changes := 0
	for _, c := range w.sandbox.Calls() {
		if c.Service == "key-manager" && c.Method == http.MethodPatch {
			changes++
		}
	}
	if changes != 1 {
		t.Errorf("the ACL was changed %d times, want once", changes)
	}
	w.sandbox.Inject(sandbox.Fault{Service: "key-manager", Status: http.StatusServiceUnavailable})
	if _, err := w.barbican.Secret(t.Context(), ref); err == nil || errors.As(err, &e) {
		t.Errorf("got %v from a Barbican that is down, want an error that is not the user's", err)
	}
}

func TestLocal(t *testing.T) {
	k := newKit(t)
	k.chain("ed25519")
	const id = "5f2b3f5e-0000-4000-8000-000000000001"
	for from, to := range map[string]string{"www.crt": ".crt", "www.key": ".key", "ca.crt": ".int"} {
		if err := os.WriteFile(k.path(id+to), k.read(from), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := secret.NewLocal(k.dir)
	b, err := l.Bundle(t.Context(), "https://any.example/v1/containers/"+id)
	if err != nil {
		t.Fatal(err)
	}
	serves(t, "local", b, 2)
	if got, err := l.Secret(t.Context(), id); err != nil || string(got) != string(k.read("www.crt")) {
		t.Errorf("got %q %v", got, err)
	}
	var e *secret.Error
	for _, ref := range []string{"../../etc/passwd", "5f2b3f5e-0000-4000-8000-000000000002", ""} {
		if _, err := l.Bundle(t.Context(), ref); !errors.As(err, &e) || strings.Contains(err.Error(), k.dir) {
			t.Errorf("%q: got %v, want a refusal that does not name our directory", ref, err)
		}
	}
}

// TestCastellan reads what the service may read anyway, named by reference or id; who asks does not matter.
func TestCastellan(t *testing.T) {
	w := newWorld(t)
	w.chain("rsa:2048")
	w.openssl("pkcs12 -export -inkey @www.key -in @www.crt -passout pass: -out @www.p12")
	ref := w.store(w.read("www.p12"), octets)
	m := w.choose(t, secret.Config{Manager: secret.CastellanManager, Backend: "barbican"})
	var e *secret.Error
	if err := m.Admit(t.Context(), w.token, ref); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Bundle(t.Context(), ref); !errors.As(err, &e) || e.Kind != secret.Absent {
		t.Errorf("got %v, want a refusal: nothing was admitted", err)
	}
	if err := w.barbican.Admit(t.Context(), w.token, ref); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{ref, ref[strings.LastIndex(ref, "/")+1:]} {
		b, err := m.Bundle(t.Context(), name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		serves(t, name, b, 1)
		if got, err := m.Secret(t.Context(), name); err != nil || string(got) != string(w.read("www.p12")) {
			t.Errorf("%s: got %d bytes, %v", name, len(got), err)
		}
	}
	if _, err := m.Bundle(t.Context(), ""); !errors.As(err, &e) {
		t.Errorf("no reference: got %v, want a refusal", err)
	}
}

// choose is secret.New with the service's session.
func (w *world) choose(t *testing.T, cfg secret.Config) secret.Manager {
	t.Helper()
	cfg.Session = w.session(w.sandbox.Settings().Service)
	m, err := secret.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestChoice(t *testing.T) {
	for name, cfg := range map[string]secret.Config{
		"no such manager": {Manager: "vault_cert_manager"},
		"no such backend": {Manager: secret.CastellanManager, Backend: "vault"},
	} {
		if _, err := secret.New(cfg); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	for _, name := range []string{secret.BarbicanManager, secret.CastellanManager} {
		m, err := secret.New(secret.Config{Manager: name})
		if err != nil {
			t.Fatalf("%s without a session: %v", name, err)
		}
		var e *secret.Error
		if _, err := m.Secret(t.Context(), "x"); err == nil || errors.As(err, &e) {
			t.Errorf("%s without a session: got %v, want an error that is not the user's", name, err)
		}
	}
}

// TestNoop: what it gives is good for every attribute that holds a reference.
func TestNoop(t *testing.T) {
	n, err := secret.New(secret.Config{Manager: secret.NoopManager})
	if err != nil {
		t.Fatal(err)
	}
	b, err := n.Bundle(t.Context(), "anything")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.X509KeyPair(b.PEM(), b.PEM()); err != nil {
		t.Error(err)
	}
	text, err := n.Secret(t.Context(), "anything")
	if err != nil {
		t.Fatal(err)
	}
	k := newKit(t)
	if err := os.WriteFile(k.path("both.pem"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	k.openssl("crl -in @both.pem -CAfile @both.pem -noout")
}
