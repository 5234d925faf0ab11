package main

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"time"
)

// report prints results beside each other.
type report struct {
	out   io.Writer
	grown map[int][]*result // lists of one client, one of each server, by their length
}

const (
	left   = "%-26s %3d"
	column = " │ %8.1f %8.1f %8.1f %9.3f %8.3f %6.1f"
	empty  = " │ %8s %8s %8s %9s %8s %6s"
)

func (r *report) header(peers []*peer) {
	fmt.Fprintf(r.out, "%d CPUs. CPU and DB: milliseconds of CPU time per request, of the API's processes and of MariaDB. "+
		"SQL: statements per request.\n\n", runtime.NumCPU())
	fmt.Fprintf(r.out, "%-30s", "")
	for _, p := range peers {
		fmt.Fprintf(r.out, " │ %-52s", p.name)
	}
	fmt.Fprintf(r.out, "\n%-26s %3s", "", "by")
	for range peers {
		fmt.Fprintf(r.out, empty, "req/s", "p50 ms", "p99 ms", "CPU", "DB", "SQL")
	}
	if len(peers) > 1 {
		fmt.Fprintf(r.out, " │ %9s %9s %9s", "× req/s", "× per CPU", "with DB")
	}
	fmt.Fprintln(r.out)
}

// line prints what an operation cost on each server. A nil result was left out.
func (r *report) line(op operation, clients int, results []*result) {
	fmt.Fprintf(r.out, left, op.name, clients)
	for _, got := range results {
		if got == nil {
			fmt.Fprintf(r.out, empty, "too slow", "", "", "", "", "")
			continue
		}
		one := got.each()
		fmt.Fprintf(r.out, column, got.rate(), milliseconds(got.percentile(50)), milliseconds(got.percentile(99)),
			one.api*1000, one.database*1000, one.statements)
	}
	if len(results) > 1 && results[0] != nil && results[1] != nil {
		a, b := results[0].each(), results[1].each()
		fmt.Fprintf(r.out, " │ %9.1f %9.1f %9.1f", results[0].rate()/results[1].rate(), b.api/a.api, (b.api+b.database)/(a.api+a.database))
	}
	fmt.Fprintln(r.out)
	if op.lists > 0 && clients == 1 {
		if r.grown == nil {
			r.grown = map[int][]*result{}
		}
		r.grown[op.lists] = results
	}
}

// growth prints what each further load balancer adds to a list. With a cost that grows linearly, the figures of a line are alike.
func (r *report) growth(peers []*peer) {
	if len(r.grown) < 2 {
		return
	}
	fmt.Fprintf(r.out, "\nEach further load balancer of a list, in microseconds of the API's CPU time:\n")
	sizes := slices.Sorted(maps.Keys(r.grown))
	for i, p := range peers {
		fmt.Fprintf(r.out, "%-26s", p.name)
		for j, size := range sizes[1:] {
			more := r.grown[size][i].each().api - r.grown[sizes[j]][i].each().api
			fmt.Fprintf(r.out, "   %d to %d: %.1f", sizes[j], size, more*1e6/float64(size-sizes[j]))
		}
		fmt.Fprintln(r.out)
	}
}

// memory prints what the servers hold after all that.
func (r *report) memory(peers []*peer) error {
	var all []float64
	fmt.Fprintf(r.out, "\nMemory in MiB (in brackets with shared pages divided among those that share them):\n")
	for _, p := range peers {
		resident, proportional, err := treeMemory(p.process.PID())
		if err != nil {
			return err
		}
		all = append(all, resident)
		fmt.Fprintf(r.out, "%-26s %6.0f (%.0f)\n", p.name, resident, proportional)
	}
	if len(all) > 1 {
		fmt.Fprintf(r.out, "%-26s %6.1f\n", "ratio", all[1]/all[0])
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
