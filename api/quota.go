package api

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/ottavino/ottavino/db"
)

// highestQuota bounds quotas; -1 is unlimited.
const highestQuota = 2000000000

// quotaIn is the body of a quota PUT, by limit.
type quotaIn map[db.QuotaResource]field[int]

// quotaNames are the attributes of each limit; the last one given wins.
var quotaNames = map[db.QuotaResource][]string{
	db.QuotaLoadBalancer:  {"load_balancer", "loadbalancer"},
	db.QuotaListener:      {"listener"},
	db.QuotaPool:          {"pool"},
	db.QuotaMember:        {"member"},
	db.QuotaHealthMonitor: {"health_monitor", "healthmonitor"},
	db.QuotaL7Policy:      {"l7policy"},
	db.QuotaL7Rule:        {"l7rule"},
}

func decodeQuota(o *object) quotaIn {
	in := quotaIn{}
	for r, names := range quotaNames {
		for _, name := range names {
			if f := o.integer(name, -1, highestQuota); f.set {
				in[r] = f
			}
		}
	}
	return in
}

type quotaOut struct {
	ProjectID        string `json:"project_id"`
	TenantID         string `json:"tenant_id"`
	LoadBalancer     *int   `json:"loadbalancer"`
	OldLoadBalancer  *int   `json:"load_balancer"`
	Listener         *int   `json:"listener"`
	Pool             *int   `json:"pool"`
	Member           *int   `json:"member"`
	HealthMonitor    *int   `json:"healthmonitor"`
	OldHealthMonitor *int   `json:"health_monitor"`
	L7Policy         *int   `json:"l7policy"`
	L7Rule           *int   `json:"l7rule"`
}

// quotas lists the rows that exist; the calls on one project are below, since they never miss.
func (s *Server) quotas() *resource[db.Quota, quotaIn, quotaOut] {
	return &resource[db.Quota, quotaIn, quotaOut]{
		s: s, kind: "quota", singular: "quota", plural: "quotas", policy: "quota", putArg: "quotas", global: true,
		columns: map[string]string{
			"project_id": "project_id", "load_balancer": "load_balancer", "loadbalancer": "load_balancer",
			"listener": "listener", "pool": "pool", "member": "member", "health_monitor": "health_monitor",
			"healthmonitor": "health_monitor", "l7policy": "l7policy", "l7rule": "l7rule",
		},
		id:      func(q *db.Quota) string { return q.ProjectID },
		project: func(q *db.Quota) string { return q.ProjectID },
		view:    each(viewQuota),
	}
}

func viewQuota(q *db.Quota) quotaOut {
	return quotaOut{
		q.ProjectID, q.ProjectID, q.LoadBalancer, q.LoadBalancer, q.Listener, q.Pool, q.Member,
		q.HealthMonitor, q.HealthMonitor, q.L7policy, q.L7rule,
	}
}

// limits are the columns of a quota row.
func limits(q *db.Quota) map[db.QuotaResource]**int {
	return map[db.QuotaResource]**int{
		db.QuotaLoadBalancer: &q.LoadBalancer, db.QuotaListener: &q.Listener, db.QuotaPool: &q.Pool,
		db.QuotaMember: &q.Member, db.QuotaHealthMonitor: &q.HealthMonitor,
		db.QuotaL7Policy: &q.L7policy, db.QuotaL7Rule: &q.L7rule,
	}
}

// filled is a quota row with the configured defaults where it has nothing.
func (s *Server) filled(q db.Quota) quotaOut {
	for r, limit := range limits(&q) {
		if *limit != nil {
			continue
		}
		def, ok := s.cfg.Quotas[r]
		if !ok {
			def = -1
		}
		*limit = &def
	}
	return viewQuota(&q)
}

// quotaOf reads the row of a project; without one a row of nothing.
func quotaOf(ctx context.Context, tx *db.Tx, projectID string) (q db.Quota, exists bool, err error) {
	row, err := db.Get[db.Quota](ctx, tx, projectID)
	if isAbsent(err) {
		return db.Quota{ProjectID: projectID}, false, nil
	}
	if err != nil {
		return db.Quota{}, false, err
	}
	return *row, true, nil
}

func (s *Server) showQuota(c echo.Context) error {
	return s.answerQuota(c, "get_one", func(ctx context.Context, tx *db.Tx, id string) (db.Quota, error) {
		q, _, err := quotaOf(ctx, tx, id)
		return q, err
	})
}

func (s *Server) defaultQuota(c echo.Context) error {
	return s.answerQuota(c, "get_defaults", func(_ context.Context, _ *db.Tx, id string) (db.Quota, error) {
		return db.Quota{ProjectID: id}, nil
	})
}

// answerQuota shows one project's quota.
func (s *Server) answerQuota(
	c echo.Context, action string, read func(context.Context, *db.Tx, string) (db.Quota, error),
) error {
	q, id := callOf(c), c.Param("id")
	if err := q.only(); err != nil {
		return err
	}
	if err := s.authorize(q.who, "quota:"+action, id); err != nil {
		return err
	}
	var row db.Quota
	err := s.deps.Store.Read(c.Request().Context(), func(ctx context.Context, tx *db.Tx) error {
		var err error
		row, err = read(ctx, tx, id)
		return err
	})
	if err != nil {
		return err
	}
	return s.writeOne(c, http.StatusOK, "quota", s.filled(row))
}

func (s *Server) putQuota(c echo.Context) error {
	r := s.quotas()
	in, err := r.decode(c, r.putArg, decodeQuota)
	if err != nil {
		return err
	}
	id := c.Param("id")
	if err := s.authorize(callOf(c).who, "quota:put", id); err != nil {
		return err
	}
	if len(id) > 36 {
		return wrongAttribute("project_id", id, string(tooLong(36)))
	}
	var row db.Quota
	err = s.deps.Store.Tx(c.Request().Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		row, err = setQuota(ctx, tx, id, in)
		return err
	})
	if err != nil {
		return err
	}
	return s.writeOne(c, http.StatusAccepted, "quota", s.filled(row))
}

// setQuota stores the limits of a project; null is the configured default.
func setQuota(ctx context.Context, tx *db.Tx, id string, in quotaIn) (db.Quota, error) {
	row, exists, err := quotaOf(ctx, tx, id)
	if err != nil {
		return row, err
	}
	var e edits
	for r, limit := range limits(&row) {
		putPtr(&e, string(r), limit, in[r])
	}
	if !exists {
		return row, db.Insert(ctx, tx, &row)
	}
	return row, db.Update(ctx, tx, &row, e.columns...)
}

func (s *Server) deleteQuota(c echo.Context) error {
	q, id := callOf(c), c.Param("id")
	if err := q.only(); err != nil {
		return err
	}
	if err := s.authorize(q.who, "quota:delete", id); err != nil {
		return err
	}
	err := s.deps.Store.Tx(c.Request().Context(), func(ctx context.Context, tx *db.Tx) error {
		if _, err := db.Get[db.Quota](ctx, tx, id); err != nil {
			return err
		}
		in := quotaIn{}
		for r := range quotaNames {
			in[r] = field[int]{set: true, null: true}
		}
		_, err := setQuota(ctx, tx, id, in)
		return err
	})
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}
