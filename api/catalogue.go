package api

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/ottavino/ottavino/db"
)

// catalogue is a collection of what an administrator offers: its objects belong to no project
// and to no load balancer, so nothing is locked and no work is made. Reads are the resource's.
type catalogue[M, In, Out any] struct {
	resource[M, In, Out]
	// validate asks the provider about a body before anything is written; row is what a PUT
	// changes and nil for a POST.
	validate func(ctx context.Context, row *M, in *In) error
	add      func(ctx context.Context, tx *db.Tx, in *In) (*M, error)
	edit     func(ctx context.Context, tx *db.Tx, row *M, in *In) ([]string, error)
	// drop says why a row cannot go, and removes what names it.
	drop func(ctx context.Context, tx *db.Tx, row *M) error
	// absent words a missing row for a DELETE, and the placeholder's id for all calls; nil is the common 404.
	absent func(id string) error
}

func (r *catalogue[M, In, Out]) routes() []route {
	all := cmp.Or(r.path, "/"+r.plural)
	one := all + "/:id"
	return []route{
		r.listed(all),
		r.posted(all, r.post),
		r.shown(one, r.show),
		r.changed(one, r.put),
		r.changedAll(all),
		r.deleted(one, r.delete),
	}
}

// offered is the limit of a catalogue's list: none, for who may see it.
func (s *Server) offered(rule string) func(*call) (*string, error) {
	return func(q *call) (*string, error) { return nil, s.authorize(q.who, rule+":get_all", q.who.ProjectID) }
}

// allowed tests what policy says of a call; objects of a catalogue have no project of their own.
func (r *catalogue[M, In, Out]) allowed(c echo.Context, action string) error {
	who := callOf(c).who
	return r.s.authorize(who, r.policy+":"+action, who.ProjectID)
}

// row reads the object a path names. A zone's name may end as file names do, which paths in
// general may for no reason.
func (r *catalogue[M, In, Out]) row(ctx context.Context, tx *db.Tx, c echo.Context) (*M, error) {
	id := c.Param("id")
	if strings.HasSuffix(originalPath(c.Request()), jsonSuffix) {
		if row, err := r.named(ctx, tx, id+jsonSuffix); err == nil || !isAbsent(err) {
			return row, err
		}
	}
	return r.named(ctx, tx, id)
}

func (r *catalogue[M, In, Out]) named(ctx context.Context, tx *db.Tx, id string) (*M, error) {
	if id == db.Placeholder && r.absent != nil {
		return nil, r.absent(id)
	}
	row, err := db.Live[M](ctx, tx, id)
	if err == nil && r.id(row) != id { // MariaDB finds keys in any case
		err = &db.NotFoundError{Resource: string(r.kind), ID: id}
	}
	return row, err
}

func (r *catalogue[M, In, Out]) show(c echo.Context) error {
	if err := r.allowed(c, "get_one"); err != nil {
		return err
	}
	var out []Out
	err := r.s.deps.Store.Read(c.Request().Context(), func(ctx context.Context, tx *db.Tx) error {
		row, err := r.row(ctx, tx, c)
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

func (r *catalogue[M, In, Out]) post(c echo.Context) error {
	in, err := r.decode(c, r.postArg, r.decodeNew)
	if err != nil {
		return err
	}
	if err := r.allowed(c, "post"); err != nil {
		return err
	}
	if r.validate != nil {
		if err := r.validate(c.Request().Context(), nil, &in); err != nil {
			return err
		}
	}
	var out []Out
	err = r.s.deps.Store.Tx(c.Request().Context(), func(ctx context.Context, tx *db.Tx) error {
		row, err := r.add(ctx, tx, &in)
		if err != nil {
			return err
		}
		if out, err = r.view(ctx, tx, []M{*row}); err != nil {
			return err
		}
		return callOf(c).keep(ctx, tx, r.singular, out[0])
	})
	if err != nil {
		return err
	}
	return r.s.writeOne(c, http.StatusCreated, r.singular, out[0])
}

func (r *catalogue[M, In, Out]) put(c echo.Context) error {
	in, err := r.decode(c, r.putArg, r.decodeChange)
	if err != nil {
		return err
	}
	if err := r.allowed(c, "put"); err != nil {
		return err
	}
	if err := r.validateChange(c, &in); err != nil {
		return err
	}
	var out []Out
	err = r.s.deps.Store.Tx(c.Request().Context(), func(ctx context.Context, tx *db.Tx) error {
		row, err := r.row(ctx, tx, c)
		if err != nil {
			return err
		}
		if _, err := db.Lock[M](ctx, tx, r.id(row)); err != nil { // whoever begins to use it waits
			return err
		}
		columns, err := r.edit(ctx, tx, row, &in)
		if err != nil {
			return err
		}
		if err := db.Update(ctx, tx, row, columns...); err != nil {
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

// validateChange asks the provider about a PUT, outside of a transaction: it asks the cloud.
func (r *catalogue[M, In, Out]) validateChange(c echo.Context, in *In) error {
	var row *M
	err := r.s.deps.Store.Read(c.Request().Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		row, err = r.row(ctx, tx, c)
		return err
	})
	if err != nil || r.validate == nil {
		return err
	}
	return r.validate(c.Request().Context(), row, in)
}

func (r *catalogue[M, In, Out]) delete(c echo.Context) error {
	if err := callOf(c).only(); err != nil {
		return err
	}
	if err := r.allowed(c, "delete"); err != nil {
		return err
	}
	err := r.s.deps.Store.Tx(c.Request().Context(), func(ctx context.Context, tx *db.Tx) error {
		row, err := r.row(ctx, tx, c)
		if isAbsent(err) && r.absent != nil {
			return r.absent(c.Param("id"))
		}
		if err != nil {
			return err
		}
		if _, err := db.Lock[M](ctx, tx, r.id(row)); err != nil {
			return err
		}
		if err := r.drop(ctx, tx, row); err != nil {
			return err
		}
		return db.Delete[M](ctx, tx, r.id(row))
	})
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
