// Package api is the Octavia v2 REST API: routes, wire types, validation, policy and faults.
// It writes rows and schedules work in one transaction; workers do the rest. Of OpenStack it
// knows only what it declares here: an Authenticator (Keystone), a VIP (Neutron), a Cloud (Nova and
// Glance) and Certificates (Barbican).
package api

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ottavino/ottavino/api/policy"
	"github.com/ottavino/ottavino/db"
)

// Auth strategies, [api_settings] auth_strategy.
const (
	AuthKeystone = "keystone" // X-Auth-Token is checked by Deps.Auth
	AuthNoAuth   = "noauth"   // every caller is an admin without project; quotas are not checked
	AuthTesting  = "testing"  // identity is what the X-User-Id, X-Project-Id, X-Roles headers say
)

// Config holds the options the API reads; each field names its own. The zero value of a
// field means upstream's default unless it says otherwise. New fills defaults.
type Config struct {
	AuthStrategy string // [api_settings] auth_strategy; "" is keystone
	// WWWAuthenticateURI is [keystone_authtoken] www_authenticate_uri, shown with a 401.
	WWWAuthenticateURI string
	APIBaseURI         string // [api_settings] api_base_uri; "" builds links from the request
	PaginationMaxLimit int    // [api_settings] pagination_max_limit; 0 is 1000, negative is none
	MaxBody            int64  // [oslo_middleware] max_request_body_size in bytes; 0 is 114688

	MaxRequests int // requests at work at once, the others wait; 0 is 128
	// QueueTimeout is how long a request waits for its turn before it is answered 503; 0 is 10s.
	QueueTimeout time.Duration

	DisablePagination     bool // not [api_settings] allow_pagination
	DisableSorting        bool // not [api_settings] allow_sorting
	DisableFiltering      bool // not [api_settings] allow_filtering
	DisableFieldSelection bool // not [api_settings] allow_field_selection

	HealthcheckEnabled bool          // [api_settings] healthcheck_enabled
	HealthcheckRefresh time.Duration // [api_settings] healthcheck_refresh_interval; 0 is 5s

	AllowTLSTerminated bool // [api_settings] allow_tls_terminated_listeners (upstream: true)
	AllowPrometheus    bool // [api_settings] allow_prometheus_listeners (upstream: true)
	AllowPing          bool // [api_settings] allow_ping_health_monitors (upstream: true)
	// MinUDPConnectDelay is [api_settings] udp_connect_min_interval_health_monitor, in whole
	// seconds; 0 is 3s.
	MinUDPConnectDelay time.Duration

	DefaultProvider  string            // [api_settings] default_provider_driver; "" is amphora
	EnabledProviders map[string]string // [api_settings] enabled_provider_drivers; nil is amphora and octavia

	ListenerCiphers   string   // [api_settings] default_listener_ciphers; "" is upstream's list
	PoolCiphers       string   // [api_settings] default_pool_ciphers; "" is upstream's list
	ProhibitedCiphers []string // [api_settings] tls_cipher_prohibit_list, split at colons
	ListenerTLS       []string // [api_settings] default_listener_tls_versions; nil is TLSv1.2, TLSv1.3
	PoolTLS           []string // [api_settings] default_pool_tls_versions; nil is TLSv1.2, TLSv1.3
	MinimumTLS        string   // [api_settings] minimum_tls_version; "" is none
	ListenerALPN      []string // [api_settings] default_listener_alpn_protocols; nil is h2, http/1.1, http/1.0
	PoolALPN          []string // [api_settings] default_pool_alpn_protocols; nil is h2, http/1.1, http/1.0
	Timeouts          ListenerTimeouts
	Topology          string   // [controller_worker] loadbalancer_topology; "" is SINGLE
	ReservedIPs       []string // [networking] reserved_ips; nil is 169.254.169.254
	PendingChanges    db.Pending
	CORS              CORS
	Quotas            db.QuotaDefaults // [quotas] default_*_quota; absent is -1
}

// ListenerTimeouts are a listener's default timeouts, [haproxy_amphora] timeout_client_data,
// timeout_member_connect, timeout_member_data and timeout_tcp_inspect. The zero value is
// upstream's 50000, 5000, 50000 and 0 ms; rows hold whole milliseconds.
type ListenerTimeouts struct {
	ClientData, MemberConnect, MemberData, TCPInspect time.Duration
}

// Deps is what the API is built on. Store, VIP, Cloud and Certificates are required; Auth is with
// AuthKeystone.
type Deps struct {
	Store        *db.Store
	VIP          VIP
	Cloud        Cloud
	Certificates Certificates
	Auth         Authenticator
	Policy       *policy.Enforcer      // nil is policy.Defaults()
	Log          *slog.Logger          // nil discards
	Metrics      prometheus.Registerer // nil registers nothing
	Now          func() time.Time      // nil is time.Now
	NewID        func() string         // ids of new rows; nil makes random UUIDs
}

// Server is the API. Its handler is safe for concurrent use.
type Server struct {
	cfg    Config
	deps   Deps
	echo   *echo.Echo
	health healthState
	turns  chan struct{} // one element for each request at work
	watch  *watch

	drained chan struct{} // closed by Drain
	drain   func()

	openAPI *openAPI // without servers
}

// New checks the configuration (a default cipher that is prohibited, a default TLS version
// under the minimum and a missing dependency are errors) and builds the routes.
func New(cfg Config, d Deps) (*Server, error) {
	s := &Server{cfg: cfg.withDefaults(), deps: d.withDefaults(), watch: newWatch(d.Store), drained: make(chan struct{})}
	s.drain = sync.OnceFunc(func() { close(s.drained) })
	s.turns = make(chan struct{}, s.cfg.MaxRequests)
	if err := s.cfg.check(); err != nil {
		return nil, err
	}
	if d.Store == nil || d.VIP == nil || d.Cloud == nil || d.Certificates == nil ||
		(s.cfg.AuthStrategy == AuthKeystone && d.Auth == nil) {
		return nil, errors.New("api: Deps.Store, VIP, Cloud, Certificates and (with keystone) Auth are needed")
	}
	metrics, err := newMetrics(s.deps.Metrics)
	if err != nil {
		return nil, fmt.Errorf("api: register metrics: %w", err)
	}
	s.echo = echo.New()
	s.echo.HideBanner, s.echo.HidePort = true, true
	s.echo.Logger.SetOutput(io.Discard) // everything is logged through Deps.Log
	s.echo.HTTPErrorHandler = s.fail
	s.echo.Pre(s.requestID, s.observe(metrics), s.cors, options, rewritePath)
	s.echo.Use(s.recover, accept, s.authenticate, s.parseQuery, s.bounded)
	s.routes()
	return s, nil
}

// Handler serves the API at / (without TLS and without deadlines: those are the listener's).
func (s *Server) Handler() http.Handler { return s.echo }

// Drain answers the requests that wait for a load balancer with what there is; later ones do not wait. It is for the end
// of the process, which should not wait for them. It may be called more than once.
func (s *Server) Drain() { s.drain() }

func (d Deps) withDefaults() Deps {
	if d.Policy == nil {
		d.Policy = policy.Defaults()
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.NewID == nil {
		d.NewID = newID
	}
	return d
}

// newID makes UUIDs that sort by time: what was made within the same second, which is all that created_at tells apart,
// is listed in the order in which it was made. They are laid out as version 7 but say version 4, as all of upstream's
// ids do: some validators know no version above 5.
func newID() string {
	id, err := uuid.NewV7()
	if err != nil { // no randomness; uuid.NewString would panic as well
		panic(err)
	}
	id[6] = id[6]&0x0f | 0x40
	return id.String()
}
