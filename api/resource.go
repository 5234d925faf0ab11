package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/ottavino/ottavino/db"
)

// resource is a collection of the API: M is its row, In what a POST or PUT may say, Out what
// is shown. The five verbs exist once, below; a resource is a value of this type. A nil
// decodeNew, decodeChange or remove means that the verb is not routed. Hooks run inside a
// transaction that may be repeated, so their only effects are rows.
type resource[M, In, Out any] struct {
	s        *Server
	kind     db.Kind
	singular string // wrapper key of one
	plural   string // wrapper key of many, and the path unless path is set
	links    string // wrapper key of the links; "" is plural and _links
	path     string
	policy   string // type in policy rules
	postArg  string // names of the body in faults
	putArg   string
	key      string // name of the id in a PUT without one; "" is id
	global   bool   // lists have a get_all-global rule
	// limit decides whose rows a list shows; nil is listScope, which most have.
	limit   func(q *call) (*string, error)
	columns map[string]string // filters and sort keys → columns
	parent  *parent           // nil: a collection at the top

	id       func(*M) string
	project  func(*M) string
	parentOf func(*M) string                                               // with a parent only
	view     func(ctx context.Context, tx *db.Tx, rows []M) ([]Out, error) // one for each row

	decodeNew    func(*object) In
	decodeChange func(*object) In
	// locate finds the load balancer that a new row will be below.
	locate func(ctx context.Context, tx *db.Tx, parentID string, in *In) (place, error)
	// outside checks or reads what others keep, before the transaction; row is nil in a POST; a nil
	// hook is nothing.
	outside func(ctx context.Context, who Identity, at place, row *M, in *In) error
	// check comes before quota and lock; nil is nothing.
	check func(ctx context.Context, c *change, in *In) error
	quota db.QuotaResource
	// create checks the rest and inserts the row and what belongs to it.
	create func(ctx context.Context, c *change, in *In) (*M, error)
	// update checks and applies what the body has, and returns the columns of the row that
	// changed. The load balancer is locked, its status is tested afterwards.
	update func(ctx context.Context, c *change, row *M, in *In) ([]string, error)
	// removable says why a row cannot go; nil hook: it always can.
	removable func(ctx context.Context, c *change, row *M) error
	// marks names what else a change of the row makes pending.
	marks func(*M) marks
}

// parent is the collection above, as members have pools.
type parent struct {
	path   string // "pools"
	column string // of the child
	// project finds the parent's project. Absent: *db.NotFoundError, shown in the routing shape.
	project func(ctx context.Context, tx *db.Tx, id string) (string, error)
	of      string // title in the fault
}

// place is where a new row goes.
type place struct{ lbID, projectID string }

func (r *resource[M, In, Out]) routes() []route {
	all := cmp.Or(r.path, "/"+r.plural)
	if r.parent != nil {
		all = "/" + r.parent.path + "/:parent" + all
	}
	one := all + "/:id"
	out := []route{r.listed(all), r.shown(one, r.show)}
	if r.decodeNew != nil {
		out = append(out, r.posted(all, r.post))
	}
	if r.decodeChange != nil {
		out = append(out, r.changed(one, r.put), r.changedAll(all))
	}
	if r.marks != nil {
		out = append(out, r.deleted(one, r.delete))
	}
	return out
}

// The rows of the five verbs.

func (r *resource[M, In, Out]) listed(path string) route {
	_, tagged := typeOf[Out]().FieldByName("Tags")
	return route{
		method: http.MethodGet, path: path, handle: r.list, name: "list " + r.plural,
		query: r.s.listParameters(r.columns, tagged), status: http.StatusOK, answer: many[Out](r.plural, r.linksKey()),
	}
}

func (r *resource[M, In, Out]) shown(path string, handle echo.HandlerFunc) route {
	return route{
		method: http.MethodGet, path: path, handle: handle, name: "show " + r.singular,
		query: r.s.selection(), status: http.StatusOK, answer: shown[Out](r.singular),
	}
}

func (r *resource[M, In, Out]) posted(path string, handle echo.HandlerFunc) route {
	return route{
		method: http.MethodPost, path: path, handle: handle, name: "create " + r.singular,
		body:   takes(r.singular, titleOf(typeOf[Out]()), "Create", r.decodeNew),
		status: http.StatusCreated, answer: whole[Out](r.singular),
	}
}

func (r *resource[M, In, Out]) changed(path string, handle echo.HandlerFunc) route {
	return route{
		method: http.MethodPut, path: path, handle: handle, name: "update " + r.singular,
		body:   takes(r.singular, titleOf(typeOf[Out]()), "Update", r.decodeChange),
		status: http.StatusOK, answer: whole[Out](r.singular),
	}
}

// changedAll has no place in the description: it is always refused.
func (r *resource[M, In, Out]) changedAll(path string) route {
	return route{method: http.MethodPut, path: path, handle: r.putAll}
}

func (r *resource[M, In, Out]) deleted(path string, handle echo.HandlerFunc) route {
	return route{
		method: http.MethodDelete, path: path, handle: handle, name: "delete " + r.singular, status: http.StatusNoContent,
	}
}

// linksKey is the wrapper key of a list's links.
func (r *resource[M, In, Out]) linksKey() string { return cmp.Or(r.links, r.plural+"_links") }

func (r *resource[M, In, Out]) list(c echo.Context) error {
	q := callOf(c)
	query, err := r.s.listQuery(q, r.columns)
	if err != nil {
		return err
	}
	out := r.s.newListing(c, r.plural, r.linksKey())
	err = r.s.deps.Store.Read(c.Request().Context(), func(ctx context.Context, tx *db.Tx) error {
		if err := r.scope(ctx, tx, q, c.Param("parent"), &query); err != nil {
			return err
		}
		return db.Batches(ctx, tx, query, inBatch, func(rows []M) error { return r.addTo(ctx, tx, out, rows) })
	})
	return out.end(err)
}

// addTo shows rows in a list.
func (r *resource[M, In, Out]) addTo(ctx context.Context, tx *db.Tx, out *listing, rows []M) error {
	views, err := r.view(ctx, tx, rows)
	if err != nil {
		return err
	}
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = r.id(&rows[i])
	}
	return appendTo(out, views, ids)
}

// scope limits a list to what the caller may see.
func (r *resource[M, In, Out]) scope(ctx context.Context, tx *db.Tx, q *call, parentID string, query *db.ListQuery) error {
	if r.parent != nil {
		project, err := r.parentProject(ctx, tx, parentID)
		if err != nil {
			return err
		}
		query.Filters = append(query.Filters, db.Filter{Column: r.parent.column, Value: parentID})
		if q.query.Has("project_id") {
			query.ProjectID = new(q.query.Get("project_id"))
		}
		return r.s.authorize(q.who, r.policy+":get_all", project)
	}
	var err error
	if r.limit != nil {
		query.ProjectID, err = r.limit(q)
	} else {
		query.ProjectID, err = r.s.listScope(q, r.policy, r.global)
	}
	return err
}

// adminScope is the scope of lists of what belongs to no project.
func (s *Server) adminScope(rule string) func(*call) (*string, error) {
	return func(q *call) (*string, error) {
		if q.query.Has("project_id") {
			return new(q.query.Get("project_id")), s.authorize(q.who, rule+":get_all", q.who.ProjectID)
		}
		return nil, s.authorize(q.who, rule+":get_all", q.who.ProjectID)
	}
}

// listScope is the project a list is limited to; nil is all.
func (s *Server) listScope(q *call, rule string, global bool) (*string, error) {
	asked := q.query.Get("project_id")
	// Without project_id, the target of a list of everything has no project: a rule that
	// wants the caller's own there must not pass.
	all := global && s.may(q.who, rule+":get_all-global", asked)
	switch {
	case all && q.query.Has("project_id"):
		return &asked, nil
	case all:
		return nil, nil
	case !q.query.Has("project_id"):
		asked = q.who.ProjectID
	}
	if asked == "" {
		return nil, errForbidden
	}
	return &asked, s.authorize(q.who, rule+":get_all", asked)
}

// parentProject finds the project of the collection's parent.
func (r *resource[M, In, Out]) parentProject(ctx context.Context, tx *db.Tx, parentID string) (string, error) {
	project, err := r.parent.project(ctx, tx, parentID)
	var absent *db.NotFoundError
	if errors.As(err, &absent) {
		return "", &routingFault{
			status: http.StatusNotFound, title: "Bad Request",
			description: r.parent.of + " " + parentID + " not found.",
		}
	}
	return project, err
}

func (r *resource[M, In, Out]) show(c echo.Context) error {
	var out []Out
	err := r.s.deps.Store.Read(c.Request().Context(), func(ctx context.Context, tx *db.Tx) error {
		row, err := r.find(ctx, tx, c, "get_one")
		if err != nil {
			return err
		}
		out, err = r.view(ctx, tx, []M{*row})
		return err
	})
	if err != nil {
		return err
	}
	return r.s.writeOne(c, http.StatusOK, r.singular, out[0])
}

// find reads the row that a path names, if the caller may do this with it.
func (r *resource[M, In, Out]) find(ctx context.Context, tx *db.Tx, c echo.Context, action string) (*M, error) {
	parentID := c.Param("parent")
	if r.parent != nil {
		if _, err := r.parentProject(ctx, tx, parentID); err != nil {
			return nil, err
		}
	}
	row, err := db.Live[M](ctx, tx, c.Param("id"))
	if err != nil {
		return nil, err
	}
	if r.id(row) != c.Param("id") { // MariaDB finds ids in any case
		return nil, &db.NotFoundError{Resource: string(r.kind), ID: c.Param("id")}
	}
	if err := r.s.authorize(callOf(c).who, r.policy+":"+action, r.project(row)); err != nil {
		return nil, err
	}
	if r.parent != nil && r.parentOf(row) != parentID {
		// As good as absent, but only after the caller's rights are known.
		return nil, &db.NotFoundError{Resource: string(r.kind), ID: c.Param("id")}
	}
	return row, nil
}
