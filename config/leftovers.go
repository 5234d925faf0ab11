package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// foreignGroups are groups of libraries and parts that have no counterpart here. Their keys are
// passed over without a warning.
var foreignGroups = []string{
	"audit", "audit_middleware_notifications", "barbican", "cinder", "cors", "driver_agent", "healthcheck",
	"oslo_concurrency", "oslo_limit", "oslo_messaging", "oslo_messaging_amqp",
	"oslo_messaging_kafka", "oslo_messaging_notifications", "oslo_messaging_rabbit", "oslo_reports",
	"profiler", "task_flow", "vault",
}

// foreignKeys are keys of such libraries inside groups of ours; a trailing * stands for any rest.
var foreignKeys = map[string][]string{
	"DEFAULT": {
		"logging_*", "log_*", "default_log_levels", "use_syslog", "syslog_log_facility", "use_journal", "use_eventlog",
		"watch_log_file", "publish_errors", "instance_format", "instance_uuid_format", "rate_limit_*",
		"transport_url", "rpc_*", "executor_thread_pool_size", "control_exchange", "max_logfile*",
		"fatal_deprecations", "run_external_periodic_tasks", "backdoor_*",
	},
	"database": {
		"backend", "slave_connection", "mysql_*", "sqlite_synchronous", "min_pool_size", "connection_debug",
		"connection_trace", "connection_parameters", "use_db_reconnect", "db_*", "synchronous_reader", "asyncio_*",
	},
	"keystone_authtoken": {"memcache*", "*"},
	"service_auth":       {"*"},
	"neutron":            {"*"},
	"key_manager":        {"*"},
	"controller_worker":  {"distributor_driver"},
	"haproxy_amphora":    {"respawn_count", "respawn_interval"},
	"oslo_policy":        {"remote_*", "policy_default_rule"},
	"oslo_middleware":    {"secure_proxy_ssl_header", "http_basic_auth_user_file"},
}

// leftovers are warnings about entries of files that no option took, in the order of group and key.
func (s *source) leftovers(rows []row) []string {
	known, groups := map[name]bool{}, map[string]bool{}
	for _, r := range rows {
		for _, n := range r.names {
			known[n], groups[n.group] = true, true
		}
	}
	unread := map[name]string{}
	for _, file := range s.files {
		for n, entries := range file {
			if !known[n] && !foreign(n) {
				unread[n] = entries[len(entries)-1].where
			}
		}
	}
	var warnings []string
	for _, n := range slices.SortedFunc(maps.Keys(unread), compareNames) {
		what := "is not an option and is ignored"
		if !groups[n.group] {
			what = "belongs to no known group and is ignored"
		}
		warnings = append(warnings, fmt.Sprintf("%s: [%s] %s %s", unread[n], n.group, n.key, what))
	}
	return warnings
}

func compareNames(a, b name) int {
	if c := strings.Compare(a.group, b.group); c != 0 {
		return c
	}
	return strings.Compare(a.key, b.key)
}

func foreign(n name) bool {
	if slices.Contains(foreignGroups, n.group) {
		return true
	}
	for _, pattern := range foreignKeys[n.group] {
		prefix, wild := strings.CutSuffix(pattern, "*")
		if n.key == pattern || wild && strings.HasPrefix(n.key, prefix) {
			return true
		}
	}
	return false
}
