package housekeeping

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/certs"
	"github.com/ottavino/ottavino/compute"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/network"
)

// Config is [house_keeping] and [certificates] cert_validity_time. Fields without an option are ours.
type Config struct {
	CleanupInterval       time.Duration // cleanup_interval; 0 means 30s
	AmphoraExpiryAge      time.Duration // amphora_expiry_age of DELETED amphorae; 0 means 7 days
	LoadBalancerExpiryAge time.Duration // load_balancer_expiry_age; 0 means 7 days
	CertInterval          time.Duration // cert_interval between scans; 0 means 1h. CertRetryInterval shortens it
	CertExpiryBuffer      time.Duration // cert_expiry_buffer: rotate when less is left; 0 means 14 days
	CertRotateThreads     int           // cert_rotate_threads; 0 means 10
	CertValidity          time.Duration // cert_validity_time; 0 means 30 days
	CertRetryInterval     time.Duration // wait before a failed rotation is tried again; 0 means 10m
	// OrphanInterval is how often the cloud is compared with the database; 0 means 10m,
	// negative never.
	OrphanInterval time.Duration
	// OrphanGrace is how long something of ours must have been without a row before it is
	// removed; 0 means 1h.
	OrphanGrace time.Duration
	// RemoveOrphans removes what OrphanGrace lets go; otherwise orphans are only reported.
	RemoveOrphans bool
}

func (c Config) withDefaults() Config {
	const day = 24 * time.Hour
	c.CleanupInterval = cmp.Or(c.CleanupInterval, 30*time.Second)
	c.AmphoraExpiryAge = cmp.Or(c.AmphoraExpiryAge, 7*day)
	c.LoadBalancerExpiryAge = cmp.Or(c.LoadBalancerExpiryAge, 7*day)
	c.CertInterval = cmp.Or(c.CertInterval, time.Hour)
	c.CertExpiryBuffer = cmp.Or(c.CertExpiryBuffer, 14*day)
	c.CertRotateThreads = cmp.Or(c.CertRotateThreads, 10)
	c.CertValidity = cmp.Or(c.CertValidity, 30*day)
	c.CertRetryInterval = cmp.Or(c.CertRetryInterval, 10*time.Minute)
	c.OrphanInterval = cmp.Or(c.OrphanInterval, 10*time.Minute)
	c.OrphanGrace = cmp.Or(c.OrphanGrace, time.Hour)
	return c
}

// Servers lists and deletes servers of ours. Errors are *cloud.Error.
type Servers interface {
	ListServers(ctx context.Context) ([]compute.Server, error)
	DeleteServer(ctx context.Context, id string) error
}

// Network lists and deletes ports and groups of ours. Errors are *cloud.Error.
type Network interface {
	Ports(ctx context.Context, f network.PortFilter) ([]network.Port, error)
	DeletePort(ctx context.Context, id string) error
	SecurityGroups(ctx context.Context, prefix string) (map[string]string, error)
	DeleteSecurityGroup(ctx context.Context, id string) error
}

// Agent takes a new certificate. Errors are *amphora.AgentError.
type Agent interface {
	UploadCertificate(ctx context.Context, t amphora.Target, pem []byte) error
}

// Authority issues the server certificates of amphorae.
type Authority interface {
	Server(id string, now time.Time, d time.Duration) (certs.Issued, error)
}

// Deps are the parts housekeeping works with.
type Deps struct {
	Store   *db.Store
	Servers Servers
	Network Network
	Agent   Agent
	CA      Authority // nil = no rotation (noop drivers)
	Log     *slog.Logger
	// Metrics takes the collectors; nil means nobody reads them.
	Metrics prometheus.Registerer
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}
