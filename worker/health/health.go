// Package health is the health manager: it receives the heartbeats of amphorae, derives
// operating statuses and statistics from them, and notices amphorae that fell silent. What
// becomes of a dead amphora is the reconciler's business (package worker): here it is only
// marked for replacement.
package health

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"
)

// Manager is a health manager. Any number of them may share one database.
type Manager struct {
	cfg Config
	Deps
	conn    *net.UDPConn
	inbox   *inbox
	pulse   *pulse
	purse   *purse
	metrics *metrics
}

// New checks cfg and binds the UDP socket, so that a taken port stops the start.
// Run closes it.
func New(cfg Config, deps Deps) (*Manager, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("health manager: %w", err)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(cfg.Bind))
	if err != nil {
		return nil, fmt.Errorf("health manager: %w", err)
	}
	if cfg.RecvBuf > 0 {
		if err := conn.SetReadBuffer(cfg.RecvBuf); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("health manager: set receive buffer: %w", err)
		}
	}
	return &Manager{
		cfg: cfg, Deps: deps, conn: conn,
		inbox:   newInbox(cfg.QueueSize),
		pulse:   newPulse(),
		purse:   newPurse(cfg.Burst, cfg.BurstWindow, deps.Now()),
		metrics: newMetrics(deps.Metrics),
	}, nil
}

// Addr is where heartbeats are received.
func (m *Manager) Addr() netip.AddrPort { return m.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// grace is how long heartbeats that were received may take to be handled after the end.
const grace = 5 * time.Second

// Run receives, scans and flushes until ctx ends, then waits for what is under way: heartbeats that were received have counters that
// come in no other. It returns nil when ctx ended it.
func (m *Manager) Run(ctx context.Context) error {
	g, inner := errgroup.WithContext(ctx)
	working, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(inner, func() { time.AfterFunc(grace, giveUp) })()
	g.Go(func() error {
		<-inner.Done()
		m.inbox.close()
		return m.conn.Close()
	})
	g.Go(func() error { return m.receive(inner) })
	for range m.cfg.Workers {
		g.Go(func() error {
			for letter, ok := m.inbox.take(); ok; letter, ok = m.inbox.take() {
				m.handle(working, letter)
			}
			return nil
		})
	}
	g.Go(func() error { return every(inner, m.cfg.Flush, m.flush) })
	g.Go(func() error {
		// Amphorae were not heard while nobody listened: they get a full timeout to speak up.
		if wait(inner, m.cfg.Timeout) != nil {
			return nil
		}
		return every(inner, m.cfg.Scan, m.scan)
	})
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("health manager: %w", err)
	}
	return nil
}

// every calls do, then waits for d, until ctx ends.
func every(ctx context.Context, d time.Duration, do func(context.Context)) error {
	for {
		do(ctx)
		if wait(ctx, d) != nil {
			return nil
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
