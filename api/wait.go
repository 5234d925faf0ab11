package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ottavino/ottavino/db"
)

const (
	longestWait = 300 // seconds
	// lookEvery is how soon a change by another process is seen; one by this process is seen at once.
	lookEvery = 250 * time.Millisecond
)

// showLoadBalancer answers GET of a load balancer. With ?wait=seconds, which is not upstream's, it answers when the load balancer
// is not PENDING_* any more, when the time is up, or when the server is about to end: with what there is then.
func (s *Server) showLoadBalancer(c echo.Context) error {
	r, values := s.loadBalancers(), callOf(c).query["wait"]
	if values == nil {
		return r.show(c)
	}
	seconds, err := strconv.Atoi(values[0])
	if err != nil || len(values) > 1 || seconds < 0 || seconds > longestWait {
		return BadRequest(fmt.Sprintf("Invalid wait: one number of seconds from 0 to %d is needed.", longestWait))
	}
	c.SetPath(c.Path() + "?wait") // for the metrics: these take long because they are asked to
	if err := s.awaitSettled(c, time.Duration(seconds)*time.Second); err != nil {
		return err
	}
	return r.show(c)
}

// awaitSettled returns when the load balancer that a path names is not pending, or after the limit. While it waits it holds
// nothing but the client's connection.
func (s *Server) awaitSettled(c echo.Context, limit time.Duration) error {
	ctx := c.Request().Context()
	pending := false
	err := s.deps.Store.Read(ctx, func(ctx context.Context, tx *db.Tx) error {
		lb, err := s.loadBalancers().find(ctx, tx, c, "get_one")
		if err == nil {
			pending = isPending(lb.ProvisioningStatus)
		}
		return err
	})
	if err != nil || !pending {
		return err
	}
	// A server's limit for the answer is not meant for those who ask to wait. Writers that have none need not be told.
	_ = http.NewResponseController(c.Response()).SetWriteDeadline(time.Time{})
	settled, leave := s.watch.enter(ctx, c.Param("id"))
	defer leave()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-settled:
	case <-timer.C:
	case <-s.drained:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func isPending(status db.ProvisioningStatus) bool { return strings.HasPrefix(status, "PENDING_") }

// watch tells requests when load balancers are not pending any more. However many wait, one query at a time looks for
// all of them.
type watch struct {
	store *db.Store
	every time.Duration // between looks

	mu      sync.Mutex
	waiting map[*waiter]struct{}
	look    chan struct{} // a value has the looker look now
	stop    func()        // ends the looker and waits for it; nil while nobody waits
}

// waiter is a request that waits for a load balancer.
type waiter struct {
	lbID    string
	settled chan struct{} // closed when it is not pending, or absent
	told    bool
}

func newWatch(store *db.Store) *watch {
	return &watch{store: store, every: lookEvery, waiting: map[*waiter]struct{}{}}
}

// enter returns a channel that is closed when a load balancer is not pending. The caller calls leave when it waits no more.
func (w *watch) enter(ctx context.Context, lbID string) (settled <-chan struct{}, leave func()) {
	me := &waiter{lbID: lbID, settled: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting[me] = struct{}{}
	if w.stop == nil {
		w.start(context.WithoutCancel(ctx)) // it serves others, too
	}
	select {
	case w.look <- struct{}{}:
	default: // it is about to
	}
	return me.settled, func() { w.leave(me) }
}

func (w *watch) leave(me *waiter) {
	w.mu.Lock()
	delete(w.waiting, me)
	var stop func()
	if len(w.waiting) == 0 {
		stop, w.stop = w.stop, nil
	}
	w.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// start runs a looker; mu is held.
func (w *watch) start(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	look, done := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(done)
		w.run(ctx, look)
	}()
	w.look, w.stop = look, func() {
		cancel()
		<-done
	}
}

func (w *watch) run(ctx context.Context, look <-chan struct{}) {
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	for {
		moved := w.store.Moved() // before the look, so that nothing is missed
		w.tell(ctx)
		select {
		case <-ctx.Done():
			return
		case <-look:
		case <-moved:
		case <-tick.C:
		}
	}
}

// tell wakes those whose load balancer is settled. When the database cannot be asked nobody is: each will see that for
// itself when its time is up, unless it passes.
func (w *watch) tell(ctx context.Context) {
	asked := w.awaited()
	if len(asked) == 0 {
		return
	}
	var statuses map[string]db.ProvisioningStatus
	err := w.store.Read(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		statuses, err = tx.Statuses(ctx, db.KindLoadBalancer, slices.Collect(maps.Keys(asked)))
		return err
	})
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for x := range w.waiting {
		if asked[x.lbID] && !x.told && !isPending(statuses[x.lbID]) {
			x.told = true
			close(x.settled)
		}
	}
}

// awaited are the load balancers that somebody waits for.
func (w *watch) awaited() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := make(map[string]bool, len(w.waiting))
	for x := range w.waiting {
		if !x.told {
			ids[x.lbID] = true
		}
	}
	return ids
}
