package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/obs"
)

// change is a write below one load balancer, inside its transaction.
type change struct {
	s         *Server
	tx        *db.Tx
	who       Identity
	lb        *db.LoadBalancer // locked
	projectID string           // the load balancer's
}

// marks are the objects that a change makes pending besides the changed one.
type marks struct {
	poolID     string // its listeners; with pool also itself
	pool       bool
	listenerID string
	policyID   string // itself and its listener
}

// change runs fn in a transaction that has locked the load balancer's row, so that what fn
// reads stays true until it commits.
func (s *Server) change(ctx context.Context, who Identity, at place, fn func(context.Context, *change) error) error {
	ctx = obs.With(ctx, obs.IDs{LoadBalancerID: at.lbID, ProjectID: at.projectID})
	return s.deps.Store.Tx(ctx, func(ctx context.Context, tx *db.Tx) error {
		lb, err := db.Lock[db.LoadBalancer](ctx, tx, at.lbID)
		if err != nil {
			return err
		}
		return fn(ctx, &change{s: s, tx: tx, who: who, lb: lb, projectID: at.projectID})
	})
}

// begin tests that the load balancer may be changed and makes it pending.
func (c *change) begin(ctx context.Context) error {
	err := c.tx.ChangeLocked(ctx, c.lb, c.s.cfg.PendingChanges)
	if isAbsent(err) { // what is DELETED is locked for children that name it
		return &db.ImmutableError{Resource: string(db.KindLoadBalancer), ID: c.lb.ID, Status: db.Deleted}
	}
	return err
}

// take counts new objects against the project's quota; without authentication nothing counts.
func (c *change) take(ctx context.Context, r db.QuotaResource, n int) error {
	if c.s.cfg.AuthStrategy == AuthNoAuth {
		return nil
	}
	return c.tx.TakeQuota(ctx, c.projectID, r, n, c.s.cfg.Quotas)
}

// mark makes parents and users of a changed object pending.
func (c *change) mark(ctx context.Context, m marks) error {
	listeners, err := c.usersOf(ctx, m)
	if err != nil {
		return err
	}
	if len(listeners) > 0 {
		if err := c.tx.MarkPending(ctx, db.KindListener, db.PendingUpdate, listeners...); err != nil {
			return err
		}
	}
	if m.pool {
		if err := c.tx.MarkPending(ctx, db.KindPool, db.PendingUpdate, m.poolID); err != nil {
			return err
		}
	}
	if m.policyID == "" {
		return nil
	}
	return c.tx.MarkPending(ctx, db.KindL7Policy, db.PendingUpdate, m.policyID)
}

// usersOf are the listeners that a change of the marked objects concerns.
func (c *change) usersOf(ctx context.Context, m marks) ([]string, error) {
	switch {
	case m.poolID != "":
		return c.tx.ListenersOfPool(ctx, m.poolID)
	case m.policyID != "":
		p, err := db.Get[db.L7Policy](ctx, c.tx, m.policyID)
		if err != nil {
			return nil, err
		}
		return []string{p.ListenerID}, nil
	case m.listenerID != "":
		return []string{m.listenerID}, nil
	}
	return nil, nil
}

// mutable tests a pool or L7 policy whose children are to change. With AcceptPending only
// what is being deleted is locked: a child in ERROR must not lock others for ever.
func (c *change) mutable(kind db.Kind, id string, status db.ProvisioningStatus) error {
	ok := status == db.Active
	if c.s.cfg.PendingChanges == db.AcceptPending {
		ok = status != db.PendingDelete && status != db.Deleted
	}
	if ok {
		return nil
	}
	return &db.ImmutableError{Resource: string(kind), ID: id, Status: status}
}

// emit records who asked for what.
func (c *change) emit(ctx context.Context, kind db.Kind, id, verb string) error {
	return c.tx.Emit(ctx, db.Event{
		LoadBalancerID: c.lb.ID, ProjectID: c.projectID, ObjectKind: string(kind), ObjectID: id,
		Type: "Normal", Reason: verb + "Requested",
		Message:   fmt.Sprintf("%s of the %s was requested by %s", verb, kind, c.who.shownName()),
		RequestID: obs.From(ctx).RequestID,
	})
}

// shownName is how events call a user.
func (id Identity) shownName() string { return cmp.Or(id.UserName, id.UserID, "a user") }

// stateFault words a lock for calls on the load balancer itself.
func stateFault(err error) error {
	var immutable *db.ImmutableError
	if errors.As(err, &immutable) && immutable.Resource == string(db.KindLoadBalancer) {
		return conflict(fmt.Sprintf("Invalid state %s of loadbalancer resource %s", immutable.Status, immutable.ID))
	}
	return err
}

// orDuplicate replaces a violated unique key by the resource's own text.
func orDuplicate(err error, text string) error {
	var taken *db.DuplicateError
	if errors.As(err, &taken) {
		return conflict(text)
	}
	return err
}
