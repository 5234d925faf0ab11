package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// glance is how long a haproxy that was started meanwhile is not watched yet, and the first pause after one that did not start.
	glance = 100 * time.Millisecond
	// round is how often the agent looks at what nobody tells it: a namespace that is gone, servers without connections.
	round = time.Second
	// longestRest bounds the pause between attempts to start a haproxy that does not start.
	longestRest = 30 * time.Second
	// maxWords bounds the file of haproxy's words.
	maxWords = 1 << 20
)

// guard starts haproxy again as soon as it ends, brings the namespace back, and deletes removed servers, until ctx ends.
func (a *Agent) guard(ctx context.Context) error {
	wake, end, err := os.Pipe()
	if err != nil {
		return err
	}
	defer wake.Close()
	defer context.AfterFunc(ctx, func() { _ = end.Close() })()
	g := &guardian{agent: a, rests: map[string]rest{}}
	for ctx.Err() == nil {
		if g.look(ctx); ctx.Err() == nil {
			a.awaitDeath(int(wake.Fd()), glance)
		}
	}
	return nil
}

// awaitDeath returns when a haproxy ends, something happens on wake, or the time is over.
func (a *Agent) awaitDeath(wake int, timeout time.Duration) {
	fds := []unix.PollFd{{Fd: int32(wake), Events: unix.POLLIN}}
	ids, _ := a.haproxy.ids()
	for _, id := range ids {
		pid := a.haproxy.pid(id)
		if pid == 0 {
			continue
		}
		if fd, err := unix.PidfdOpen(pid, 0); err == nil {
			defer unix.Close(fd)
			fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
	}
	if pid := a.vrrp.pid(); pid != 0 {
		if fd, err := unix.PidfdOpen(pid, 0); err == nil {
			defer unix.Close(fd)
			fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
	}
	_, _ = unix.Poll(fds, int(timeout.Milliseconds())) // interrupted: the next round is early
}

// guardian remembers how often haproxy did not start.
type guardian struct {
	agent  *Agent
	rests  map[string]rest
	looked time.Time // at what is looked at once a round
}

type rest struct {
	pause time.Duration
	until time.Time
}

func (g *guardian) look(ctx context.Context) {
	a := g.agent
	a.change.Lock()
	defer a.change.Unlock()
	ids, err := a.haproxy.ids()
	if err != nil {
		return
	}
	if time.Since(g.looked) >= round {
		g.looked = time.Now()
		g.tidy(ctx, ids)
	}
	if a.vrrp.missing() {
		g.revive(ctx, "keepalived", a.vrrp.start)
	}
	for _, id := range ids {
		if a.haproxy.running(id) || !a.haproxy.isWanted(id) {
			continue
		}
		g.revive(ctx, "haproxy of "+id, func(ctx context.Context) error { return a.haproxy.start(ctx, id) })
	}
}

// revive starts what has ended, with longer and longer pauses when that is in vain.
func (g *guardian) revive(ctx context.Context, what string, start func(context.Context) error) {
	if time.Now().Before(g.rests[what].until) {
		return
	}
	g.agent.log.ErrorContext(ctx, "a service has ended and is started again", "service", what)
	if err := start(ctx); err != nil {
		g.agent.log.ErrorContext(ctx, "a service does not start", "service", what, "error", err)
		pause := min(max(glance, 2*g.rests[what].pause), longestRest)
		g.rests[what] = rest{pause, time.Now().Add(pause)}
		return
	}
	delete(g.rests, what)
}

func (g *guardian) tidy(ctx context.Context, ids []string) {
	if err := g.agent.restoreNamespace(ctx); err != nil {
		g.agent.log.ErrorContext(ctx, "the namespace is not restored", "error", err)
	}
	if err := g.agent.replug(ctx); err != nil {
		g.agent.log.ErrorContext(ctx, "an interface that came back is not plugged", "error", err)
	}
	for _, id := range ids {
		g.agent.haproxy.retire(id)
		g.agent.haproxy.trimWords(id)
	}
}

// restoreNamespace brings back a namespace that somebody deleted. While something of ours is in it, only its name is gone.
func (a *Agent) restoreNamespace(ctx context.Context) error {
	if _, err := os.Stat(namespaceFile); err == nil || !errors.Is(err, os.ErrNotExist) {
		return nil
	}
	ids, err := a.haproxy.ids()
	if err != nil {
		return err
	}
	if len(ids) == 0 && len(plugged(a.config().BasePath)) == 0 {
		return nil // there was none yet
	}
	a.log.ErrorContext(ctx, "the namespace is gone and is restored", "namespace", namespace)
	if pid := a.inside(ids); pid != 0 {
		out, err := exec.CommandContext(ctx, "ip", "netns", "attach", namespace, strconv.Itoa(pid)).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	return errors.Join(ensureNamespace(ctx), a.restoreInterfaces(ctx))
}

// inside is a process that is in the namespace; 0 = there is none.
func (a *Agent) inside(ids []string) int {
	for _, id := range ids {
		if pid := a.haproxy.pid(id); pid != 0 {
			return pid
		}
	}
	for _, id := range a.lvs.ids() {
		if pid := a.lvs.pid(id); pid != 0 {
			return pid
		}
	}
	return a.vrrp.pid()
}

// trimWords empties the file of haproxy's words when it has grown: servers that come and go are told there for ever.
func (h *haproxy) trimWords(id string) {
	if info, err := os.Stat(h.wordsFile(id)); err == nil && info.Size() > maxWords {
		_ = os.Truncate(h.wordsFile(id), 0)
	}
}
