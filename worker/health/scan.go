package health

import (
	"context"
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
	inService, suspects := map[string]bool{}, []db.Liveness(nil)
	for _, a := range live {
		inService[a.ID] = true
		if m.silent(a, now) {
			suspects = append(suspects, a)
		}
	}
	m.pulse.keepOnly(inService, now, m.cfg.Timeout)
	m.metrics.suspects.Set(float64(len(suspects)))
	if len(suspects) == 0 {
		return
	}
	if reason := m.selfDoubt(len(live), len(suspects), now); reason != "" {
		m.Log.ErrorContext(ctx, "silent amphorae are not replaced", "silent", len(suspects), "in_service", len(live), "reason", reason)
		return
	}
	for _, a := range m.examine(ctx, suspects) {
		if !m.purse.spend(now) {
			m.Log.ErrorContext(ctx, "replacements are rationed: the rest waits", "per_window", m.cfg.Burst, "window", m.cfg.BurstWindow)
			return
		}
		m.condemn(ctx, a)
	}
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

// selfDoubt returns why this process should not trust what it (does not) hear; "" when it may.
func (m *Manager) selfDoubt(inService, silent int, now time.Time) string {
	if now.Sub(m.pulse.storedAt()) > m.cfg.Timeout {
		return "the database took no news for a while"
	}
	limit := m.cfg.Threshold
	if limit == 0 {
		limit = max(5, inService/4)
	}
	if silent >= limit {
		return fmt.Sprintf("%d at once is more likely our network than theirs (failover_threshold %d)", silent, limit)
	}
	if inService > silent && m.pulse.since(now.Add(-m.cfg.Timeout)) == 0 {
		return "this process hears nobody"
	}
	return ""
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
				m.Log.WarnContext(ctx, "the amphora is healthy but its heartbeats do not arrive: look at UDP on the management network")
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

// condemn marks an amphora for replacement. The guard makes sure that it is still what was examined.
func (m *Manager) condemn(ctx context.Context, a db.Liveness) {
	if a.LoadBalancerID == nil {
		return
	}
	ctx = obs.With(ctx, obs.IDs{AmphoraID: a.ID, LoadBalancerID: *a.LoadBalancerID})
	err := m.Store.Tx(ctx, func(ctx context.Context, tx *db.Tx) error {
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
		row.Status = db.Error
		if err := db.Update(ctx, tx, row, "status"); err != nil {
			return err
		}
		return tx.Emit(ctx, db.Event{
			LoadBalancerID: lb.ID, ProjectID: deref(lb.ProjectID), ObjectKind: string(db.KindAmphora), ObjectID: a.ID,
			Type: "Warning", Reason: "AmphoraSilent",
			Message: fmt.Sprintf("no heartbeat for more than %s and the agent does not answer: the amphora is replaced", m.cfg.Timeout),
		})
	})
	if err != nil {
		m.Log.ErrorContext(ctx, "dead amphora not marked for replacement", "error", err)
		return
	}
	m.metrics.condemned.Inc()
	m.pulse.forget(a.ID)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
