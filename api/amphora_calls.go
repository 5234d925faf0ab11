package api

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/ottavino/ottavino/db"
)

// amphoraCalls are all calls on amphorae.
func (s *Server) amphoraCalls() []route {
	const all, one = "/amphorae", "/amphorae/:id"
	r := s.amphorae()
	stats := many[amphoraStatsOut]("amphora_stats", "")
	stats.cut = false
	return append(r.routes(),
		route{
			method: http.MethodGet, path: one + "/stats", handle: s.amphoraStats, name: "show amphora stats",
			status: http.StatusOK, answer: stats,
		},
		route{
			method: http.MethodPut, path: one + "/failover", handle: s.failoverAmphora, name: "fail over amphora",
			status: http.StatusAccepted,
		},
		route{
			method: http.MethodPut, path: one + "/config", handle: s.configureAmphora, name: "configure amphora",
			status: http.StatusAccepted,
		},
		r.deleted(one, s.deleteAmphora),
		route{method: http.MethodPut, path: one + "/:action", handle: noSuchAction},
		route{method: http.MethodPut, path: all, handle: lacksID("id")},
		route{method: http.MethodDelete, path: all, handle: lacksID("id")},
	)
}

// noSuchAction answers as upstream's controller does, which has an id and no PUT of its own.
func noSuchAction(echo.Context) error { return echo.ErrMethodNotAllowed }

type amphoraStatsOut struct {
	ID             string  `json:"id"`
	ListenerID     string  `json:"listener_id"`
	LoadBalancerID *string `json:"loadbalancer_id"`
	statsOut
}

// amphoraStats answers GET …/stats: what the amphora itself counted, by listener.
func (s *Server) amphoraStats(c echo.Context) error {
	q, id := callOf(c), c.Param("id")
	if err := q.only(); err != nil {
		return err
	}
	if err := s.authorize(q.who, "amphora:get_stats", q.who.ProjectID); err != nil {
		return err
	}
	out := []amphoraStatsOut{}
	err := s.deps.Store.Read(c.Request().Context(), func(ctx context.Context, tx *db.Tx) error {
		rows, err := db.Where[db.ListenerStatistics](ctx, tx, "amphora_id = ?", id)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return notFound("Amphora stats for", id)
		}
		a, err := db.Get[db.Amphora](ctx, tx, id)
		if err != nil && !isAbsent(err) {
			return err
		}
		for i := range rows {
			out = append(out, viewAmphoraStats(&rows[i], a))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string][]amphoraStatsOut{"amphora_stats": out})
}

// viewAmphoraStats shows one row; the amphora is nil when it is forgotten.
func viewAmphoraStats(r *db.ListenerStatistics, a *db.Amphora) amphoraStatsOut {
	out := amphoraStatsOut{ID: r.AmphoraID, ListenerID: r.ListenerID, statsOut: statsOut{
		BytesIn: r.BytesIn, BytesOut: r.BytesOut, ActiveConnections: int64(r.ActiveConnections),
		TotalConnections: r.TotalConnections, RequestErrors: r.RequestErrors,
	}}
	if a != nil {
		out.LoadBalancerID = a.LoadBalancerID
	}
	return out
}

// serving finds the amphora of a call on what it serves, and the load balancer.
func (s *Server) serving(c echo.Context, action string) (amphoraID string, at place, err error) {
	if err := callOf(c).only(); err != nil {
		return "", place{}, err
	}
	r := s.amphorae()
	err = s.deps.Store.Read(c.Request().Context(), func(ctx context.Context, tx *db.Tx) error {
		a, err := r.find(ctx, tx, c, action)
		if err != nil {
			return err
		}
		if a.LoadBalancerID == nil {
			return conflict("Amphora " + a.ID + " serves no load balancer.")
		}
		amphoraID, at.lbID = a.ID, *a.LoadBalancerID
		lb, err := db.Live[db.LoadBalancer](ctx, tx, at.lbID)
		if isAbsent(err) {
			return conflict("Amphora " + a.ID + " serves no load balancer.")
		}
		if err == nil {
			at.projectID = deref(lb.ProjectID)
		}
		return err
	})
	return amphoraID, at, err
}

// failoverAmphora answers PUT …/failover: an administrator wants one amphora replaced. It is
// marked as the health manager marks a dead one, and the worker replaces it.
func (s *Server) failoverAmphora(c echo.Context) error {
	id, at, err := s.serving(c, "put_failover")
	if err != nil {
		return err
	}
	err = s.change(c.Request().Context(), callOf(c).who, at, func(ctx context.Context, ch *change) error {
		if err := ch.begin(ctx); err != nil {
			return err
		}
		a, err := db.Live[db.Amphora](ctx, ch.tx, id)
		if err != nil {
			return err
		}
		if a.Status != db.PendingDelete {
			a.Status = db.Error
			if err := db.Update(ctx, ch.tx, a, "status"); err != nil {
				return err
			}
		}
		return ch.emit(ctx, db.KindAmphora, id, "Failover")
	})
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

// configureAmphora answers PUT …/config: the agent shall get its configuration anew.
func (s *Server) configureAmphora(c echo.Context) error {
	id, at, err := s.serving(c, "put_config")
	if err != nil {
		return err
	}
	err = s.change(c.Request().Context(), callOf(c).who, at, func(ctx context.Context, ch *change) error {
		if err := ch.tx.RequestConfig(ctx, id); err != nil {
			return err
		}
		if err := ch.tx.Schedule(ctx, at.lbID, ch.tx.Now()); err != nil {
			return err
		}
		return ch.emit(ctx, db.KindAmphora, id, "Configure")
	})
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

// deleteAmphora answers DELETE of an amphora that failed.
func (s *Server) deleteAmphora(c echo.Context) error {
	q, id := callOf(c), c.Param("id")
	if err := q.only(); err != nil {
		return err
	}
	if err := s.authorize(q.who, "amphora:delete", q.who.ProjectID); err != nil {
		return err
	}
	err := s.deps.Store.Tx(c.Request().Context(), func(ctx context.Context, tx *db.Tx) error {
		a, err := db.Live[db.Amphora](ctx, tx, id)
		if err != nil {
			return err
		}
		lbID := deref(a.LoadBalancerID)
		if lbID != "" { // the lock order is work, load balancer, then amphorae
			if _, err := db.Lock[db.LoadBalancer](ctx, tx, lbID); err != nil && !isAbsent(err) {
				return err
			}
		}
		if a, err = db.Lock[db.Amphora](ctx, tx, id); err != nil {
			return err
		}
		if a.Status != db.Error {
			return conflict("amphora " + id + " is immutable and cannot be updated.")
		}
		a.Status = db.PendingDelete
		if err := db.Update(ctx, tx, a, "status"); err != nil || lbID == "" {
			return err
		}
		return tx.Schedule(ctx, lbID, tx.Now())
	})
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
