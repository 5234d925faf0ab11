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
	if err := ownRoot(); err != nil {
		return err
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

// ownRoot makes what is / here the root of the mount namespace, too, unless it is. In a chroot the two
// differ, and whoever enters one of our namespaces would find himself outside of it.
func ownRoot() error {
	var here, first unix.Stat_t
	if err := unix.Stat("/", &here); err != nil {
		return fmt.Errorf("look at the root: %w", err)
	}
	// /proc is still the outside's. What cannot be seen there cannot be compared.
	if err := unix.Stat("/proc/1/root/", &first); err != nil || here.Dev == first.Dev && here.Ino == first.Ino {
		return nil
	}
	root, err := os.MkdirTemp("", "ottavino-root-")
	if err != nil {
		return err
	}
	if err := pivot(root); err != nil {
		return fmt.Errorf("leave the chroot: %w", err)
	}
	return os.Remove(root)
}

// pivot moves to a recursive bind of / at the given directory, and lets the old root go.
func pivot(to string) error {
	if err := unix.Mount("/", to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	root, err := unix.Open(to, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(root) }()
	// pivot_root wants to be called at the namespace's root. A root below the working directory is no
	// barrier to "..".
	if err := unix.Chroot(to); err != nil {
		return err
	}
	for range 64 {
		if err := unix.Chdir(".."); err != nil {
			return err
		}
	}
	for _, step := range []func() error{
		func() error { return unix.Chroot(".") },
		func() error { return unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, "") },
		func() error { return unix.Fchdir(root) },
		func() error { return unix.PivotRoot(".", ".") },
		func() error { return unix.Unmount(".", unix.MNT_DETACH) },
		func() error { return unix.Chdir("/") },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
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
