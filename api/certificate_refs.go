package api

import (
	"context"

	"github.com/ottavino/ottavino/db"
)

// certificateRefs are the certificates that a body names, in upstream's order.
func (in *listenerIn) certificateRefs() []string {
	return append(append([]string{}, in.sniRefs.value...), nonEmptyList(in.tlsRef.or(""))...)
}

// caRefs are the client CA and revocation list that count: those of the body, or else those of the
// row (nil for a new listener). Removing them does not help against stored ones that went bad.
func (in *listenerIn) caRefs(l *db.Listener) (ca, crl string) {
	ca, crl = in.clientCA.or(""), in.clientCRL.or("")
	if l == nil {
		return ca, crl
	}
	if ca == "" {
		ca = deref(l.ClientCATLSCertificateID)
	}
	if crl == "" {
		crl = deref(l.ClientCRLContainerID)
	}
	return ca, crl
}

// caRefsToRead are those of caRefs that have to be readable: none when the body names neither. A secret that is gone must not keep a
// listener from being renamed or disabled, nor from being rid of it.
func (in *listenerIn) caRefsToRead(l *db.Listener) (ca, crl string) {
	if in.clientCA.or("") == "" && in.clientCRL.or("") == "" {
		return "", ""
	}
	ca, crl = in.caRefs(l)
	if in.clientCRL.set {
		crl = in.clientCRL.or("")
	}
	return ca, crl
}

// caRefs are the CA and revocation list that count: those of the body where it has the attribute, or
// else those of the row (nil for a new pool).
func (in *poolIn) caRefs(p *db.Pool) (ca, crl string) {
	ca, crl = in.caRef.or(""), in.crlRef.or("")
	if p == nil {
		return ca, crl
	}
	if !in.caRef.set {
		ca = deref(p.CATLSCertificateID)
	}
	if crl == "" && !in.crlRef.set {
		crl = deref(p.CRLContainerID)
	}
	return ca, crl
}

// caRefsToRead is for pools what it is for listeners.
func (in *poolIn) caRefsToRead(p *db.Pool) (ca, crl string) {
	if in.caRef.or("") == "" && in.crlRef.or("") == "" {
		return "", ""
	}
	return in.caRefs(p)
}

// want adds references to those to be read.
func (r *references) want(certificates []string, ca, crl string) {
	r.bundles = append(r.bundles, certificates...)
	if ca != "" { // without, the list is refused unread
		r.secrets = append(r.secrets, ca)
		r.secrets = append(r.secrets, nonEmptyList(crl)...)
	}
}

func nonEmptyList(ref string) []string {
	if ref == "" {
		return nil
	}
	return []string{ref}
}

// readListenerMaterial reads what a POST (l is nil) or PUT of a listener refers to, unless the body
// alone is reason enough to refuse it.
func (s *Server) readListenerMaterial(ctx context.Context, who Identity, _ place, l *db.Listener, in *listenerIn) (err error) {
	if (l == nil && s.cfg.checkListenerTLS(in) != nil) || (l != nil && checkListenerTLSChange(l, in) != nil) {
		return nil // the transaction will say so, when it is its turn
	}
	var refs references
	ca, crl := in.caRefsToRead(l)
	refs.want(in.certificateRefs(), ca, crl)
	in.material, err = s.readMaterial(ctx, who, refs)
	return err
}

// readPoolMaterial reads what a POST (p is nil) or PUT of a pool refers to.
func (s *Server) readPoolMaterial(ctx context.Context, who Identity, _ place, p *db.Pool, in *poolIn) (err error) {
	var refs references
	ca, crl := in.caRefsToRead(p)
	refs.want(nonEmptyList(in.tlsRef.or("")), ca, crl)
	in.material, err = s.readMaterial(ctx, who, refs)
	return err
}

// readMaterial reads what everything below a new load balancer refers to, at once.
func (g graph) readMaterial(ctx context.Context, s *Server, who Identity) error {
	var refs references
	for i := range g.pools {
		ca, crl := g.pools[i].caRefs(nil)
		refs.want(nonEmptyList(g.pools[i].tlsRef.or("")), ca, crl)
	}
	for i := range g.listeners {
		if s.cfg.checkListenerTLS(&g.listeners[i]) == nil {
			ca, crl := g.listeners[i].caRefs(nil)
			refs.want(g.listeners[i].certificateRefs(), ca, crl)
		}
	}
	m, err := s.readMaterial(ctx, who, refs)
	for i := range g.pools {
		g.pools[i].material = m
	}
	for i := range g.listeners {
		g.listeners[i].material = m
	}
	return err
}
