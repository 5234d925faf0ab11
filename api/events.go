package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/ottavino/ottavino/db"
)

// eventOut is what happened to a load balancer or to something of it. Octavia has no such resource.
type eventOut struct {
	ObjectType string `json:"object_type"` // loadbalancer, listener, pool, member, healthmonitor, l7policy, l7rule or amphora
	ObjectID   string `json:"object_id"`
	Type       string `json:"type"`   // Normal or Warning
	Reason     string `json:"reason"` // CamelCase, for programs
	Message    string `json:"message"`
	RequestID  string `json:"request_id"`
	Count      int    `json:"count"` // repeats
	FirstAt    stamp  `json:"first_at"`
	LastAt     stamp  `json:"last_at"`
}

// events answers GET …/loadbalancers/{id}/events, newest first: why something is in ERROR, and what was done about it. Who
// may see a load balancer may see them.
func (s *Server) events(c echo.Context) error {
	if err := callOf(c).only(); err != nil {
		return err
	}
	out := []eventOut{}
	err := s.deps.Store.Read(c.Request().Context(), func(ctx context.Context, tx *db.Tx) error {
		lb, err := s.loadBalancers().find(ctx, tx, c, "get_one")
		if err != nil {
			return err
		}
		rows, err := db.Where[db.Event](ctx, tx, "load_balancer_id = ?", lb.ID)
		if err != nil {
			return err
		}
		slices.SortFunc(rows, func(a, b db.Event) int { return cmp.Or(b.LastAt.Compare(a.LastAt), cmp.Compare(b.ID, a.ID)) })
		out = out[:0]
		for _, e := range rows {
			out = append(out, eventOut{
				ObjectType: e.ObjectKind, ObjectID: e.ObjectID, Type: e.Type, Reason: e.Reason, Message: e.Message,
				RequestID: e.RequestID, Count: e.Count, FirstAt: stamp(e.FirstAt), LastAt: stamp(e.LastAt),
			})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string][]eventOut{"events": out})
}
