// Package metrics turns haproxy's metrics into those that a PROMETHEUS listener shows: haproxy's words become the API's, and what
// only says something about haproxy is left out. It is pure; the agent serves what it makes.
package metrics

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// ErrEmpty says that the source is no list of metrics.
var ErrEmpty = errors.New("the source has no metrics of haproxy")

// Translate reads the text format and writes it. Nothing of what it wrote is worth anything when it returns an error.
func Translate(to io.Writer, from io.Reader) error {
	w := bufio.NewWriter(to)
	some := false
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		line := lines.Text()
		if strings.Contains(line, "prometheus-exporter") { // the way to these metrics themselves
			continue
		}
		if out, ok := translate(line); ok {
			some = true
			_, _ = w.WriteString(out)
			_ = w.WriteByte('\n')
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if !some {
		return ErrEmpty
	}
	return w.Flush()
}

func translate(line string) (string, bool) {
	for _, comment := range []string{"# HELP ", "# TYPE "} {
		rest, ok := strings.CutPrefix(line, comment)
		if !ok {
			continue
		}
		name, rest, _ := strings.Cut(rest, " ")
		m, ok := known[name]
		if comment == "# HELP " && m.help != "" {
			rest = m.help
		}
		return comment + m.name + " " + rest, ok
	}
	end := strings.IndexAny(line, "{ ")
	if end < 0 {
		return "", false
	}
	m, ok := known[line[:end]]
	if !ok || len(m.labels) > 0 != (line[end] == '{') {
		return "", false
	}
	rest := line[end:]
	for _, l := range m.labels {
		rest = strings.Replace(rest, l.was, l.is, 1)
	}
	return m.name + rest, true
}

type metric struct {
	name   string
	help   string // "" = haproxy's
	labels []label
}

type label struct{ was, is string }

// family is what haproxy tells about one kind of thing.
type family struct {
	was, is string // beginnings of names
	labels  []label
	names   string // what follows
}

var families = []family{
	{"haproxy_process_", "octavia_loadbalancer_", nil, `
		max_connections current_connections connections_total requests_total
		max_ssl_connections current_ssl_connections ssl_connections_total
		current_connection_rate limit_connection_rate max_connection_rate
		current_session_rate limit_session_rate max_session_rate
		current_ssl_rate limit_ssl_rate max_ssl_rate
		current_frontend_ssl_key_rate max_frontend_ssl_key_rate frontend_ssl_reuse
		current_backend_ssl_key_rate max_backend_ssl_key_rate ssl_cache_lookups_total ssl_cache_misses_total
		http_comp_bytes_in_total http_comp_bytes_out_total limit_http_comp listeners dropped_logs_total`},
	{"haproxy_process_", "octavia_memory_", nil, `pool_allocated_bytes pool_used_bytes pool_failures_total`},
	{"haproxy_frontend_", "octavia_listener_", []label{{"proxy=", "listener="}}, `
		status current_sessions max_sessions limit_sessions sessions_total
		limit_session_rate max_session_rate connections_rate_max connections_total
		bytes_in_total bytes_out_total requests_denied_total responses_denied_total request_errors_total
		denied_connections_total denied_sessions_total failed_header_rewriting_total
		http_requests_rate_max http_requests_total http_responses_total intercepted_requests_total
		http_cache_lookups_total http_cache_hits_total
		http_comp_bytes_in_total http_comp_bytes_out_total http_comp_bytes_bypassed_total http_comp_responses_total`},
	{"haproxy_backend_", "octavia_pool_", []label{{"proxy=", "pool="}}, `
		status current_sessions max_sessions limit_sessions sessions_total max_session_rate last_session_seconds
		current_queue max_queue connection_attempts_total connection_reuses_total bytes_in_total bytes_out_total
		queue_time_average_seconds connect_time_average_seconds response_time_average_seconds total_time_average_seconds
		max_queue_time_seconds max_connect_time_seconds max_response_time_seconds max_total_time_seconds
		requests_denied_total responses_denied_total connection_errors_total response_errors_total
		retry_warnings_total redispatch_warnings_total failed_header_rewriting_total client_aborts_total server_aborts_total
		active_servers backup_servers check_up_down_total check_last_change_seconds downtime_seconds_total loadbalanced_total
		http_requests_total http_responses_total http_cache_lookups_total http_cache_hits_total
		http_comp_bytes_in_total http_comp_bytes_out_total http_comp_bytes_bypassed_total http_comp_responses_total`},
	{"haproxy_server_", "octavia_member_", []label{{"proxy=", "pool="}, {"server=", "member="}}, `
		status current_sessions max_sessions limit_sessions sessions_total max_session_rate last_session_seconds
		current_queue max_queue queue_limit bytes_in_total bytes_out_total
		queue_time_average_seconds connect_time_average_seconds response_time_average_seconds total_time_average_seconds
		max_queue_time_seconds max_connect_time_seconds max_response_time_seconds max_total_time_seconds
		connection_attempts_total connection_reuses_total responses_denied_total connection_errors_total response_errors_total
		retry_warnings_total redispatch_warnings_total failed_header_rewriting_total client_aborts_total server_aborts_total
		weight check_failures_total check_up_down_total downtime_seconds_total check_last_change_seconds current_throttle
		loadbalanced_total http_responses_total idle_connections_current idle_connections_limit`},
}

// renamed are names that have a server in them.
var renamed = map[string]string{
	"octavia_pool_server_aborts_total": "octavia_pool_member_aborts_total",
	"octavia_pool_active_servers":      "octavia_pool_active_members",
	"octavia_pool_backup_servers":      "octavia_pool_backup_members",
}

// helps take the place of haproxy's, which speak of its own things.
var helps = map[string]string{
	"octavia_memory_pool_allocated_bytes":            "Total amount of memory allocated in the memory pools (in bytes).",
	"octavia_memory_pool_used_bytes":                 "Total amount of memory used in the memory pools (in bytes).",
	"octavia_memory_pool_failures_total":             "Total number of failed memory pool allocations.",
	"octavia_loadbalancer_current_ssl_connections":   "Number of active SSL connections.",
	"octavia_listener_status":                        "Current status of the listener.",
	"octavia_listener_denied_connections_total":      "Total number of requests denied by connection rules.",
	"octavia_listener_denied_sessions_total":         "Total number of requests denied by session rules.",
	"octavia_listener_failed_header_rewriting_total": "Total number of failed header rewriting rules.",
	"octavia_pool_status":                            "Current status of the pool.",
	"octavia_pool_last_session_seconds":              "Number of seconds since last session assigned to a member.",
	"octavia_pool_max_response_time_seconds":         "Maximum observed time spent waiting for a member response.",
	"octavia_pool_member_aborts_total":               "Total number of data transfers aborted by the server.",
	"octavia_pool_active_members":                    "Current number of active members.",
	"octavia_pool_backup_members":                    "Current number of backup members.",
	"octavia_pool_downtime_seconds_total":            "Total downtime (in seconds) for the pool.",
	"octavia_pool_loadbalanced_total":                "Total number of times a pool was selected, either for new sessions, or when redispatching.",
	"octavia_member_status":                          "Current status of the member.",
	"octavia_member_last_session_seconds":            "Number of seconds since last session assigned to the member.",
	"octavia_member_queue_limit":                     "Configured maxqueue for the member (0 meaning no limit).",
	"octavia_member_max_response_time_seconds":       "Maximum observed time spent waiting for a member response.",
	"octavia_member_weight":                          "Member weight.",
	"octavia_member_check_failures_total":            "Total number of failed check (Only counts checks failed when the member is up).",
	"octavia_member_downtime_seconds_total":          "Total downtime (in seconds) for the member.",
	"octavia_member_current_throttle":                "Current throttle percentage for the member, when slowstart is active, or no value if not in slowstart.",
	"octavia_member_loadbalanced_total":              "Total number of times a member was selected, either for new sessions, or when redispatching.",
}

// known are the metrics that pass, by haproxy's names.
var known = func() map[string]metric {
	out := map[string]metric{}
	for _, f := range families {
		for name := range strings.FieldsSeq(f.names) {
			is := f.is + name
			if other, ok := renamed[is]; ok {
				is = other
			}
			out[f.was+name] = metric{is, helps[is], f.labels}
		}
	}
	return out
}()
