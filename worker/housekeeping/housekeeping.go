// Package housekeeping does what has no hurry: purges rows of deleted amphorae and load
// balancers, renews certificates of amphorae before they expire, measures when those of users
// do, and finds what was left in the cloud without a row.
package housekeeping

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"
)

// Keeper is the housekeeping role. Any number of them may share one database.
type Keeper struct {
	cfg Config
	Deps
	metrics *metrics
	failed  map[string]time.Time // amphora → when its certificate may be tried again
	orphans map[orphan]time.Time // → when it was first seen
}

// New makes a Keeper; it makes no call.
func New(cfg Config, deps Deps) (*Keeper, error) {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	return &Keeper{
		cfg: cfg.withDefaults(), Deps: deps, metrics: newMetrics(deps.Metrics),
		failed: map[string]time.Time{}, orphans: map[orphan]time.Time{},
	}, nil
}

// Run works on its timers until ctx ends, then waits for what is under way. It returns nil
// when ctx ended it.
func (k *Keeper) Run(ctx context.Context) error {
	var g errgroup.Group
	g.Go(func() error { return every(ctx, k.cfg.CleanupInterval, k.Purge) })
	g.Go(func() error { return every(ctx, k.cfg.CleanupInterval, k.WatchExpiry) })
	if k.CA != nil {
		g.Go(func() error { return every(ctx, min(k.cfg.CertInterval, k.cfg.CertRetryInterval), k.Rotate) })
	}
	if k.cfg.OrphanInterval > 0 {
		g.Go(func() error { return every(ctx, k.cfg.OrphanInterval, k.Hunt) })
	}
	return g.Wait()
}

func every(ctx context.Context, d time.Duration, do func(context.Context)) error {
	for {
		do(ctx)
		t := time.NewTimer(d)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
	}
}
