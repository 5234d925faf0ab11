package api

import (
	"context"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/ottavino/ottavino/db"
)

// eventOut is what happened to a load balancer or to something of it. Octavia has no such resource.
type eventOut struct {
	ID         string `json:"id"`
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

func viewEvent(e *db.Event) eventOut {
	return eventOut{
		ID: strconv.FormatInt(e.ID, 10), ObjectType: e.ObjectKind, ObjectID: e.ObjectID, Type: e.Type, Reason: e.Reason,
		Message: e.Message, RequestID: e.RequestID, Count: e.Count, FirstAt: *stampOf(&e.FirstAt), LastAt: *stampOf(&e.LastAt),
	}
}

// eventColumns are what events are filtered and sorted by.
var eventColumns = map[string]string{
	"id": "id", "object_type": "object_kind", "object_id": "object_id", "type": "type", "reason": "reason",
	"message": "message", "request_id": "request_id", "count": "count", "first_at": "first_at", "last_at": "last_at",
}

// events answers GET …/loadbalancers/{id}/events, newest first: why something is in ERROR, and what was done about it. Who
// may see a load balancer may see them.
func (s *Server) events(c echo.Context) error {
	query, err := s.listQuery(callOf(c), eventColumns)
	if err != nil {
		return err
	}
	query.Tags, query.TagsAny, query.NotTags, query.NotTagsAny = nil, nil, nil, nil // events have none
	if len(query.Sort) == 0 {
		query.Sort = []db.Order{{Column: "last_at", Desc: true}}
	}
	query.Sort = append(query.Sort, db.Order{Column: "id", Desc: true})
	var rows []db.Event
	err = s.deps.Store.Read(c.Request().Context(), func(ctx context.Context, tx *db.Tx) error {
		lb, err := s.findEventful(ctx, tx, c)
		if err != nil {
			return err
		}
		if err := checkEventMarker(ctx, tx, lb.ID, query.Marker); err != nil {
			return err
		}
		q := query
		q.Filters = append(q.Filters[:len(q.Filters):len(q.Filters)], db.Filter{Column: "load_balancer_id", Value: lb.ID})
		rows, err = db.List[db.Event](ctx, tx, q)
		return err
	})
	if err != nil {
		return err
	}
	out, ids := make([]eventOut, len(rows)), make([]string, len(rows))
	for i := range rows {
		out[i] = viewEvent(&rows[i])
		ids[i] = out[i].ID
	}
	return writeList(s, c, "events", "events_links", out, ids)
}

// findEventful reads the load balancer that a path names; for an administrator also one that is DELETED, until it is purged.
func (s *Server) findEventful(ctx context.Context, tx *db.Tx, c echo.Context) (*db.LoadBalancer, error) {
	lb, err := s.loadBalancers().find(ctx, tx, c, "get_one")
	if !isAbsent(err) {
		return lb, err
	}
	row, gone := db.Get[db.LoadBalancer](ctx, tx, c.Param("id"))
	if gone != nil || row.ID != c.Param("id") || !s.may(callOf(c).who, "loadbalancer:get_events:deleted", deref(row.ProjectID)) {
		return nil, err
	}
	return row, nil
}

// checkEventMarker refuses a marker that names no event of the load balancer.
func checkEventMarker(ctx context.Context, tx *db.Tx, lbID string, marker *string) error {
	if marker == nil {
		return nil
	}
	id, err := strconv.ParseInt(*marker, 10, 32)
	if err != nil {
		return &db.MarkerError{Marker: *marker}
	}
	rows, err := db.Where[db.Event](ctx, tx, "id = ? AND load_balancer_id = ?", id, lbID)
	if err == nil && len(rows) == 0 {
		err = &db.MarkerError{Marker: *marker}
	}
	return err
}
