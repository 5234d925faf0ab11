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
	h.forgetLeaving(id)
	started, err := h.services.start(ctx, h.service(id))
	if err != nil {
		return err
	}
	defer started.told.close()
	h.mu.Lock()
	h.masters[id], h.workers[id] = started.pid, 0
	h.mu.Unlock()
	var failed error
	err = poll(ctx, "haproxy to start", func() bool {
		select {
		case failed = <-started.ended:
			failed = fmt.Errorf("haproxy does not start: %w", failed)
			return true
		default:
		}
		return started.told.ready() && h.answers(id)
	})
	if err = errors.Join(failed, err); err != nil {
		// What runs and does not answer would be in the way of another.
		return errors.Join(err, h.services.stop(ctx, h.service(id), h.pid(id)))
	}
	h.hear(id, h.pid(id))
	return nil
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

// service is haproxy as upstream's agent has it, and with what the agent adds.
func (h *haproxy) service(id string) service {
	files := []string{"-f", h.configFile(id), "-f", h.groupFile(), "-f", h.ownFile(id)}
	return service{
		name: "haproxy-" + id + ".service", words: h.wordsFile(id), pidFile: h.pidFile(id), notices: h.noticeFile(id),
		argv: append([]string{h.program, "-Ws", "-L", h.peer(), "-S", h.masterSocket(id) + ",mode,600", "-p", h.pidFile(id)}, files...),
		unit: strings.NewReplacer("@program", h.program, "@config", h.configFile(id), "@group", h.groupFile(), "@own", h.ownFile(id),
			"@pid", h.pidFile(id), "@master", h.masterSocket(id), "@peer", h.peer(), "@words", h.wordsFile(id), "@namespace", namespace).Replace(haproxyUnit),
	}
}

// haproxyUnit has haproxy's words in a file, where the agent reads why it does not start. haproxy raises its limit of files by itself to
// what its connections need; the hard one is upstream's.
const haproxyUnit = `[Unit]
Description=HAProxy Load Balancer
After=network.target syslog.service amphora-netns.service
Before=octavia-keepalived.service
Wants=syslog.service
Requires=amphora-netns.service
StartLimitIntervalSec=0

[Service]
Environment="CONFIG=@config" "USERCONFIG=@group" "AGENTCONFIG=@own" "PIDFILE=@pid"
ExecStartPre=@program -f $CONFIG -f $USERCONFIG -f $AGENTCONFIG -c -q -L @peer
ExecReload=@program -c -f $CONFIG -f $USERCONFIG -f $AGENTCONFIG -L @peer
ExecReload=/bin/kill -USR2 $MAINPID
ExecStart=/sbin/ip netns exec @namespace @program -Ws -S @master,mode,600 -f $CONFIG -f $USERCONFIG -f $AGENTCONFIG -p $PIDFILE -L @peer
Type=notify
KillMode=mixed
Restart=always
RestartSec=1
LimitNOFILE=1024:2600000
StandardOutput=append:@words
StandardError=append:@words

[Install]
WantedBy=multi-user.target
`

// ready says whether haproxy has said so: about a new worker, or that there is none.
func (n *notice) ready() bool {
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

func (n *notice) close() { _ = n.conn.Close() }
