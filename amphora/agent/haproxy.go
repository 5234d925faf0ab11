package agent

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // upstream's way to name peers
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// haproxy runs one haproxy per load balancer (there is only one in an amphora): a master process that outlives the
// agent, in the namespace amphora-haproxy. What runs is told by its pid file.
type haproxy struct {
	base, program, amphoraID string
}

func (h *haproxy) dir(id string) string        { return filepath.Join(h.base, id) }
func (h *haproxy) configFile(id string) string { return filepath.Join(h.dir(id), "haproxy.cfg") }
func (h *haproxy) pidFile(id string) string    { return filepath.Join(h.dir(id), id+".pid") }
func (h *haproxy) socket(id string) string     { return filepath.Join(h.base, id+".sock") }
func (h *haproxy) groupFile() string           { return filepath.Join(h.base, "haproxy-default-user-group.conf") }

func (h *haproxy) limitsFile() string { return filepath.Join(h.base, "haproxy-limits.conf") }

// limits lets haproxy run with fewer file descriptors than its connection limit would take: where the amphora's limit is
// lower (a container), serving fewer connections is better than serving none.
const limits = "global\n    no strict-limits\n"

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
	if err := os.MkdirAll(h.dir(id), 0o755); err != nil {
		return "", err
	}
	candidate := h.configFile(id) + ".new"
	if err := replaceFile(candidate, cfg, 0o600); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, h.program, "-c", "-L", h.peer(), "-f", candidate, "-f", h.groupFile()).CombinedOutput()
	if err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			return string(out), err
		}
		_ = os.Rename(candidate, candidate+"-failed")
		return string(out), &invalidConfig{string(out)}
	}
	return string(out), os.Rename(candidate, h.configFile(id))
}

// pid is the master's; 0 when it does not run.
func (h *haproxy) pid(id string) int {
	text, err := os.ReadFile(h.pidFile(id))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 {
		return 0
	}
	// The number may be another's by now.
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || strings.TrimSpace(string(name)) != "haproxy" {
		return 0
	}
	return pid
}

func (h *haproxy) running(id string) bool { return h.pid(id) != 0 }

// start runs haproxy in the namespace. The configuration makes it a daemon, in a session of its own.
func (h *haproxy) start(ctx context.Context, id string) error {
	if err := ensureNamespace(ctx); err != nil {
		return err
	}
	_ = os.Remove(h.pidFile(id))
	said, err := os.CreateTemp(h.dir(id), "start-*.log")
	if err != nil {
		return err
	}
	defer os.Remove(said.Name())
	defer said.Close()

	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", namespace, h.program, "-W", "-D", "-L", h.peer(),
		"-f", h.configFile(id), "-f", h.groupFile(), "-f", h.limitsFile(), "-p", h.pidFile(id))
	// A file, not a pipe: haproxy may keep it open for as long as it lives.
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(said.Name())
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(text))
	}
	return h.await(ctx, id, func(i processInfo) bool { return i.pid != "" })
}

// reload has the master start a worker with the new configuration. The old worker hands its sockets over and ends
// when its last connection does, so no connection is refused or cut.
func (h *haproxy) reload(ctx context.Context, id string) error {
	before, err := h.info(id)
	if err != nil {
		before = processInfo{}
	}
	h.saveState(id)
	if err := syscall.Kill(h.pid(id), syscall.SIGUSR2); err != nil {
		return fmt.Errorf("signal haproxy: %w", err)
	}
	return h.await(ctx, id, func(i processInfo) bool { return i.pid != before.pid })
}

// saveState keeps what haproxy knows of servers' health over a reload; without it, they are only checked anew.
func (h *haproxy) saveState(id string) {
	state, err := h.command(id, "show servers state")
	if err == nil {
		_ = replaceFile(filepath.Join(h.dir(id), "servers-state"), append(state, '\n'), 0o644)
	}
}

func (h *haproxy) stop(ctx context.Context, id string) error {
	pid := h.pid(id)
	if pid == 0 {
		return nil
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return poll(ctx, "haproxy to end", func() bool { return !h.running(id) })
}

func (h *haproxy) remove(ctx context.Context, id string) error {
	if err := h.stop(ctx, id); err != nil {
		return err
	}
	_ = os.Remove(h.socket(id))
	return os.RemoveAll(h.dir(id))
}

// patience bounds how long haproxy may take for what it is told.
const patience = 15 * time.Second

func poll(ctx context.Context, what string, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

func (h *haproxy) await(ctx context.Context, id string, ok func(processInfo) bool) error {
	return poll(ctx, "haproxy to take its configuration", func() bool {
		i, err := h.info(id)
		return err == nil && ok(i)
	})
}

// processInfo is what identifies a worker.
type processInfo struct{ pid string }

func (h *haproxy) info(id string) (processInfo, error) {
	text, err := h.command(id, "show info")
	if err != nil {
		return processInfo{}, err
	}
	for line := range strings.Lines(string(text)) {
		if pid, ok := strings.CutPrefix(line, "Pid:"); ok {
			return processInfo{strings.TrimSpace(pid)}, nil
		}
	}
	return processInfo{}, errors.New("haproxy does not tell its pid")
}

// command asks a worker over its stats socket.
func (h *haproxy) command(id, command string) ([]byte, error) {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.Dial("unix", h.socket(id))
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
	section := ""
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || strings.HasPrefix(words[0], "#"):
		case line[0] != ' ' && line[0] != '\t':
			section = strings.Join(words, " ")
		default:
			fn(section, words)
		}
	}
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
