package agent

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // upstream's way to name peers
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// haproxy runs one haproxy per load balancer (there is only one in an amphora): a master process that outlives the
// agent, in the namespace amphora-haproxy. What runs is told by its pid file.
type haproxy struct {
	base, program, amphoraID string
	log                      *slog.Logger
	ledger                   *ledger
	services                 services

	asked sync.Once
	knows bool // what hurry says

	mu      sync.Mutex                   // guards what follows; changes are the agent's to serialise
	leaving map[string]map[string]bool   // servers that are removed and serve their last connections, by load balancer
	masters map[string]int               // pids
	workers map[string]int               // pids of those that serve; 0 = to be looked up
	wanted  map[string]bool              // load balancers that shall run
	old     map[string][]*oldWorker      // the oldest first
	silent  map[string]time.Time         // since when those that run do not answer, by load balancer
	heard   map[string]int               // masters that had their sockets, by load balancer
	loaded  map[string]map[string][]byte // files as they were when haproxy loaded them, by load balancer and path
}

func newHAProxy(conf Config, s services, l *ledger, log *slog.Logger) *haproxy {
	return &haproxy{
		base: conf.BasePath, program: conf.HAProxy, amphoraID: conf.AmphoraID, log: log, services: s, ledger: l,
		old: map[string][]*oldWorker{}, silent: map[string]time.Time{}, heard: map[string]int{},
		leaving: map[string]map[string]bool{}, masters: map[string]int{}, workers: map[string]int{}, wanted: map[string]bool{},
		loaded: map[string]map[string][]byte{},
	}
}

func (h *haproxy) dir(id string) string        { return filepath.Join(h.base, id) }
func (h *haproxy) configFile(id string) string { return filepath.Join(h.dir(id), "haproxy.cfg") }
func (h *haproxy) pidFile(id string) string    { return filepath.Join(h.dir(id), id+".pid") }
func (h *haproxy) socket(id string) string     { return filepath.Join(h.base, id+".sock") }
func (h *haproxy) groupFile() string           { return filepath.Join(h.base, "haproxy-default-user-group.conf") }

// defaultGroup is the group of the user nobody: distributions differ.
func defaultGroup() string {
	if _, err := user.LookupGroup("nogroup"); err == nil {
		return "nogroup"
	}
	return "haproxy"
}

// ids are the load balancers that have a configuration.
func (h *haproxy) ids() ([]string, error) {
	found, err := filepath.Glob(filepath.Join(h.base, "*", "haproxy.cfg"))
	for i, f := range found {
		found[i] = filepath.Base(filepath.Dir(f))
	}
	return found, err
}

func (h *haproxy) has(id string) bool {
	_, err := os.Stat(h.configFile(id))
	return err == nil
}

// peer is the name of this amphora in the peers section; package amphora/haproxy renders it.
func (h *haproxy) peer() string {
	sum := sha1.Sum([]byte(h.amphoraID)) //nolint:gosec // see the import
	name := strings.NewReplacer("+", "_", "/", "-", "=", "").Replace(base64.StdEncoding.EncodeToString(sum[:]))
	if rest, ok := strings.CutPrefix(name, "-"); ok {
		return "x" + rest
	}
	return name
}

// invalidConfig is what haproxy says about a configuration it would not run.
type invalidConfig struct{ output string }

func (e *invalidConfig) Error() string { return "haproxy refuses the configuration" }

// install checks a configuration and stores it; nothing is restarted.
func (h *haproxy) install(ctx context.Context, id string, cfg []byte) (output string, err error) {
	ctx = context.WithoutCancel(ctx)
	if err := makeDir(h.dir(id), 0o755); err != nil {
		return "", err
	}
	if err := h.writeOwn(ctx, id); err != nil {
		return "", err
	}
	candidate := h.configFile(id) + ".new"
	soft := soften(cfg)
	output, err = h.check(ctx, candidate, id, soft)
	var invalid *invalidConfig
	if errors.As(err, &invalid) && !bytes.Equal(soft, cfg) {
		output, err = h.check(ctx, candidate, id, cfg) // a haproxy that does not know what was added
	}
	if errors.As(err, &invalid) {
		_ = os.Rename(candidate, candidate+"-failed")
		h.restoreLoaded(ctx, id) // what it refuses may be a certificate
	}
	if err != nil {
		return output, err
	}
	return output, renameFile(candidate, h.configFile(id))
}

const sessionCache = "tune.ssl.cachesize"

// check writes a configuration to a file and asks haproxy whether it is valid.
func (h *haproxy) check(ctx context.Context, file, id string, cfg []byte) (output string, err error) {
	if err := replaceFile(file, cfg, 0o600); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, h.program, "-c", "-L", h.peer(), "-f", file, "-f", h.groupFile(), "-f", h.ownFile(id))
	if bytes.Contains(cfg, []byte(sessionCache)) {
		// The last one counts. haproxy fills the cache for a test, too, which for the size that upstream's controllers ask for
		// takes most of a second.
		cmd.Args, cmd.Stdin = append(cmd.Args, "-f", "/dev/stdin"), strings.NewReader("global\n    "+sessionCache+" 1\n")
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(out), &invalidConfig{asSentLines(string(out), cfg)}
	}
	return string(out), err
}

// pid is the master's; 0 when it does not run.
func (h *haproxy) pid(id string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if pid := h.masters[id]; h.is(pid) {
		return pid
	}
	pid := daemon(h.pidFile(id), h.is)
	if pid != 0 {
		h.masters[id] = pid
	}
	return pid
}

// is says that a process is there, and is a haproxy, or what haproxy_cmd names: no other that got its number.
func (h *haproxy) is(pid int) bool {
	if pid <= 1 {
		return false
	}
	const longest = 15 // of what the kernel keeps of names
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	name, program := strings.TrimSpace(string(comm)), filepath.Base(h.program)
	return err == nil && (strings.HasPrefix(name, "haproxy") || name == program[:min(len(program), longest)])
}

func (h *haproxy) running(id string) bool { return h.pid(id) != 0 }

func (h *haproxy) stop(ctx context.Context, id string) error {
	h.want(id, false)
	if h.running(id) {
		_, _ = h.account(id) // for the last time; one that does not answer is stopped, too
	}
	if err := h.services.stop(ctx, h.service(id), h.pid(id)); err != nil {
		return err
	}
	return poll(ctx, "haproxy to end", func() bool { return !h.running(id) })
}

func (h *haproxy) remove(ctx context.Context, id string) error {
	if err := h.stop(ctx, id); err != nil {
		return err
	}
	h.services.remove(ctx, h.service(id))
	h.forget(id)
	_ = errors.Join(os.Remove(h.socket(id)), os.Remove(h.adminSocket(id)), os.Remove(h.masterSocket(id)))
	return removeAll(h.dir(id))
}

// patience bounds how long haproxy may take for what it is told.
const patience = 45 * time.Second

func poll(ctx context.Context, what string, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for %s", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}

// command asks a worker over its stats socket.
func (h *haproxy) command(id, command string) ([]byte, error) { return h.ask(h.socket(id), command) }

func (h *haproxy) ask(socket, command string) ([]byte, error) {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := conn.Write([]byte(command + "\n")); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	_, err = out.ReadFrom(conn)
	return out.Bytes(), err
}

// binds are the addresses a configuration listens on.
func (h *haproxy) binds(id string) []netip.Addr {
	var out []netip.Addr
	h.directives(id, func(_ string, words []string) {
		if words[0] != "bind" || len(words) < 2 {
			return
		}
		cut := strings.LastIndexByte(words[1], ':')
		if cut < 0 {
			return
		}
		if a, err := netip.ParseAddr(words[1][:cut]); err == nil && !slices.Contains(out, a) {
			out = append(out, a)
		}
	})
	return out
}

// directives calls fn for every directive with its section's first line.
func (h *haproxy) directives(id string, fn func(section string, words []string)) {
	text, err := os.ReadFile(h.configFile(id))
	if err != nil {
		return
	}
	eachLine(text, func(section, _ string, words []string) { fn(section, words) })
}

func (h *haproxy) listeners(id string) []listener {
	var out []listener
	h.directives(id, func(section string, words []string) {
		name, ok := strings.CutPrefix(section, "frontend ")
		if !ok {
			return
		}
		if len(out) == 0 || out[len(out)-1].UUID != name {
			out = append(out, listener{Status: "ACTIVE", UUID: name})
		}
		l := &out[len(out)-1]
		switch {
		case words[0] == "mode" && len(words) > 1 && l.Type == "":
			l.Type = strings.ToUpper(words[1])
		case words[0] == "bind" && slices.Contains(words, "crt-list"):
			l.Type = "TERMINATED_HTTPS"
		}
	})
	return out
}
