package api_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/db"
)

// TestConcurrentChanges adds listeners of one load balancer at the same time: with changes
// accepted while pending all succeed, none gets another's peer port, every one raises the
// generation, and of many that want the same port one wins.
func TestConcurrentChanges(t *testing.T) {
	t.Parallel()
	onEach(t, testConcurrentChanges, func(c *api.Config, _ *api.Deps) {
		c.PendingChanges, c.Quotas = db.AcceptPending, db.QuotaDefaults{db.QuotaListener: 10}
	})
}

func testConcurrentChanges(t *testing.T, f *fixture) {
	t.Helper()
	lb := f.loadBalancer()
	before := f.generation(lb)
	statuses := make([]int, 24)
	var group errgroup.Group
	for i := range statuses {
		group.Go(func() error {
			port := 100 + i // the first 8 differ, the next 8 want the same port, the rest is over quota or late
			if i >= 8 {
				port = 99
			}
			statuses[i] = f.do("POST", listeners, fmt.Sprintf(
				`{"listener": {"loadbalancer_id": "%s", "protocol": "TCP", "protocol_port": %d}}`, lb, port)).status
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	count := map[int]int{}
	for _, s := range statuses {
		count[s]++
	}
	if count[http.StatusCreated] != 9 || count[http.StatusConflict] != 15 {
		t.Errorf("statuses: got %v, want 9 created and 15 conflicts", count)
	}
	var rows []db.Listener
	err := f.store.Read(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		rows, err = db.Where[db.Listener](ctx, tx, "load_balancer_id = ?", lb)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	peers := map[int]bool{}
	for i := range rows {
		peers[*rows[i].PeerPort] = true
	}
	if len(peers) != 9 {
		t.Errorf("peer ports: got %d different ones of %d listeners, want 9", len(peers), len(rows))
	}
	if got := f.generation(lb) - before; got != 9 {
		t.Errorf("generation: raised %d times, want 9", got)
	}
}

// generation reads a load balancer's work generation.
func (f *fixture) generation(lbID string) int64 {
	f.t.Helper()
	var n int64
	err := f.store.Read(f.t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		n, err = tx.CurrentGeneration(ctx, lbID)
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}
