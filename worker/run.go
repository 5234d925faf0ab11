package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/obs"
)

// Run works until ctx ends, then lets running passes finish and gives their leases back.
// It returns nil when ctx ended it.
func (w *Worker) Run(ctx context.Context) error {
	// Passes outlive ctx for a while, so that what they learned is written down.
	passes, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var (
		wg   sync.WaitGroup
		done = make(chan time.Duration, w.cfg.Concurrency) // a pass has ended, and wants another so much later
		busy = 0
		next = w.Now().Add(w.cfg.PollInterval) // when to look again at the latest
	)
	ended := func(again time.Duration) {
		busy--
		if at := w.Now().Add(again); at.Before(next) {
			next = at
		}
	}
	wg.Go(func() { w.adopt(ctx) })
	for ctx.Err() == nil {
		leases := w.claim(ctx, w.cfg.Concurrency-busy)
		if !w.Now().Before(next) {
			next = w.Now().Add(w.cfg.PollInterval)
		}
		for _, l := range leases {
			busy++
			wg.Go(func() { done <- w.work(passes, l) })
		}
		if len(leases) == 0 || busy == w.cfg.Concurrency {
			w.idle(ctx, done, ended, next)
		}
		for len(done) > 0 {
			ended(<-done)
		}
	}
	stop := time.AfterFunc(w.cfg.Graceful, cut)
	defer stop.Stop()
	wg.Wait()
	return nil
}

// adopt takes over, now and then, what other services left pending.
func (w *Worker) adopt(ctx context.Context) {
	for {
		switch n, err := w.Store.Adopt(ctx); {
		case err != nil && ctx.Err() == nil:
			w.Log.WarnContext(ctx, "cannot look for stranded load balancers", "error", err)
		case n > 0:
			w.Log.InfoContext(ctx, "load balancers were pending and without work: they are taken over", "load_balancers", n)
		}
		if sleep(ctx, w.cfg.AdoptInterval) != nil {
			return
		}
	}
}

func (w *Worker) claim(ctx context.Context, n int) []db.Lease {
	if n == 0 {
		return nil
	}
	leases, err := w.Store.Claim(ctx, w.cfg.Owner, n, w.cfg.Lease)
	if err != nil && ctx.Err() == nil {
		w.Log.ErrorContext(ctx, "cannot look for work", "error", err)
		_ = sleep(ctx, time.Second)
	}
	return leases
}

// idle waits until there may be more to do: a pass ended, somebody committed work, or it is time to look.
func (w *Worker) idle(ctx context.Context, done <-chan time.Duration, ended func(time.Duration), until time.Time) {
	t := time.NewTimer(max(until.Sub(w.Now()), 0))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-w.Store.Wake():
	case <-t.C:
	case again := <-done:
		ended(again)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// work makes one pass over a leased load balancer and gives the lease back. It returns when another pass is due.
func (w *Worker) work(ctx context.Context, l db.Lease) time.Duration {
	ctx = obs.With(ctx, obs.IDs{LoadBalancerID: l.LoadBalancerID, RequestID: l.RequestID})
	started := w.Now()
	pass, lost := context.WithCancelCause(ctx)
	stop := w.keep(pass, l, lost)
	outcome := w.reconcile(pass, &l)
	stop()
	err := w.Store.Finish(ctx, &l, outcome.Outcome)
	if errors.Is(err, db.ErrLeaseLost) && outcome.gone {
		err = nil // the work row went with the load balancer
	}
	w.metrics.pass(outcome, w.Now().Sub(started))
	w.Log.DebugContext(ctx, "pass", "owner", w.cfg.Owner, "lease_token", l.Token, "started", started, "ended", w.Now(),
		"done", outcome.Done, "again", outcome.Again, "error", outcome.Err)
	if err != nil {
		w.Log.WarnContext(ctx, "lease not given back: another worker goes on when it runs out", "error", err)
	}
	if outcome.gone {
		return w.cfg.PollInterval
	}
	return outcome.Again
}

// keep extends the lease until stop is called; when it is lost the pass is cancelled.
func (w *Worker) keep(ctx context.Context, l db.Lease, lost context.CancelCauseFunc) (stop func()) {
	ended := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		t := time.NewTicker(w.cfg.Lease / 3)
		defer t.Stop()
		for {
			select {
			case <-ended:
				return
			case <-t.C:
			}
			if err := w.Store.Extend(ctx, &l, w.cfg.Lease); errors.Is(err, db.ErrLeaseLost) {
				lost(err)
				return
			}
		}
	}()
	return func() {
		close(ended)
		<-stopped
		lost(nil)
	}
}
