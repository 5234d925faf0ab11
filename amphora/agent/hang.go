package agent

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// hangPatience is how long haproxy may take connections on its socket without an answer. It answers in milliseconds, under any load.
const hangPatience = 30 * time.Second

// noteAnswer ends a haproxy that runs and does nothing, so that it is started again: nobody else would notice, and its clients get
// nothing. One whose sockets somebody deleted serves, but is deaf: it hands them on without their names, for ever. err is what asking
// it came to.
func (h *haproxy) noteAnswer(ctx context.Context, id string, err error) {
	silent, master := h.silentFor(id, err), h.pid(id)
	if master == 0 || silent < hangPatience && !h.isDeaf(id, master, err) {
		return
	}
	h.log.ErrorContext(ctx, "haproxy does not answer and is killed", "load_balancer_id", id, "pid", master, "error", err)
	for _, pid := range append(children(master), master) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// isDeaf says that a haproxy's sockets were there and are not any more.
func (h *haproxy) isDeaf(id string, master int, err error) bool {
	if err == nil {
		_, err = os.Stat(h.adminSocket(id))
	}
	if err == nil {
		h.hear(id, master)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return errors.Is(err, os.ErrNotExist) && h.heard[id] == master
}

// hear notes that a haproxy has its sockets.
func (h *haproxy) hear(id string, master int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard[id] = master
}

// silentFor is how long a haproxy has not answered; 0 = it has, or there is none to ask.
func (h *haproxy) silentFor(id string, err error) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, syscall.EAGAIN) { // the latter: too many wait already
		delete(h.silent, id)
		return 0
	}
	if h.silent[id].IsZero() {
		h.silent[id] = time.Now()
	}
	silent := time.Since(h.silent[id])
	if silent >= hangPatience {
		delete(h.silent, id) // its successor has as much time
	}
	return silent
}
