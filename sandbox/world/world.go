// Package world runs the current program again inside private Linux namespaces: mounts, network, process ids
// and host name, and a user namespace when it was not started by root. Whatever the program makes there
// (bridges, namespaces, processes, files under /run) collides with nobody and is gone when it ends, however it ends.
//
// Three processes take part: the one the user started, which only passes signals in and the exit status out; process 1
// of the new world, which prepares it and reaps orphans; and the program itself, where Enter returns.
package world

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// World is where the program runs after Enter.
type World struct {
	listeners map[string]net.Listener
	outside   int
}

// OutsidePid is the pid of process 1 as seen outside, for nsenter; 0 when it is not known.
func (w *World) OutsidePid() int { return w.outside }

// Option configures Enter and Main.
type Option func(*options)

type options struct {
	listen []string
	after  []func() error
}

// Listen opens a TCP listener on address outside, before the world is entered, and hands it in: a service inside
// becomes reachable from outside. See World.Listener.
func Listen(address string) Option {
	return func(o *options) { o.listen = append(o.listen, address) }
}

// After adds a check that Main makes when all tests passed, such as goleak.Find; an error fails the run.
func After(check func() error) Option {
	return func(o *options) { o.after = append(o.after, check) }
}

// Enter returns inside a new world. In the process that called it first it never returns: that one waits for the
// program inside and exits as it did. Call it before anything that must not happen twice, on the main goroutine.
func Enter(opts ...Option) (*World, error) {
	o := options{}
	for _, opt := range opts {
		opt(&o)
	}
	switch stage := os.Getenv(stageEnv); stage {
	case "":
		status, err := leave(o.listen)
		if err != nil {
			return nil, fmt.Errorf("enter a private world: %w", err)
		}
		os.Exit(status)
	case stageInit:
		os.Exit(runInit())
	}
	return arrive()
}

// Listener returns the outside listener that Listen(address) opened.
func (w *World) Listener(address string) (net.Listener, error) {
	l, ok := w.listeners[address]
	if !ok {
		return nil, fmt.Errorf("no listener on %s was handed into this world", address)
	}
	return l, nil
}

// Runner is what Main runs; *testing.M is one.
type Runner interface{ Run() int }

// Main runs a package's tests in a world of their own and exits. For TestMain.
func Main(m Runner, opts ...Option) {
	if _, err := Enter(opts...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	o := options{}
	for _, opt := range opts {
		opt(&o)
	}
	status := m.Run()
	if status == 0 {
		var errs []error
		for _, check := range o.after {
			errs = append(errs, check())
		}
		if err := errors.Join(errs...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}
