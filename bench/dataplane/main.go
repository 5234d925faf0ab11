// Command dataplane measures what an amphora's haproxy does, beside one with a configuration written by hand, and prints a table.
// `make bench-dataplane` builds what it needs.
//
// What is fair, and to whom:
//   - Both are the same program on the same machine, in the same namespace, at the same time; while one is measured the other is idle.
//     They get the same certificate, members and clients. They take turns, and who begins does, too.
//   - Ours is what a worker renders and what the agent makes of it, watched by the agent all the time. The other has what
//     haproxy needs to serve the same, and nothing else. Neither logs connections.
//   - Clients and members share the processors with haproxy, so a rate says what the machine has left for it. What a request costs
//     haproxy is told by its own processor time, too.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/ottavino/ottavino/sandbox/world"
)

// options are flags.
type options struct {
	bin     string
	rounds  int
	length  time.Duration
	clients int
	only    string // part of a work's name
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "bin", "`directory` of amphora-agent")
	flag.IntVar(&o.rounds, "rounds", 100, "how often each is measured")
	flag.DurationVar(&o.length, "time", 150*time.Millisecond, "how long each time")
	flag.IntVar(&o.clients, "clients", 16, "connections at a time")
	flag.StringVar(&o.only, "only", "", "measure only the work that has this in its name")
	flag.Parse()
	if _, err := world.Enter(); err != nil {
		fail(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

// sample is one round of one of them.
type sample struct {
	rate float64 // a second
	cost float64 // haproxy's processor time for one, in seconds
}

// contest is all rounds of one kind of work.
type contest struct {
	work        work
	ours, other []sample
}

func run(ctx context.Context, o options, out io.Writer) error {
	b, err := newBench(ctx, filepath.Join(o.bin, "amphora-agent"))
	if err != nil {
		return err
	}
	defer b.close(context.WithoutCancel(ctx))
	var contests []contest
	for _, w := range works {
		if !strings.Contains(w.name, o.only) {
			continue
		}
		c := contest{work: w}
		for i := -1; i < o.rounds; i++ { // the first warms up
			ours, other, err := b.round(ctx, w, o, i%2 == 0)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			if i >= 0 {
				c.ours, c.other = append(c.ours, ours), append(c.other, other)
			}
		}
		contests = append(contests, c)
	}
	return report(out, contests)
}

// round measures both.
func (b *bench) round(ctx context.Context, w work, o options, oursFirst bool) (ours, other sample, err error) {
	turns := []func() error{
		func() (err error) { ours, err = b.measure(ctx, w, o, b.ours); return err },
		func() (err error) { other, err = b.measure(ctx, w, o, b.other); return err },
	}
	if !oursFirst {
		slices.Reverse(turns)
	}
	for _, turn := range turns {
		if err := turn(); err != nil {
			return ours, other, err
		}
	}
	return ours, other, nil
}

func (b *bench) measure(ctx context.Context, w work, o options, p proxy) (sample, error) {
	before, err := p.processorTime()
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	ctx, cancel := context.WithDeadline(ctx, began.Add(o.length))
	defer cancel()
	n, err := crowd(ctx, o.clients, w, p)
	took := time.Since(began)
	if err != nil {
		return sample{}, err
	}
	after, err := p.processorTime()
	return sample{float64(n) / took.Seconds(), (after - before).Seconds() / float64(n)}, err
}

func report(out io.Writer, contests []contest) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "median of rounds\tours\tby hand\tours / by hand\t95 % sure\tprocessor time each, ours\tby hand\tours / by hand\t95 % sure\t")
	for _, c := range contests {
		rate := func(s sample) float64 { return s.rate / c.work.scale }
		cost := func(s sample) float64 { return s.cost * c.work.scale * 1e6 }
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%s\t%.1f µs\t%.1f µs\t%s\t\n", c.work.name,
			quantile(each(c.ours, rate), 0.5), quantile(each(c.other, rate), 0.5), c.ratio(rate),
			quantile(each(c.ours, cost), 0.5), quantile(each(c.other, cost), 0.5), c.ratio(cost))
	}
	return w.Flush()
}

// ratio is ours to the other's in the same round, the median of all rounds, and between what that is with 95 % certainty: as many
// rounds lie below it as coins fall on one side.
func (c contest) ratio(of func(sample) float64) string {
	var ratios []float64
	for i := range c.ours {
		ratios = append(ratios, of(c.ours[i])/of(c.other[i]))
	}
	off := 0.98 / math.Sqrt(float64(len(ratios)))
	return fmt.Sprintf("%.3f\t%.3f–%.3f", quantile(ratios, 0.5), quantile(ratios, 0.5-off), quantile(ratios, 0.5+off))
}

func each(samples []sample, of func(sample) float64) []float64 {
	out := make([]float64, len(samples))
	for i, s := range samples {
		out[i] = of(s)
	}
	return out
}

// quantile interpolates.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	at := min(max(q, 0), 1) * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}
