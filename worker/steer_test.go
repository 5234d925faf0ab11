package worker_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/worker"
)

// steer does what the API does for an administrator.
func (r *rig) steer(id string, do func(*db.Tx, context.Context, string) error) {
	r.t.Helper()
	r.tx(func(ctx context.Context, tx *db.Tx) error { return do(tx, ctx, id) })
}

func beginDelete(tx *db.Tx, ctx context.Context, id string) error { //nolint:revive // as methods of Tx are called
	_, _, err := tx.BeginDelete(ctx, id, db.AcceptPending)
	return err
}

func (r *rig) status(id string) string {
	r.t.Helper()
	return r.tree(id).LoadBalancer.ProvisioningStatus
}

//nolint:revive // the order that plan wants
func refuseApply(_ int, op string) (error, bool) {
	if op == "apply" {
		return agentError(500, false), false
	}
	return nil, false
}

// TestRetryGoesPastTheBackoff: a load balancer in ERROR whose next attempt is far away heals at once.
func TestRetryGoesPastTheBackoff(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *worker.Config) { c.RetryFirst, c.RetryMax, c.RetryBudget = time.Hour, time.Hour, 1 })
	r.agent.plan(refuseApply)
	id := r.balancer()
	r.until("the load balancer is in ERROR", func() bool { return r.status(id) == db.Error })
	r.agent.plan(nil)
	r.steer(id, (*db.Tx).RetryWork)
	r.active(id)
	r.remove(id)
}

// TestCancelledWorkIsLeftAlone: after a cancel no pass is made, until a retry. What was half built is then used, or goes.
func TestCancelledWorkIsLeftAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.agent.plan(refuseApply)
	id := r.balancer()
	r.until("the first attempt failed", func() bool { return strings.Contains(r.reasons(id), "AgentRefused") })
	r.steer(id, (*db.Tx).CancelWork)
	r.agent.plan(nil)
	r.tx(func(ctx context.Context, tx *db.Tx) error { return tx.Schedule(ctx, id, time.Now()) }) // as the health manager
	other := r.balancer()
	r.active(other) // the worker works, on others
	if got := r.status(id); got != db.Error {
		t.Errorf("the cancelled load balancer is %s, want ERROR", got)
	}
	r.steer(id, (*db.Tx).RetryWork)
	r.active(id)
	r.steer(other, beginDelete)
	r.until("the other is DELETED", func() bool { return r.status(other) == db.Deleted })
	r.remove(id)
}

// TestCancelledDeletionGoesOn: the wish to delete survives a cancel and a retry, or is renewed by its owner.
func TestCancelledDeletionGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.balancer()
	r.active(id)
	r.tx(func(ctx context.Context, tx *db.Tx) error { // at once, so that no pass comes between
		if _, _, err := tx.BeginDelete(ctx, id, db.AcceptPending); err != nil {
			return err
		}
		return tx.CancelWork(ctx, id)
	})
	if got := r.status(id); got != db.Error {
		t.Errorf("the load balancer is %s, want ERROR", got)
	}
	r.steer(id, (*db.Tx).RetryWork)
	r.until("it is DELETED", func() bool { return r.status(id) == db.Deleted })
}

// TestResetPassesAHungWorker: a pass that hangs holds nothing up once its load balancer is reset, and writes nothing when it
// goes on.
func TestResetPassesAHungWorker(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *worker.Config) { c.Lease = 300 * time.Millisecond })
	hang, hung := make(chan struct{}), atomic.Bool{}
	r.agent.plan(func(_ int, op string) (error, bool) {
		if op == "apply" && hung.CompareAndSwap(false, true) {
			<-hang
			return agentError(500, false), false
		}
		return nil, false
	})
	id := r.balancer()
	r.until("a pass hangs", hung.Load)
	r.steer(id, (*db.Tx).ResetWork)
	r.active(id)
	close(hang)
	other := r.balancer()
	r.active(other)
	if got := r.reasons(id); got != "Applied" || r.status(id) != db.Active {
		t.Errorf("got events %q and %s, want that the hung pass wrote nothing", got, r.status(id))
	}
	r.steer(other, beginDelete)
	r.until("the other is DELETED", func() bool { return r.status(other) == db.Deleted })
	r.remove(id)
}
