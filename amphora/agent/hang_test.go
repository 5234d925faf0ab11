package agent_test

import (
	"context"
	"os"
	"path/filepath"
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

// TestSocketsAreDeleted: a haproxy that cannot be reached any more is started again, and takes changes.
func TestSocketsAreDeleted(t *testing.T) {
	r := newRig(t).plugged()
	for _, suffix := range []string{".sock", ".adm"} {
		r.apply(r.config(r.web("before " + suffix)))
		worker := r.worker()
		if err := os.Remove(filepath.Join(r.dir, "octavia", lbID+suffix)); err != nil {
			t.Fatal(err)
		}
		r.until("another haproxy runs without "+suffix, func() bool { return r.servesAnew(worker, "before "+suffix) })
	}
	r.apply(r.config(r.web("two")))
	if got := r.words(1); got != "two" {
		t.Errorf("after a change: got %s", got)
	}
}
