package secret

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ottavino/ottavino/cloud"
)

// Names of the managers, [certificates] cert_manager.
const (
	BarbicanManager  = "barbican_cert_manager"
	LocalManager     = "local_cert_manager"
	CastellanManager = "castellan_cert_manager"
	NoopManager      = "noop_cert_manager"
)

// Config says where secrets are kept.
type Config struct {
	Manager     string         // one of the names above
	Backend     string         // [key_manager] backend, of castellan_cert_manager; "" = barbican
	StoragePath string         // of local_cert_manager
	Session     *cloud.Session // the service's; nil = none is configured
	Endpoint    cloud.Endpoint // of Barbican
}

// castellanBackends are the values of [key_manager] backend that mean Barbican.
var castellanBackends = []string{"", "barbican", "castellan.key_manager.barbican_key_manager.BarbicanKeyManager"}

// New chooses by name. It makes no call. Without a session, managers that need one are made, as
// upstream's are, and cannot be asked: an API that never sees a certificate does not need one.
func New(cfg Config) (Manager, error) {
	switch cfg.Manager {
	case LocalManager:
		return NewLocal(cfg.StoragePath), nil
	case NoopManager:
		return NewNoop(time.Now())
	case CastellanManager:
		if !slices.Contains(castellanBackends, cfg.Backend) {
			return nil, fmt.Errorf("secret: castellan_cert_manager works with the backend barbican only, not with %q", cfg.Backend)
		}
	case BarbicanManager:
	default:
		return nil, fmt.Errorf("secret: there is no manager %q", cfg.Manager)
	}
	switch {
	case cfg.Session == nil:
		return unreachable{}, nil
	case cfg.Manager == CastellanManager:
		return NewCastellan(cfg.Session, cfg.Endpoint), nil
	}
	return NewBarbican(cfg.Session, cfg.Endpoint), nil
}

// unreachable is a manager behind a Keystone that nobody has configured.
type unreachable struct{}

var errNoSession = errors.New("secrets cannot be read without [service_auth]")

func (unreachable) Bundle(context.Context, string) (Bundle, error) { return Bundle{}, errNoSession }

func (unreachable) Secret(context.Context, string) ([]byte, error) { return nil, errNoSession }

func (unreachable) Admit(context.Context, string, string) error { return errNoSession }
