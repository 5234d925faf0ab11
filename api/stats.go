package api

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/ottavino/ottavino/db"
)

type statsOut struct {
	BytesIn           int64 `json:"bytes_in"`
	BytesOut          int64 `json:"bytes_out"`
	ActiveConnections int64 `json:"active_connections"`
	TotalConnections  int64 `json:"total_connections"`
	RequestErrors     int64 `json:"request_errors"`
}

func (s *Server) listenerStats(c echo.Context) error {
	r := s.listeners()
	return s.stats(c, func(ctx context.Context, tx *db.Tx) ([]db.ListenerStatistics, error) {
		l, err := r.find(ctx, tx, c, "get_stats")
		if err != nil {
			return nil, err
		}
		return db.Where[db.ListenerStatistics](ctx, tx, "listener_id = ?", l.ID)
	})
}

func (s *Server) loadBalancerStats(c echo.Context) error {
	r := s.loadBalancers()
	return s.stats(c, func(ctx context.Context, tx *db.Tx) ([]db.ListenerStatistics, error) {
		lb, err := r.find(ctx, tx, c, "get_stats")
		if err != nil {
			return nil, err
		}
		return db.Where[db.ListenerStatistics](ctx, tx,
			"listener_id IN (SELECT id FROM listener WHERE load_balancer_id = ?)", lb.ID)
	})
}

// stats sums the rows that read returns.
func (s *Server) stats(c echo.Context, read func(context.Context, *db.Tx) ([]db.ListenerStatistics, error)) error {
	if err := callOf(c).only(); err != nil {
		return err
	}
	var out statsOut
	err := s.deps.Store.Read(c.Request().Context(), func(ctx context.Context, tx *db.Tx) error {
		rows, err := read(ctx, tx)
		if err != nil {
			return err
		}
		out, err = sumStats(ctx, tx, rows)
		return err
	})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]statsOut{"stats": out})
}

// sumStats adds up what amphorae counted. Connections are open only on amphorae that serve.
func sumStats(ctx context.Context, tx *db.Tx, rows []db.ListenerStatistics) (statsOut, error) {
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].AmphoraID
	}
	serving := map[string]bool{}
	if len(ids) > 0 {
		amphorae, err := db.Where[db.Amphora](ctx, tx, "id IN ? AND status = ?", ids, db.Allocated)
		if err != nil {
			return statsOut{}, err
		}
		for i := range amphorae {
			serving[amphorae[i].ID] = true
		}
	}
	var out statsOut
	for _, r := range rows {
		out.BytesIn += r.BytesIn
		out.BytesOut += r.BytesOut
		out.TotalConnections += r.TotalConnections
		out.RequestErrors += r.RequestErrors
		if serving[r.AmphoraID] || r.AmphoraID == r.ListenerID {
			out.ActiveConnections += int64(r.ActiveConnections)
		}
	}
	return out, nil
}
