package metrics_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/ottavino/ottavino/amphora/metrics"
)

func TestTranslate(t *testing.T) {
	t.Parallel()
	const source = `# HELP haproxy_process_nbthread Number of started threads (global.nbthread)
# TYPE haproxy_process_nbthread gauge
haproxy_process_nbthread 2
# HELP haproxy_process_pool_used_bytes Amount of memory used by pools (in bytes, MB rounded)
# TYPE haproxy_process_pool_used_bytes gauge
haproxy_process_pool_used_bytes 1048576
# HELP haproxy_process_max_connections Hard limit on the number of per-process connections
# TYPE haproxy_process_max_connections gauge
haproxy_process_max_connections 1000
# HELP haproxy_frontend_bytes_in_total Total number of request bytes since process started
# TYPE haproxy_frontend_bytes_in_total counter
haproxy_frontend_bytes_in_total{proxy="prometheus-exporter-internal-endpoint"} 7
haproxy_frontend_bytes_in_total{proxy="L1"} 42
# HELP haproxy_frontend_http_responses_total Total number of HTTP responses with status 100-199
# TYPE haproxy_frontend_http_responses_total counter
haproxy_frontend_http_responses_total{proxy="L1",code="2xx"} 3
# HELP haproxy_backend_server_aborts_total Total number of requests or connections aborted by the server
# TYPE haproxy_backend_server_aborts_total counter
haproxy_backend_server_aborts_total{proxy="P1:L1"} 1
# HELP haproxy_server_status Current status of the service, per state label value
# TYPE haproxy_server_status gauge
haproxy_server_status{proxy="P1:L1",server="M1",state="UP"} 1
haproxy_server_status{proxy="prometheus-exporter-internal",server="prometheus-internal",state="UP"} 0
`
	const want = `# HELP octavia_memory_pool_used_bytes Total amount of memory used in the memory pools (in bytes).
# TYPE octavia_memory_pool_used_bytes gauge
octavia_memory_pool_used_bytes 1048576
# HELP octavia_loadbalancer_max_connections Hard limit on the number of per-process connections
# TYPE octavia_loadbalancer_max_connections gauge
octavia_loadbalancer_max_connections 1000
# HELP octavia_listener_bytes_in_total Total number of request bytes since process started
# TYPE octavia_listener_bytes_in_total counter
octavia_listener_bytes_in_total{listener="L1"} 42
# HELP octavia_listener_http_responses_total Total number of HTTP responses with status 100-199
# TYPE octavia_listener_http_responses_total counter
octavia_listener_http_responses_total{listener="L1",code="2xx"} 3
# HELP octavia_pool_member_aborts_total Total number of data transfers aborted by the server.
# TYPE octavia_pool_member_aborts_total counter
octavia_pool_member_aborts_total{pool="P1:L1"} 1
# HELP octavia_member_status Current status of the member.
# TYPE octavia_member_status gauge
octavia_member_status{pool="P1:L1",member="M1",state="UP"} 1
`
	var got bytes.Buffer
	if err := metrics.Translate(&got, strings.NewReader(source)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}

// TestBrokenSources are errors: a page of errors, half an answer.
func TestBrokenSources(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]io.Reader{
		"nothing":   strings.NewReader(""),
		"a page":    strings.NewReader("<html><body><h1>403 Forbidden</h1>\n"),
		"cut short": io.MultiReader(strings.NewReader("haproxy_process_listeners 3\n"), iotest.ErrReader(io.ErrUnexpectedEOF)),
	} {
		err := metrics.Translate(io.Discard, source)
		if err == nil || name != "cut short" && !errors.Is(err, metrics.ErrEmpty) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
