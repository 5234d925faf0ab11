package db

import (
	"context"
	"time"
)

// Work is a row of ottavino_work: one per load balancer. It is the queue, the lock and the
// retry counter at once.
type Work struct {
	LoadBalancerID    string     `gorm:"column:load_balancer_id;primaryKey"`
	Generation        int64      `gorm:"column:generation"`         // raised by every change, in the change's transaction
	AppliedGeneration int64      `gorm:"column:applied_generation"` // last generation that reached its end state
	RunAfter          *time.Time `gorm:"column:run_after"`          // UTC with milliseconds; null = nothing to do
	Attempts          int        `gorm:"column:attempts"`           // failures in a row
	LastError         string     `gorm:"column:last_error"`
	LeaseOwner        string     `gorm:"column:lease_owner"`
	LeaseToken        int64      `gorm:"column:lease_token"` // raised by every claim; fences writes of older holders
	LeaseUntil        *time.Time `gorm:"column:lease_until"`
	RequestID         string     `gorm:"column:request_id"` // of the newest change, joins worker logs to API requests
}

// TableName implements gorm's Tabler.
func (Work) TableName() string { return "ottavino_work" }

// Lease is a worker's right to work on one load balancer until Until.
type Lease struct {
	LoadBalancerID string
	Owner          string
	Token          int64
	Generation     int64 // as read when claimed
	Attempts       int
	LastError      string
	RequestID      string
	Until          time.Time
}

// Touch raises the load balancer's work generation and makes it due now, creating its row.
// The commit of this transaction wakes local workers (see Store.Wake).
func (tx *Tx) Touch(ctx context.Context, lbID string) error { panic("todo") }

// Schedule makes the load balancer due at the given time at the latest, without raising the
// generation (drift checks, amphora replacement).
func (tx *Tx) Schedule(ctx context.Context, lbID string, at time.Time) error { panic("todo") }

// Claim leases up to n due load balancers for d. A row is due when run_after has passed and
// no live lease holds it. Uses SKIP LOCKED where the engine has it, a guarded UPDATE always.
func (s *Store) Claim(ctx context.Context, owner string, n int, d time.Duration) ([]Lease, error) {
	panic("todo")
}

// Extend prolongs a lease. ErrLeaseLost when it is another's now.
func (s *Store) Extend(ctx context.Context, l *Lease, d time.Duration) error { panic("todo") }

// LeaseTx is Tx for the holder of a lease: its first statement locks the work row and repeats the token,
// so nothing is written by a worker that lost it (ErrLeaseLost).
func (s *Store) LeaseTx(ctx context.Context, l *Lease, fn func(ctx context.Context, tx *Tx) error) error {
	panic("todo")
}

// Outcome is how a reconcile pass ended.
type Outcome struct {
	// Again is when to run again; 0 with Done false means at once. With Done it is the next
	// drift check; 0 then means never.
	Again time.Duration
	// Done says that Lease.Generation reached its end state. The row stays due when the
	// generation has moved on meanwhile.
	Done bool
	// Err is why the pass failed, shown to operators; it raises Attempts. Done clears both.
	Err string
}

// Finish gives the lease back with its outcome. ErrLeaseLost when it is another's now.
func (s *Store) Finish(ctx context.Context, l *Lease, o Outcome) error { panic("todo") }

// CurrentGeneration reads the load balancer's generation; inside LeaseTx it is stable until commit.
func (tx *Tx) CurrentGeneration(ctx context.Context, lbID string) (int64, error) { panic("todo") }

// ForgetWork removes the work row (after the load balancer is DELETED).
func (tx *Tx) ForgetWork(ctx context.Context, lbID string) error { panic("todo") }

// Wake receives a value soon after a local commit made work due, and after a PostgreSQL
// NOTIFY of another process. Waiters must also poll: other engines have no wake-up.
func (s *Store) Wake() <-chan struct{} { panic("todo") }

// Event is a row of ottavino_event: something that happened to a load balancer, for its owner.
type Event struct {
	ID             int64     `gorm:"column:id;primaryKey;autoIncrement"`
	LoadBalancerID string    `gorm:"column:load_balancer_id"`
	ProjectID      string    `gorm:"column:project_id"`
	ObjectKind     string    `gorm:"column:object_kind"` // a Kind
	ObjectID       string    `gorm:"column:object_id"`
	Type           string    `gorm:"column:type"`    // "Normal" or "Warning"
	Reason         string    `gorm:"column:reason"`  // CamelCase, stable, e.g. ServerBuildFailed
	Message        string    `gorm:"column:message"` // for people; never holds secrets
	RequestID      string    `gorm:"column:request_id"`
	Count          int       `gorm:"column:count"` // repeats of the same object, reason and message in a row
	FirstAt        time.Time `gorm:"column:first_at"`
	LastAt         time.Time `gorm:"column:last_at"`
}

// TableName implements gorm's Tabler.
func (Event) TableName() string { return "ottavino_event" }

// Emit records an event. The same object, reason and message as the newest one only raises its
// count. At most 200 rows are kept per load balancer.
func (tx *Tx) Emit(ctx context.Context, e Event) error { panic("todo") }
