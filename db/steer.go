package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"time"
)

// ErrNoWork says that there is nothing to stop: the load balancer is ACTIVE.
var ErrNoWork = errors.New("no work to cancel")

// steering are the columns of ottavino_work that calls of administrators need.
func steering() []column { return []column{text("cancelled", 16).opt(), millis("not_before")} }

func (m migrator) steeringUp(ctx context.Context, tx *sql.Tx) error {
	for _, c := range steering() {
		if _, err := tx.ExecContext(ctx, addColumn(m.engine, "ottavino_work", c)); err != nil {
			return fmt.Errorf("add column ottavino_work.%s: %w", c.name, err)
		}
	}
	return nil
}

func (m migrator) steeringDown(ctx context.Context, tx *sql.Tx) error {
	for _, c := range steering() {
		if _, err := tx.ExecContext(ctx, dropColumn(m.engine, "ottavino_work", c)); err != nil {
			return fmt.Errorf("drop column ottavino_work.%s: %w", c.name, err)
		}
	}
	return nil
}

// RetryWork forgets what has failed so far and makes the load balancer due now; a pass that is under way ends first. One
// in ERROR becomes PENDING_UPDATE; one whose deletion CancelWork stopped becomes PENDING_DELETE again. DELETED or absent:
// *NotFoundError.
func (tx *Tx) RetryWork(ctx context.Context, lbID string) error {
	lb, w, err := tx.lockWork(ctx, lbID)
	if err != nil {
		return err
	}
	status := lb.ProvisioningStatus
	if status == Error {
		status = resumed(w)
	}
	if err := tx.pend(ctx, lb, status); err != nil {
		return err
	}
	return tx.steer(ctx, lbID, map[string]any{"attempts": 0, "last_error": ""})
}

// ResetWork has the state of a load balancer derived anew: whoever works on it is fenced out and can write nothing any
// more, what has failed so far is forgotten, the status is PENDING_* again (PENDING_CREATE and PENDING_DELETE stay what
// they are), and the row is due as soon as the fenced worker has surely noticed. DELETED or absent: *NotFoundError.
func (tx *Tx) ResetWork(ctx context.Context, lbID string) error {
	lb, w, err := tx.lockWork(ctx, lbID)
	if err != nil {
		return err
	}
	status := PendingUpdate
	switch lb.ProvisioningStatus {
	case Error:
		status = resumed(w)
	case PendingDelete:
		status = PendingDelete
	}
	// Before pend, which makes the row due, but not before not_before.
	err = tx.steer(ctx, lbID, merged(tx.fenced(w), map[string]any{"attempts": 0, "last_error": "", "run_after": nil}))
	if err != nil {
		return err
	}
	return tx.pend(ctx, lb, status)
}

// CancelWork stops the work on a load balancer until RetryWork, ResetWork or the next change: whoever works on it is fenced
// out, and it becomes ERROR with all below it that was to be made or changed. What is to go below it stays
// PENDING_DELETE, since that is the only record of the wish. Stopping it again does nothing. ACTIVE: ErrNoWork.
// DELETED or absent: *NotFoundError.
func (tx *Tx) CancelWork(ctx context.Context, lbID string) error {
	lb, w, err := tx.lockWork(ctx, lbID)
	switch {
	case err != nil:
		return err
	case lb.ProvisioningStatus == Active:
		return ErrNoWork
	case w.Cancelled != nil:
		return nil
	}
	stopped := map[string]any{"cancelled": lb.ProvisioningStatus, "run_after": nil}
	if err := tx.steer(ctx, lbID, merged(tx.fenced(w), stopped)); err != nil {
		return err
	}
	if err := tx.GiveUp(ctx, lbID); err != nil {
		return err
	}
	if lb.ProvisioningStatus == Error {
		return nil
	}
	lb.ProvisioningStatus = Error
	return Update(ctx, tx, lb, "provisioning_status")
}

// resumed is the status that work on a load balancer in ERROR goes on with.
func resumed(w *Work) ProvisioningStatus {
	if w.Cancelled != nil && *w.Cancelled == PendingDelete {
		return PendingDelete
	}
	return PendingUpdate
}

// lockWork locks a load balancer and its work row, which is made where there is none.
func (tx *Tx) lockWork(ctx context.Context, lbID string) (*LoadBalancer, *Work, error) {
	lb, err := Lock[LoadBalancer](ctx, tx, lbID)
	if err == nil && lb.ProvisioningStatus == Deleted {
		err = &NotFoundError{Resource: string(KindLoadBalancer), ID: lbID}
	}
	if err != nil {
		return nil, nil, err
	}
	w, err := Lock[Work](ctx, tx, lbID)
	if isNotFound(err) {
		w = &Work{LoadBalancerID: lbID}
		err = Insert(ctx, tx, w)
	}
	return lb, w, err
}

// fenced are the columns that take the lease away. A live worker has extended it within the last third of its length, and
// will find out within the next: half of what is left of it is enough.
func (tx *Tx) fenced(w *Work) map[string]any {
	set := map[string]any{"lease_token": w.LeaseToken + 1, "lease_owner": "", "lease_until": nil}
	if now := tx.millis(); w.LeaseUntil != nil && w.LeaseUntil.After(now) {
		set["not_before"] = now.Add(w.LeaseUntil.Sub(now)/2 + time.Millisecond).Truncate(time.Millisecond)
	}
	return set
}

// leave says that the holder of a lease that ResetWork or CancelWork took away has noticed: who comes next need not wait.
func (tx *Tx) leave(ctx context.Context, l *Lease) error {
	w, err := Lock[Work](ctx, tx, l.LoadBalancerID)
	if isNotFound(err) {
		return nil
	}
	if err != nil || w.LeaseToken != l.Token+1 || w.LeaseUntil != nil || w.NotBefore == nil {
		return err
	}
	set := map[string]any{"not_before": nil}
	if now := tx.millis(); w.RunAfter != nil && w.RunAfter.After(now) && !w.RunAfter.After(*w.NotBefore) {
		set["run_after"] = now
		if err := tx.wake(ctx); err != nil {
			return err
		}
	}
	return tx.steer(ctx, l.LoadBalancerID, set)
}

func (tx *Tx) steer(ctx context.Context, lbID string, set map[string]any) error {
	err := tx.db.WithContext(ctx).Model(&Work{}).Where("load_balancer_id = ?", lbID).UpdateColumns(set).Error
	if err != nil {
		return fmt.Errorf("steer work on load balancer %s: %w", lbID, err)
	}
	return nil
}

func merged(sets ...map[string]any) map[string]any {
	out := map[string]any{}
	for _, s := range sets {
		maps.Copy(out, s)
	}
	return out
}
