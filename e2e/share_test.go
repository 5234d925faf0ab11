package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ottavino/ottavino/db/dbtest"
)

// TestTwoServersShare gives 100 concurrent creates to two server processes on one MariaDB. Both
// take part, and no load balancer is ever worked on by two at a time: the leases the servers
// logged do not overlap, and their tokens only rise.
func TestTwoServersShare(t *testing.T) {
	t.Parallel()
	const n = 100
	l := newLab(t, labOptions{engine: dbtest.MariaDB})
	l.serve()
	l.serveAnother()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	actors := make([]*actor, n)
	var g errgroup.Group
	for i := range actors {
		actors[i] = l.actor(fmt.Sprintf("shared-%d", i))
		g.Go(func() error { return actors[i].createLoadBalancer(ctx) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, a := range actors {
		if err := l.awaitActive(ctx, a); err != nil {
			t.Fatal(err)
		}
	}
	passes := l.passes()
	by := map[string]int{}
	for lb, ps := range passes {
		for i, p := range ps {
			by[p.Owner]++
			if i == 0 {
				continue
			}
			if p.Token <= ps[i-1].Token {
				t.Errorf("%s: lease token %d after %d", lb, p.Token, ps[i-1].Token)
			}
			if p.Start.Before(ps[i-1].End) {
				t.Errorf("%s: a pass of %s began at %s, before one of %s ended at %s",
					lb, p.Owner, p.Start, ps[i-1].Owner, ps[i-1].End)
			}
		}
	}
	t.Logf("passes by server: %v", by)
	if len(passes) < n || len(by) != 2 {
		t.Errorf("got passes over %d load balancers by %d servers, want %d by 2", len(passes), len(by), n)
	}
	for owner, count := range by {
		if count < n/10 {
			t.Errorf("%s made only %d passes", owner, count)
		}
	}
}

// pass is one pass of a worker, as it logged it.
type pass struct {
	Message string    `json:"msg"`
	LB      string    `json:"loadbalancer_id"`
	Owner   string    `json:"owner"`
	Token   int64     `json:"lease_token"`
	Start   time.Time `json:"started"`
	End     time.Time `json:"ended"`
}

// passes reads the servers' logs; by load balancer, in order of their tokens.
func (l *lab) passes() map[string][]pass {
	l.t.Helper()
	f, err := os.Open(l.log.Name())
	if err != nil {
		l.t.Fatal(err)
	}
	defer f.Close()
	out := map[string][]pass{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var p pass
		if json.Unmarshal(lines.Bytes(), &p) != nil || p.Message != "pass" {
			continue
		}
		ps := append(out[p.LB], p)
		for i := len(ps) - 1; i > 0 && ps[i].Token < ps[i-1].Token; i-- {
			ps[i], ps[i-1] = ps[i-1], ps[i]
		}
		out[p.LB] = ps
	}
	return out
}
