package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// errNeedsReload says that haproxy has no commands for a change.
var errNeedsReload = errors.New("haproxy takes this change only with a reload")

// runtimeCommands are those that changes at runtime are made of; haproxy is asked whether it has them.
var runtimeCommands = []string{"add server", "del server", "set server", "enable health", "set ssl cert", "commit ssl cert"}

// adapt has the worker that runs do what the files say, by commands. Nothing is believed to have worked: the state that is
// there afterwards counts. Whatever is wrong then, a reload sets right.
func (h *haproxy) adapt(ctx context.Context, id string, to running, now layout) error {
	from, ok := h.known(id)
	if !ok {
		return errNeedsReload
	}
	was := parseLayout([]byte(from.Config))
	c, ok := difference(was, now)
	certificates, names, certsOK := renewals(from, to, now)
	if !ok || !certsOK {
		return errNeedsReload
	}
	if !c.empty() || len(certificates) > 0 {
		if err := h.canAdapt(id); err != nil {
			return err
		}
		// Whoever comes after a crash from here on knows what ran last, but not what runs: then the next change is a reload.
		from.Worker = ""
		if err := h.note(id, from); err != nil {
			return err
		}
	}
	said, err := h.changeServers(id, c)
	if err == nil {
		err = h.verifyServers(id, now)
	}
	if err != nil {
		return fmt.Errorf("%w (it said: %s)", err, strings.Join(said, "; "))
	}
	for _, c := range certificates {
		if err := h.changeCertificate(id, c); err != nil {
			return err
		}
	}
	to.Names = names
	if from.Config == to.Config && maps.Equal(from.Files, to.Files) {
		return nil
	}
	if err := h.remember(id, to); err != nil {
		h.log.WarnContext(ctx, "what haproxy runs is not noted: the next change is a reload", "error", err)
	}
	return nil
}

// canAdapt asks haproxy whether it has the commands.
func (h *haproxy) canAdapt(id string) error {
	help, err := h.admin(id, "help")
	if err != nil {
		return err
	}
	for _, command := range runtimeCommands {
		if !strings.Contains(help, "\n  "+command+" ") {
			return fmt.Errorf("%w: it has no command %q", errNeedsReload, command)
		}
	}
	return nil
}

// admin has the worker that serves execute a command. One that was replaced a moment ago may still answer in its place; what
// was executed there does not matter, and it is asked again. Some versions of haproxy have commands for servers only in
// experimental mode, the others do not mind.
func (h *haproxy) admin(id, command string) (string, error) {
	pid := h.serving(id)
	for deadline := time.Now().Add(patience); ; {
		out, err := h.ask(h.adminSocket(id), "experimental-mode on;show info;"+command)
		if err != nil {
			return "", err
		}
		info, answer, _ := strings.Cut(string(out), "\n\n") // what is shown ends with an empty line
		if strings.Contains(info, fmt.Sprintf("\nPid: %d\n", pid)) {
			return answer, nil
		}
		if time.Now().After(deadline) {
			return "", errors.New("another worker of haproxy answers")
		}
		h.setServing(id, 0) // haproxy may have been started anew
		pid = h.serving(id)
	}
}

// serving is the pid of the worker that serves, looked up once for every worker.
func (h *haproxy) serving(id string) int {
	h.mu.Lock()
	pid := h.workers[id]
	h.mu.Unlock()
	if pid == 0 {
		pid = h.current(id)
		h.setServing(id, pid)
	}
	return pid
}

func (h *haproxy) setServing(id string, pid int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.workers[id] = pid
}

// answers says that the worker that serves takes commands.
func (h *haproxy) answers(id string) bool {
	_, err := h.admin(id, "")
	return err == nil
}

// changeServers sends the commands and returns haproxy's answers. It stops at the first server that haproxy does not take:
// then nothing of the old is gone yet.
func (h *haproxy) changeServers(id string, c change) (said []string, err error) {
	send := func(format string, args ...any) error {
		out, err := h.admin(id, fmt.Sprintf(format, args...))
		if out = strings.TrimSpace(out); out != "" {
			said = append(said, out)
		}
		return err
	}
	for _, s := range c.added {
		if err := send("add server %s %s weight %d %s", s.name, address(s.address), s.weightOr1(), s.options); err != nil {
			return said, err
		}
		if !strings.HasSuffix(said[len(said)-1], "New server registered.") {
			return said, fmt.Errorf("server %s: %w", s.name, errNeedsReload)
		}
		enable := ""
		if s.has("check") {
			enable = "enable health " + s.name + ";"
		}
		if !s.disabled {
			enable += "set server " + s.name + " state ready"
		}
		if err := send("%s", enable); err != nil {
			return said, err
		}
	}
	for _, s := range c.changed {
		state := "ready"
		if s.disabled {
			state = "maint"
		}
		err := send("set server %[1]s addr %[2]s port %[3]d;set server %[1]s weight %[4]d;set server %[1]s state %[5]s",
			s.name, s.address.Addr(), s.address.Port(), s.weightOr1(), state)
		if err != nil {
			return said, err
		}
	}
	for _, name := range c.removed {
		h.leave(id, name)
		// Requests under way are served to their end; then retire deletes the server.
		if err := send("set server %s state maint", name); err != nil {
			return said, err
		}
	}
	h.retire(id)
	return said, nil
}

// address is haproxy's notation.
func address(a netip.AddrPort) string { return a.Addr().String() + ":" + strconv.Itoa(int(a.Port())) }

// State bits of `show servers state`.
const (
	forcedMaintenance = 0x01
	forcedDrain       = 0x08
	checkConfigured   = 0x02
	checkEnabled      = 0x04
)

// verifyServers compares the servers that haproxy has with those that it should have.
func (h *haproxy) verifyServers(id string, want layout) error {
	have, err := h.serversState(id)
	if err != nil {
		return err
	}
	for name, s := range want.servers {
		state, ok := have[name]
		switch {
		case !ok:
			return fmt.Errorf("haproxy does not have server %s", name)
		case state.address != s.address:
			return fmt.Errorf("haproxy has server %s at %s, not at %s", name, state.address, s.address)
		case state.weight != s.weightOr1():
			return fmt.Errorf("haproxy has server %s with weight %d, not %d", name, state.weight, s.weightOr1())
		case (state.admin&forcedMaintenance != 0) != s.disabled || state.admin&forcedDrain != 0:
			return fmt.Errorf("haproxy has server %s in administrative state %d", name, state.admin)
		case (state.check&(checkConfigured|checkEnabled) == checkConfigured|checkEnabled) != s.has("check"):
			return fmt.Errorf("haproxy has server %s with checks in state %d", name, state.check)
		}
	}
	for name, state := range have {
		if _, wanted := want.servers[name]; !wanted && state.admin&forcedMaintenance == 0 && !strings.Contains(want.rest, " : server "+state.server+" ") {
			return fmt.Errorf("haproxy still uses server %s", name)
		}
	}
	return nil
}

// serverState is a row of `show servers state`.
type serverState struct {
	server               string // its name without the backend's
	address              netip.AddrPort
	weight, admin, check int
}

func (h *haproxy) serversState(id string) (map[string]serverState, error) {
	text, err := h.admin(id, "show servers state")
	if err != nil {
		return nil, err
	}
	out := map[string]serverState{}
	rows := stateRows(text)
	if rows == nil {
		return nil, errors.New("haproxy's list of servers is not understood")
	}
	for _, get := range rows {
		number := func(column string) int {
			n, _ := strconv.Atoi(get(column))
			return n
		}
		addr, _ := netip.ParseAddr(get("srv_addr"))
		out[get("be_name")+"/"+get("srv_name")] = serverState{
			server: get("srv_name"), address: netip.AddrPortFrom(addr, uint16(number("srv_port"))), weight: number("srv_uweight"),
			admin: number("srv_admin_state"), check: number("srv_check_state"),
		}
	}
	return out, nil
}

// stateRows reads the table, by names of columns; nil when it is none.
func stateRows(text string) []func(string) string {
	_, table, ok := strings.Cut(text, "# ")
	if !ok {
		return nil
	}
	head, body, _ := strings.Cut(table, "\n")
	column := map[string]int{}
	for i, name := range strings.Fields(head) {
		column[name] = i
	}
	rows := []func(string) string{}
	for line := range strings.Lines(body) {
		if words := strings.Fields(line); len(words) == len(column) {
			rows = append(rows, func(name string) string { return words[column[name]] })
		}
	}
	return rows
}

// leave notes that a server is removed.
func (h *haproxy) leave(id, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.leaving[id] == nil {
		h.leaving[id] = map[string]bool{}
	}
	h.leaving[id][name] = true
}

// left says that a server is removed and only serves its last connections.
func (h *haproxy) left(id, name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.leaving[id][name]
}

// retire deletes servers that are removed, once they have no connections any more.
func (h *haproxy) retire(id string) {
	h.mu.Lock()
	names := slices.Sorted(maps.Keys(h.leaving[id]))
	h.mu.Unlock()
	if len(names) == 0 {
		return
	}
	for _, name := range names {
		_, _ = h.admin(id, "del server "+name) // refused while it has connections; haproxy closes idle ones after some seconds
	}
	have, err := h.serversState(id)
	if err != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.DeleteFunc(h.leaving[id], func(name string, _ bool) bool { _, there := have[name]; return !there })
}

// adopt learns what an agent before this one knew: what haproxy has loaded, and which servers are removed.
func (h *haproxy) adopt(id string) {
	r, ok := h.known(id)
	if !ok {
		return
	}
	h.keepFiles(id, r)
	have, err := h.serversState(id)
	if err != nil {
		return
	}
	want := parseLayout([]byte(r.Config))
	for name, state := range have {
		if _, stays := want.servers[name]; !stays && state.admin&forcedMaintenance != 0 {
			h.leave(id, name)
		}
	}
}
