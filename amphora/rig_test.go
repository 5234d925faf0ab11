package amphora_test

import (
	"crypto/tls"
	"crypto/x509"
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

// installation is made once: RSA keys take their time.
var installation = sync.OnceValues(func() (*certs.Installation, error) { return certs.NewInstallation(time.Now(), time.Hour) })

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
	i, err := installation()
	if err != nil {
		t.Fatal(err)
	}
	issued, err := i.Servers.Server(name, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := issued.Pair()
	if err != nil {
		t.Fatal(err)
	}
	a := &agent{answers: answers, bodies: map[string]string{}}
	a.Server = httptest.NewUnstartedServer(a)
	a.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: i.ClientCA.Pool(), MinVersion: tls.VersionTLS12}
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
	i, err := installation()
	if err != nil {
		t.Fatal(err)
	}
	cfg := amphora.DriverConfig{
		Port:           int(netip.MustParseAddrPort(a.Listener.Addr().String()).Port()),
		ConnectTimeout: 2 * time.Second, ReadTimeout: 2 * time.Second,
		Client:   i.Client.Pair,
		ServerCA: func() (*x509.CertPool, error) { return i.ServerCA.Pool(), nil },
	}
	if tweak != nil {
		tweak(&cfg)
	}
	d := amphora.NewDriver(cfg)
	t.Cleanup(d.Close)
	return d
}
