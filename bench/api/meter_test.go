package main

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestLoadAsksEachOnce(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []int
	latencies, err := load(8, 100, time.Hour, func(n int) error {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, n)
		return nil
	})
	if err != nil || len(latencies) != 100 {
		t.Fatalf("got %d latencies, %v", len(latencies), err)
	}
	slices.Sort(asked)
	for i, n := range asked {
		if n != i {
			t.Fatalf("got %v, want 0 to 99 once each", asked)
		}
	}
}

func TestLoadStops(t *testing.T) {
	t.Parallel()
	if got, err := load(2, 100, 0, func(int) error { return nil }); err != nil || len(got) != 0 {
		t.Errorf("after the limit: got %v, %v, want nothing asked", got, err)
	}
	broken := errors.New("broken")
	got, err := load(1, 100, time.Hour, func(n int) error {
		if n == 2 {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) || len(got) != 3 {
		t.Errorf("after an error: got %d asked, %v, want 3 and it", len(got), err)
	}
}

func TestResult(t *testing.T) {
	t.Parallel()
	r := result{elapsed: 2 * time.Second, used: usage{api: 1, database: 0.5, statements: 900}}
	for i := range 100 {
		r.latencies = append(r.latencies, time.Duration(i+1)*time.Millisecond)
	}
	if r.percentile(50) != 50*time.Millisecond || r.percentile(99) != 99*time.Millisecond || r.rate() != 50 {
		t.Errorf("got p50 %v, p99 %v, %v/s", r.percentile(50), r.percentile(99), r.rate())
	}
	if got, want := r.each(), (usage{api: 0.01, database: 0.005, statements: 9}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	few := result{latencies: []time.Duration{1, 2}}
	if few.percentile(50) != 1 || few.percentile(99) != 2 {
		t.Errorf("of two: got %v, %v", few.percentile(50), few.percentile(99))
	}
}
