// Package dbserver runs the database programs of the machine for a while: in a private directory, reachable through a
// socket in it, never as root, and gone with the process that started them. Tests get databases from dbtest.
package dbserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// nobody is the account under which servers run that refuse to run as root.
const nobody = 65534

// AsNobody makes a command run as nobody when we are root.
func AsNobody(cmd *exec.Cmd) {
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
}

// Dir makes a directory, in memory where the machine has that. The caller removes it.
func Dir(name string) (string, error) {
	parent := "/dev/shm"
	if s, err := os.Stat(parent); err != nil || !s.IsDir() {
		parent = os.TempDir()
	}
	return os.MkdirTemp(parent, name+"-")
}

// NobodysDir is Dir for a server AsNobody: its own account owns it.
func NobodysDir(name string) (string, error) {
	dir, err := Dir(name)
	if err == nil && os.Getuid() == 0 {
		err = os.Chown(dir, nobody, nobody)
	}
	return dir, err
}

// Process is a running server.
type Process struct {
	cmd    *exec.Cmd
	end    syscall.Signal
	output output
	ended  chan struct{}
}

// Start runs a server that ends when we do. end is the signal that stops it; a command without a place for its output
// has it kept, for the errors of Ready.
func Start(cmd *exec.Cmd, end syscall.Signal) (*Process, error) {
	p := &Process{cmd: cmd, end: end, ended: make(chan struct{})}
	if cmd.Stdout == nil && cmd.Stderr == nil {
		cmd.Stdout, cmd.Stderr = &p.output, &p.output
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = end
	started := make(chan error)
	go func() {
		// The child's death signal comes when the thread that started it ends, so that must stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
		}
		close(p.ended)
	}()
	return p, <-started
}

// PID is the server's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ready waits until probe succeeds. It fails when ctx or the server ends first.
func (p *Process) Ready(ctx context.Context, probe func(context.Context) error) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.ended:
			return fmt.Errorf("%s ended: %s", p.cmd.Path, p.output.String())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w: %s", p.cmd.Path, err, p.output.String())
		}
	}
}

// Stop ends the server and waits for it.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(p.end); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	return nil
}

// output keeps what a server says, for the message when it fails.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
