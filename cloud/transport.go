package cloud

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

const (
	connectTimeout = 10 * time.Second
	idleTimeout    = 90 * time.Second
	idlePerHost    = 16
	// drained is how much of a refused answer is read to keep its connection, in bytes.
	drained = 64 << 10
	// maxAnswer is the longest answer that is read, in bytes: a list of some 10000 ports.
	maxAnswer = 32 << 20
)

// transportKey is how one endpoint's TLS differs from the session's.
type transportKey struct {
	ca       string // "" = the session's
	insecure bool
}

// transport returns the connections for endpoints of this kind, which are made once.
func (s *Session) transport(key transportKey) (*http.Transport, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.transports[key]; t != nil {
		return t, nil
	}
	conf, err := s.auth.tls(key)
	if err != nil {
		return nil, fmt.Errorf("cloud: %w", err)
	}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSClientConfig:       conf,
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: s.timeout,
		MaxIdleConnsPerHost:   idlePerHost,
		IdleConnTimeout:       idleTimeout,
		ForceAttemptHTTP2:     true,
	}
	s.transports[key] = t
	return t, nil
}

func (a Auth) tls(key transportKey) (*tls.Config, error) {
	conf := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: a.Insecure || key.insecure, //nolint:gosec // the operator's choice, off by default
	}
	if file := cmp.Or(key.ca, a.CAFile); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read CA file: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("CA file %s has no certificate", file)
		}
	}
	if a.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(a.CertFile, cmp.Or(a.KeyFile, a.CertFile))
		if err != nil {
			return nil, fmt.Errorf("read client certificate: %w", err)
		}
		conf.Certificates = []tls.Certificate{cert}
	}
	return conf, nil
}

// agentTransport says who we are.
type agentTransport struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t *agentTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", userAgent)
	return t.base.RoundTrip(r)
}

// tokenSource gives a token other than stale, which a service refused ("" = any will do).
type tokenSource func(ctx context.Context, stale string) (string, error)

// tokenTransport puts the token on every request, and repeats a request once with a new one
// when the token is refused.
type tokenTransport struct {
	base  http.RoundTripper
	token tokenSource
}

// RoundTrip implements http.RoundTripper.
func (t *tokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := t.token(r.Context(), "")
	if err != nil {
		closeBody(r)
		return nil, err
	}
	resp, err := t.send(r, token)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	again, ok := rewind(r)
	if !ok {
		return resp, nil
	}
	fresh, err := t.token(r.Context(), token)
	if err != nil {
		closeBody(again)
		return loginFailed(resp, err)
	}
	discard(resp)
	return t.send(again, fresh)
}

// loginFailed prefers the service's 401 to our not having another's password.
func loginFailed(resp *http.Response, err error) (*http.Response, error) {
	if errors.Is(err, errForeignToken) {
		return resp, nil
	}
	discard(resp)
	return nil, err
}

func (t *tokenTransport) send(r *http.Request, token string) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set("X-Auth-Token", token)
	resp, err := t.base.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	}
	return resp, err
}

// rewind copies a request with its body from the start.
func rewind(r *http.Request) (*http.Request, bool) {
	again := r.Clone(r.Context())
	if r.Body == nil || r.Body == http.NoBody {
		return again, true
	}
	if r.GetBody == nil {
		return nil, false
	}
	body, err := r.GetBody()
	if err != nil {
		return nil, false
	}
	again.Body = body
	return again, true
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close() // nothing was sent
	}
}

func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, drained) // only to reuse the connection
	_ = resp.Body.Close()
}
