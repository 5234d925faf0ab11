package demo

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// client opens a connection per request, so that each one is balanced anew.
var client = &http.Client{
	Transport: &http.Transport{DisableKeepAlives: true},
	Timeout:   5 * time.Second,
}

// request asks the VIP once and returns the name of the backend that answered.
func (s *story) request(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.vip+"/", http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	return strings.TrimSpace(string(body)), nil
}

// tally counts the answers of a stretch of traffic.
type tally struct {
	by     map[string]int // backend name → answers
	failed int
	first  error // the first failure
}

func (t tally) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(t.by)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, t.by[name]))
	}
	text := fmt.Sprintf("answers: %s; failed: %d", strings.Join(parts, ", "), t.failed)
	if t.first != nil {
		text += fmt.Sprintf(" (first: %v)", t.first)
	}
	return text
}

// underTraffic sends a request every 5 ms while during runs, and counts.
func (s *story) underTraffic(ctx context.Context, during func() error) (tally, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop, counted := make(chan struct{}), make(chan tally)
	go func() {
		t := tally{by: map[string]int{}}
		for {
			select {
			case <-stop:
				counted <- t
				return
			case <-time.After(5 * time.Millisecond):
			}
			who, err := s.request(ctx)
			if err != nil {
				t.failed++
				if t.first == nil {
					t.first = err
				}
				continue
			}
			t.by[who]++
		}
	}()
	err := during()
	close(stop)
	return <-counted, err
}
