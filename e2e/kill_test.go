package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbtest"
)

// kills is how often the server dies in a run.
const kills = 50

// TestKilledAtRandomMoments kills the server with SIGKILL at 50 random moments while tenants
// create, change and delete, on each database engine. In the end every load balancer that was
// to stay is ACTIVE, every other one is gone, and the cloud holds nothing that belongs to nobody.
func TestKilledAtRandomMoments(t *testing.T) {
	t.Parallel()
	for _, engine := range dbtest.Engines() {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			l := newLab(t, labOptions{engine: engine})
			server := l.serve()
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
			defer cancel()
			busy, rest := context.WithCancel(ctx)
			done := make(chan []*actor, 1)
			go func() { done <- l.tenantsAtWork(busy, ctx, 6) }()
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			dice := rand.New(rand.NewPCG(seed, 0))
			for range kills {
				if pause(ctx, time.Duration(dice.IntN(600))*time.Millisecond) != nil {
					break
				}
				server.kill()
				server.start()
			}
			rest()
			l.assertEndStates(ctx, <-done)
		})
	}
}

// tenantsAtWork has n tenants live one life after the other until busy ends; lives that have
// begun are lived to their end. Every second one leaves its load balancer behind.
func (l *lab) tenantsAtWork(busy, ctx context.Context, n int) []*actor {
	lives := make(chan []*actor, n)
	var g errgroup.Group
	for tenant := range n {
		g.Go(func() error {
			var mine []*actor
			for i := 0; i == 0 || busy.Err() == nil; i++ {
				a := l.actor(fmt.Sprintf("tenant-%d-%d", tenant, i))
				a.keep = i%2 == 0 && i < 4
				mine = append(mine, a)
				if err := a.live(ctx); err != nil {
					l.t.Error(err)
					break
				}
			}
			lives <- mine
			return nil
		})
	}
	_ = g.Wait()
	close(lives)
	var all []*actor
	for mine := range lives {
		all = append(all, mine...)
	}
	return all
}

// assertEndStates waits until every load balancer is what its tenant wanted it to be, then has
// all of them deleted and looks for what is left.
func (l *lab) assertEndStates(ctx context.Context, all []*actor) {
	l.t.Helper()
	l.t.Logf("%d load balancers lived", len(all))
	var g errgroup.Group
	for _, a := range all {
		g.Go(func() error {
			if !a.keep {
				return l.awaitGone(ctx, a)
			}
			if err := l.awaitActive(ctx, a); err != nil {
				return err
			}
			if err := a.delete(ctx); err != nil {
				return err
			}
			return l.awaitGone(ctx, a)
		})
	}
	if err := g.Wait(); err != nil {
		l.t.Error(err)
	}
	l.recordsRunOut(ctx)
	l.assertNoLeaks()
}

// recordsRunOut has the time be over that creates have, after which a worker looks for what those left behind that died before
// their rows. It must not be more than two minutes.
func (l *lab) recordsRunOut(ctx context.Context) {
	l.t.Helper()
	store := dbtest.Open(l.t, db.Config{URL: l.db})
	err := store.Tx(ctx, func(ctx context.Context, tx *db.Tx) error {
		records, err := db.Where[db.Work](ctx, tx, "generation = 0 AND run_after IS NOT NULL")
		for _, r := range records {
			if left := time.Until(*r.RunAfter); left > 2*time.Minute {
				l.t.Errorf("a create of before is looked after in %s", left)
			}
			err = errors.Join(err, tx.Schedule(ctx, r.LoadBalancerID, time.Now()))
		}
		l.t.Logf("%d creates died before their rows", len(records))
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
}
