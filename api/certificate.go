package api

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Certificates is what the API needs of the key manager. The first thing done with a reference is
// to let the service read what the user of the token may read; an empty token (auth_strategy noauth
// and testing, unless the client sends one) leaves that out. Reading itself is the service's. Methods may be called concurrently.
type Certificates interface {
	// CheckBundle tests that a reference leads to a certificate with its key. The error is an
	// *UnreadableError or ErrNameless where users are told so; of any other they are told that the
	// certificate cannot be retrieved. It wraps ErrUnavailable when the manager cannot be asked.
	CheckBundle(ctx context.Context, userToken, ref string) error
	// Secret reads a CA or a revocation list. The error wraps ErrUnavailable as above.
	Secret(ctx context.Context, userToken, ref string) ([]byte, error)
}

// UnreadableError says that a secret is no PKCS#12 bundle, or needs a passphrase.
type UnreadableError struct{ Reason string }

func (e *UnreadableError) Error() string { return "PKCS#12 bundle: " + e.Reason }

// ErrNameless says that a certificate has neither a CN nor DNS names.
var ErrNameless = errors.New("certificate without names")

const (
	// materialTimeout bounds the reading of all references of a request.
	materialTimeout = 30 * time.Second
	// materialParallel bounds how many of them are read at once.
	materialParallel = 8
)

// references are those of a body, by what they should lead to.
type references struct{ bundles, secrets []string }

// material is what references lead to. It is read before the transaction, because that asks others,
// and judged inside, where upstream's order of checks has its place.
type material struct {
	mu      sync.Mutex // while it is read
	bundles map[string]error
	secrets map[string]plainSecret
}

type plainSecret struct {
	content []byte
	err     error
}

// readMaterial follows references; what is wrong with them is part of the result. The error is
// that the caller is gone.
func (s *Server) readMaterial(ctx context.Context, who Identity, refs references) (*material, error) {
	m := &material{bundles: map[string]error{}, secrets: map[string]plainSecret{}}
	inner, cancel := context.WithTimeout(ctx, materialTimeout)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(materialParallel)
	for _, ref := range unique(refs.bundles) {
		g.Go(func() error {
			err := s.deps.Certificates.CheckBundle(inner, who.Token, ref)
			s.logUnread(ctx, ref, err)
			m.mu.Lock()
			defer m.mu.Unlock()
			m.bundles[ref] = err
			return nil
		})
	}
	for _, ref := range unique(refs.secrets) {
		g.Go(func() error {
			content, err := s.deps.Certificates.Secret(inner, who.Token, ref)
			s.logUnread(ctx, ref, err)
			m.mu.Lock()
			defer m.mu.Unlock()
			m.secrets[ref] = plainSecret{content, err}
			return nil
		})
	}
	_ = g.Wait() // errors are results
	return m, ctx.Err()
}

func unique(refs []string) []string { return slices.Compact(slices.Sorted(slices.Values(refs))) }

// logUnread tells the operator what users are not told: that it is not their fault.
func (s *Server) logUnread(ctx context.Context, ref string, err error) {
	if errors.Is(err, ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		s.deps.Log.WarnContext(ctx, "key manager cannot be asked", "reference", ref, "error", err)
	}
}

// errOvertaken is for what another request has changed between reading and the transaction.
var errOvertaken = conflict("Certificate references were changed by another request. Please try again.")

// checkBundles tests that certificates can be served. The fault names all that cannot.
func (m *material) checkBundles(refs []string) error {
	if len(refs) == 0 {
		return nil
	}
	if m == nil {
		return errOvertaken
	}
	var bad []string
	for _, ref := range refs {
		err, read := m.bundles[ref]
		if !read {
			return errOvertaken
		}
		var unreadable *UnreadableError
		switch {
		case errors.As(err, &unreadable):
			return BadRequest("The PKCS12 bundle is unreadable. Please check the PKCS12 bundle validity. " +
				"In addition, make sure it does not require a pass phrase. Error: " + unreadable.Reason)
		case err != nil && !errors.Is(err, ErrNameless):
			bad = append(bad, ref)
		}
	}
	return unretrieved(bad)
}

func unretrieved(refs []string) error {
	if len(refs) == 0 {
		return nil
	}
	return BadRequest("Could not retrieve certificate: " + pyList(refs))
}

// checkNames tests that certificates are for somebody. Upstream asks only when all rows are there,
// and has this fault for the default certificate alone.
func (m *material) checkNames(certificate string, snis []string) error {
	if m == nil {
		return nil
	}
	if errors.Is(m.bundles[certificate], ErrNameless) {
		return BadRequest("No CN or DNSName(s) found in certificate. The certificate is invalid.")
	}
	for _, ref := range snis {
		if errors.Is(m.bundles[ref], ErrNameless) {
			return BadRequest("Could not retrieve certificate: " + ref)
		}
	}
	return nil
}

// checkCA tests a CA and its revocation list; either may be "".
func (m *material) checkCA(ca, crl string) error {
	if ca == "" {
		return nil
	}
	if m == nil {
		return errOvertaken
	}
	var bad []string
	for _, ref := range []string{ca, crl} {
		secret, read := m.secrets[ref]
		switch {
		case ref == "":
		case !read:
			return errOvertaken
		case secret.err != nil:
			bad = append(bad, ref)
		}
	}
	if err := unretrieved(bad); err != nil {
		return err
	}
	cert, err := parseCA(m.secrets[ca].content)
	if err != nil {
		return Invalid("The client authentication CA certificate is invalid. " +
			"It must be a valid x509 PEM format certificate. Error: " + err.Error())
	}
	if crl == "" {
		return nil
	}
	return checkRevocations(cert, m.secrets[crl].content)
}

// parseCA reads the first certificate of a text.
func parseCA(text []byte) (*x509.Certificate, error) {
	block := findPEM(text, "CERTIFICATE", "X509 CERTIFICATE")
	if block == nil {
		return nil, errors.New("there is no certificate in PEM")
	}
	return x509.ParseCertificate(block)
}

// checkRevocations tests that a list is one, and signed by the CA.
func checkRevocations(ca *x509.Certificate, text []byte) error {
	err := errors.New("there is no revocation list in PEM")
	block := findPEM(text, "X509 CRL")
	if block == nil {
		return notRevocations(err)
	}
	// What is not deprecated refuses version 1, which is what OpenSSL writes unless told otherwise,
	// and CAs that do not say that they may sign lists.
	list, err := x509.ParseDERCRL(block) //nolint:staticcheck // see above
	if err != nil {
		return notRevocations(err)
	}
	if ca.CheckCRLSignature(list) != nil { //nolint:staticcheck // see above
		return Invalid("The CRL specified is not valid for client certificate authority reference supplied.")
	}
	return nil
}

func notRevocations(err error) error {
	return Invalid(fmt.Sprintf("The client authentication certificate revocation list is invalid. "+
		"It must be a valid x509 PEM format certificate revocation list. Error: %s", err))
}

// findPEM is the content of the first block of one of these kinds; nil is none.
func findPEM(text []byte, kinds ...string) []byte {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil
		}
		if slices.Contains(kinds, block.Type) {
			return block.Bytes
		}
		text = rest
	}
}
