package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/ottavino/ottavino/db"
)

// decode reads the body of a write.
func (r *resource[M, In, Out]) decode(c echo.Context, arg string, into func(*object) In) (In, error) {
	var in In
	if err := callOf(c).only(); err != nil {
		return in, err
	}
	body, err := r.s.readBody(c)
	if err != nil {
		return in, err
	}
	o, err := openBody(arg, r.singular, body)
	if err != nil {
		return in, err
	}
	in = into(o)
	return in, o.done()
}

func (r *resource[M, In, Out]) post(c echo.Context) error {
	in, err := r.decode(c, r.postArg, r.decodeNew)
	if err != nil {
		return err
	}
	who := callOf(c).who
	var at place
	err = r.s.deps.Store.Read(c.Request().Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		if at, err = r.locateFor(ctx, tx, c.Param("parent"), &in); err != nil {
			return err
		}
		return r.s.authorize(who, r.policy+":post", at.projectID)
	})
	if err != nil {
		return err
	}
	if r.outside != nil {
		if err := r.outside(c.Request().Context(), who, at, nil, &in); err != nil {
			return err
		}
	}
	var out []Out
	err = r.s.change(c.Request().Context(), who, at, func(ctx context.Context, ch *change) (err error) {
		if out, err = r.insert(ctx, ch, &in); err != nil {
			return err
		}
		return callOf(c).keep(ctx, ch.tx, r.singular, out[0])
	})
	if err != nil {
		return err
	}
	return r.s.writeOne(c, http.StatusCreated, r.singular, out[0])
}

func (r *resource[M, In, Out]) locateFor(ctx context.Context, tx *db.Tx, parentID string, in *In) (place, error) {
	if r.parent != nil {
		if _, err := r.parentProject(ctx, tx, parentID); err != nil {
			return place{}, err
		}
	}
	return r.locate(ctx, tx, parentID, in)
}

// insert is the transaction of a POST.
func (r *resource[M, In, Out]) insert(ctx context.Context, c *change, in *In) ([]Out, error) {
	if r.check != nil {
		if err := r.check(ctx, c, in); err != nil {
			return nil, err
		}
	}
	if err := c.take(ctx, r.quota, 1); err != nil {
		return nil, err
	}
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	row, err := r.create(ctx, c, in)
	if err != nil {
		return nil, err
	}
	if err := c.mark(ctx, r.marks(row)); err != nil {
		return nil, err
	}
	return r.finish(ctx, c, r.id(row), "Create")
}

// finish records the event of a change and returns the row as it is now.
func (r *resource[M, In, Out]) finish(ctx context.Context, c *change, id, verb string) ([]Out, error) {
	if err := c.emit(ctx, r.kind, id, verb); err != nil {
		return nil, err
	}
	row, err := r.current(ctx, c, id)
	if err != nil {
		return nil, err
	}
	return r.view(ctx, c.tx, []M{*row})
}

func (r *resource[M, In, Out]) put(c echo.Context) error {
	in, bad := r.decode(c, r.putArg, r.decodeChange)
	var nothing *nothingInside
	if bad != nil && !errors.As(bad, &nothing) {
		return bad
	}
	who := callOf(c).who
	row, at, err := r.locateRow(c, "put")
	if err != nil {
		return err
	}
	if bad != nil {
		return bad
	}
	if r.outside != nil {
		if err := r.outside(c.Request().Context(), who, at, row, &in); err != nil {
			return err
		}
	}
	var out []Out
	err = r.s.change(c.Request().Context(), who, at, func(ctx context.Context, ch *change) (err error) {
		out, err = r.apply(ctx, ch, c.Param("id"), &in)
		return err
	})
	if err != nil {
		return err
	}
	return r.s.writeOne(c, http.StatusOK, r.singular, out[0])
}

// putAll answers a PUT of the whole collection: what is wrong with the body comes before the id it lacks.
func (r *resource[M, In, Out]) putAll(c echo.Context) error {
	if c.Request().ContentLength != 0 {
		if _, err := r.decode(c, r.putArg, r.decodeChange); err != nil {
			return err
		}
	}
	return lacks(cmp.Or(r.key, "id"))
}

// apply is the transaction of a PUT.
func (r *resource[M, In, Out]) apply(ctx context.Context, c *change, id string, in *In) ([]Out, error) {
	row, err := r.current(ctx, c, id)
	if err != nil {
		return nil, err
	}
	columns, err := r.update(ctx, c, row, in)
	if err != nil {
		return nil, err
	}
	if err := r.write(ctx, c, row, columns); err != nil {
		return nil, err
	}
	return r.finish(ctx, c, id, "Update")
}

// write stores the columns of a row that a PUT changed, and makes pending what the change concerns.
func (r *resource[M, In, Out]) write(ctx context.Context, c *change, row *M, columns []string) error {
	if r.kind == db.KindLoadBalancer {
		return stateFault(c.tx.ChangeLocked(ctx, c.lb, c.s.cfg.PendingChanges, columns...))
	}
	if err := c.begin(ctx); err != nil {
		return err
	}
	if err := db.Update(ctx, c.tx, row, columns...); err != nil {
		return err
	}
	if err := c.mark(ctx, r.marks(row)); err != nil {
		return err
	}
	return c.tx.MarkPending(ctx, r.kind, db.PendingUpdate, r.id(row))
}

// current reads a row as it is now. The load balancer's own is known: it is locked.
func (r *resource[M, In, Out]) current(ctx context.Context, c *change, id string) (*M, error) {
	if lb, ok := any(c.lb).(*M); ok && c.lb.ProvisioningStatus != db.Deleted {
		return lb, nil
	}
	return db.Live[M](ctx, c.tx, id)
}

// locateRow finds the row that a path names, and its load balancer.
func (r *resource[M, In, Out]) locateRow(c echo.Context, action string) (*M, place, error) {
	var row *M
	var at place
	err := r.s.deps.Store.Read(c.Request().Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		if row, err = r.find(ctx, tx, c, action); err != nil {
			return err
		}
		at.projectID = r.project(row)
		if r.kind == db.KindLoadBalancer {
			at.lbID = r.id(row)
			return nil
		}
		at.lbID, err = tx.LoadBalancerOf(ctx, r.kind, r.id(row))
		return err
	})
	return row, at, err
}

func (r *resource[M, In, Out]) delete(c echo.Context) error {
	q := callOf(c)
	if err := q.only(); err != nil {
		return err
	}
	_, at, err := r.locateRow(c, "delete")
	if err != nil {
		return err
	}
	err = r.s.change(c.Request().Context(), q.who, at, func(ctx context.Context, ch *change) error {
		return r.remove(ctx, ch, c.Param("id"))
	})
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// remove is the transaction of a DELETE.
func (r *resource[M, In, Out]) remove(ctx context.Context, c *change, id string) error {
	row, err := db.Live[M](ctx, c.tx, id)
	if err != nil {
		return err
	}
	if r.removable != nil {
		if err := r.removable(ctx, c, row); err != nil {
			return err
		}
	}
	if err := c.begin(ctx); err != nil {
		return r.unlessGoing(ctx, c, id, err)
	}
	if err := c.mark(ctx, r.marks(row)); err != nil {
		return err
	}
	if err := c.tx.MarkPending(ctx, r.kind, db.PendingDelete, id); err != nil {
		return err
	}
	return c.emit(ctx, r.kind, id, "Delete")
}

// unlessGoing forgives a DELETE that comes too late, below a load balancer that is being deleted, when
// the row itself is being deleted already.
func (r *resource[M, In, Out]) unlessGoing(ctx context.Context, c *change, id string, locked error) error {
	var immutable *db.ImmutableError
	if c.s.cfg.PendingChanges != db.AcceptPending || !errors.As(locked, &immutable) {
		return locked
	}
	statuses, err := c.tx.Statuses(ctx, r.kind, []string{id})
	if err != nil {
		return err
	}
	if statuses[id] != db.PendingDelete {
		return locked
	}
	return nil
}
