package health

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ottavino/ottavino/amphora/heartbeat"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/obs"
)

// handle acts on one heartbeat. What the database does not take is in the next heartbeat; its counters are kept until then.
func (m *Manager) handle(ctx context.Context, l letter) {
	ctx = obs.With(ctx, obs.IDs{AmphoraID: l.ID})
	if m.Now().Sub(l.received) >= m.cfg.Interval {
		m.metrics.heartbeats.WithLabelValues("late").Inc()
		m.pulse.owe(l.Message)
		m.Log.WarnContext(ctx, "heartbeat waited too long and is ignored", "waited", m.Now().Sub(l.received))
		return
	}
	m.pulse.heard(l.ID, l.received)
	a, statuses, err := m.look(ctx, l.ID)
	var absent *db.NotFoundError
	switch {
	case errors.As(err, &absent) && a == nil:
		m.metrics.heartbeats.WithLabelValues("unknown").Inc()
		m.pulse.forget(l.ID)
		m.Log.WarnContext(ctx, "heartbeat of an amphora that is in no row; its server has to be deleted by hand")
	case errors.As(err, &absent), err == nil && (a.Status == db.Deleted || statuses.LoadBalancer.ProvisioningStatus == db.Deleted):
		m.metrics.heartbeats.WithLabelValues("zombie").Inc()
		m.bury(ctx, a)
	case err != nil:
		m.metrics.heartbeats.WithLabelValues("failed").Inc()
		m.pulse.owe(l.Message)
		m.Log.ErrorContext(ctx, "heartbeat not handled", "error", err)
	default:
		m.apply(ctx, a, statuses, l.Message)
	}
}

// look reads the amphora and the statuses of its load balancer; an amphora without one has a nil
// db.Health and a *db.NotFoundError.
func (m *Manager) look(ctx context.Context, id string) (a *db.Amphora, statuses *db.Health, err error) {
	err = m.Store.Read(ctx, func(ctx context.Context, tx *db.Tx) error {
		var err error
		if a, err = db.Get[db.Amphora](ctx, tx, id); err != nil {
			return err
		}
		if a.LoadBalancerID == nil {
			return &db.NotFoundError{Resource: string(db.KindLoadBalancer)}
		}
		statuses, err = tx.Health(ctx, *a.LoadBalancerID)
		return err
	})
	return a, statuses, err
}

// bury deletes the server of an amphora that should be gone, as after the return of a dead host.
func (m *Manager) bury(ctx context.Context, a *db.Amphora) {
	m.pulse.forget(a.ID)
	if a.ComputeID == nil || a.Status != db.Deleted {
		return
	}
	m.Log.WarnContext(ctx, "heartbeat of a deleted amphora: deleting its server", "server_id", *a.ComputeID)
	if err := m.Compute.DeleteServer(ctx, *a.ComputeID); err != nil {
		m.Log.ErrorContext(ctx, "server of a deleted amphora not deleted", "server_id", *a.ComputeID, "error", err)
	}
}

func (m *Manager) apply(ctx context.Context, a *db.Amphora, h *db.Health, message heartbeat.Message) {
	ctx = obs.With(ctx, obs.IDs{LoadBalancerID: h.LoadBalancer.ID})
	m.metrics.heartbeats.WithLabelValues("taken").Inc()
	m.pulse.settle(message)
	rows := statistics(h, a.ID, message)
	changes := derive(h, message)
	lost := missing(h, message) && m.pulse.complain(h.LoadBalancer.ID, m.Now(), m.cfg.Timeout)
	storeRows := slices.Contains(m.cfg.Statistics, "stats_db") && m.pulse.counted(a.ID, rows)
	if len(changes) == 0 && !storeRows && !lost {
		m.logStatistics(ctx, rows)
		return
	}
	err := m.Store.Tx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := tx.SetOperating(ctx, changes); err != nil {
			return err
		}
		if lost {
			if err := tx.Schedule(ctx, h.LoadBalancer.ID, tx.Now()); err != nil {
				return err
			}
		}
		switch {
		case !storeRows:
			return nil
		case message.Ver < deltas:
			return tx.ReplaceStatistics(ctx, rows)
		default:
			return tx.AddStatistics(ctx, rows)
		}
	})
	if err != nil {
		m.metrics.heartbeats.WithLabelValues("failed").Inc()
		m.pulse.owe(message)
		m.pulse.uncounted(a.ID)
		m.Log.ErrorContext(ctx, "heartbeat not stored", "error", err)
	} else {
		m.logStatistics(ctx, rows)
	}
	if lost {
		m.Log.WarnContext(ctx, "the amphora does not run all listeners: the worker will look")
	}
}

// missing says that the amphora should run more listeners than it does. Upstream lets such
// an amphora go stale and replaces it; a look of the worker is enough.
func missing(h *db.Health, message heartbeat.Message) bool {
	if !h.LoadBalancer.Enabled || h.LoadBalancer.ProvisioningStatus != db.Active {
		return false
	}
	return slices.ContainsFunc(h.Listeners, func(l db.HealthRow) bool {
		_, ok := message.Listeners[l.ID]
		return l.Enabled && l.ProvisioningStatus == db.Active && !ok
	})
}

// statistics are the counters of listeners that have a row.
func statistics(h *db.Health, amphoraID string, message heartbeat.Message) []db.ListenerStatistics {
	var rows []db.ListenerStatistics
	for _, l := range h.Listeners {
		if r, ok := message.Listeners[l.ID]; ok {
			rows = append(rows, db.ListenerStatistics{
				ListenerID: l.ID, AmphoraID: amphoraID,
				BytesIn: r.Stats.RX, BytesOut: r.Stats.TX, ActiveConnections: int(r.Stats.Conns),
				TotalConnections: r.Stats.TotConns, RequestErrors: r.Stats.EReq,
			})
		}
	}
	return rows
}

func (m *Manager) logStatistics(ctx context.Context, rows []db.ListenerStatistics) {
	if !slices.Contains(m.cfg.Statistics, "stats_logger") {
		return
	}
	for _, r := range rows {
		m.Log.InfoContext(ctx, "listener statistics", "listener_id", r.ListenerID, "bytes_in", r.BytesIn,
			"bytes_out", r.BytesOut, "active_connections", r.ActiveConnections,
			"total_connections", r.TotalConnections, "request_errors", r.RequestErrors)
	}
}

// flush stores who was heard since the last flush. What cannot be stored stays for the next one.
func (m *Manager) flush(ctx context.Context) {
	batch := m.pulse.unflushed()
	if len(batch) == 0 {
		m.pulse.flushed(nil, m.Now())
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := m.Store.Heard(ctx, batch); err != nil {
		m.Log.ErrorContext(ctx, "liveness not stored", "amphorae", len(batch), "error", err)
		return
	}
	m.pulse.flushed(batch, m.Now())
}
