package db

import "context"

// Pending says what the API does with changes to a load balancer that is PENDING_*.
// [api_settings] pending_changes.
type Pending string

// AcceptPending takes changes while PENDING_CREATE and PENDING_UPDATE (and in ERROR);
// RejectPending is upstream's behaviour: everything but ACTIVE is immutable.
const (
	AcceptPending Pending = "accept"
	RejectPending Pending = "reject"
)

// BeginChange locks the load balancer's row, tests that it may be changed (else
// *ImmutableError; DELETED or absent: *NotFoundError), sets it PENDING_UPDATE (a load balancer still
// PENDING_CREATE keeps that status), and raises its work generation.
func (tx *Tx) BeginChange(ctx context.Context, lbID string, mode Pending) (*LoadBalancer, error) {
	panic("todo")
}

// BeginDelete is BeginChange for DELETE of the load balancer itself: it sets PENDING_DELETE.
// Deletable are ACTIVE and ERROR; with AcceptPending every status. Already PENDING_DELETE:
// with AcceptPending nil error and again=true.
func (tx *Tx) BeginDelete(ctx context.Context, lbID string, mode Pending) (lb *LoadBalancer, again bool, err error) {
	panic("todo")
}

// MarkPending sets provisioning_status of the given children (never downgrading
// PENDING_DELETE or PENDING_CREATE to PENDING_UPDATE).
func (tx *Tx) MarkPending(ctx context.Context, kind Kind, status ProvisioningStatus, ids ...string) error {
	panic("todo")
}

// ListenersOfPool returns the ids of the listeners that use a pool: by default pool, or by
// an enabled L7 policy with at least one rule that redirects to it.
func (tx *Tx) ListenersOfPool(ctx context.Context, poolID string) ([]string, error) { panic("todo") }
