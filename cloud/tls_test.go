package cloud_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/internal/cloudtest"
	"github.com/ottavino/ottavino/sandbox/keystone"
)

func TestTLS(t *testing.T) {
	c := cloudtest.New(t, keystone.Config{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("client") != "" && len(r.TLS.PeerCertificates) == 0 {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte("{}"))
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo) // says what the clients say
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	defer s.Close()
	ca := writePEM(t, "CERTIFICATE", s.Certificate().Raw)
	other := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(other, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	withCert := c.Auth()
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	withCert.CertFile, withCert.KeyFile = ca, writePEM(t, "PRIVATE KEY", key)
	for _, tc := range []struct {
		name string
		auth cloud.Auth
		e    cloud.Endpoint
		path string
		want cloud.Class // -1 = success
	}{
		{"unknown CA", c.Auth(), cloud.Endpoint{}, "x", cloud.Unavailable},
		{"CA", c.Auth(), cloud.Endpoint{CAFile: ca}, "x", -1},
		{"CA without certificate", c.Auth(), cloud.Endpoint{CAFile: other}, "x", cloud.Final},
		{"insecure", c.Auth(), cloud.Endpoint{Insecure: true}, "x", -1},
		{"no client certificate", c.Auth(), cloud.Endpoint{CAFile: ca}, "x?client=1", cloud.Final},
		{"client certificate", withCert, cloud.Endpoint{CAFile: ca}, "x?client=1", -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.e.Type, tc.e.Override = "network", s.URL
			var out map[string]any
			err := cloud.Service{Session: c.NewSession(t, tc.auth), Endpoint: tc.e}.
				Do(t.Context(), cloud.Call{Op: "get", Method: http.MethodGet, Path: tc.path, Out: &out})
			if tc.want < 0 && err != nil || tc.want >= 0 && classOf(t, err) != tc.want {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
