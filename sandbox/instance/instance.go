// Package instance runs the servers of the sandbox: each is a set of Linux namespaces (mounts, network, process ids
// and host name) with its own /etc, /var/lib, /var/log and /run, wired to bridges by veth pairs, and booted
// with the files of its config drive. Its process 1 keeps one program running, as systemd would in an image.
//
// Importing the package makes the program able to be such a process 1 (see init.go). It wants root in a world of its
// own (package world): whatever happens, the world's end is the end of everything made here.
package instance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// NIC is a network interface of an instance.
type NIC struct {
	PortID string // Neutron's; names the outer end, as Nova does: tap and the first 11 characters
	MAC    string
	Bridge string
	MTU    int // bytes; 0 = 1500
	// Addresses are configured at boot, as DHCP would; a NIC that is plugged later comes bare.
	Addresses []netip.Prefix
}

// Spec is an instance to boot.
type Spec struct {
	ID   string
	Name string // host name
	NICs []NIC  // eth0, eth1, ...
	// Files are written before Command starts, absolute path → content.
	Files map[string][]byte
	// Command is kept running: it is started again when it ends. nil = nothing runs.
	Command []string
	// Web makes process 1 answer HTTP on port 80 with this text and a line feed, and every datagram to UDP port 80, too; "" = it does not.
	Web string
}

// Instance is a running instance.
type Instance struct {
	Spec
	disk    string // path
	cmd     *exec.Cmd
	console *console
	gone    chan struct{} // closed when process 1 has ended

	mu    sync.Mutex
	wired []NIC // plugged now
}

// Boot starts an instance and returns when its program has been started. dir is for its console's text and its disk;
// it has to exist. An instance whose disk is there already (see Kill) finds its files on it as they were.
func Boot(ctx context.Context, dir string, s Spec) (*Instance, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	log, err := newConsole(filepath.Join(dir, s.ID+".console"))
	if err != nil {
		return nil, err
	}
	i := &Instance{Spec: s, disk: filepath.Join(dir, s.ID+diskSuffix), console: log, gone: make(chan struct{})}
	fresh, err := openDisk(i.disk)
	if err == nil {
		err = i.boot(ctx)
	}
	if err == nil {
		return i, nil
	}
	i.Kill()
	if fresh {
		err = errors.Join(err, removeDisk(i.disk))
	}
	return nil, fmt.Errorf("boot instance %s: %w", s.ID, err)
}

func (i *Instance) boot(ctx context.Context) error {
	goRead, goWrite, err := os.Pipe()
	if err != nil {
		return err
	}
	defer goWrite.Close()
	readyRead, readyWrite, err := os.Pipe()
	if err != nil {
		_ = goRead.Close()
		return err
	}
	defer readyRead.Close()
	i.cmd = exec.Command("/proc/self/exe") //nolint:noctx // lives until Kill
	i.cmd.Args = []string{"init"}
	i.cmd.Env = append(os.Environ(), initEnv+"="+i.disk)
	i.cmd.Stdout, i.cmd.Stderr = i.console.file, i.console.file
	i.cmd.ExtraFiles = []*os.File{goRead, readyWrite}
	i.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Setsid:     true,
	}
	err = i.cmd.Start()
	_, _ = goRead.Close(), readyWrite.Close()
	if err != nil {
		close(i.gone)
		return err
	}
	go func() {
		_ = i.cmd.Wait()
		close(i.gone)
	}()
	for _, nic := range i.NICs {
		if err := i.Plug(nic); err != nil {
			return err
		}
	}
	if err := json.NewEncoder(goWrite).Encode(i.Spec); err != nil {
		return err
	}
	return i.awaitReady(ctx, readyRead)
}

// awaitReady reads what process 1 says once its program runs: nothing, or why it does not.
func (i *Instance) awaitReady(ctx context.Context, r *os.File) error {
	stop := context.AfterFunc(ctx, func() { _ = r.Close() })
	defer stop()
	word, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if string(word) != ready {
		return fmt.Errorf("process 1 failed: %s%s", word, i.console.tail())
	}
	return nil
}

// Remove kills the instance and throws its disk away. It may be called twice.
func (i *Instance) Remove() error {
	i.Kill()
	return removeDisk(i.disk)
}

// Kill crashes the instance: its processes end at once, its interfaces go, its disk stays for another Boot with the
// same id. It may be called twice.
func (i *Instance) Kill() {
	if i.cmd != nil && i.cmd.Process != nil {
		_ = i.cmd.Process.Kill()
		<-i.gone
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, nic := range i.wired {
		_ = unplug(nic)
	}
	i.wired = nil
	i.console.close()
}

// Running says whether process 1 lives.
func (i *Instance) Running() bool {
	select {
	case <-i.gone:
		return false
	default:
		return true
	}
}

// Pid is process 1 as seen from outside.
func (i *Instance) Pid() int { return i.cmd.Process.Pid }

// Console returns what the instance's processes have written to their standard output.
func (i *Instance) Console() []byte { return i.console.text() }

// Exec runs a command inside, in the instance's own network namespace, and returns its
// standard output. The error holds its standard error.
func (i *Instance) Exec(ctx context.Context, argv ...string) ([]byte, error) {
	args := append([]string{"-t", strconv.Itoa(i.Pid()), "-m", "-n", "-p", "-u", "-i", "--"}, argv...)
	cmd := exec.CommandContext(ctx, "nsenter", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%v in instance %s: %w: %s", argv, i.ID, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// KillCommand sends SIGKILL to the program that process 1 keeps running, and returns when
// another one has been started.
func (i *Instance) KillCommand(ctx context.Context) error {
	_, err := i.Exec(ctx, "sh", "-c", `old=$(cat `+pidFile+`); kill -9 "$old"; while [ "$(cat `+pidFile+`)" = "$old" ]; do sleep 0.01; done`)
	return err
}
