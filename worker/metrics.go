package worker

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	passes  *prometheus.CounterVec
	seconds prometheus.Histogram
	secrets *prometheus.CounterVec
}

// newMetrics registers with reg unless that is nil.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		passes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ottavino_passes_total", Help: "Passes over load balancers by outcome: done, again, failed.",
		}, []string{"outcome"}),
		secrets: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ottavino_secret_reads_total", Help: "Reads of users' secrets by result: read, lost, unavailable.",
		}, []string{"result"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ottavino_pass_seconds", Help: "Duration of passes over load balancers.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 14),
		}),
	}
	if reg != nil {
		reg.MustRegister(m.passes, m.seconds, m.secrets)
	}
	return m
}

func (m *metrics) pass(o outcome, took time.Duration) {
	word := "again"
	switch {
	case o.Err != "":
		word = "failed"
	case o.Done || o.gone:
		word = "done"
	}
	m.passes.WithLabelValues(word).Inc()
	m.seconds.Observe(took.Seconds())
}
