// Command hitless changes a load balancer two hundred times and more while clients ask, and prints what they noticed: once with
// our agent, once the way upstream's agent does it. `make bench-hitless` builds what it needs.
//
// What is fair, and to whom:
//   - Both get the same configurations, certificates and members, in the same order, on the same machine, one after the other,
//     and the same clients, which try nothing again.
//   - Upstream's way is its agent's steps with its options: test, rename, save the servers' state, and have haproxy -Ws reload by
//     SIGUSR2. The steps are made here, without HTTP and TLS in between, and the next one waits until haproxy says that it is
//     ready, as it tells systemd: favours.
//   - A restart of the agent does nothing to haproxy either way; only ours is restarted, by SIGKILL.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/ottavino/ottavino/internal/amphoralab"
	"github.com/ottavino/ottavino/internal/churn"
	"github.com/ottavino/ottavino/sandbox/world"
)

func main() {
	bin := flag.String("bin", "bin", "`directory` of amphora-agent")
	seed := flag.Uint64("seed", 1, "of the order of changes")
	flag.Parse()
	if _, err := world.Enter(); err != nil {
		fail(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin, *seed, os.Stdout); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

// result is what clients noticed of one way.
type result struct {
	name    string
	notes   churn.Notes
	took    churn.Took
	workers int // of haproxy at the end
}

func run(ctx context.Context, bin string, seed uint64, out io.Writer) error {
	l, err := newLab(ctx, filepath.Join(bin, "amphora-agent"))
	if err != nil {
		return err
	}
	defer l.Close()
	var results []result
	for _, way := range []struct {
		name  string
		begin func(context.Context) (amphora, error)
	}{{"ours", l.ours}, {"upstream's way", l.upstream}} {
		r, err := l.measure(ctx, way.begin, seed)
		if err != nil {
			return fmt.Errorf("%s: %w", way.name, err)
		}
		r.name = way.name
		results = append(results, r)
	}
	return report(out, results)
}

// amphora is one way to change haproxy.
type amphora interface {
	churn.Amphora
	workers() int
	stop(ctx context.Context) error
}

func (l *lab) measure(ctx context.Context, begin func(context.Context) (amphora, error), seed uint64) (r result, err error) {
	a, err := begin(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = cmp.Or(err, a.stop(context.WithoutCancel(ctx))) }()
	play := l.play(seed)
	if err := play.Prepare(ctx, a); err != nil {
		return r, err
	}
	clients := churn.Start(ctx, amphoralab.VIP, false)
	r.took, err = play.Run(ctx, a)
	r.notes, r.workers = clients.Stop(), a.workers()
	return r, err
}

func report(out io.Writer, results []result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, cell func(result) string) {
		fmt.Fprint(w, name, "\t")
		for _, r := range results {
			fmt.Fprint(w, cell(r), "\t")
		}
		fmt.Fprintln(w)
	}
	row("", func(r result) string { return r.name })
	row("requests answered", func(r result) string { return fmt.Sprint(len(r.notes.Took)) })
	row("requests failed", func(r result) string { return fmt.Sprint(r.notes.Failures()) })
	for _, percent := range []float64{50, 99, 99.9, 100} {
		row(fmt.Sprintf("answered within, %g %%", percent), func(r result) string { return milliseconds(r.notes.Quantile(percent)) })
	}
	for _, thing := range []string{churn.Member, churn.Listener, churn.Policy, churn.Certificate, churn.Agent} {
		row(fmt.Sprintf("%s: %d times, median", thing, len(results[0].took[thing])), func(r result) string { return milliseconds(median(r.took[thing])) })
	}
	row("workers of haproxy at the end", func(r result) string { return fmt.Sprint(r.workers) })
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		for _, kind := range r.notes.Kinds() {
			fmt.Fprintf(out, "%s, %s\n", r.name, kind)
		}
	}
	return nil
}

func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

// childrenOf counts the children of the process that a pid file names.
func childrenOf(pidFile string) int {
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		return 0
	}
	p := strings.TrimSpace(string(pid))
	text, err := os.ReadFile("/proc/" + p + "/task/" + p + "/children")
	if err != nil {
		return 0
	}
	return len(strings.Fields(string(text)))
}
