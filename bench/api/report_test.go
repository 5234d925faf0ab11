package main

import (
	"strings"
	"testing"
	"time"
)

// The ratios are upstream's cost by ours, and ours rate by upstream's.
func TestReport(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	r := report{out: &b}
	peers := []*peer{{name: "ottavino"}, {name: "octavia-api"}}
	costing := func(api, database float64) *result {
		ms := time.Duration(api * float64(time.Second))
		return &result{latencies: []time.Duration{ms}, elapsed: ms, used: usage{api: api, database: database, statements: 1}}
	}
	r.header(peers)
	r.line(listOf(10), 1, []*result{costing(0.001, 0.001), costing(0.02, 0.002)})
	r.line(listOf(110), 1, []*result{costing(0.002, 0.001), costing(0.12, 0.002)})
	r.line(operation{name: "show"}, 64, []*result{costing(0.001, 0.001), nil})
	r.growth(peers)
	for _, want := range []string{"20.0      20.0      11.0\n", "too slow", "ottavino                     10 to 110: 10.0\n", "10 to 110: 1000.0\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("got\n%s\nwant %q in it", b.String(), want)
		}
	}
}
