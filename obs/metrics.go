package obs

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are a process's metrics: what its parts register, and those of the Go runtime, the
// process and the build. It is a prometheus.Registerer.
type Metrics struct{ *prometheus.Registry }

// NewMetrics returns a registry of its own, so that two of them in one process do not meet.
func NewMetrics() *Metrics {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
	)
	return &Metrics{reg}
}

// Handler serves the metrics in Prometheus' formats. A collector that fails costs its own
// metrics, not the page.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError,
		Registry:      m.Registry,
	})
}
