package housekeeping

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	purged, rotations *prometheus.CounterVec
	orphans           *prometheus.GaugeVec

	certificates, expiring, soonest prometheus.Gauge
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
	for into, opts := range map[*prometheus.Gauge]prometheus.GaugeOpts{
		&m.certificates: {Name: "ottavino_tls_certificates", Help: "Users' certificates in use."},
		&m.expiring:     {Name: "ottavino_tls_certificates_expiring", Help: "Of those, the ones that expire within [house_keeping] cert_expiry_buffer."},
		&m.soonest: {
			Name: "ottavino_tls_certificate_soonest_not_after_seconds", Help: "When the first of them expires, in seconds since 1970; +Inf without certificates.",
		},
	} {
		*into = prometheus.NewGauge(opts)
	}
	if reg != nil {
		reg.MustRegister(m.purged, m.rotations, m.orphans, m.certificates, m.expiring, m.soonest)
	}
	return m
}
