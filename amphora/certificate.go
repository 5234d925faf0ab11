package amphora

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// CapabilityCertificates is in the version document of agents that list the certificate files they hold.
const CapabilityCertificates = "certificates"

func certificatesPath(lbID string) string {
	return "/1.0/loadbalancer/" + url.PathEscape(lbID) + "/certificates"
}

func certificatePath(lbID, name string) string {
	return certificatesPath(lbID) + "/" + url.PathEscape(name)
}

// CertificateFiles returns the MD5 of each file in a load balancer's certificate directory, by name. It takes
// CapabilityCertificates.
func (d *Driver) CertificateFiles(ctx context.Context, t Target, lbID string) (map[string]string, error) {
	var out struct {
		Certificates map[string]string `json:"certificates"`
	}
	err := d.get(ctx, t, call{op: "list certificates", path: certificatesPath(lbID), out: &out})
	return out.Certificates, err
}

// CertificateFile returns the MD5 of a file in a load balancer's certificate directory, in hexadecimal; ok is false when
// there is none.
func (d *Driver) CertificateFile(ctx context.Context, t Target, lbID, name string) (md5 string, ok bool, err error) {
	var out struct {
		MD5 string `json:"md5sum"`
	}
	err = d.get(ctx, t, call{op: "look at certificate", path: certificatePath(lbID, name), out: &out})
	if missing(err) {
		return "", false, nil
	}
	return out.MD5, err == nil, err
}

// PutCertificateFile writes a file into a load balancer's certificate directory.
func (d *Driver) PutCertificateFile(ctx context.Context, t Target, lbID, name string, content []byte) error {
	_, err := d.do(ctx, t, call{op: "upload certificate", method: http.MethodPut, path: certificatePath(lbID, name), body: content})
	return err
}

// DeleteCertificateFile removes a file from a load balancer's certificate directory; absent is success.
func (d *Driver) DeleteCertificateFile(ctx context.Context, t Target, lbID, name string) error {
	_, err := d.do(ctx, t, call{op: "delete certificate", method: http.MethodDelete, path: certificatePath(lbID, name)})
	if missing(err) {
		return nil
	}
	return err
}

// Upload gives the agent a configuration, which it tests and stores; nothing is reloaded. Apply does the same unless the
// agent has it already: this is for certificates that changed under it. A refusal is an *AgentError with status 400.
func (d *Driver) Upload(ctx context.Context, t Target, lbID string, cfg []byte) error {
	_, err := d.do(ctx, t, call{
		op: "upload haproxy.cfg", method: http.MethodPut, body: cfg,
		path: "/1.0/loadbalancer/" + url.PathEscape(t.AmphoraID) + "/" + url.PathEscape(lbID) + "/haproxy",
	})
	return err
}

// MD5 is how agents name the content of files.
func MD5(content []byte) string { return digest(content) }

// errNoList is for an agent without CapabilityCertificates.
var errNoList = errors.New("the agent does not list certificates")

// Upload does nothing: Apply remembers.
func (n *Noop) Upload(context.Context, Target, string, []byte) error { return nil }

// CertificateFiles is not asked of noop amphorae.
func (n *Noop) CertificateFiles(context.Context, Target, string) (map[string]string, error) {
	return nil, errNoList
}

// CertificateFile says what PutCertificateFile was given.
func (n *Noop) CertificateFile(_ context.Context, t Target, lbID, name string) (md5 string, ok bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	content, ok := n.held[n.key(t, lbID)+"/"+name]
	return digest(content), ok, nil
}

// PutCertificateFile remembers a file.
func (n *Noop) PutCertificateFile(_ context.Context, t Target, lbID, name string, content []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held[n.key(t, lbID)+"/"+name] = content
	return nil
}

// DeleteCertificateFile forgets it.
func (n *Noop) DeleteCertificateFile(_ context.Context, t Target, lbID, name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.held, n.key(t, lbID)+"/"+name)
	return nil
}
