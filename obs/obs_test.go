package obs_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ottavino/ottavino/obs"
)

func TestWithMerges(t *testing.T) {
	ctx := obs.With(t.Context(), obs.IDs{RequestID: "req-1", ProjectID: "p"})
	ctx = obs.With(ctx, obs.IDs{LoadBalancerID: "lb", ProjectID: "q"})
	want := obs.IDs{RequestID: "req-1", ProjectID: "q", LoadBalancerID: "lb"}
	if got := obs.From(ctx); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := obs.From(t.Context()); got != (obs.IDs{}) {
		t.Errorf("got %+v, want none", got)
	}
}

func TestLinesCarryIDs(t *testing.T) {
	all := obs.IDs{RequestID: "r", ProjectID: "p", LoadBalancerID: "lb", AmphoraID: "a"}
	tests := map[string]struct {
		ids  obs.IDs
		log  func(context.Context, *slog.Logger)
		want map[string]any
	}{
		"none": {
			obs.IDs{},
			func(ctx context.Context, l *slog.Logger) { l.InfoContext(ctx, "m") },
			map[string]any{"msg": "m", "level": "INFO"},
		},
		"all": {
			all,
			func(ctx context.Context, l *slog.Logger) { l.WarnContext(ctx, "m", "k", 1) },
			map[string]any{
				"msg": "m", "level": "WARN", "k": 1.0,
				"request_id": "r", "project_id": "p", "loadbalancer_id": "lb", "amphora_id": "a",
			},
		},
		"of a derived logger": {
			obs.IDs{AmphoraID: "a"},
			func(ctx context.Context, l *slog.Logger) { l.With("role", "worker").InfoContext(ctx, "m") },
			map[string]any{"msg": "m", "level": "INFO", "role": "worker", "amphora_id": "a"},
		},
		"the record's own wins": {
			obs.IDs{AmphoraID: "a"},
			func(ctx context.Context, l *slog.Logger) { l.InfoContext(ctx, "m", "amphora_id", "b") },
			map[string]any{"msg": "m", "level": "INFO", "amphora_id": "b"},
		},
	}
	for what, tt := range tests {
		t.Run(what, func(t *testing.T) {
			var out strings.Builder
			tt.log(obs.With(t.Context(), tt.ids), obs.NewLogger(&out, obs.LogConfig{JSON: true}))
			if n := strings.Count(out.String(), "amphora_id"); n > 1 {
				t.Errorf("got amphora_id %d times, want it once", n)
			}
			var got map[string]any
			if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
				t.Fatal(err)
			}
			delete(got, "time")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLevelAndFormat(t *testing.T) {
	for _, debug := range []bool{false, true} {
		var out strings.Builder
		obs.NewLogger(&out, obs.LogConfig{Debug: debug}).DebugContext(t.Context(), "step", "k", "v")
		if got := strings.Contains(out.String(), "level=DEBUG msg=step k=v"); got != debug {
			t.Errorf("debug %v: got line %q", debug, out.String())
		}
	}
}

func TestMetricsPage(t *testing.T) {
	m := obs.NewMetrics()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "ottavino_things_total", Help: "Things."})
	m.MustRegister(c)
	c.Add(3)
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusOK {
		t.Errorf("got %d, want 200", rec.Code)
	}
	for _, want := range []string{"ottavino_things_total 3", "go_goroutines", "process_open_fds", "go_build_info"} {
		if !strings.Contains(rec.Body.String(), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}
