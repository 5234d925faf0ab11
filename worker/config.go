package worker

import (
	"cmp"
	"errors"
	"path"
	"time"

	"github.com/ottavino/ottavino/amphora/haproxy"
	"github.com/ottavino/ottavino/worker/agentconf"
)

// Config says how amphorae are built and how patiently. The names in brackets are the
// options of octavia.conf that feed a field; fields without one are ours.
type Config struct {
	// Owner names this process in leases; it must differ between processes. "" = host name, pid and a random part.
	Owner string
	// Concurrency is how many load balancers are worked on at once; 0 means 32, and [controller_worker] workers is how many
	// times 32. A pass never sleeps, so this bounds open calls, not load balancers being built.
	Concurrency int
	// Lease is how long a claim lasts without a sign of life; 0 means 30s. It is extended at a third of it.
	Lease time.Duration
	// PollInterval is how often the queue is looked at without a wake-up; 0 means 200ms.
	PollInterval time.Duration
	// DriftInterval is the mean time between looks at a load balancer that needs nothing; 0 means 5m,
	// negative never looks again.
	DriftInterval time.Duration
	// Graceful is how long passes may take after Run's ctx ended: [DEFAULT] graceful_shutdown_timeout; 0 means 60s.
	Graceful time.Duration
	// AdoptInterval is how often load balancers are looked for that are pending without work, as another
	// service may leave them; 0 means 1m.
	AdoptInterval time.Duration

	// WaitFirst is the shortest wait for something that is on its way; 0 means 50ms. Waits grow
	// with what has been waited already, up to the ...WaitMax of what is waited for.
	WaitFirst time.Duration
	// ServerWaitMax is the longest wait between two looks at a server that builds; 0 means
	// 10s [controller_worker] amp_active_wait_sec.
	ServerWaitMax time.Duration
	// ServerBudget is how long a server may build; 0 means 5m: amp_active_retries × amp_active_wait_sec.
	ServerBudget time.Duration
	// BuildLimit is how many servers may build at once for all workers, [haproxy_amphora] build_rate_limit; 0 or less = any number.
	BuildLimit int
	// BuildWaitMax is the longest wait between two looks for whether one more may, build_retry_interval; 0 means 5s.
	BuildWaitMax time.Duration
	// BuildBudget is after how long of that the owner is told; 0 means 10m: build_active_retries × build_retry_interval.
	BuildBudget time.Duration
	// AgentWaitMax is the longest wait between two calls to an agent that is booting; 0 means
	// 5s [haproxy_amphora] connection_retry_interval.
	AgentWaitMax time.Duration
	// AgentBudget is how long an agent may take to answer after its server is ACTIVE; 0 means 10m:
	// connection_max_retries × connection_retry_interval.
	AgentBudget time.Duration
	// RemovalPatience is how long a load balancer stays pending while an amphora that was replaced goes away; 0 means 30s.
	RemovalPatience time.Duration

	// RetryFirst is the wait after a first failure; it doubles up to RetryMax. 0 means 500ms and 1m.
	RetryFirst, RetryMax time.Duration
	// RetryBudget is the number of failures in a row after which the objects concerned show
	// ERROR; work goes on behind. 0 means 8.
	RetryBudget int

	// SecretInterval is the mean time between looks at what a reference to a secret of a user leads to; 0 means 5m.
	SecretInterval time.Duration
	// SecretTimeout is how long the key manager may take for one secret, and for those of a load balancer that are checked; for each
	// that is needed for the first time a tenth is added. 0 means 5s. Other changes of the load balancer wait meanwhile.
	SecretTimeout time.Duration
	// SecretExpiryBuffer is how long before a user's certificate expires the owner is warned, once a day; 0 means 14 days.
	SecretExpiryBuffer time.Duration

	// NoHAProxy says that agents run nothing ([controller_worker] amphora_driver = amphora_noop_driver): nothing is
	// rendered for them, and what haproxy cannot do is as good as the rest.
	NoHAProxy bool

	ImageTag       string   // [controller_worker] amp_image_tag; a flavor may override it
	ImageOwner     string   // amp_image_owner_id; "" = any owner
	ComputeFlavor  string   // amp_flavor_id; a flavor may override it
	KeyName        string   // amp_ssh_key_name; "" = none
	BootNetworks   []string // amp_boot_network_list, the management network first
	SecurityGroups []string // amp_secgroup_list, of the boot networks' ports
	Topology       string   // loadbalancer_topology for load balancers without one; "" = SINGLE
	// NameLength is [compute] / [nova] random_amphora_name_length: 0 names servers amphora-<id>, otherwise
	// a name of so many characters derived from the id.
	NameLength int
	// CertValidity is [certificates] cert_validity_time; 0 means 30 days.
	CertValidity time.Duration
	// ClientCA reads the CA (chain) that signs controllers' client certificates, which is copied
	// into every amphora: [controller_worker] client_ca. nil = none (noop drivers).
	ClientCA func() ([]byte, error)
	// UserDataFiles injects files by cloud-init write_files instead of Nova's personality:
	// user_data_config_drive.
	UserDataFiles bool
	// Agent is what every amphora-agent.conf says; AmphoraID and Topology are filled in per amphora.
	Agent agentconf.Config
	// Logging is what every 10-rsyslog.conf says.
	Logging agentconf.Logging
	// Timezone is amp_timezone; "" = UTC.
	Timezone string
	// HAProxy holds the options of haproxy.cfg that do not depend on the amphora.
	HAProxy haproxy.Options
}

func (c Config) withDefaults() Config {
	c.Concurrency = cmp.Or(c.Concurrency, 32)
	c.Lease = cmp.Or(c.Lease, 30*time.Second)
	c.PollInterval = cmp.Or(c.PollInterval, 200*time.Millisecond)
	c.Graceful = cmp.Or(c.Graceful, time.Minute)
	c.AdoptInterval = cmp.Or(c.AdoptInterval, time.Minute)
	c.DriftInterval = cmp.Or(c.DriftInterval, 5*time.Minute)
	c.WaitFirst = cmp.Or(c.WaitFirst, 50*time.Millisecond)
	c.ServerWaitMax = cmp.Or(c.ServerWaitMax, 10*time.Second)
	c.ServerBudget = cmp.Or(c.ServerBudget, 5*time.Minute)
	c.BuildWaitMax = cmp.Or(c.BuildWaitMax, 5*time.Second)
	c.BuildBudget = cmp.Or(c.BuildBudget, 10*time.Minute)
	c.AgentWaitMax = cmp.Or(c.AgentWaitMax, 5*time.Second)
	c.AgentBudget = cmp.Or(c.AgentBudget, 10*time.Minute)
	c.RemovalPatience = cmp.Or(c.RemovalPatience, 30*time.Second)
	c.RetryFirst = cmp.Or(c.RetryFirst, 500*time.Millisecond)
	c.RetryMax = cmp.Or(c.RetryMax, time.Minute)
	c.RetryBudget = cmp.Or(c.RetryBudget, 8)
	c.SecretInterval = cmp.Or(c.SecretInterval, 5*time.Minute)
	c.SecretTimeout = cmp.Or(c.SecretTimeout, 5*time.Second)
	c.SecretExpiryBuffer = cmp.Or(c.SecretExpiryBuffer, 14*24*time.Hour)
	c.HAProxy.BaseCertDir = cmp.Or(c.HAProxy.BaseCertDir, path.Join(cmp.Or(c.HAProxy.BasePath, "/var/lib/octavia"), "certs"))
	c.Topology = cmp.Or(c.Topology, topologySingle)
	c.CertValidity = cmp.Or(c.CertValidity, 30*24*time.Hour)
	c.Timezone = cmp.Or(c.Timezone, "UTC")
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.Concurrency < 0 || c.Lease < 0 || c.RetryBudget < 0 {
		errs = append(errs, errors.New("concurrency, lease and retry budget must not be negative"))
	}
	if c.NameLength < 0 || c.NameLength > 250 {
		errs = append(errs, errors.New("random amphora name length must be between 0 and 250"))
	}
	return errors.Join(errs...)
}
