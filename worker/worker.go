// Package worker turns the rows of load balancers into running amphorae. It is one
// level-triggered reconciler: a pass reads the whole load balancer, looks at what exists
// in the cloud, does the next useful steps and writes back what it learned. Creating,
// updating, replacing, deleting and repairing are the same function seen from different
// states; nothing in it sleeps.
//
// Other parts ask for things through rows: an amphora whose status is ERROR or PENDING_DELETE
// is replaced, an object that is PENDING_DELETE goes away, and Tx.Touch or Tx.Schedule has
// the load balancer looked at.
package worker

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ottavino/ottavino/network"
)

const topologySingle = "SINGLE"

// Worker works on load balancers whose rows say that there is something to do. Any number
// of workers may share one database.
type Worker struct {
	cfg Config
	Deps
	metrics *metrics

	mu      sync.Mutex
	subnets map[string]cachedSubnet
	sizes   map[string]size // by amphora id: what its agent told last
}

// cachedSubnet saves asking Neutron about the same subnet in every pass.
type cachedSubnet struct {
	network.Subnet
	until time.Time
}

// New checks cfg; it makes no call.
func New(cfg Config, deps Deps) (*Worker, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.NewID == nil {
		deps.NewID = uuid.NewString
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Owner == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("worker: name of this host: %w", err)
		}
		cfg.Owner = fmt.Sprintf("%s-%d-%s", host, os.Getpid(), uuid.NewString()[:8])
	}
	return &Worker{cfg: cfg, Deps: deps, metrics: newMetrics(deps.Metrics), subnets: map[string]cachedSubnet{}, sizes: map[string]size{}}, nil
}
