package api_test

import (
	"strings"
	"testing"

	"github.com/ottavino/ottavino/db/dbtest"

	"github.com/ottavino/ottavino/db"
)

// TestEveryFilter uses each filter and sort key of each list, so that all columns are real.
func TestEveryFilter(t *testing.T) {
	t.Parallel()
	const common = "id name project_id provisioning_status operating_status admin_state_up created_at updated_at "
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		t.Helper()
		f := newFixtureOn(t, cfg).admin()
		x := f.tree()
		policy := f.policy(x.lb, x.listener, `"action": "REJECT"`)
		for path, names := range map[string]string{
			lbs: common + `description provider flavor_id availability_zone vip_address vip_network_id vip_port_id
				vip_subnet_id vip_qos_policy_id vip_vnic_type topology server_group_id enabled`,
			listeners: common + `description loadbalancer_id load_balancer_id protocol protocol_port connection_limit
				default_pool_id default_tls_container_ref client_ca_tls_container_ref client_crl_container_ref
				client_authentication timeout_client_data timeout_member_connect timeout_member_data timeout_tcp_inspect
				tls_ciphers tls_versions alpn_protocols hsts_max_age hsts_include_subdomains hsts_preload insert_headers peer_port`,
			pools: common + `description loadbalancer_id protocol lb_algorithm healthmonitor_id tls_enabled tls_container_ref
				ca_tls_container_ref crl_container_ref tls_ciphers tls_versions alpn_protocols`,
			pools + "/" + x.pool + "/members": common + `address protocol_port weight backup subnet_id monitor_address
				monitor_port vnic_type pool_id`,
			monitors: common + `type delay timeout max_retries max_retries_down http_method url_path expected_codes
				http_version domain_name pool_id`,
			policies: common + `description listener_id action position redirect_pool_id redirect_url redirect_prefix
				redirect_http_code`,
			policies + "/" + policy + "/rules": `id project_id provisioning_status operating_status admin_state_up created_at
				updated_at type compare_type key value invert l7policy_id`,
			"/v2/octavia/amphorae": `id loadbalancer_id compute_id lb_network_ip vrrp_ip ha_ip vrrp_port_id ha_port_id
				cert_expiration cert_busy role status vrrp_interface vrrp_id vrrp_priority cached_zone image_id
				compute_flavor created_at updated_at project_id`,
			"/v2/quotas": "project_id loadbalancer load_balancer listener pool member healthmonitor health_monitor l7policy l7rule",
		} {
			for name := range strings.FieldsSeq(names) {
				f.must(200, "GET", path+"?"+name+"=nonsense", "")
				if name != "project_id" {
					f.must(200, "GET", path+"?sort="+name+":desc", "")
				}
			}
		}
	})
}
