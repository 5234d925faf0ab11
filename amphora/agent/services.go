package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// service is a program in the namespace that outlives the agent.
type service struct {
	name    string   // of its unit
	unit    string   // its text; @agent is this program, as it was called
	argv    []string // where there is no systemd
	words   string   // file of what it says; "" = nobody asks
	pidFile string
	notices string // socket at which it says that it is ready, where there is no systemd; "" = it makes itself a daemon
}

// line is how a unit's ExecStart has the program.
func (s service) line() string {
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", "$$", "%", "%%")
	out := "/sbin/ip netns exec " + namespace
	for _, word := range s.argv {
		out += ` "` + quote.Replace(word) + `"`
	}
	return out
}

// services starts and ends services: units where systemd is, as operators know them, and detached processes where not.
type services interface {
	// start starts a service unless it runs, and returns when that has begun.
	start(ctx context.Context, s service) (process, error)
	// stop has it end, unless that has happened, and not start again. pid is its process; 0 when there is none.
	stop(ctx context.Context, s service, pid int) error
	// remove forgets a service that has stopped.
	remove(ctx context.Context, s service)
	// readiness tells when it says the next time that it is ready. Nobody may ask for two at a time.
	readiness(s service, pid int) (readiness, error)
}

// process is a service that was started.
type process struct {
	pid   int          // 0 = in its pid file
	ended <-chan error // nil = not known here
	told  readiness
}

type readiness interface {
	ready() bool
	close()
}

// guessed is the readiness of what does not tell it.
type guessed func() bool

func (g guessed) ready() bool { return g() }
func (guessed) close()        {}

// newServices decides by what runs the machine.
func newServices(confPath string) services {
	if info, err := os.Stat("/run/systemd/system"); err == nil && info.IsDir() {
		return systemd{confPath}
	}
	return detached{}
}

// detached has services in sessions of their own.
type detached struct{}

func (d detached) start(_ context.Context, s service) (process, error) {
	_ = os.Remove(s.pidFile)
	words := openWords(s.words)
	defer words.Close()
	// Not CommandContext: a service outlives whoever asked for it.
	cmd := exec.Command("ip", append([]string{"netns", "exec", namespace}, s.argv...)...) //nolint:noctx // see above
	// A file, not a pipe: it is kept open for as long as the service lives.
	cmd.Stdout, cmd.Stderr = words, words
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "NOTIFY_SOCKET=") })
	if s.notices == "" {
		return process{}, cmd.Run()
	}
	told, err := d.readiness(s, 0)
	if err != nil {
		told = guessed(func() bool { return true })
	}
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+s.notices)
	if err := cmd.Start(); err != nil {
		told.close()
		return process{}, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // ends with the service, or with the agent: the service outlives that
	return process{cmd.Process.Pid, ended, told}, nil
}

// openWords empties and opens the file that a service writes to; without disk space its words are lost.
func openWords(path string) *os.File {
	if path != "" {
		if f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND|os.O_TRUNC, 0o600); err == nil {
			return f
		}
	}
	f, _ := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // nil is the same to exec
	return f
}

func (detached) stop(_ context.Context, _ service, pid int) error {
	if pid == 0 {
		return nil
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

func (detached) remove(context.Context, service) {}

func (detached) readiness(s service, _ int) (readiness, error) {
	_ = os.Remove(s.notices)
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.notices, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	return &notice{conn: conn}, nil
}

// systemd has services as units.
type systemd struct{ confPath string }

const (
	unitDir   = "/usr/lib/systemd/system"
	wantsDir  = "/etc/systemd/system/multi-user.target.wants"
	netnsName = "amphora-netns.service"
)

// netnsUnit restores the namespace at boot, whether the agent comes up or not.
const netnsUnit = `[Unit]
Description=Configure ` + namespace + ` network namespace
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=-@agent ` + NetworksCommand + `
`

// install writes units that are new or others now.
func (s systemd) install(ctx context.Context, svc service) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fresh := false
	for name, text := range map[string]string{netnsName: netnsUnit, svc.name: svc.unit} {
		path := filepath.Join(unitDir, name)
		text = strings.ReplaceAll(text, "@agent", self+" --config-file "+s.confPath)
		if was, err := os.ReadFile(path); err == nil && string(was) == text {
			continue
		}
		fresh = true
		if err := errors.Join(makeDir(unitDir, 0o755), replaceFile(path, []byte(text), 0o644)); err != nil {
			return err
		}
	}
	if !fresh {
		return nil
	}
	if _, err := s.do(ctx, "daemon-reload"); err != nil {
		return err
	}
	if _, err := s.do(ctx, "enable", svc.name); err != nil {
		return err
	}
	return syncDir(wantsDir)
}

func (s systemd) start(ctx context.Context, svc service) (process, error) {
	if err := s.install(ctx, svc); err != nil {
		return process{}, err
	}
	if svc.words != "" {
		_ = os.Truncate(svc.words, 0)
	}
	if _, err := s.do(ctx, "start", svc.name); err != nil {
		_, _ = s.do(ctx, "stop", svc.name) // who started it tries something else, or again
		return process{}, err
	}
	u, err := s.show(svc.name)
	return process{pid: u.pid, told: guessed(func() bool { return true })}, err
}

func (s systemd) stop(ctx context.Context, svc service, _ int) error {
	if _, err := os.Stat(filepath.Join(unitDir, svc.name)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	_, err := s.do(ctx, "stop", svc.name)
	return err
}

func (s systemd) remove(ctx context.Context, svc service) {
	_, _ = s.do(ctx, "disable", svc.name)
	_ = os.Remove(filepath.Join(unitDir, svc.name))
	_, _ = s.do(ctx, "daemon-reload")
	_, _ = s.do(ctx, "reset-failed", svc.name)
	_ = errors.Join(syncDir(unitDir), syncDir(wantsDir))
}

// do runs systemctl, whose words are the reason when it fails.
func (systemd) do(ctx context.Context, argv ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "systemctl", argv...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("systemctl %s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// unit is the state of one.
type unit struct {
	pid     int
	state   string
	changed string // when, by the machine's clock
}

func (s systemd) show(name string) (u unit, err error) {
	out, err := s.do(context.Background(), "show", "--property=MainPID,ActiveState,StateChangeTimestampMonotonic", name)
	for line := range strings.Lines(out) {
		switch key, value, _ := strings.Cut(strings.TrimSpace(line), "="); key {
		case "MainPID":
			_, _ = fmt.Sscan(value, &u.pid)
		case "ActiveState":
			u.state = value
		case "StateChangeTimestampMonotonic":
			u.changed = value
		}
	}
	return u, err
}

// reloaded is the readiness of a unit: it says that it reloads, and then that it is ready.
type reloaded struct {
	s      systemd
	name   string
	before string
}

func (r reloaded) ready() bool {
	u, err := r.s.show(r.name)
	return err == nil && u.state == "active" && u.changed != r.before
}

func (reloaded) close() {}

func (s systemd) readiness(svc service, pid int) (readiness, error) {
	u, err := s.show(svc.name)
	if err != nil {
		return nil, err
	}
	if u.pid != pid {
		return nil, fmt.Errorf("process %d is not that of %s", pid, svc.name)
	}
	return reloaded{s, svc.name, u.changed}, nil
}
