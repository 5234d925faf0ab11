package housekeeping

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	purged, rotations *prometheus.CounterVec
	orphans           *prometheus.GaugeVec
}

// newMetrics registers with reg unless that is nil.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		purged: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ottavino_purged_rows_total", Help: "Expired rows that were removed, by kind.",
		}, []string{"kind"}),
		rotations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ottavino_certificate_rotations_total", Help: "Rotations of amphora certificates, by result: done, failed.",
		}, []string{"result"}),
		orphans: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ottavino_orphans", Help: "Things in the cloud with our names and without a row, by kind.",
		}, []string{"kind"}),
	}
	if reg != nil {
		reg.MustRegister(m.purged, m.rotations, m.orphans)
	}
	return m
}
