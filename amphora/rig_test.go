package amphora_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/certs"
)

// pki is a CA for servers, one for clients, and what both ends have of them.
type pki struct {
	serverRoots, clientRoots *x509.CertPool
	servers                  *certs.CA
	client                   tls.Certificate
}

// authorities are made once: RSA keys take their time.
var authorities = sync.OnceValues(func() (*pki, error) {
	now := time.Now()
	serverCA, serverErr := certs.NewCA("servers", now, time.Hour)
	clientCA, clientErr := certs.NewCA("clients", now, time.Hour)
	if err := errors.Join(serverErr, clientErr); err != nil {
		return nil, err
	}
	p := &pki{serverRoots: x509.NewCertPool(), clientRoots: x509.NewCertPool()}
	p.serverRoots.AppendCertsFromPEM(serverCA.CertPEM)
	p.clientRoots.AppendCertsFromPEM(clientCA.CertPEM)
	var err error
	if p.servers, err = certs.LoadCA(serverCA.CertPEM, serverCA.KeyPEM, ""); err != nil {
		return nil, err
	}
	clients, err := certs.LoadCA(clientCA.CertPEM, clientCA.KeyPEM, "")
	if err != nil {
		return nil, err
	}
	issued, err := clients.Client("controller", now, time.Hour)
	if err != nil {
		return nil, err
	}
	p.client, err = tls.X509KeyPair(issued.Bundle(), issued.Bundle())
	return p, err
})

// agent is an HTTPS server that answers as it is told and keeps what it was asked.
type agent struct {
	*httptest.Server

	mu      sync.Mutex
	answers map[string]answer // by "METHOD /path"
	asked   []string
	bodies  map[string]string
}

type answer struct {
	status     int
	kind, body string
}

func ok(body string) answer { return answer{http.StatusOK, "application/json", body} }

// newAgent serves with the certificate of an amphora called name.
func newAgent(t *testing.T, name string, answers map[string]answer) *agent {
	t.Helper()
	p, err := authorities()
	if err != nil {
		t.Fatal(err)
	}
	issued, err := p.servers.Server(name, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(issued.Bundle(), issued.Bundle())
	if err != nil {
		t.Fatal(err)
	}
	a := &agent{answers: answers, bodies: map[string]string{}}
	a.Server = httptest.NewUnstartedServer(a)
	a.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: p.clientRoots, MinVersion: tls.VersionTLS12}
	a.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // handshakes fail here on purpose
	a.StartTLS()
	t.Cleanup(a.Close)
	return a
}

func (a *agent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	defer a.mu.Unlock()
	call := r.Method + " " + r.URL.Path
	a.asked = append(a.asked, call)
	a.bodies[call] = string(body)
	reply, known := a.answers[call]
	if !known {
		reply = answer{http.StatusNotFound, "application/json", `{"error":"404 Not Found: no such URL","http_code":404}`}
	}
	w.Header().Set("Content-Type", reply.kind)
	w.WriteHeader(reply.status)
	_, _ = io.WriteString(w, reply.body)
}

func (a *agent) target() amphora.Target {
	addr := netip.MustParseAddrPort(a.Listener.Addr().String())
	return amphora.Target{AmphoraID: amphoraID, Address: addr.Addr()}
}

// driver talks to the agent's port, as changed by tweak (nil = as it should be).
func driver(t *testing.T, a *agent, tweak func(*amphora.DriverConfig)) *amphora.Driver {
	t.Helper()
	p, err := authorities()
	if err != nil {
		t.Fatal(err)
	}
	cfg := amphora.DriverConfig{
		Port:           int(netip.MustParseAddrPort(a.Listener.Addr().String()).Port()),
		ConnectTimeout: 2 * time.Second, ReadTimeout: 2 * time.Second,
		Client:   func() (tls.Certificate, error) { return p.client, nil },
		ServerCA: func() (*x509.CertPool, error) { return p.serverRoots, nil },
	}
	if tweak != nil {
		tweak(&cfg)
	}
	d := amphora.NewDriver(cfg)
	t.Cleanup(d.Close)
	return d
}
