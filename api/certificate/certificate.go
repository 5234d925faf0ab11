// Package certificate lets the API look at the certificates that users refer to, in whatever keeps
// them. It decides who asks: first the user, for the service to be admitted, then the service.
package certificate

import (
	"context"
	"errors"
	"fmt"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/secret"
)

// Certificates is an api.Certificates. Safe for concurrent use.
type Certificates struct{ manager secret.Manager }

var _ api.Certificates = (*Certificates)(nil)

// New looks at what a manager keeps.
func New(m secret.Manager) *Certificates { return &Certificates{m} }

// CheckBundle implements api.Certificates.
func (c *Certificates) CheckBundle(ctx context.Context, userToken, ref string) error {
	if err := c.manager.Admit(ctx, userToken, ref); err != nil {
		return explain(err)
	}
	_, err := c.manager.Bundle(ctx, ref)
	return explain(err)
}

// Secret implements api.Certificates.
func (c *Certificates) Secret(ctx context.Context, userToken, ref string) ([]byte, error) {
	if err := c.manager.Admit(ctx, userToken, ref); err != nil {
		return nil, explain(err)
	}
	content, err := c.manager.Secret(ctx, ref)
	return content, explain(err)
}

// explain words an error for the API; nil for nil.
func explain(err error) error {
	var said *secret.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &said):
		return fmt.Errorf("%w: %w", api.ErrUnavailable, err)
	case said.Kind == secret.Unreadable:
		return &api.UnreadableError{Reason: said.Reason}
	case said.Kind == secret.Nameless:
		return fmt.Errorf("%w: %w", api.ErrNameless, err)
	}
	return err
}
