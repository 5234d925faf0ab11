// Package checker is the command amphora-health-checker, with which keepalived asks in an amphora whether a member takes UDP
// datagrams or SCTP associations. Names, arguments and exit statuses are upstream's.
package checker

import (
	"flag"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"strconv"
	"time"
)

// Name is what the command is called.
const Name = "amphora-health-checker"

// Called finds the command in a program's arguments: in its name, or as its first argument.
func Called(argv []string) (args []string, ok bool) {
	for i, word := range argv[:min(len(argv), 2)] {
		if filepath.Base(word) == Name {
			return argv[i+1:], true
		}
	}
	return nil, false
}

// Exit statuses.
const (
	up        = 0
	refused   = 1 // and whatever cannot be asked
	silent    = 2
	unsettled = 3 // an answer that is none
)

// Main runs the command with its arguments, without its name, and returns the exit status.
func Main(args []string, stderr io.Writer) int {
	if len(args) == 0 {
		return usage(stderr)
	}
	flags := flag.NewFlagSet(Name+" "+args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	seconds := flags.Int("t", 3, "seconds to wait for an answer")
	if err := flags.Parse(args[1:]); err != nil || flags.NArg() != 2 {
		return usage(stderr)
	}
	address, err := netip.ParseAddr(flags.Arg(0))
	if err != nil {
		return usage(stderr)
	}
	port, err := strconv.ParseUint(flags.Arg(1), 10, 16)
	if err != nil {
		return usage(stderr)
	}
	to, patience := netip.AddrPortFrom(address.Unmap(), uint16(port)), time.Duration(*seconds)*time.Second
	ask, ok := map[string]func(netip.AddrPort, time.Duration) (int, error){"udp": udp, "sctp": sctp}[args[0]]
	if !ok {
		return usage(stderr)
	}
	status, err := ask(to, patience)
	if err != nil {
		fmt.Fprintln(stderr, err)
	}
	return status
}

func usage(stderr io.Writer) int {
	fmt.Fprintf(stderr, "usage: %s udp|sctp [-t SECONDS] IP PORT\n", Name)
	return refused
}
