package api

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/ottavino/ottavino/db"
)

// failover answers PUT …/failover: an administrator wants all amphorae of a load balancer
// replaced. They are marked as the health manager marks dead ones, and the worker replaces them.
func (s *Server) failover(c echo.Context) error {
	q := callOf(c)
	if err := q.only(); err != nil {
		return err
	}
	_, at, err := s.loadBalancers().locateRow(c, "put_failover")
	if err != nil {
		return err
	}
	err = s.change(c.Request().Context(), q.who, at, func(ctx context.Context, ch *change) error {
		return ch.failover(ctx)
	})
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

// failover is the transaction of a failover.
func (c *change) failover(ctx context.Context) error {
	if _, err := c.tx.BeginFailover(ctx, c.lb.ID, c.s.cfg.PendingChanges); err != nil {
		return stateFault(err)
	}
	amphorae, err := db.Where[db.Amphora](ctx, c.tx, "load_balancer_id = ? AND status IN ?", c.lb.ID,
		[]string{db.Allocated, db.FailoverStopped})
	if err != nil {
		return err
	}
	for i := range amphorae {
		amphorae[i].Status = db.Error
		if err := db.Update(ctx, c.tx, &amphorae[i], "status"); err != nil {
			return err
		}
	}
	return c.emit(ctx, db.KindLoadBalancer, c.lb.ID, "Failover")
}
