package agent_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/ottavino/ottavino/internal/golden"
)

// observed is a site with a PROMETHEUS listener at port 9999; without it there is no way to the metrics.
func (r *rig) observed(with bool, member int) []byte {
	more := fmt.Sprintf(`
frontend prometheus-exporter-internal-endpoint
    bind 127.0.0.1:9101
    mode http
    no log
    http-request use-service prometheus-exporter if { path /metrics }
    http-request reject
    timeout http-request 5s
    timeout client 5s

backend prometheus-exporter-internal
    mode http
    no log
    balance first
    timeout connect 5s
    timeout server 5s
    server prometheus-internal 127.0.0.1:9102

frontend L9
    bind %s:9999
    mode http
    timeout client 30000
    default_backend prometheus-exporter-internal
`, vip)
	if !with {
		more = ""
	}
	return r.site(site{members: []string{fmt.Sprintf("M1 %s:%d weight 1", outside, member)}, more: more})
}

// patient waits as long as Prometheus does.
var patient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}

// scraped is what Prometheus gets; families are nil unless the status is 200.
type scraped struct {
	status   int // 0: no answer
	header   http.Header
	text     string
	families map[string]*dto.MetricFamily
}

// scrape asks as Prometheus does, with its parser.
func scrape(t *testing.T) (got scraped) {
	t.Helper()
	resp, err := patient.Get("http://" + vip + ":9999/metrics")
	if err != nil {
		return got
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	got = scraped{status: resp.StatusCode, header: resp.Header, text: string(text)}
	if resp.StatusCode == http.StatusOK {
		parser := expfmt.NewTextParser(model.LegacyValidation)
		if got.families, err = parser.TextToMetricFamilies(bytes.NewReader(text)); err != nil {
			t.Errorf("%v in %s", err, text)
		}
	}
	return got
}

// shape is everything of metrics but their values, as haproxy 2.6 has them.
func shape(families map[string]*dto.MetricFamily) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(families)) {
		f := families[name]
		fmt.Fprintf(&out, "%s %s %s\n", name, f.GetType(), f.GetHelp())
		lines := map[string]bool{}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			lines["    "+strings.Join(labels, " ")+"\n"] = true
		}
		for _, line := range slices.Sorted(maps.Keys(lines)) {
			out.WriteString(line)
		}
	}
	return out.String()
}

// TestMetrics: a PROMETHEUS listener tells what haproxy knows, in the API's words.
func TestMetrics(t *testing.T) {
	r := newRig(t).plugged()
	member := r.web("one")
	r.apply(r.observed(true, member))
	for range 7 {
		if _, err := ask(); err != nil {
			t.Fatal(err)
		}
	}
	got := scrape(t)
	families := got.families
	if families == nil {
		t.Fatalf("got %d %s", got.status, got.text)
	}
	for name, want := range map[string]string{"Content-Type": "text/plain; version=0.0.4", "Cache-Control": "no-cache"} {
		if value := got.header.Get(name); value != want {
			t.Errorf("got %s %q, want %q", name, value, want)
		}
	}
	golden.Check(t, filepath.Join("testdata", "metrics.txt"), []byte(shape(families)))
	if !strings.HasPrefix(got.text, "# HELP octavia_loadbalancer_cpu Load balancer CPU utilization (percentage).\n# TYPE octavia_loadbalancer_cpu gauge\noctavia_loadbalancer_cpu ") {
		t.Errorf("got %.200s", got.text)
	}
	for name, want := range map[string]float64{"octavia_listener_http_requests_total": 7, "octavia_pool_http_requests_total": 7, "octavia_member_sessions_total": 7} {
		if got := families[name].GetMetric()[0].GetCounter().GetValue(); got != want {
			t.Errorf("got %s %g, want %g", name, got, want)
		}
	}
	if got := families["octavia_loadbalancer_memory"].GetMetric()[0].GetGauge().GetValue(); got <= 0 || got > 100 {
		t.Errorf("got %g %% of memory", got)
	}
}

// TestMetricsComeAndGo with the listener, with the agent, and with haproxy; nothing else listens there.
func TestMetricsComeAndGo(t *testing.T) {
	r := newRig(t).plugged()
	member := r.web("one")
	listens := func() bool { return strings.Contains(r.inside("ss", "-Hltn"), "127.0.0.1:9102") }
	r.apply(r.observed(false, member))
	if listens() {
		t.Error("metrics are served without a PROMETHEUS listener")
	}
	r.apply(r.observed(true, member))
	if got := scrape(t); got.families == nil {
		t.Errorf("got %d %s at once", got.status, got.text)
	}
	r.stop()
	during := make(chan bool)
	go func() { during <- scrape(t).families != nil }()
	r.run()
	if !<-during {
		t.Error("got no metrics while the agent was started anew: haproxy should have tried again")
	}

	worker := r.worker()
	if err := syscall.Kill(worker, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.until("haproxy is another", func() bool { return r.servesAnew(worker, "one") })
	r.until("its metrics are there", func() bool { return scrape(t).families != nil })

	// The way there, but nothing at its end.
	broken := strings.ReplaceAll(string(r.observed(true, member)), "use-service prometheus-exporter if { path /metrics }", "deny")
	r.apply([]byte(broken))
	if got := scrape(t); got.status != http.StatusBadGateway {
		t.Errorf("got %d %s from a source that refuses", got.status, got.text)
	}
	r.apply(r.observed(false, member))
	r.until("nothing is served any more", func() bool { return !listens() })
}
