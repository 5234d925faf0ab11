package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ottavino/ottavino/amphora"
)

// capabilities are what this agent has beyond API 1.0, for the version document: it lists certificates, and its "reload"
// changes servers and certificates of the worker that runs wherever that is enough.
var capabilities = []string{amphora.CapabilityCertificates, "runtime"}

// reload has haproxy run what its files say: by commands if that is enough, otherwise by a new worker.
func (h *haproxy) reload(ctx context.Context, id string) error {
	ctx = context.WithoutCancel(ctx) // half of it must not stay undone when the controller hangs up
	to, now, err := h.asWritten(id)
	if err != nil {
		return err
	}
	before, known := h.known(id)
	err = h.adapt(ctx, id, to, now)
	if err == nil {
		return nil
	}
	h.log.DebugContext(ctx, "haproxy gets a new worker", "load_balancer_id", id, "reason", err)
	if err := h.renew(ctx, id, to, now); err != nil {
		h.restoreLastGood(ctx, id)
		if known {
			h.goBack(ctx, id, before, to)
		}
		return err
	}
	h.forgetLeaving(id)
	if h.verifyServers(id, now) != nil { // whatever a new worker has from elsewhere
		_, _ = h.changeServers(id, change{changed: slices.Collect(maps.Values(now.servers))})
		if err := h.verifyServers(id, now); err != nil {
			h.log.WarnContext(ctx, "haproxy does not have its servers as configured", "load_balancer_id", id, "error", err)
		}
	}
	if err := h.remember(id, to); err != nil {
		h.log.WarnContext(ctx, "what haproxy runs is not noted: the next change is a reload", "error", err)
	}
	h.endOldWorkers(ctx, id)
	return nil
}

// goBack has the worker that goes on serve what it served before, as far as commands have changed that already. What
// it does not go back to is left to the next reload.
func (h *haproxy) goBack(ctx context.Context, id string, before, tried running) {
	l := parseLayout([]byte(before.Config))
	worker, err := h.worker(id)
	if err != nil || worker != before.Worker || h.verifyServers(id, l) != nil {
		return
	}
	for _, list := range before.Lists {
		for _, path := range certificatesIn([]byte(list)) {
			if before.Files[path] == tried.Files[path] {
				continue
			}
			err = errors.Join(err, h.changeCertificate(id, renewal{before.name(path), path}))
		}
	}
	if err == nil {
		err = h.remember(id, before)
	}
	if err != nil {
		h.log.WarnContext(ctx, "haproxy does not go back all the way: the next change is a reload", "error", err)
	}
}

// renew has the master start a worker with the new configuration. The old worker hands its sockets over and ends
// when its last connection does, so no connection is refused or cut. If the new one does not start, the old goes on.
func (h *haproxy) renew(ctx context.Context, id string, to running, now layout) error {
	if err := h.canBind(id, now); err != nil {
		return err
	}
	master := h.pid(id)
	before := children(master)
	h.saveState(id, now)
	_ = os.Truncate(h.wordsFile(id), 0)
	forked := func() bool { return !slices.Contains(before, h.current(id)) }
	told, err := h.services.readiness(h.service(id), master)
	if err != nil {
		h.log.WarnContext(ctx, "haproxy cannot tell when it is ready", "error", err)
		told = guessed(forked)
	}
	defer told.close()
	old, err := h.hold(id)
	if err != nil {
		h.log.WarnContext(ctx, "the last counters of the old worker may be lost", "error", err)
	}
	if err := syscall.Kill(master, syscall.SIGUSR2); err != nil {
		old.conn.close()
		return fmt.Errorf("signal haproxy: %w", err)
	}
	err = poll(ctx, "haproxy to take its configuration", func() bool { return told.ready() || !h.running(id) })
	if err == nil && forked() {
		h.replaced(id, old)
	} else {
		old.conn.close()
	}
	if err != nil {
		return err
	}
	if !forked() {
		return fmt.Errorf("haproxy does not run the configuration and goes on with the one before: %s", h.alerts(id, to.Config))
	}
	h.setServing(id, 0)
	return poll(ctx, "haproxy to answer", func() bool { return h.answers(id) })
}

// current is the worker that serves: the youngest; 0 when there is none.
func (h *haproxy) current(id string) int {
	workers := children(h.pid(id))
	if len(workers) == 0 {
		return 0
	}
	return workers[len(workers)-1]
}

// canBind tries what a new worker will bind and the old one has not. haproxy itself would pause the old worker while it tries,
// for two seconds in which nobody gets through.
func (h *haproxy) canBind(id string, now layout) error {
	r, err := h.lastGood(id)
	if err != nil {
		return nil //nolint:nilerr // nothing known: haproxy will tell
	}
	bound := parseLayout([]byte(r.Config)).binds
	return inNamespace(func() error {
		for at, frontend := range now.binds {
			if _, has := bound[at]; has {
				continue
			}
			if err := tryBind(at); err != nil {
				return fmt.Errorf("frontend %s: cannot bind %s: %w", frontend, at, err)
			}
		}
		return nil
	})
}

// tryBind binds as haproxy does, and lets go.
func tryBind(at netip.AddrPort) error {
	family, to := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()})
	if at.Addr().Is4() {
		family, to = unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1),
		unix.Bind(fd, to),
	)
}

// saveState keeps what haproxy knows of servers' health over a reload; without it, they are only checked anew.
func (h *haproxy) saveState(id string, now layout) {
	text, err := h.command(id, "show servers state")
	if err == nil {
		_ = replaceFile(filepath.Join(h.dir(id), "servers-state"), healthOnly(text, now), 0o644)
	}
}

// healthOnly leaves of the table what is health. haproxy also takes weights, maintenance and ports from there, against its
// configuration: every server gets the weight it began with, and those that are in maintenance, drained, or elsewhere now are
// left out.
func healthOnly(table []byte, now layout) []byte {
	var (
		out    strings.Builder
		column map[string]int
	)
	for line := range strings.Lines(string(table)) {
		words := strings.Fields(line)
		if column == nil {
			out.WriteString(line)
			if len(words) > 1 && words[0] == "#" {
				column = map[string]int{}
				for i, name := range words[1:] {
					column[name] = i
				}
			}
			continue
		}
		if len(words) != len(column) {
			continue
		}
		get := func(name string) string { return words[column[name]] }
		s := now.servers[get("be_name")+"/"+get("srv_name")]
		at, _ := parseAddrPort(get("srv_addr") + ":" + get("srv_port"))
		if get("srv_admin_state") == "0" && s.address == at {
			words[column["srv_uweight"]] = get("srv_iweight")
			out.WriteString(strings.Join(words, " ") + "\n")
		}
	}
	return []byte(out.String() + "\n")
}

// restoreLastGood brings back what haproxy ran last, configuration and certificates. The other configuration stays beside it, for
// who wants to see. It says whether anything was another.
func (h *haproxy) restoreLastGood(ctx context.Context, id string) bool {
	good, err := h.lastGood(id)
	if err != nil {
		return false
	}
	some, err := h.restoreFiles(id, good)
	now, readErr := os.ReadFile(h.configFile(id))
	if readErr == nil && string(now) != good.Config {
		some = true
		_ = replaceFile(h.configFile(id)+".new-failed", now, 0o600)
		err = errors.Join(err, replaceFile(h.configFile(id), []byte(good.Config), 0o600))
	}
	if err != nil {
		h.log.ErrorContext(ctx, "the last good configuration is not restored", "error", err)
	}
	return some
}

// maxOldWorkers bounds the workers that serve their last connections: each takes the memory of a haproxy, and clients that stay for
// days must not let them pile up. Beyond it the oldest ends, with its connections.
const maxOldWorkers = 16

func (h *haproxy) endOldWorkers(ctx context.Context, id string) {
	if _, err := h.account(id); err != nil { // those that serve nobody end by that
		h.log.DebugContext(ctx, "counters not read", "load_balancer_id", id, "error", err)
	}
	old := h.oldWorkers(id)
	for _, w := range old[:max(0, len(old)-maxOldWorkers)] {
		h.log.WarnContext(ctx, "too many old workers serve last connections: the oldest ends", "load_balancer_id", id, "pid", w.pid)
		_ = syscall.Kill(w.pid, syscall.SIGTERM)
	}
}

// children are a process's, the oldest first.
func children(parent int) []int {
	if parent <= 1 {
		return nil
	}
	type child struct{ pid, since int }
	var found []child
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is good
	for _, path := range stats {
		words, err := statOf(path)
		if err != nil || words[1] != strconv.Itoa(parent) { // ended meanwhile, or another's
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		since, _ := strconv.Atoi(words[startField])
		found = append(found, child{pid, since})
	}
	slices.SortFunc(found, func(a, b child) int { return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.pid, b.pid)) })
	var out []int
	for _, c := range found {
		out = append(out, c.pid)
	}
	return out
}

// want says whether a load balancer's haproxy shall run.
func (h *haproxy) want(id string, run bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wanted[id] = run
}

func (h *haproxy) isWanted(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.wanted[id]
}

func (h *haproxy) forgetLeaving(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.leaving, id)
}

// forget is for a load balancer that is removed.
func (h *haproxy) forget(id string) {
	h.letGo(id)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.leaving, id)
	delete(h.masters, id)
	delete(h.workers, id)
	delete(h.wanted, id)
	delete(h.loaded, id)
	delete(h.silent, id)
	delete(h.heard, id)
}
