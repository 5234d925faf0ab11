package db

import (
	"context"
	"fmt"
	"slices"
)

// Pending says what the API does with changes to a load balancer that is PENDING_*.
// [api_settings] pending_changes.
type Pending string

// AcceptPending takes changes while PENDING_CREATE and PENDING_UPDATE (and in ERROR);
// RejectPending is upstream's behaviour: everything but ACTIVE is immutable.
const (
	AcceptPending Pending = "accept"
	RejectPending Pending = "reject"
)

// changeable, deletable and failable are the statuses from which a load balancer may be
// changed, deleted and failed over.
var (
	changeable = map[Pending][]ProvisioningStatus{
		AcceptPending: {Active, PendingCreate, PendingUpdate, Error},
		RejectPending: {Active},
	}
	deletable = map[Pending][]ProvisioningStatus{
		AcceptPending: {Active, PendingCreate, PendingUpdate, PendingDelete, Error},
		RejectPending: {Active, Error},
	}
	failable = map[Pending][]ProvisioningStatus{
		AcceptPending: {Active, PendingCreate, PendingUpdate, Error},
		RejectPending: {Active, Error},
	}
)

// BeginChange locks the load balancer's row, tests that it may be changed (else
// *ImmutableError; DELETED or absent: *NotFoundError), sets it PENDING_UPDATE (a load balancer still
// PENDING_CREATE keeps that status), and raises its work generation.
func (tx *Tx) BeginChange(ctx context.Context, lbID string, mode Pending) (*LoadBalancer, error) {
	lb, err := Lock[LoadBalancer](ctx, tx, lbID)
	if err != nil {
		return nil, err
	}
	return lb, tx.ChangeLocked(ctx, lb, mode)
}

// ChangeLocked is BeginChange for a row that the transaction has locked and read. The named columns of it are written, too.
func (tx *Tx) ChangeLocked(ctx context.Context, lb *LoadBalancer, mode Pending, columns ...string) error {
	if err := mutable(lb, changeable[mode]); err != nil {
		return err
	}
	return tx.pend(ctx, lb, PendingUpdate, columns...)
}

// BeginFailover is BeginChange for a failover, which upstream also allows in ERROR.
func (tx *Tx) BeginFailover(ctx context.Context, lbID string, mode Pending) (*LoadBalancer, error) {
	lb, err := Lock[LoadBalancer](ctx, tx, lbID)
	if err == nil {
		err = mutable(lb, failable[mode])
	}
	if err != nil {
		return nil, err
	}
	return lb, tx.pend(ctx, lb, PendingUpdate)
}

// BeginDelete is BeginChange for DELETE of the load balancer itself: it sets PENDING_DELETE.
// Deletable are ACTIVE and ERROR; with AcceptPending every status. Already PENDING_DELETE:
// with AcceptPending nil error and again=true.
func (tx *Tx) BeginDelete(ctx context.Context, lbID string, mode Pending) (lb *LoadBalancer, again bool, err error) {
	if lb, err = Lock[LoadBalancer](ctx, tx, lbID); err != nil {
		return nil, false, err
	}
	again = lb.ProvisioningStatus == PendingDelete
	return lb, again, tx.DeleteLocked(ctx, lb, mode)
}

// DeleteLocked is BeginDelete for a row that the transaction has locked and read.
func (tx *Tx) DeleteLocked(ctx context.Context, lb *LoadBalancer, mode Pending) error {
	if err := mutable(lb, deletable[mode]); err != nil {
		return err
	}
	return tx.pend(ctx, lb, PendingDelete)
}

// mutable tests the status of a load balancer.
func mutable(lb *LoadBalancer, allowed []ProvisioningStatus) error {
	switch {
	case lb.ProvisioningStatus == Deleted:
		return &NotFoundError{Resource: string(KindLoadBalancer), ID: lb.ID}
	case !slices.Contains(allowed, lb.ProvisioningStatus):
		return &ImmutableError{Resource: string(KindLoadBalancer), ID: lb.ID, Status: lb.ProvisioningStatus}
	}
	return nil
}

// pend sets a locked load balancer's pending status, writes what else is named and makes its work due, if it is ours.
func (tx *Tx) pend(ctx context.Context, lb *LoadBalancer, status ProvisioningStatus, columns ...string) error {
	if lb.HasAmphorae() {
		if err := tx.Touch(ctx, lb.ID); err != nil {
			return err
		}
	}
	stays := lb.ProvisioningStatus == status || lb.ProvisioningStatus == PendingCreate && status == PendingUpdate
	if !stays {
		lb.ProvisioningStatus = status
		columns = append(columns, "provisioning_status")
	}
	return Update(ctx, tx, lb, columns...)
}

// statusTables are the tables of the kinds that have a provisioning_status.
var statusTables = map[Kind]string{
	KindLoadBalancer: "load_balancer", KindListener: "listener", KindPool: "pool", KindMember: "member",
	KindHealthMonitor: "health_monitor", KindL7Policy: "l7policy", KindL7Rule: "l7rule",
}

// MarkPending sets provisioning_status of the given children (never downgrading
// PENDING_DELETE or PENDING_CREATE to PENDING_UPDATE).
func (tx *Tx) MarkPending(ctx context.Context, kind Kind, status ProvisioningStatus, ids ...string) error {
	table, ok := statusTables[kind]
	if !ok {
		return fmt.Errorf("a %s has no provisioning status", kind)
	}
	keep := []ProvisioningStatus{status} // writing it again would be work for nothing
	switch status {
	case PendingUpdate:
		keep = append(keep, PendingCreate, PendingDelete)
	case PendingCreate:
		keep = append(keep, PendingDelete)
	}
	err := chunked(ids, func(ids []string) error {
		return tx.db.WithContext(ctx).Table(table).
			Where("id IN ? AND provisioning_status NOT IN ?", ids, keep).
			UpdateColumns(map[string]any{"provisioning_status": status, "updated_at": tx.Now()}).Error
	})
	if err != nil {
		return fmt.Errorf("mark %s rows %s: %w", kind, status, err)
	}
	return nil
}

// ListenersOfPool returns the ids of the listeners that use a pool: by default pool, or by
// an enabled L7 policy with at least one rule that redirects to it.
func (tx *Tx) ListenersOfPool(ctx context.Context, poolID string) ([]string, error) {
	byPool, err := tx.PoolListenerIDs(ctx, []string{poolID})
	return byPool[poolID], err
}
