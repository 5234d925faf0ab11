package worker_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/internal/certtest"
)

// sized is a rig with a load balancer and a TLS listener on amphorae of so much memory.
func sized(t *testing.T, memoryKiB int64) (r *rig, id string) {
	t.Helper()
	r = newRig(t)
	r.agent.grow(memoryKiB)
	id = r.balancer()
	r.active(id)
	if cfg := r.config(id); cfg == "" || strings.Contains(cfg, "tune.ssl.cachesize") {
		t.Errorf("got %s\nwant a configuration without a session cache where nobody speaks TLS", cfg)
	}
	r.terminated(id, 443, []string{r.deposit(certtest.Issue(t, nil, "www").Bundle())})
	r.active(id)
	return r, id
}

// grow sets the memory of amphorae.
func (f *flaky) grow(memoryKiB int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.memory = memoryKiB
}

// cache is the line that sizes the session cache; "" = none.
func cache(cfg string) string {
	for line := range strings.Lines(cfg) {
		if size, ok := strings.CutPrefix(strings.TrimSpace(line), "tune.ssl.cachesize "); ok {
			return size
		}
	}
	return ""
}

func count(calls []string, call string) (n int) {
	for _, c := range calls {
		if c == call {
			n++
		}
	}
	return n
}

// noDetails is a plan in which asking for details fails so.
func noDetails(err error) func(int, string) (error, bool) {
	return func(_ int, op string) (error, bool) {
		if op == "details" {
			return err, false
		}
		return nil, false
	}
}

// What is left for sessions of this memory, beside two listeners with 50000 connections each, is that many blocks.
const (
	memory, blocks         = 4_300_000, "40000"
	lessMemory, fewerBlock = 4_290_000, "28000"
)

// TestSessionCacheOfAmphora: it is sized by the amphora's memory, without another request, and stays as it is when the agent does
// not tell for once, with whatever error.
func TestSessionCacheOfAmphora(t *testing.T) {
	t.Parallel()
	r, id := sized(t, memory)
	if got := cache(r.config(id)); got != blocks {
		t.Errorf("got %q blocks, want %s", got, blocks)
	}
	r.agent.plan(nil)
	r.member(id, "10.10.0.251")
	r.active(id)
	if calls := r.agent.made(); count(calls, "details") != count(calls, "info") || count(calls, "details") == 0 {
		t.Errorf("got calls %v, want details once in a pass", calls)
	}
	r.agent.plan(noDetails(agentError(http.StatusInternalServerError, false)))
	r.member(id, "10.10.0.252")
	r.active(id)
	r.agent.plan(noDetails(agentError(0, true)))
	r.member(id, "10.10.0.253")
	r.active(id)
	if cfg := r.config(id); cache(cfg) != blocks || !strings.Contains(cfg, "10.10.0.253:80") {
		t.Errorf("got %s\nwant the new member and %s blocks", cfg, blocks)
	}
	r.remove(id)
}

// replace has the amphora replaced, by one whose agent tells nothing before it was plugged, and returns the sizes of the session
// cache in all configurations that it gets.
func (r *rig) replace(id string, never bool) []string {
	r.t.Helper()
	old := r.tree(id).Amphorae[0]
	var got []string
	plugged, refused := false, noDetails(agentError(http.StatusInternalServerError, false))
	r.agent.plan(func(_ int, op string) (error, bool) {
		plugged = plugged || op == "plug VIP"
		if plugged && !never {
			return nil, false
		}
		return refused(0, op)
	})
	r.agent.refuses(func(cfg string) error { got = append(got, cache(cfg)); return nil })
	r.alter(id, func(ctx context.Context, tx *db.Tx) error {
		old.Status = db.Error
		return db.Update(ctx, tx, &old, "status")
	})
	r.until("another amphora serves", func() bool {
		t := r.tree(id)
		return len(t.Amphorae) == 1 && t.Amphorae[0].ID != old.ID && t.Amphorae[0].Status == db.Allocated
	})
	r.active(id)
	r.member(id, "10.10.0.251")
	r.active(id)
	r.agent.refuses(nil)
	return slices.Compact(got)
}

// TestSessionCacheOfSuccessor has its own size, and has it from the first configuration on.
func TestSessionCacheOfSuccessor(t *testing.T) {
	t.Parallel()
	r, id := sized(t, memory)
	r.agent.grow(lessMemory)
	if got := r.replace(id, false); !slices.Equal(got, []string{fewerBlock}) {
		t.Errorf("got %q blocks in turn, want %s", got, fewerBlock)
	}
	r.remove(id)
}

// TestUnknownSizeFailsNothing: haproxy's own size is as good.
func TestUnknownSizeFailsNothing(t *testing.T) {
	t.Parallel()
	r, id := sized(t, memory)
	if got := r.replace(id, true); !slices.Equal(got, []string{""}) {
		t.Errorf("got %q blocks in turn, want none", got)
	}
	r.remove(id)
}
