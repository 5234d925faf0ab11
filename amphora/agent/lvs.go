package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/ottavino/ottavino/amphora/checker"
	"github.com/ottavino/ottavino/amphora/heartbeat"
	"github.com/ottavino/ottavino/amphora/keepalived"
)

// lvs runs one keepalived per UDP or SCTP listener: it programs the kernel's IPVS in the namespace and checks members. Like haproxy
// it outlives the agent, and what runs is told by its pid file.
type lvs struct {
	base     string
	services services

	mu      sync.Mutex
	stopped map[string]bool   // by a controller, or not started yet, since the agent started
	retries map[string]*retry // of those that died
	states  map[string]*state
}

// state is what was told of a listener last. Who changes its keepalived holds steady, and what the kernel has meanwhile is not told: a
// pool would be down, and its load balancer with it, until a keepalived that was just started has made its virtual servers.
type state struct {
	steady   sync.RWMutex
	told     bool
	listener heartbeat.Listener
	poolID   string
	pool     heartbeat.Pool
}

func (v *lvs) state(id string) *state {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.states[id] == nil {
		v.states[id] = &state{}
	}
	return v.states[id]
}

// retry is when a keepalived that died is started again.
type retry struct {
	next time.Time
	wait time.Duration
}

func newLVS(base string, s services) *lvs {
	return &lvs{base: base, services: s, stopped: map[string]bool{}, retries: map[string]*retry{}, states: map[string]*state{}}
}

const lvsPrefix = "octavia-keepalivedlvs-"

func (v *lvs) dir() string { return filepath.Join(v.base, "lvs") }

func (v *lvs) file(id, suffix string) string { return filepath.Join(v.dir(), lvsPrefix+id+suffix) }

func (v *lvs) configFile(id string) string { return v.file(id, ".conf") }

// pidFiles are those of the process that watches, of the one that would speak VRRP, and of the one that checks.
func (v *lvs) pidFiles(id string) []string {
	return []string{v.file(id, ".pid"), v.file(id, ".vrrp.pid"), v.file(id, ".check.pid")}
}

func (v *lvs) checkDir() string { return filepath.Join(v.dir(), "check") }

// ids are the listeners that have a configuration.
func (v *lvs) ids() []string {
	found, _ := filepath.Glob(v.file("*", ".conf")) // the pattern is good
	for i, f := range found {
		found[i] = strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), lvsPrefix), ".conf")
	}
	return found
}

func (v *lvs) has(id string) bool {
	_, err := os.Stat(v.configFile(id))
	return err == nil
}

func (v *lvs) config(id string) (keepalived.Config, error) {
	text, err := os.ReadFile(v.configFile(id))
	return keepalived.Parse(text), err
}

// errNoIPVS is why an amphora cannot have UDP and SCTP listeners.
var errNoIPVS = errors.New("the amphora's kernel has no IPVS (module ip_vs), which UDP and SCTP listeners need")

// needIPVS loads IPVS, or says that there is none.
func needIPVS(ctx context.Context) error {
	if _, err := netlink.GenlFamilyGet("IPVS"); err == nil {
		return nil
	}
	_ = exec.CommandContext(ctx, "modprobe", "ip_vs").Run()
	if _, err := netlink.GenlFamilyGet("IPVS"); err != nil {
		return errNoIPVS
	}
	return nil
}

// udpCheck is what keepalived runs for UDP-CONNECT monitors.
const udpCheck = `#!/bin/sh
exec "${0%/*}/` + checker.Name + `" udp -t 1 "$1" "$2"
`

// installChecks provides what keepalived runs to check members: this program. A link would not do, because keepalived follows it
// and calls the program by its own name.
func (v *lvs) installChecks() error {
	if err := os.MkdirAll(v.checkDir(), 0o755); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	path := filepath.Join(v.checkDir(), checker.Name)
	text := fmt.Appendf(nil, "#!/bin/sh\nexec '%s' %s \"$@\"\n", strings.ReplaceAll(self, "'", `'\''`), checker.Name)
	if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, text) {
		if err := replaceFile(path, text, 0o755); err != nil {
			return err
		}
	}
	return ifAbsent(filepath.Join(v.checkDir(), "udp_check.sh"), 0o100, udpCheck)
}

// install stores a configuration; nothing is started or restarted.
func (v *lvs) install(id string, cfg []byte) error {
	if err := os.MkdirAll(v.dir(), 0o755); err != nil {
		return err
	}
	if !v.running(id) {
		v.hold(id)
	}
	if err := replaceFile(v.configFile(id), cfg, 0o644); err != nil {
		return err
	}
	// The kernel's idea of now is coarse, and newer tells what keepalived has read.
	now := time.Now()
	return os.Chtimes(v.configFile(id), now, now)
}

func (v *lvs) pid(id string) int      { return daemon(v.pidFiles(id)[0], isKeepalived) }
func (v *lvs) running(id string) bool { return v.pid(id) != 0 }

// pending says that keepalived has not read the configuration yet.
func (v *lvs) pending(id string) bool {
	cfg, err := os.Stat(v.configFile(id))
	if err != nil {
		return false
	}
	read, err := os.Stat(v.pidFiles(id)[0])
	return err != nil || read.ModTime().Before(cfg.ModTime())
}

func (v *lvs) resolver() string { return filepath.Join(v.dir(), "resolv.conf") }

// prepare has the kernel ready for the keepalived of a listener, which does not run. With the agent or without, every start of it
// comes after this.
func (v *lvs) prepare(ctx context.Context, id string) error {
	if err := needIPVS(ctx); err != nil {
		return err
	}
	if err := ensureNamespace(ctx); err != nil {
		return err
	}
	if err := inNamespace(forwarding); err != nil {
		return fmt.Errorf("prepare the namespace to forward: %w", err)
	}
	if err := v.installChecks(); err != nil {
		return fmt.Errorf("install checks: %w", err)
	}
	return errors.Join(v.dropServices(id), ifAbsent(v.resolver(), 0o644, "nameserver 127.0.0.1\n"))
}

func (v *lvs) service(id string) service {
	files := v.pidFiles(id)
	s := service{
		name: lvsPrefix + id + ".service", pidFile: files[0],
		argv: []string{
			"env", "PATH=" + v.checkDir() + ":/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c", unresolved, v.resolver(), keepalivedProgram,
			"--log-facility=1", "-f", v.configFile(id), "-p", files[0], "-r", files[1], "-c", files[2],
		},
	}
	s.unit = keepalivedUnit(s, files, "ExecStartPre=@agent "+LVSCommand+" "+id+"\n")
	return s
}

// start runs keepalived in the namespace, where it makes itself a daemon.
func (v *lvs) start(ctx context.Context, id string) error {
	s := v.state(id)
	s.steady.Lock()
	defer s.steady.Unlock()
	if err := v.end(ctx, id); err != nil {
		return err
	}
	if err := v.prepare(ctx, id); err != nil {
		return err
	}
	cfg, err := v.config(id)
	if err != nil {
		return err
	}
	read := time.Now()
	if _, err := v.services.start(ctx, v.service(id)); err != nil {
		return fmt.Errorf("%w: %s", err, v.complaints(ctx, id))
	}
	if err := poll(ctx, "keepalived to take its configuration", func() bool { return v.running(id) && serves(cfg) }); err != nil {
		return fmt.Errorf("%w: %s", err, v.complaints(ctx, id))
	}
	v.forgive(id)
	return v.noteRead(id, read)
}

// noteRead notes when keepalived was told to read its configuration, at its pid file, which may have got lost.
func (v *lvs) noteRead(id string, at time.Time) error {
	file := v.pidFiles(id)[0]
	if written(file, isKeepalived) == 0 {
		if err := replaceFile(file, fmt.Appendln(nil, v.pid(id)), 0o644); err != nil {
			return err
		}
	}
	return os.Chtimes(file, at, at)
}

// complaints is what keepalived says about a configuration.
func (v *lvs) complaints(ctx context.Context, id string) string {
	out, _ := exec.CommandContext(ctx, "ip", "netns", "exec", namespace, keepalivedProgram, "-t", "-l", "-f", v.configFile(id)).CombinedOutput()
	return string(bytes.TrimSpace(out))
}

// reload has keepalived read its configuration. It keeps what it knows of members, and connections stay; only one that had nothing to
// serve, or has nothing any more, is started anew. Upstream's agent always does that.
func (v *lvs) reload(ctx context.Context, id string) error {
	cfg, err := v.config(id)
	if err != nil {
		return err
	}
	if v.running(id) && !v.pending(id) && serves(cfg) {
		return nil
	}
	if written(v.pidFiles(id)[2], isKeepalived) == 0 || !cfg.Balances() || !serves(cfg) {
		return v.start(ctx, id)
	}
	s := v.state(id)
	s.steady.Lock()
	defer s.steady.Unlock()
	read := time.Now()
	if err := syscall.Kill(v.pid(id), syscall.SIGHUP); err != nil {
		return fmt.Errorf("signal keepalived: %w", err)
	}
	if err := poll(ctx, "keepalived to take its configuration", func() bool { return v.running(id) && servesAsTold(cfg) }); err != nil {
		return fmt.Errorf("%w: %s", err, v.complaints(ctx, id))
	}
	return errors.Join(limitConnections(cfg), v.noteRead(id, read))
}

// end stops keepalived, which takes its services out of the kernel, and its pid files away.
func (v *lvs) end(ctx context.Context, id string) error {
	main := v.pid(id)
	pids := append(children(main), main)
	for _, f := range v.pidFiles(id) { // children may have outlived the one that watches
		if pid := written(f, isKeepalived); pid != 0 {
			pids = append(pids, pid)
		}
	}
	pids = slices.DeleteFunc(pids, func(pid int) bool { return !isKeepalived(pid) })
	gone := func() bool { return !slices.ContainsFunc(pids, isKeepalived) }
	err := v.services.stop(ctx, v.service(id), main)
	if err == nil {
		err = kill(pids, syscall.SIGTERM)
	}
	if err == nil && poll(ctx, "", gone) != nil {
		err = kill(pids, syscall.SIGKILL)
	}
	if err == nil {
		err = poll(ctx, "keepalived to end", gone)
	}
	if err != nil {
		return err
	}
	for _, f := range v.pidFiles(id) {
		_ = os.Remove(f)
	}
	return nil
}

func kill(pids []int, s syscall.Signal) error {
	for _, pid := range pids {
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal keepalived: %w", err)
		}
	}
	return nil
}

// stop ends keepalived for good, until a controller starts it or the agent does.
func (v *lvs) stop(ctx context.Context, id string) error {
	v.hold(id)
	if err := v.end(ctx, id); err != nil {
		return err
	}
	return v.dropServices(id)
}

// dropServices takes what is left of a listener whose keepalived does not run out of the kernel.
func (v *lvs) dropServices(id string) error {
	var others []keepalived.Config
	for _, other := range v.ids() {
		if cfg, err := v.config(other); err == nil && other != id {
			others = append(others, cfg)
		}
	}
	return dropServices(others)
}

func (v *lvs) remove(ctx context.Context, id string) error {
	if err := v.stop(ctx, id); err != nil {
		return err
	}
	v.services.remove(ctx, v.service(id))
	v.forget(id)
	return os.Remove(v.configFile(id))
}

// hold keeps a keepalived that does not run from being started before a controller asks for it.
func (v *lvs) hold(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stopped[id] = true
}

// forgive forgets that a listener was stopped, or died.
func (v *lvs) forgive(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.stopped, id)
	delete(v.retries, id)
}

// forget is forgive for one that is removed.
func (v *lvs) forget(id string) {
	v.forgive(id)
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.states, id)
}

const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// dead are the listeners whose keepalived should run and does not, as far as it is time to start it again.
func (v *lvs) dead(now time.Time) []string {
	var out []string
	for _, id := range v.ids() {
		if v.running(id) {
			continue
		}
		v.mu.Lock()
		r := v.retries[id]
		switch {
		case v.stopped[id]:
		case r == nil:
			v.retries[id] = &retry{now.Add(firstRetry), firstRetry}
			out = append(out, id)
		case !now.Before(r.next):
			r.wait = min(2*r.wait, lastRetry)
			r.next = now.Add(r.wait)
			out = append(out, id)
		}
		v.mu.Unlock()
	}
	return out
}

// listeners are as upstream tells of them: SCTP is called UDP, too.
func (v *lvs) listeners() []listener {
	out := []listener{}
	for _, id := range v.ids() {
		l := listener{Status: "ACTIVE", UUID: id, Type: "UDP"}
		cfg, err := v.config(id)
		_, noPID := os.Stat(v.pidFiles(id)[0])
		switch {
		case err != nil || len(cfg.Services) == 0:
			l.Status = "OFFLINE"
		case v.running(id):
		case noPID != nil:
			l.Status = "OFFLINE"
		default:
			l.Status = "ERROR"
		}
		out = append(out, l)
	}
	return out
}

func (v *lvs) count() int {
	n := 0
	for _, id := range v.ids() {
		if v.running(id) {
			n++
		}
	}
	return n
}

// forwarding lets the namespace forward to members, and has IPVS let go of members that went.
func forwarding() error {
	// More connections are a matter of the amphora's, not of the namespace's.
	_ = sysctl("net/netfilter/nf_conntrack_max", "125000")
	return errors.Join(
		sysctl("net/ipv4/ip_forward", "1"), sysctl("net/ipv6/conf/all/forwarding", "1"), sysctl("net/ipv4/vs/conntrack", "1"),
		sysctl("net/ipv4/vs/expire_nodest_conn", "1"), sysctl("net/ipv4/vs/expire_quiescent_template", "1"),
	)
}

// virtualIPs are the addresses that a listener is reached at.
func virtualIPs(cfg keepalived.Config) []netip.Addr {
	var out []netip.Addr
	for _, s := range cfg.Services {
		out = append(out, s.Addr())
	}
	return out
}
