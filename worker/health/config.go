package health

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/compute"
	"github.com/ottavino/ottavino/db"
)

// Config is [health_manager]. The names in brackets are its options; fields without one are ours.
type Config struct {
	Bind     netip.AddrPort // bind_ip and bind_port; port 0 = any free one (tests)
	RecvBuf  int            // sock_rlimit, bytes of SO_RCVBUF; 0 = the system's default
	Keys     [][]byte       // heartbeat_key; all verify. None refuses every heartbeat
	Interval time.Duration  // heartbeat_interval, also the age at which a queued heartbeat is dropped; 0 means 10s
	Timeout  time.Duration  // heartbeat_timeout: silence that makes an amphora suspect; 0 means 60s
	Scan     time.Duration  // health_check_interval; 0 means 3s
	// Threshold is failover_threshold: with so many stale amphorae none is replaced. 0 means not given:
	// then the breaker opens at max(5, a quarter of all).
	Threshold int
	// Parallel is failover_threads: most suspects that are examined at once; 0 means 10.
	Parallel int
	// Burst and BurstWindow bound replacements asked for by this process: at most Burst per
	// window. 0 means 10 per minute.
	Burst       int
	BurstWindow time.Duration
	// Flush is how often liveness is written to the database; 0 means 1s.
	Flush time.Duration
	// Workers handle heartbeats at once; 0 means 4. health_update_threads.
	Workers int
	// QueueSize is the most amphorae that may have a heartbeat waiting; 0 means 10000.
	QueueSize int
	// Statistics are statistics_drivers: stats_db, stats_logger. nil means stats_db.
	Statistics []string
}

func (c Config) withDefaults() Config {
	c.Interval = cmp.Or(c.Interval, 10*time.Second)
	c.Timeout = cmp.Or(c.Timeout, time.Minute)
	c.Scan = cmp.Or(c.Scan, 3*time.Second)
	c.Parallel = cmp.Or(c.Parallel, 10)
	c.Burst = cmp.Or(c.Burst, 10)
	c.BurstWindow = cmp.Or(c.BurstWindow, time.Minute)
	c.Flush = cmp.Or(c.Flush, time.Second)
	c.Workers = cmp.Or(c.Workers, 4)
	c.QueueSize = cmp.Or(c.QueueSize, 10000)
	if c.Statistics == nil {
		c.Statistics = []string{"stats_db"}
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if !c.Bind.IsValid() {
		errs = append(errs, errors.New("bind address is not valid"))
	}
	for _, s := range c.Statistics {
		if s != "stats_db" && s != "stats_logger" {
			errs = append(errs, errors.New("unknown statistics driver "+s))
		}
	}
	return errors.Join(errs...)
}

// Compute is what the health manager asks of Nova. Errors are *cloud.Error.
type Compute interface {
	Server(ctx context.Context, id string) (compute.Server, error)
	DeleteServer(ctx context.Context, id string) error
}

// Agent probes an amphora that is not heard. Errors are *amphora.AgentError.
type Agent interface {
	Info(ctx context.Context, t amphora.Target) (amphora.Info, error)
}

// Deps are the parts a health manager works with.
type Deps struct {
	Store   *db.Store
	Compute Compute
	Agent   Agent
	Log     *slog.Logger
	// Metrics takes the collectors; nil means nobody reads them.
	Metrics prometheus.Registerer
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}
