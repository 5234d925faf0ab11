package config

import (
	"cmp"
	"fmt"
	"strings"
)

// inert are options that Octavia has and that change nothing here, with the reason. They are read, so that what is wrong with them
// is found; whoever sets one to another value than its default is warned.
var inert = inertOptions(map[string]string{
	"failed calls are repeated with growing waits until they succeed": `networking.max_retries networking.retry_interval
		networking.retry_backoff networking.retry_max compute.max_retries compute.retry_interval compute.retry_backoff compute.retry_max
		controller_worker.amphora_delete_retries controller_worker.amphora_delete_retry_interval
		haproxy_amphora.active_connection_max_retries haproxy_amphora.active_connection_retry_interval
		haproxy_amphora.failover_connection_max_retries haproxy_amphora.failover_connection_retry_interval`,
	"what the database does not take is done again when it is back": `controller_worker.db_commit_retry_attempts
		controller_worker.db_commit_retry_initial_delay controller_worker.db_commit_retry_backoff controller_worker.db_commit_retry_max`,
	"the queue and the rows are committed together": `haproxy_amphora.api_db_commit_retry_attempts
		haproxy_amphora.api_db_commit_retry_initial_delay haproxy_amphora.api_db_commit_retry_backoff haproxy_amphora.api_db_commit_retry_max`,
	"a port that was detached is deleted at once":                        `networking.port_detach_timeout`,
	"there is no message bus; events are in the API":                     `controller_worker.event_notifications`,
	"statistics are handled with the heartbeat":                          `health_manager.stats_update_threads`,
	"service tokens are not looked at":                                   `keystone_authtoken.service_token_roles keystone_authtoken.service_token_roles_required`,
	"these headers are not looked at; api_base_uri is the base of links": `oslo_middleware.enable_proxy_headers_parsing`,
	"a load balancer has one amphora": `nova.enable_anti_affinity nova.anti_affinity_policy keepalived_vrrp.vrrp_advert_int
		keepalived_vrrp.vrrp_check_interval keepalived_vrrp.vrrp_fail_count keepalived_vrrp.vrrp_success_count
		keepalived_vrrp.vrrp_garp_refresh_interval keepalived_vrrp.vrrp_garp_refresh_count`,
})

// inertOptions turns lists of options by reason into reasons by option.
func inertOptions(byReason map[string]string) map[name]string {
	out := map[name]string{}
	for reason, options := range byReason {
		for option := range strings.FieldsSeq(options) {
			group, key, _ := strings.Cut(option, ".")
			out[newName(group, key)] = reason
		}
	}
	return out
}

// ineffective are warnings about inert options that somebody gave a value, in the order of their declaration.
func (s *source) ineffective(rows []row) []string {
	var warnings []string
	for _, r := range rows {
		byDefault := r.Default
		if r.typeName() == "boolean" {
			byDefault = cmp.Or(byDefault, "false")
		}
		if e, ok := s.find(r.names); ok && r.Inert != "" && !strings.EqualFold(strings.TrimSpace(e.value), byDefault) {
			warnings = append(warnings, fmt.Sprintf("%s: [%s] %s has no effect: %s", e.where, r.Group, r.Key, r.Inert))
		}
	}
	return warnings
}
