package health

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	heartbeats *prometheus.CounterVec
	suspects   prometheus.Gauge
	condemned  prometheus.Counter
}

// newMetrics registers with reg unless that is nil.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		heartbeats: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ottavino_heartbeats_total",
			Help: "Heartbeats by what became of them: taken, refused, repeated, overtaken, dropped, late, unknown, zombie, failed.",
		}, []string{"result"}),
		suspects: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ottavino_silent_amphorae",
			Help: "Amphorae in service that were not heard for longer than heartbeat_timeout.",
		}),
		condemned: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ottavino_amphorae_condemned_total",
			Help: "Amphorae found dead and marked for replacement.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.heartbeats, m.suspects, m.condemned)
	}
	return m
}
