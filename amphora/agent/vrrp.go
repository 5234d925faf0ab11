package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ottavino/ottavino/amphora/vrrpcheck"
)

// vrrp runs the keepalived that has the VIPs while this amphora is master. Like haproxy it outlives the agent, and what runs is
// told by its pid file.
type vrrp struct {
	base     string
	services services

	mu     sync.Mutex
	wanted bool // it shall run
}

const (
	vrrpName      = "octavia-keepalived"
	activeStandby = "ACTIVE_STANDBY"
)

func (v *vrrp) dir() string         { return filepath.Join(v.base, "vrrp") }
func (v *vrrp) configFile() string  { return filepath.Join(v.dir(), vrrpName+".conf") }
func (v *vrrp) childFile() string   { return filepath.Join(v.dir(), vrrpName+".vrrp.pid") }
func (v *vrrp) pidFile() string     { return filepath.Join(v.dir(), vrrpName+".pid") }
func (v *vrrp) checkScript() string { return filepath.Join(v.dir(), "check_script.sh") }
func (v *vrrp) checks() string      { return filepath.Join(v.dir(), "check_scripts") }
func (v *vrrp) resolver() string    { return filepath.Join(v.dir(), "resolv.conf") }

func (v *vrrp) has() bool {
	_, err := os.Stat(v.configFile())
	return err == nil
}

// pid is that of the process that watches the others; 0 when it does not run.
func (v *vrrp) pid() int { return daemon(v.pidFile(), isKeepalived) }

func (v *vrrp) want(run bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.wanted = run
}

// missing says that it should run and does not.
func (v *vrrp) missing() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.wanted && v.has() && v.pid() == 0
}

// checkScript is upstream's: it runs whatever is in the directory, and sums up.
const vrrpCheckScript = `#!/bin/bash
shopt -s nullglob
status=0
for file in @checks/*
do
  bash $file
  status=$(( $status + $? ))
done
exit $status
`

func (v *vrrp) service() service {
	s := service{
		name: vrrpName + ".service", pidFile: v.pidFile(),
		argv: []string{"sh", "-c", unresolved, v.resolver(), keepalivedProgram, "--log-facility=1", "-f", v.configFile(), "-p", v.pidFile(), "-r", v.childFile()},
	}
	s.unit = keepalivedUnit(s, []string{v.pidFile(), v.childFile()}, "")
	return s
}

// install stores a configuration; nothing is started.
func (v *vrrp) install(cfg []byte) error {
	if err := makeDir(v.checks(), 0o755); err != nil {
		return err
	}
	return errors.Join(
		replaceFile(v.checkScript(), []byte(strings.ReplaceAll(vrrpCheckScript, "@checks", v.checks())), 0o755),
		ifAbsent(v.resolver(), 0o644, "nameserver 127.0.0.1\n"),
		replaceFile(v.configFile(), cfg, 0o644),
	)
}

// start runs keepalived.
func (v *vrrp) start(ctx context.Context) error {
	if !v.has() {
		return errors.New("keepalived has no configuration")
	}
	v.want(true)
	if err := ensureNamespace(ctx); err != nil {
		return err
	}
	// What is left of one that was killed keeps another from starting.
	if child := written(v.childFile(), isKeepalived); child != 0 && v.pid() == 0 {
		_ = syscall.Kill(child, syscall.SIGKILL)
		if err := poll(ctx, "keepalived's child to end", func() bool { return written(v.childFile(), isKeepalived) == 0 }); err != nil {
			return err
		}
	}
	if _, err := v.services.start(ctx, v.service()); err != nil {
		return fmt.Errorf("%w: %s", err, v.complaints(ctx))
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := poll(ctx, "keepalived to run", func() bool { return v.pid() != 0 }); err != nil {
		return fmt.Errorf("%w: %s", err, v.complaints(ctx))
	}
	return nil
}

// complaints is what keepalived says about its configuration.
func (v *vrrp) complaints(ctx context.Context) string {
	ctx = context.WithoutCancel(ctx)
	out, _ := exec.CommandContext(ctx, "ip", "netns", "exec", namespace, keepalivedProgram, "-t", "-l", "-f", v.configFile()).CombinedOutput()
	return string(bytes.TrimSpace(out))
}

func (v *vrrp) stop(ctx context.Context) error {
	v.want(false)
	if err := v.services.stop(ctx, v.service(), v.pid()); err != nil {
		return err
	}
	return poll(ctx, "keepalived to end", func() bool { return v.pid() == 0 })
}

func (a *Agent) putVRRP(r *http.Request, body []byte) reply {
	err := a.vrrp.install(body)
	if err == nil {
		err = a.updateChecks("")
	}
	if err != nil {
		return said(http.StatusInternalServerError, "Error storing keepalived configuration", err.Error())
	}
	rep := ok(http.StatusOK)
	rep.etag = md5hex(body)
	return rep
}

func (a *Agent) actVRRP(r *http.Request, _ []byte) reply {
	ctx, action := r.Context(), strings.ToLower(r.PathValue("action"))
	if !slices.Contains([]string{"start", "stop", "reload"}, action) {
		return said(http.StatusBadRequest, "Invalid Request", "Unknown action: "+action)
	}
	var err error
	switch pid := a.vrrp.pid(); {
	case action == "stop":
		err = a.vrrp.stop(ctx)
	case pid == 0:
		err = a.vrrp.start(ctx)
	default:
		action = "reload"
		a.vrrp.want(true)
		err = syscall.Kill(pid, syscall.SIGHUP)
	}
	if err != nil {
		return said(http.StatusInternalServerError, "Failed to "+action+" "+vrrpName+" service", err.Error())
	}
	return said(http.StatusAccepted, "OK", "keepalived "+action+"ed")
}

// updateChecks has keepalived ask what shall run now, without the load balancer that is stopped ("" = none is): the VIPs go where
// haproxy answers, and nowhere before there are listeners.
func (a *Agent) updateChecks(stopped string) error {
	if err := a.vrrp.linkCheck(); err != nil {
		return err
	}
	ids, err := a.haproxy.ids()
	if err != nil {
		return err
	}
	lvs, err := filepath.Glob(filepath.Join(a.vrrp.base, "lvs", "octavia-keepalivedlvs-*.conf"))
	if err != nil {
		return err
	}
	if err := a.vrrp.checkLVS(len(lvs) > 0); err != nil {
		return err
	}
	file := filepath.Join(a.vrrp.checks(), "haproxy_check_script.sh")
	switch {
	case len(ids) == 0 && len(lvs) == 0:
		return replaceFile(file, []byte("exit 1"), 0o644)
	case len(ids) == 0:
		return removeAll(file)
	}
	command := filepath.Join(a.vrrp.dir(), vrrpcheck.Name)
	for _, id := range ids {
		if id != stopped {
			command += " " + a.haproxy.socket(id)
		}
	}
	return replaceFile(file, []byte(command+"; exit $?"), 0o644)
}

// linkCheck provides the command that checks: this program, under another name.
func (v *vrrp) linkCheck() error {
	if err := makeDir(v.checks(), 0o755); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	link := filepath.Join(v.dir(), vrrpcheck.Name)
	if to, err := os.Readlink(link); err == nil && to == self {
		return nil
	}
	_ = os.Remove(link)
	return errors.Join(os.Symlink(self, link), syncDir(v.dir()))
}

// lvsCheck asks whether every keepalived of a listener runs.
const lvsCheck = `status=0
for file in @lvs/octavia-keepalivedlvs-*.pid
do
  case $file in *.vrrp.pid | *.check.pid | *'*'*) continue ;; esac
  kill -0 "$(cat $file)" || status=$(( $status + 1 ))
done
exit $status
`

func (v *vrrp) checkLVS(some bool) error {
	file := filepath.Join(v.checks(), "lvs_udp_check.sh")
	if !some {
		if _, err := os.Lstat(file); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return removeAll(file)
	}
	return ifAbsent(file, 0o100, strings.ReplaceAll(lvsCheck, "@lvs", filepath.Join(v.base, "lvs")))
}

// updateChecksFor is updateChecks after something was done to a load balancer.
func (a *Agent) updateChecksFor(ctx context.Context, id, action string) {
	if a.config().Topology != activeStandby {
		return
	}
	if action != "stop" {
		id = ""
	}
	if err := a.updateChecks(id); err != nil {
		a.log.ErrorContext(ctx, "keepalived's checks are not updated", "error", err)
	}
}

// releaseChecks is updateChecks before a load balancer is removed.
func (a *Agent) releaseChecks(ctx context.Context, id string) {
	if _, err := os.Stat(a.vrrp.checkScript()); err != nil {
		return
	}
	if err := a.updateChecks(id); err != nil {
		a.log.ErrorContext(ctx, "keepalived's checks are not updated", "error", err)
	}
}
