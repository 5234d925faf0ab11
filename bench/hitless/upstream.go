package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ottavino/ottavino/amphora/haproxy"
	"github.com/ottavino/ottavino/internal/amphoralab"
)

// upstream makes the steps of upstream's agent, with its options.
type upstream struct {
	lab    *amphoralab.Lab
	cmd    *exec.Cmd
	notify *net.UnixConn // where haproxy tells systemd that it is ready
}

func (l *lab) upstream(context.Context) (amphora, error) {
	u := &upstream{lab: l.Lab}
	err := errors.Join(
		os.MkdirAll(filepath.Join(l.Base(), amphoralab.LoadBalancerID), 0o755),
		os.MkdirAll(filepath.Join(l.Certs(), amphoralab.LoadBalancerID), 0o755),
		// The limit of descriptors is what systemd would raise.
		os.WriteFile(u.group(), []byte("global\n    group nogroup\n    no strict-limits\n"), 0o644),
	)
	if err != nil {
		return nil, err
	}
	u.notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: u.path("notify"), Net: "unixgram"})
	return u, err
}

// ready waits until haproxy says so.
func (u *upstream) ready() error {
	if err := u.notify.SetReadDeadline(time.Now().Add(15 * time.Second)); err != nil {
		return err
	}
	for buffer := make([]byte, 4096); ; {
		n, err := u.notify.Read(buffer)
		if err != nil {
			return fmt.Errorf("haproxy does not say that it is ready: %w", err)
		}
		if strings.Contains(string(buffer[:n]), "READY=1") {
			return nil
		}
	}
}

func (u *upstream) path(name string) string {
	return filepath.Join(u.lab.Base(), amphoralab.LoadBalancerID, name)
}
func (u *upstream) group() string {
	return filepath.Join(u.lab.Base(), "haproxy-default-user-group.conf")
}

func (u *upstream) Apply(ctx context.Context, cfg []byte) error {
	candidate := u.path("haproxy.cfg.new")
	if err := os.WriteFile(candidate, cfg, 0o600); err != nil {
		return err
	}
	peer := haproxy.PeerName(amphoralab.AmphoraID)
	if err := amphoralab.Command(ctx, "haproxy", "-c", "-L", peer, "-f", candidate, "-f", u.group()); err != nil {
		return err
	}
	if err := os.Rename(candidate, u.path("haproxy.cfg")); err != nil {
		return err
	}
	if u.cmd == nil {
		return u.start(ctx, peer)
	}
	state, err := u.ask(ctx, "show servers state")
	if err != nil {
		return err
	}
	if err := os.WriteFile(u.path("servers-state"), []byte(state+"\n"), 0o644); err != nil {
		return err
	}
	// ExecReload of the unit: test again, then signal.
	if err := amphoralab.Command(ctx, "haproxy", "-c", "-q", "-L", peer, "-f", u.path("haproxy.cfg"), "-f", u.group()); err != nil {
		return err
	}
	if err := u.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		return err
	}
	return u.ready()
}

func (u *upstream) start(ctx context.Context, peer string) error {
	u.cmd = exec.CommandContext(ctx, "ip", "netns", "exec", amphoralab.Namespace, "haproxy", "-Ws",
		"-f", u.path("haproxy.cfg"), "-f", u.group(), "-p", u.path(amphoralab.LoadBalancerID+".pid"), "-L", peer)
	u.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+u.path("notify"))
	u.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := u.cmd.Start(); err != nil {
		return err
	}
	return u.ready()
}

func (u *upstream) ask(ctx context.Context, command string) (string, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", filepath.Join(u.lab.Base(), amphoralab.LoadBalancerID+".sock"))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	fmt.Fprintln(conn, command)
	out, err := io.ReadAll(conn)
	return string(out), err
}

func (u *upstream) PutFile(_ context.Context, name string, content []byte) error {
	return os.WriteFile(filepath.Join(u.lab.Certs(), amphoralab.LoadBalancerID, name), content, 0o600)
}

func (u *upstream) RestartAgent(context.Context) error { return nil }

func (u *upstream) workers() int { return childrenOf(u.path(amphoralab.LoadBalancerID + ".pid")) }

func (u *upstream) stop(context.Context) error {
	_ = u.notify.Close()
	if u.cmd == nil {
		return nil
	}
	_ = u.cmd.Process.Signal(syscall.SIGTERM)
	_ = u.cmd.Wait() // it ends by the signal
	return nil
}
