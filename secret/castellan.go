package secret

import (
	"context"
	"strings"

	"github.com/ottavino/ottavino/cloud"
)

// Castellan is upstream's castellan_cert_manager on Castellan's own default, Barbican: PKCS#12
// secrets, named by their reference or their id alone. Who may read them is not its business: the
// service must be able to.
type Castellan struct{ barbican *Barbican }

// NewCastellan wires a session; it makes no call. An empty e.Type means key-manager.
func NewCastellan(s *cloud.Session, e cloud.Endpoint) *Castellan {
	return &Castellan{NewBarbican(s, e)}
}

// Bundle implements Manager.
func (c *Castellan) Bundle(ctx context.Context, ref string) (Bundle, error) {
	id, err := managedObject(ref)
	if err != nil {
		return Bundle{}, err
	}
	return c.barbican.pkcs12(ctx, ref, id)
}

// Secret implements Manager.
func (c *Castellan) Secret(ctx context.Context, ref string) ([]byte, error) {
	id, err := managedObject(ref)
	if err != nil {
		return nil, err
	}
	return c.barbican.payload(ctx, ref, id)
}

// Admit does nothing.
func (c *Castellan) Admit(context.Context, string, string) error { return nil }

// managedObject is the id that a reference ends in.
func managedObject(ref string) (string, error) {
	if ref != "" && !strings.Contains(ref, "/") {
		return ref, nil
	}
	_, id, err := locate(ref)
	return id, err
}
