package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

func (h *haproxy) adminSocket(id string) string  { return filepath.Join(h.base, id+".adm") }
func (h *haproxy) masterSocket(id string) string { return filepath.Join(h.base, id+".mst") }
func (h *haproxy) ownFile(id string) string      { return filepath.Join(h.dir(id), "agent.conf") }
func (h *haproxy) wordsFile(id string) string    { return filepath.Join(h.dir(id), "haproxy.log") }

// writeOwn writes what the agent adds to a controller's configuration, in a file of its own: a socket on which haproxy takes
// changes, and leave to run with fewer file descriptors than its connection limit would take: where the amphora's limit is lower
// (a container), serving fewer connections is better than serving none.
func (h *haproxy) writeOwn(ctx context.Context, id string) error {
	text := "global\n    no strict-limits\n    stats socket " + h.adminSocket(id) + " mode 0600 level admin\n" + h.hurry(ctx)
	if now, err := os.ReadFile(h.ownFile(id)); err == nil && string(now) == text {
		return nil
	}
	return replaceFile(h.ownFile(id), []byte(text), 0o644)
}

// withoutCAs keeps haproxy from reading all CAs of the system whenever it starts, for a client of its own that nothing here uses:
// that is most of the time that a test or a reload takes.
const withoutCAs = "    httpclient.ssl.verify none\n"

// hurry is withoutCAs where haproxy knows it.
func (h *haproxy) hurry(ctx context.Context) string {
	h.asked.Do(func() {
		cmd := exec.CommandContext(ctx, h.program, "-c", "-f", "/dev/stdin")
		cmd.Stdin = strings.NewReader("global\n" + withoutCAs)
		err := cmd.Run()
		const nothingToServe = 2
		h.knows = cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == nothingToServe || err == nil
	})
	if h.knows {
		return withoutCAs
	}
	return ""
}

// start runs haproxy in the namespace, in a session of its own. If it does not run what it shall, it runs what it ran last.
func (h *haproxy) start(ctx context.Context, id string) error {
	ctx = context.WithoutCancel(ctx)
	h.want(id, true)
	if err := ensureNamespace(ctx); err != nil {
		return err
	}
	if err := h.writeOwn(ctx, id); err != nil {
		h.log.WarnContext(ctx, "haproxy starts without its admin socket", "error", err)
	}
	to, _, err := h.asWritten(id)
	if err != nil {
		return err
	}
	err = h.launch(ctx, id)
	if err == nil {
		if err := h.remember(id, to); err != nil {
			h.log.WarnContext(ctx, "what haproxy runs is not noted: the next change is a reload", "error", err)
		}
		return nil
	}
	err = fmt.Errorf("%w: %s", err, h.alerts(id, to.Config))
	if !h.restoreLastGood(ctx, id) {
		return err
	}
	good, _, readErr := h.asWritten(id)
	if again := errors.Join(readErr, h.launch(ctx, id)); again != nil {
		return errors.Join(err, again)
	}
	return errors.Join(err, h.remember(id, good))
}

func (h *haproxy) launch(ctx context.Context, id string) error {
	_ = os.Remove(h.pidFile(id))
	h.forgetLeaving(id)
	words, err := h.openWords(id)
	if err != nil {
		return err
	}
	defer words.Close()
	notice, err := h.listen(id)
	if err != nil {
		h.log.WarnContext(ctx, "haproxy cannot tell when it is ready", "error", err)
	}
	defer notice.close()

	// Not CommandContext: haproxy outlives whoever asked for it.
	cmd := exec.Command("ip", "netns", "exec", namespace, h.program, "-Ws", "-L", h.peer(), //nolint:noctx // see above
		"-S", h.masterSocket(id)+",mode,600",
		"-f", h.configFile(id), "-f", h.groupFile(), "-f", h.ownFile(id), "-p", h.pidFile(id))
	// A file, not a pipe: haproxy keeps it open for as long as it lives.
	cmd.Stdout, cmd.Stderr = words, words
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "NOTIFY_SOCKET=") }), "NOTIFY_SOCKET="+h.noticeFile(id))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	h.mu.Lock()
	h.masters[id], h.workers[id] = cmd.Process.Pid, 0
	h.mu.Unlock()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // ends with haproxy, or with the agent: haproxy outlives that
	var failed error
	err = poll(ctx, "haproxy to start", func() bool {
		select {
		case failed = <-ended:
			failed = fmt.Errorf("haproxy does not start: %w", failed)
			return true
		default:
		}
		return (notice.ready() || notice == nil) && h.answers(id)
	})
	return errors.Join(failed, err)
}

// openWords empties and opens the file that haproxy writes to; without disk space its words are lost.
func (h *haproxy) openWords(id string) (*os.File, error) {
	f, err := os.OpenFile(h.wordsFile(id), os.O_CREATE|os.O_WRONLY|os.O_APPEND|os.O_TRUNC, 0o600)
	if err != nil {
		return os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	return f, nil
}

var alert = regexp.MustCompile(`(?m)^\[ALERT\] +\(\d+\) : (.*)$`)

// alerts are haproxy's words about why it does not start.
func (h *haproxy) alerts(id, config string) string {
	text, err := os.ReadFile(h.wordsFile(id))
	if err != nil {
		return "its words are lost: " + err.Error()
	}
	var out []string
	for _, m := range alert.FindAllStringSubmatch(string(text), -1) {
		out = append(out, m[1])
	}
	return asSentLines(strings.Join(out, "; "), []byte(config))
}

// notice is where haproxy tells that it is ready, as it tells systemd.
type notice struct {
	conn *net.UnixConn
	told bool
}

func (h *haproxy) noticeFile(id string) string { return filepath.Join(h.dir(id), "ready.sock") }

func (h *haproxy) listen(id string) (*notice, error) {
	_ = os.Remove(h.noticeFile(id))
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: h.noticeFile(id), Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	return &notice{conn: conn}, nil
}

// ready says whether haproxy has said so: about a new worker, or that there is none.
func (n *notice) ready() bool {
	if n == nil {
		return false
	}
	buffer := make([]byte, 4096)
	for !n.told {
		_ = n.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		length, err := n.conn.Read(buffer)
		if err != nil {
			return false
		}
		n.told = slices.Contains(strings.Split(string(buffer[:length]), "\n"), "READY=1")
	}
	return true
}

func (n *notice) close() {
	if n != nil {
		_ = n.conn.Close()
	}
}
