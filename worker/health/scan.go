package health

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/compute"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/obs"
)

// scan looks for amphorae that were not heard for too long, and has those that are found dead
// replaced. What may only be unheard is never replaced: first this process suspects itself, then
// the agent is asked, then Nova; and replacements are rationed.
func (m *Manager) scan(ctx context.Context) {
	now := m.Now()
	live, err := m.liveness(ctx)
	if err != nil {
		m.Log.ErrorContext(ctx, "cannot look for silent amphorae", "error", err)
		return
	}
	m.greet(ctx, live, now)
	suspects := m.suspects(live, now)
	m.revive(ctx, live, now)
	m.metrics.suspects.Set(float64(len(suspects)))
	if len(suspects) == 0 {
		return
	}
	if reason, many := m.selfDoubt(len(live), len(suspects), now); reason != "" {
		m.Log.ErrorContext(ctx, "silent amphorae are not replaced", "silent", len(suspects), "in_service", len(live), "reason", reason)
		if many && m.cfg.Threshold > 0 {
			m.stop(ctx, suspects)
		}
		return
	}
	for _, a := range m.examine(ctx, suspects) {
		if !m.purse.spend(now) {
			m.Log.ErrorContext(ctx, "replacements are rationed: the rest waits", "per_window", m.cfg.Burst, "window", m.cfg.BurstWindow)
			return
		}
		if !m.condemn(ctx, a) {
			m.purse.refund()
		}
	}
}

// suspects are the silent ones. An amphora that serves no load balancer is nobody's loss.
func (m *Manager) suspects(live []db.Liveness, now time.Time) (silent []db.Liveness) {
	inService := make(map[string]bool, len(live))
	for _, a := range live {
		inService[a.ID] = true
		if a.LoadBalancerID != nil && m.silent(a, now) {
			silent = append(silent, a)
		}
	}
	m.pulse.keepOnly(inService, now, m.cfg.Timeout)
	return silent
}

func (m *Manager) liveness(ctx context.Context) (live []db.Liveness, err error) {
	err = m.Store.Read(ctx, func(ctx context.Context, tx *db.Tx) error {
		live, err = tx.LiveAmphorae(ctx)
		return err
	})
	return live, err
}

// greet starts the clock of amphorae that were never heard: silence from birth is silence, too.
func (m *Manager) greet(ctx context.Context, live []db.Liveness, now time.Time) {
	unheard := map[string]time.Time{}
	for i, a := range live {
		if a.LastUpdate == nil {
			unheard[a.ID] = now
			live[i].LastUpdate = &now
		}
	}
	if len(unheard) == 0 {
		return
	}
	if err := m.Store.Heard(ctx, unheard); err != nil {
		m.Log.ErrorContext(ctx, "liveness of new amphorae not stored", "error", err)
	}
}

func (m *Manager) silent(a db.Liveness, now time.Time) bool {
	last := *a.LastUpdate
	if here := m.pulse.lastHeard(a.ID); here.After(last) {
		last = here
	}
	return now.Sub(last) > m.cfg.Timeout
}

// selfDoubt returns why this process should not trust what it (does not) hear; "" when it may. many says that it is
// because so many fell silent.
func (m *Manager) selfDoubt(inService, silent int, now time.Time) (reason string, many bool) {
	limit := m.cfg.Threshold
	if limit == 0 {
		limit = max(5, inService/4)
	}
	switch {
	case now.Sub(m.pulse.storedAt()) > m.cfg.Timeout:
		return "the database took no news for a while", false
	case silent >= limit:
		return fmt.Sprintf("%d at once is more likely our network than theirs (failover_threshold %d)", silent, limit), true
	case inService > silent && m.pulse.since(now.Add(-m.cfg.Timeout)) == 0:
		return "this process hears nobody", false
	}
	return "", false
}

// examine returns the suspects that are dead. Each is asked itself; Nova is asked about those that do not answer.
func (m *Manager) examine(ctx context.Context, suspects []db.Liveness) []db.Liveness {
	var (
		mu   sync.Mutex
		dead []db.Liveness
		g    errgroup.Group
	)
	g.SetLimit(m.cfg.Parallel)
	for _, a := range suspects {
		g.Go(func() error {
			ctx := obs.With(ctx, obs.IDs{AmphoraID: a.ID})
			if !m.dead(ctx, a) {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			dead = append(dead, a)
			return nil
		})
	}
	_ = g.Wait()
	return dead
}

// probeTimeout bounds the question to a silent agent.
const probeTimeout = 5 * time.Second

func (m *Manager) dead(ctx context.Context, a db.Liveness) bool {
	if a.LBNetworkIP != nil {
		if ip, err := netip.ParseAddr(*a.LBNetworkIP); err == nil {
			probe, cancel := context.WithTimeout(ctx, probeTimeout)
			defer cancel()
			if _, err := m.Agent.Info(probe, amphora.Target{AmphoraID: a.ID, Address: ip}); err == nil {
				if m.pulse.complain(a.ID, m.Now(), m.cfg.Timeout) {
					m.Log.WarnContext(ctx, "the amphora is healthy but its heartbeats do not arrive: look at UDP on the management network")
				}
				return false
			}
		}
	}
	if a.ComputeID == nil {
		return true
	}
	server, err := m.Compute.Server(ctx, *a.ComputeID)
	if err != nil && !cloud.IsGone(err) {
		m.Log.WarnContext(ctx, "a silent amphora is left alone as Nova cannot be asked about it", "error", err)
		return false
	}
	status := string(server.Status)
	if err != nil {
		status = string(compute.ServerDeleted)
	}
	m.Log.WarnContext(ctx, "the amphora is silent and its agent does not answer", "server_status", status)
	return true
}

// condemn marks an amphora for replacement, and says whether it did: the guards make sure that it is still what was
// examined, and that its load balancer is not being deleted.
func (m *Manager) condemn(ctx context.Context, a db.Liveness) bool {
	ctx = obs.With(ctx, obs.IDs{AmphoraID: a.ID, LoadBalancerID: *a.LoadBalancerID})
	done := false
	err := m.Store.Tx(ctx, func(ctx context.Context, tx *db.Tx) error {
		done = false
		row, err := db.Lock[db.Amphora](ctx, tx, a.ID)
		if err != nil {
			return err
		}
		if row.Status != db.Allocated && row.Status != db.FailoverStopped && row.Status != db.Booting {
			return nil
		}
		lb, err := tx.BeginChange(ctx, *a.LoadBalancerID, db.AcceptPending)
		if err != nil {
			return err
		}
		done, row.Status = true, db.Error
		if err := db.Update(ctx, tx, row, "status"); err != nil {
			return err
		}
		return tx.Emit(ctx, db.Event{
			LoadBalancerID: lb.ID, ProjectID: deref(lb.ProjectID), ObjectKind: string(db.KindAmphora), ObjectID: a.ID,
			Type: "Warning", Reason: "AmphoraSilent",
			Message: fmt.Sprintf("no heartbeat for more than %s and the agent does not answer: the amphora is replaced", m.cfg.Timeout),
		})
	})
	var (
		absent    *db.NotFoundError
		immutable *db.ImmutableError
	)
	switch {
	case errors.As(err, &absent), errors.As(err, &immutable):
		return false
	case err != nil:
		m.Log.ErrorContext(ctx, "dead amphora not marked for replacement", "error", err)
		return false
	case done:
		m.metrics.condemned.Inc()
		m.pulse.forget(a.ID)
	}
	return done
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
