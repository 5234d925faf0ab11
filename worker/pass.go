package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/network"
)

// outcome is how a pass ended. gone says that the work row was removed.
type outcome struct {
	db.Outcome
	gone bool
}

// pass is one look at one load balancer.
type pass struct {
	*Worker
	lease *db.Lease
	tree  *db.Tree
	// calm says that nobody asked for anything: this is a drift check, or the retry of one.
	calm   bool
	blamed map[object]string       // what cannot be applied, with the reason
	server map[string]info         // by amphora id: what its agent said in this pass
	seen   map[string]network.Port // by id: the amphora's, as they are now

	copies  map[string]db.SecretCopy // by id, as they were when the pass began
	secrets []*userSecret            // what is referred to; filled by readSecrets
	unread  *failure                 // a secret that cannot be read now and has no copy; nil = none

	refused refused // listeners
}

// object is one row of the tree.
type object struct {
	kind db.Kind
	id   string
}

// info is what an agent told about its amphora.
type info struct {
	amphora.Info
	amphora.Details
	size size
}

// size is what haproxy.cfg depends on of the machine; the zero value is an unknown one.
type size struct {
	cpus      int
	pinned    bool
	memoryKiB int64
}

func sizeOf(d amphora.Details) size {
	return size{d.CPUCount, slices.Contains(strings.Fields(d.TunedProfiles), "amphora"), d.MemoryKiB}
}

// notYet ends a pass that waits for something that is on its way.
type notYet struct {
	what  string
	after time.Duration
}

func (e *notYet) Error() string { return "waiting for " + e.what }

// later makes a notYet whose pause grows with what has been waited already.
func (w *Worker) later(what string, since time.Time, longest time.Duration) error {
	waited := w.Now().Sub(since)
	return &notYet{what, min(max(waited/8, w.cfg.WaitFirst), longest)}
}

// failure gives an error a reason that events and operators can tell apart.
type failure struct {
	reason string // CamelCase
	kind   db.Kind
	id     string
	err    error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// reconcile makes the next useful steps for a load balancer.
func (w *Worker) reconcile(ctx context.Context, l *db.Lease) outcome {
	p := &pass{Worker: w, lease: l, blamed: map[object]string{}, server: map[string]info{}, seen: map[string]network.Port{}}
	gone, err := p.run(ctx)
	var wait *notYet
	switch {
	case gone:
		return outcome{gone: true}
	case err == nil:
		return outcome{Outcome: db.Outcome{Done: true, Again: p.nextLook()}}
	case errors.As(err, &wait):
		return outcome{Outcome: db.Outcome{Again: wait.after}}
	case errors.Is(err, errMoved):
		return outcome{}
	case ctx.Err() != nil:
		// The process ends or the lease was lost: that is nobody's failure.
		return outcome{Outcome: db.Outcome{Again: w.cfg.WaitFirst}}
	}
	return outcome{Outcome: db.Outcome{Err: err.Error(), Again: w.failed(ctx, p, err)}}
}

// errMoved says that the load balancer was changed while the pass was on its way.
var errMoved = errors.New("changed meanwhile")

func (p *pass) run(ctx context.Context) (gone bool, err error) {
	err = p.Store.Read(ctx, func(ctx context.Context, tx *db.Tx) error {
		if p.tree, err = tx.Tree(ctx, p.lease.LoadBalancerID); err != nil {
			return err
		}
		p.copies, err = tx.SecretCopies(ctx, p.lease.LoadBalancerID)
		return err
	})
	var absent *db.NotFoundError
	switch {
	case errors.As(err, &absent):
		err := p.sweep(ctx)
		return err == nil, err
	case err != nil:
		return false, err
	}
	lb := p.tree.LoadBalancer
	p.calm = lb.ProvisioningStatus == db.Active
	switch lb.ProvisioningStatus {
	case db.Deleted:
		err := p.write(ctx, func(ctx context.Context, tx *db.Tx) error { return tx.ForgetWork(ctx, lb.ID) })
		return err == nil, err
	case db.PendingDelete:
		err := p.tearDown(ctx)
		return err == nil, err
	}
	return false, p.converge(ctx)
}

// nextLook is when a load balancer that needs nothing is looked at again; 0 = never.
func (w *Worker) nextLook() time.Duration {
	if w.cfg.DriftInterval < 0 {
		return 0
	}
	return jitter(w.cfg.DriftInterval)
}

// jitter spreads a duration by a quarter to both sides.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.75 + rand.Float64()/2)) //nolint:gosec // nothing secret
}

// write runs fn in a transaction that only the holder of the lease can commit.
func (p *pass) write(ctx context.Context, fn func(ctx context.Context, tx *db.Tx) error) error {
	return p.Store.LeaseTx(ctx, p.lease, fn)
}

// failed notes a failure for the owner, shows ERROR when the budget is used up, and returns the pause
// before the next attempt.
func (w *Worker) failed(ctx context.Context, p *pass, err error) time.Duration {
	attempts := p.lease.Attempts + 1
	w.Log.WarnContext(ctx, "pass failed", "attempt", attempts, "error", err)
	if p.tree != nil {
		noted := p.write(ctx, func(ctx context.Context, tx *db.Tx) error { return p.note(ctx, tx, err, attempts >= w.cfg.RetryBudget) })
		if noted != nil {
			w.Log.WarnContext(ctx, "failure not noted", "error", noted)
		}
	}
	wait := w.cfg.RetryMax
	if shift := attempts - 1; shift < 16 {
		wait = min(w.cfg.RetryFirst<<shift, w.cfg.RetryMax)
	}
	var asked *cloud.Error
	if errors.As(err, &asked) && asked.RetryAfter > 0 {
		wait = max(wait, min(asked.RetryAfter, w.cfg.RetryMax))
	}
	return jitter(wait)
}

func (p *pass) note(ctx context.Context, tx *db.Tx, err error, exhausted bool) error {
	if err := tx.Emit(ctx, p.event(err)); err != nil || !exhausted {
		return err
	}
	return tx.GiveUp(ctx, p.tree.LoadBalancer.ID)
}

// event tells the owner of a failure.
func (p *pass) event(err error) db.Event {
	e := p.about(db.KindLoadBalancer, p.tree.LoadBalancer.ID, "Warning", reason(err), err.Error())
	var f *failure
	if errors.As(err, &f) && f.id != "" {
		e.ObjectKind, e.ObjectID = string(f.kind), f.id
	}
	return e
}

func (p *pass) about(kind db.Kind, id, severity, reason, message string) db.Event {
	return db.Event{
		LoadBalancerID: p.tree.LoadBalancer.ID, ProjectID: deref(p.tree.LoadBalancer.ProjectID), RequestID: p.lease.RequestID,
		ObjectKind: string(kind), ObjectID: id, Type: severity, Reason: reason, Message: message,
	}
}

// reason is the word for an error that events carry.
func reason(err error) string {
	var (
		f     *failure
		c     *cloud.Error
		agent *amphora.AgentError
	)
	switch {
	case errors.As(err, &f):
		return f.reason
	case errors.As(err, &c):
		return cloudReasons[c.Class]
	case errors.As(err, &agent) && agent.NotReady:
		return "AgentUnreachable"
	case errors.As(err, &agent):
		return "AgentRefused"
	}
	return "InternalError"
}

var cloudReasons = map[cloud.Class]string{
	cloud.Final: "CloudRefused", cloud.Gone: "CloudObjectMissing", cloud.Conflict: "CloudConflict", cloud.Quota: "CloudQuotaExceeded",
	cloud.RateLimited: "CloudRateLimited", cloud.Unauthorized: "CloudUnauthorized", cloud.Unavailable: "CloudUnavailable",
}

func deref[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}

func ptr[T any](v T) *T { return &v }

// sweep removes what a create left that never got its rows: the API noted the id before it made the port.
func (p *pass) sweep(ctx context.Context) error {
	id := p.lease.LoadBalancerID
	p.tree = nil
	if err := p.deletePortsNamed(ctx, portNames{vip: id}); err != nil {
		return err
	}
	if err := p.deleteGroup(ctx, id); err != nil {
		return err
	}
	err := p.write(ctx, func(ctx context.Context, tx *db.Tx) error { return tx.ForgetWork(ctx, id) })
	if err != nil {
		return fmt.Errorf("forget %s: %w", id, err)
	}
	return nil
}
