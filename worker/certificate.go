package worker

import (
	"path"
	"slices"
	"strings"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/db"
)

// Kinds of secrets, by what is made of them.
const (
	kindBundle = "bundle" // certificate, key and chain
	kindCA     = "ca"
	kindCRL    = "crl"
)

// wish is a reference to a secret that somebody needs.
type wish struct{ kind, ref string }

// listenerTLSRefs are the references of a listener; without certificates it speaks no TLS, whatever else it refers to.
func listenerTLSRefs(l db.ListenerTree) (certificates []wish, ca, crl wish) {
	refs := []string{deref(l.TLSCertificateID)}
	for _, s := range l.SNIs {
		refs = append(refs, s.TLSContainerID)
	}
	for _, ref := range refs {
		if w := (wish{kindBundle, ref}); ref != "" && !slices.Contains(certificates, w) {
			certificates = append(certificates, w)
		}
	}
	if len(certificates) > 0 {
		ca, crl = caRefs(l.ClientCATLSCertificateID, l.ClientCRLContainerID)
	}
	return certificates, ca, crl
}

// poolTLSRefs are the references of a pool that speaks TLS to its members.
func poolTLSRefs(p db.PoolTree) (certificate, ca, crl wish) {
	if !p.TLSEnabled {
		return wish{}, wish{}, wish{}
	}
	if ref := deref(p.TLSCertificateID); ref != "" {
		certificate = wish{kindBundle, ref}
	}
	ca, crl = caRefs(p.CATLSCertificateID, p.CRLContainerID)
	return certificate, ca, crl
}

// caRefs leaves out a revocation list that belongs to no CA.
func caRefs(caRef, crlRef *string) (ca, crl wish) {
	if deref(caRef) == "" {
		return wish{}, wish{}
	}
	ca = wish{kindCA, *caRef}
	if deref(crlRef) != "" {
		crl = wish{kindCRL, *crlRef}
	}
	return ca, crl
}

// needs calls fn for every reference that the load balancer needs, with who needs it.
func needs(t *db.Tree, fn func(w wish, user object)) {
	each := func(user object, wishes ...wish) {
		for _, w := range wishes {
			if w.ref != "" {
				fn(w, user)
			}
		}
	}
	for _, l := range t.Listeners {
		if l.ProvisioningStatus != db.PendingDelete {
			certificates, ca, crl := listenerTLSRefs(l)
			each(object{db.KindListener, l.ID}, append(certificates, ca, crl)...)
		}
	}
	for _, p := range t.Pools {
		if p.ProvisioningStatus != db.PendingDelete {
			certificate, ca, crl := poolTLSRefs(p)
			each(object{db.KindPool, p.ID}, certificate, ca, crl)
		}
	}
}

// fileOf is the name of the file that a reference became; "" for no reference.
func (p *pass) fileOf(w wish) string {
	if s := p.secretOf(w); s != nil && s.used() != nil {
		return s.used().Name
	}
	return ""
}

// listenerTLS is how a listener speaks TLS; nil = it does not.
func (p *pass) listenerTLS(l db.ListenerTree) *amphora.ListenerTLS {
	certificates, ca, crl := listenerTLSRefs(l)
	if len(certificates) == 0 {
		return nil
	}
	out := &amphora.ListenerTLS{
		Certificate: true, ClientCAFile: p.fileOf(ca), ClientCRL: p.fileOf(crl), ClientAuth: l.ClientAuthentication,
		Ciphers: deref(l.TLSCiphers), Versions: commas(l.TLSVersions), ALPN: commas(l.ALPNProtocols),
	}
	if l.HSTSMaxAge != nil {
		out.HSTS = &amphora.HSTS{MaxAge: *l.HSTSMaxAge, IncludeSubdomains: deref(l.HSTSIncludeSubdomains), Preload: deref(l.HSTSPreload)}
	}
	return out
}

// poolTLS is how members are spoken to; nil = in the clear.
func (p *pass) poolTLS(t db.PoolTree) *amphora.PoolTLS {
	if !t.TLSEnabled {
		return nil
	}
	certificate, ca, crl := poolTLSRefs(t)
	return &amphora.PoolTLS{
		CertificateFile: p.fileOf(certificate), CAFile: p.fileOf(ca), CRLFile: p.fileOf(crl),
		Ciphers: deref(t.TLSCiphers), Versions: commas(t.TLSVersions), ALPN: commas(t.ALPNProtocols),
	}
}

// commas takes apart a column that holds a list.
func commas(s *string) []string {
	return strings.FieldsFunc(deref(s), func(r rune) bool { return r == ',' || r == ' ' })
}

// certificateFile is a file of an amphora's certificate directory.
type certificateFile struct {
	name    string
	content []byte
}

// certificateFiles are those that what can be applied needs, in the order in which they go to the agent: nothing
// refers to what is not there yet.
func (p *pass) certificateFiles() []certificateFile {
	var files []certificateFile
	add := func(f certificateFile) {
		if !slices.ContainsFunc(files, func(o certificateFile) bool { return o.name == f.name }) {
			files = append(files, f)
		}
	}
	addAll := func(wishes ...wish) {
		for _, w := range wishes {
			if s := p.secretOf(w); s != nil && s.used() != nil {
				add(certificateFile{s.used().Name, s.used().Content})
			}
		}
	}
	for _, l := range p.tree.Listeners {
		if !p.wanted(db.KindListener, l.ID, l.ProvisioningStatus) {
			continue
		}
		certificates, ca, crl := listenerTLSRefs(l)
		addAll(certificates...)
		if len(certificates) > 0 {
			add(certificateFile{l.ID + ".pem", p.certificateList(certificates)})
		}
		addAll(ca, crl)
		for _, pool := range p.poolsOf(l) {
			certificate, ca, crl := poolTLSRefs(pool)
			addAll(certificate, ca, crl)
		}
	}
	return files
}

// certificateList is haproxy's crt-list of a listener: the first certificate is served when no other fits.
func (p *pass) certificateList(certificates []wish) []byte {
	var lines []string
	for _, w := range certificates {
		line := path.Join(p.cfg.HAProxy.BaseCertDir, p.tree.LoadBalancer.ID, p.fileOf(w)) + "\n"
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return []byte(strings.Join(lines, ""))
}

// poolsOf are the pools that a listener uses: its default, then those that its policies redirect to.
func (p *pass) poolsOf(l db.ListenerTree) []db.PoolTree {
	ids := []string{deref(l.DefaultPoolID)}
	for _, policy := range l.Policies {
		ids = append(ids, deref(policy.RedirectPoolID))
	}
	var out []db.PoolTree
	for _, id := range ids {
		i := slices.IndexFunc(p.tree.Pools, func(t db.PoolTree) bool { return t.ID == id })
		if i >= 0 && p.wanted(db.KindPool, id, p.tree.Pools[i].ProvisioningStatus) {
			out = append(out, p.tree.Pools[i])
		}
	}
	return out
}
