package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/obs"
)

// States of the work on a load balancer.
const (
	workIdle      = "idle"      // nothing to do but a look now and then
	workQueued    = "queued"    // due now, or waiting for something in the cloud
	workRunning   = "running"   // a worker is at it
	workRetrying  = "retrying"  // the last attempt failed, the next one is at next_attempt_at
	workCancelled = "cancelled" // stopped by an administrator
)

// workOut is what is being done for a load balancer and why something of it is in ERROR. Octavia has no such resource.
type workOut struct {
	LoadBalancerID     string     `json:"loadbalancer_id"`
	ProvisioningStatus string     `json:"provisioning_status"`
	State              string     `json:"state"`
	Attempts           int        `json:"attempts"`        // failures in a row
	NextAttemptAt      *stamp     `json:"next_attempt_at"` // null: none is planned
	RequestID          string     `json:"request_id"`      // of the newest change
	Errors             []errorOut `json:"errors"`          // of each object that is in ERROR
	LastError          *errorOut  `json:"last_error"`      // the newest failure, healed or not; null: none is known
}

// errorOut is why an object is in ERROR.
type errorOut struct {
	ObjectType string `json:"object_type"`
	ObjectID   string `json:"object_id"`
	Reason     string `json:"reason"`
	Message    string `json:"message"`
	RequestID  string `json:"request_id"`
	Count      int    `json:"count"`
	FirstAt    *stamp `json:"first_at"`
	LastAt     *stamp `json:"last_at"`
}

// work answers GET …/loadbalancers/{id}/work.
func (s *Server) work(c echo.Context) error {
	if err := callOf(c).only("fields"); err != nil {
		return err
	}
	var out workOut
	err := s.deps.Store.Read(c.Request().Context(), func(ctx context.Context, tx *db.Tx) error {
		lb, err := s.loadBalancers().find(ctx, tx, c, "get_work")
		if err != nil {
			return err
		}
		out, err = s.viewWork(ctx, tx, lb)
		return err
	})
	if err != nil {
		return err
	}
	return s.writeOne(c, http.StatusOK, "work", out)
}

func (s *Server) viewWork(ctx context.Context, tx *db.Tx, lb *db.LoadBalancer) (workOut, error) {
	out := workOut{LoadBalancerID: lb.ID, ProvisioningStatus: lb.ProvisioningStatus, Errors: []errorOut{}}
	w, err := db.Get[db.Work](ctx, tx, lb.ID)
	if isAbsent(err) {
		w, err = &db.Work{}, nil
	}
	if err != nil {
		return out, err
	}
	out.State, out.Attempts, out.RequestID = stateOf(lb, w, s.deps.Now()), w.Attempts, w.RequestID
	if out.State == workQueued || out.State == workRetrying {
		out.NextAttemptAt = stampOf(w.RunAfter)
	}
	warnings, err := db.Where[db.Event](ctx, tx, "load_balancer_id = ? AND type = ?", lb.ID, "Warning")
	if err != nil {
		return out, err
	}
	slices.SortFunc(warnings, func(a, b db.Event) int { return cmp.Or(b.LastAt.Compare(a.LastAt), cmp.Compare(b.ID, a.ID)) })
	if len(warnings) > 0 {
		out.LastError = new(viewError(&warnings[0]))
	}
	tree, err := tx.Tree(ctx, lb.ID)
	if err != nil {
		return out, err
	}
	for _, o := range inError(tree) {
		out.Errors = append(out.Errors, errorOf(o, warnings))
	}
	return out, nil
}

func stateOf(lb *db.LoadBalancer, w *db.Work, now time.Time) string {
	switch {
	case w.Cancelled != nil:
		return workCancelled
	case w.LeaseUntil != nil && w.LeaseUntil.After(now):
		return workRunning
	case w.RunAfter == nil && w.LeaseUntil == nil:
		return workIdle
	case w.Attempts > 0:
		return workRetrying
	case lb.ProvisioningStatus == db.Active && w.Generation == w.AppliedGeneration:
		return workIdle
	}
	return workQueued
}

func viewError(e *db.Event) errorOut {
	return errorOut{
		ObjectType: e.ObjectKind, ObjectID: e.ObjectID, Reason: e.Reason, Message: e.Message, RequestID: e.RequestID,
		Count: e.Count, FirstAt: stampOf(&e.FirstAt), LastAt: stampOf(&e.LastAt),
	}
}

// broken is an object that is in ERROR.
type broken struct {
	kind db.Kind
	id   string
}

// errorOf finds the newest warning about an object, else the newest of all: what stops the load balancer stops its
// objects, too.
func errorOf(o broken, warnings []db.Event) errorOut {
	out := errorOut{Reason: "Unknown", Message: "the reason was not recorded"}
	for i := range warnings {
		if warnings[i].ObjectID == o.id {
			return viewError(&warnings[i])
		}
	}
	if len(warnings) > 0 {
		out = viewError(&warnings[0])
	}
	out.ObjectType, out.ObjectID = string(o.kind), o.id
	return out
}

// inError are the objects of a tree that are in ERROR, from the top.
func inError(t *db.Tree) []broken {
	var out []broken
	look := func(kind db.Kind, id, status string) {
		if status == db.Error {
			out = append(out, broken{kind, id})
		}
	}
	look(db.KindLoadBalancer, t.LoadBalancer.ID, t.LoadBalancer.ProvisioningStatus)
	for i := range t.Listeners {
		l := &t.Listeners[i]
		look(db.KindListener, l.ID, l.ProvisioningStatus)
		for j := range l.Policies {
			p := &l.Policies[j]
			look(db.KindL7Policy, p.ID, p.ProvisioningStatus)
			for k := range p.Rules {
				look(db.KindL7Rule, p.Rules[k].ID, p.Rules[k].ProvisioningStatus)
			}
		}
	}
	for i := range t.Pools {
		p := &t.Pools[i]
		look(db.KindPool, p.ID, p.ProvisioningStatus)
		if m := p.Monitor; m != nil {
			look(db.KindHealthMonitor, m.ID, m.ProvisioningStatus)
		}
		for j := range p.Members {
			look(db.KindMember, p.Members[j].ID, p.Members[j].ProvisioningStatus)
		}
	}
	return out
}

// workCall is what an administrator does to the work on a load balancer.
type workCall func(ctx context.Context, c *change) error

// workCalls are PUT …/loadbalancers/{id}/work/{action}.
var workCalls = map[string]workCall{
	"retry": func(ctx context.Context, c *change) error {
		if err := c.tx.RetryWork(ctx, c.lb.ID); err != nil {
			return err
		}
		return c.emit(ctx, db.KindLoadBalancer, c.lb.ID, "Retry")
	},
	"reset": func(ctx context.Context, c *change) error {
		if err := c.tx.ResetWork(ctx, c.lb.ID); err != nil {
			return err
		}
		return c.emit(ctx, db.KindLoadBalancer, c.lb.ID, "Reset")
	},
	"cancel": func(ctx context.Context, c *change) error { return c.cancel(ctx) },
}

// workRoutes are the calls on the work on a load balancer.
func (s *Server) workRoutes() []route {
	const path = "/loadbalancers/:id/work"
	out := []route{{
		method: http.MethodGet, path: path, handle: s.work, name: "show loadbalancer work", query: s.selection(),
		status: http.StatusOK, answer: shown[workOut]("work"),
	}}
	for action, do := range workCalls {
		out = append(out, route{
			method: http.MethodPut, path: path + "/" + action, handle: s.steer(action, do),
			name: action + " loadbalancer work", status: http.StatusAccepted,
		})
	}
	return out
}

// steer answers PUT …/work/{action}.
func (s *Server) steer(action string, do workCall) echo.HandlerFunc {
	return func(c echo.Context) error {
		q := callOf(c)
		if err := q.only(); err != nil {
			return err
		}
		_, at, err := s.loadBalancers().locateRow(c, "put_work_"+action)
		if err != nil {
			return err
		}
		if err := s.change(c.Request().Context(), q.who, at, do); err != nil {
			return err
		}
		return c.NoContent(http.StatusAccepted)
	}
}

// cancel is the transaction of …/work/cancel. Its event is a warning: it is why the load balancer is in ERROR.
func (c *change) cancel(ctx context.Context) error {
	w, err := db.Get[db.Work](ctx, c.tx, c.lb.ID)
	switch {
	case err == nil && w.Cancelled != nil:
		return nil
	case err != nil && !isAbsent(err):
		return err
	}
	err = c.tx.CancelWork(ctx, c.lb.ID)
	if errors.Is(err, db.ErrNoWork) {
		return conflict(fmt.Sprintf("Load Balancer %s is %s: there is no work to cancel.", c.lb.ID, c.lb.ProvisioningStatus))
	}
	if err != nil {
		return err
	}
	return c.tx.Emit(ctx, db.Event{
		LoadBalancerID: c.lb.ID, ProjectID: c.projectID, ObjectKind: string(db.KindLoadBalancer), ObjectID: c.lb.ID,
		Type: "Warning", Reason: "WorkCancelled",
		Message: "the work was cancelled by " + c.who.shownName() +
			"; it goes on with the next change, or when an administrator retries it",
		RequestID: obs.From(ctx).RequestID,
	})
}
