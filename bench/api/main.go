// Command api compares ottavino's API with upstream's, octavia-api of Debian's packages, in one run: the same requests to both,
// with noop drivers, on two databases of one MariaDB server, which hold the same rows. It prints requests per second,
// latency, CPU time per request of the API and of MariaDB, memory, and the ratios. `make bench-api` installs what it needs.
//
// What is fair, and to whom:
//   - octavia-api runs under uWSGI with the ini file that Debian ships (8 processes of 32 threads), ottavino with its defaults.
//   - auth_strategy is noauth, so that Keystone is not measured; quotas then are not counted, on either side.
//   - No worker runs. octavia-api sends its messages to oslo.messaging's fake transport, which spares it RabbitMQ: a favour.
//     Ottavino's queue is a table, and stays. What a worker would set ACTIVE is set by the same SQL, between measurements.
//   - pending_changes is reject, so that ottavino makes the same checks; ids are known beforehand, so neither is asked for them.
//   - The clients share the machine's cores with what they measure, so a rate tells less than CPU time does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

// options are the program's flags.
type options struct {
	bin       string
	alone     bool
	only      *regexp.Regexp // nil = all
	requests  int            // most of one measurement
	limit     time.Duration  // of one measurement; what has begun is finished
	processes int            // of uWSGI; 0 is what Debian's ini says
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "bin", "`directory` of ottavino")
	flag.BoolVar(&o.alone, "alone", false, "measure ottavino alone, without octavia-api")
	flag.Func("run", "measure only operations whose name matches `regexp`", func(text string) (err error) {
		o.only, err = regexp.Compile(text)
		return err
	})
	flag.IntVar(&o.requests, "requests", 2000, "most requests of one measurement")
	flag.DurationVar(&o.limit, "limit", 5*time.Second, "most time of one measurement")
	flag.IntVar(&o.processes, "processes", 0, "processes of octavia-api (default: as Debian's ini file says)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out io.Writer) (err error) {
	l, err := newLab(ctx, o)
	if l != nil {
		defer func() { err = errors.Join(err, l.close()) }()
	}
	if err != nil {
		return err
	}
	m := meter{requests: o.requests, limit: o.limit, database: l.database}
	r := report{out: out}
	r.header(l.peers)
	for _, op := range operations() {
		for _, clients := range op.clients {
			if o.only != nil && !o.only.MatchString(op.name) {
				continue
			}
			if err := compare(ctx, m, l, op, clients, &r); err != nil {
				return err
			}
		}
	}
	r.growth(l.peers)
	return r.memory(l.peers)
}

// compare measures an operation on each server, and prints the line.
func compare(ctx context.Context, m meter, l *lab, op operation, clients int, r *report) error {
	var line []*result
	for _, p := range l.peers {
		got, err := m.measure(ctx, p, op, clients)
		if err != nil {
			return fmt.Errorf("%s: %s, %d clients: %w", p.name, op.name, clients, err)
		}
		line = append(line, got)
	}
	r.line(op, clients, line)
	return nil
}
