package haproxy

import (
	"slices"

	"github.com/ottavino/ottavino/amphora"
)

// The way of metrics: a PROMETHEUS listener asks the agent's translator at ExporterProxy, which
// reads haproxy's own exporter at ExporterSource. Both are inside the amphora's namespace.
const (
	ExporterSource  = "127.0.0.1:9101"
	ExporterProxy   = "127.0.0.1:9102"
	exporterBackend = "prometheus-exporter-internal"
)

// exports says that there is a PROMETHEUS listener, and a haproxy that has metrics.
func (r *renderer) exports() bool {
	return r.atLeast(2, 0) && slices.ContainsFunc(r.listeners, func(l amphora.Listener) bool { return l.Protocol == protocolPrometheus })
}

// exporter writes the sections that lead to haproxy's metrics.
func (r *renderer) exporter() {
	if !r.exports() {
		return
	}
	r.section("frontend %s-endpoint", exporterBackend)
	for _, line := range []string{
		"bind " + ExporterSource, "mode http", "no log",
		"http-request use-service prometheus-exporter if { path /metrics }", "http-request reject",
		"timeout http-request 5s", "timeout client 5s",
	} {
		r.line("%s", line)
	}
	r.section("backend %s", exporterBackend)
	for _, line := range []string{
		"mode http", "no log", "balance first", "timeout connect 5s", "timeout server 5s",
		"server prometheus-internal " + ExporterProxy,
	} {
		r.line("%s", line)
	}
}
