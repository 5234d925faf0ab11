package world

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The stages find each other by this variable; it is removed where Enter returns, so that a program inside can
// enter a world of its own.
const (
	stageEnv    = "OTTAVINO_WORLD_STAGE"
	stageInit   = "init"
	stageInside = "inside"
	listenEnv   = "OTTAVINO_WORLD_LISTENERS" // JSON list of addresses; file descriptors 3, 4, ...
	pidEnv      = "OTTAVINO_WORLD_PID"       // of process 1, outside
)

// forwarded are the signals that travel from the first process to the program.
var forwarded = []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGQUIT, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2}

// leave starts process 1 of a new world and waits for it.
func leave(addresses []string) (status int, err error) {
	files, err := openListeners(addresses)
	if err != nil {
		return 0, err
	}
	// The death signal is sent when the thread that started the child ends, so the thread has to stay.
	runtime.LockOSThread()
	names, err := json.Marshal(addresses)
	if err != nil {
		return 0, err
	}
	cmd := exec.Command("/proc/self/exe") //nolint:noctx // it ends by the signals that are passed on, or with us
	cmd.Args = os.Args
	cmd.Env = append(os.Environ(), stageEnv+"="+stageInit, listenEnv+"="+string(names))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = files
	cmd.SysProcAttr = namespaces()
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	return exitStatus(cmd.Wait())
}

func openListeners(addresses []string) ([]*os.File, error) {
	files := make([]*os.File, 0, len(addresses))
	for _, a := range addresses {
		l, err := net.Listen("tcp", a) //nolint:noctx // before there is anything to cancel
		if err != nil {
			return nil, err
		}
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// namespaces sets a process group of its own besides the namespaces: a terminal's interrupt reaches the program
// once, through leave, and not a second time from the terminal.
func namespaces() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWUTS,
		Pdeathsig:  unix.SIGKILL,
		Setpgid:    true,
	}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return attr
}

func exitStatus(err error) (int, error) {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return 0, err
	}
	return statusOf(exit.Sys().(syscall.WaitStatus)), nil
}

// statusOf is what a shell would say: 128 and more for a death by signal.
func statusOf(ws syscall.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// runInit is process 1: it prepares the world, starts the program, and reaps until that ends.
func runInit() int {
	// Until prepare mounts another, /proc is the outside's.
	if pid, err := os.Readlink("/proc/self"); err == nil {
		_ = os.Setenv(pidEnv, pid)
	}
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "prepare a private world:", err)
		return 1
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	child, err := startProgram()
	if err != nil {
		fmt.Fprintln(os.Stderr, "start in a private world:", err)
		return 1
	}
	go func() {
		for s := range signals {
			_ = unix.Kill(child, s.(syscall.Signal))
		}
	}()
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, 0, nil)
		if pid == child {
			return statusOf(ws)
		}
		if err != nil && err != syscall.EINTR {
			return 1
		}
	}
}

func startProgram() (pid int, err error) {
	var addresses []string
	if err := json.Unmarshal([]byte(os.Getenv(listenEnv)), &addresses); err != nil {
		return 0, err
	}
	fds := []uintptr{0, 1, 2}
	for i := range addresses {
		fds = append(fds, uintptr(3+i))
	}
	return syscall.ForkExec("/proc/self/exe", os.Args, &syscall.ProcAttr{
		Env:   append(environWithout(stageEnv), stageEnv+"="+stageInside),
		Files: fds,
	})
}

func environWithout(name string) []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, name+"=") {
			env = append(env, e)
		}
	}
	return env
}

// prepare makes mounts private, gives the world its own /proc, /sys and an empty /run, and brings up lo.
func prepare() error {
	if err := unix.Sethostname([]byte("sandbox")); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	for _, m := range []struct{ fs, at string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"tmpfs", "/run"}} {
		if err := unix.Mount(m.fs, m.at, m.fs, unix.MS_NOSUID|unix.MS_NODEV, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	return netlink.LinkSetUp(lo)
}

// arrive takes over what was handed in.
func arrive() (*World, error) {
	var addresses []string
	if err := json.Unmarshal([]byte(os.Getenv(listenEnv)), &addresses); err != nil {
		return nil, fmt.Errorf("read the listeners of this world: %w", err)
	}
	pid, _ := strconv.Atoi(os.Getenv(pidEnv))
	for _, name := range []string{stageEnv, listenEnv, pidEnv} {
		if err := os.Unsetenv(name); err != nil {
			return nil, err
		}
	}
	w := &World{listeners: map[string]net.Listener{}, outside: pid}
	for i, a := range addresses {
		f := os.NewFile(uintptr(3+i), a)
		l, err := net.FileListener(f)
		if err != nil {
			return nil, fmt.Errorf("take over the listener on %s: %w", a, err)
		}
		_ = f.Close()
		w.listeners[a] = l
	}
	return w, nil
}
