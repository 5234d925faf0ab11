package agent_test

import (
	"context"
	"syscall"
	"testing"
	"time"
)

// TestHAProxyHangs: one that runs and answers nobody is started again.
func TestHAProxyHangs(t *testing.T) {
	r := newRig(t).plugged()
	r.apply(r.config(r.web("one")))
	worker, master := r.worker(), r.master()
	if err := syscall.Kill(worker, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	for !r.servesAnew(worker, "one") {
		select {
		case <-ctx.Done():
			t.Fatal("haproxy hangs for ever")
		case <-time.After(100 * time.Millisecond):
		}
	}
	if now := r.master(); now == master {
		t.Errorf("the same haproxy runs: %d", now)
	}
}
