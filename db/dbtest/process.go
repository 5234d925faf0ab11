package dbtest

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

// patience bounds starting a server and making a database.
func patience() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Minute)
}

// nobody is the account under which servers run that refuse to run as root.
const nobody = 65534

// attributes make a child run as nobody when we are root, and die with us.
func attributes(death syscall.Signal) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Pdeathsig: death}
	if os.Getuid() == 0 {
		a.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return a
}

// privateDir is scratch for a server: its own account owns it.
func privateDir(name string) (string, error) {
	dir, err := scratch(name)
	if err == nil && os.Getuid() == 0 {
		err = os.Chown(dir, nobody, nobody)
	}
	return dir, err
}

// process is a running server.
type process struct {
	cmd    *exec.Cmd
	end    syscall.Signal
	output output
	ended  chan struct{}
}

// start runs a server. end is the signal that stops it quickest.
func start(end syscall.Signal, dir, name string, args ...string) (*process, error) {
	p := &process{end: end, ended: make(chan struct{})}
	p.cmd = exec.Command(name, args...) //nolint:noctx // ended by stop
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	p.cmd.SysProcAttr = attributes(end)
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

// ready waits until probe succeeds.
func (p *process) ready(probe func(context.Context) error) error {
	ctx, cancel := patience()
	defer cancel()
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

// stop ends the server and waits for it.
func (p *process) stop() error {
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
