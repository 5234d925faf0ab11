package sandbox_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/ottavino/ottavino/sandbox"
)

func address(port map[string]any) string {
	return port["fixed_ips"].([]any)[0].(map[string]any)["ip_address"].(string)
}

func TestNeutronGivesAddressesAndTakesThemBack(t *testing.T) {
	s := start(t, sandbox.Config{})
	st := s.Settings()
	c := login(t, s, st.Tenant)
	body := fmt.Sprintf(`{"port": {"network_id": %q, "name": "p"}}`, st.NetworkID)
	first, second := c.make(c.neutron, "ports", body), c.make(c.neutron, "ports", body)
	if a, b := address(first), address(second); a != "10.10.10.100" || b != "10.10.10.101" {
		t.Errorf("got addresses %s and %s, want the first two of the pool", a, b)
	}
	if first["mac_address"] == second["mac_address"] || first["project_id"] != st.Tenant.ProjectID {
		t.Errorf("got %v and %v, want MACs of their own and the tenant's project", first, second)
	}
	availability := c.call(c.neutron, http.MethodGet, "network-ip-availabilities/"+st.NetworkID, "")
	if used := availability.body["network_ip_availability"].(map[string]any)["used_ips"]; used != 2.0 {
		t.Errorf("got %v addresses in use, want 2", used)
	}
	if a := c.call(c.neutron, http.MethodDelete, "ports/"+id(first), ""); a.status != http.StatusNoContent {
		t.Errorf("delete: got %d, want 204", a.status)
	}
	if again := address(c.make(c.neutron, "ports", body)); again != "10.10.10.100" {
		t.Errorf("got %s, want the address that was given back", again)
	}
}

func TestNeutronRefuses(t *testing.T) {
	s := start(t, sandbox.Config{})
	st := s.Settings()
	c := login(t, s, st.Tenant)
	port := c.make(c.neutron, "ports", fmt.Sprintf(`{"port": {"network_id": %q}}`, st.NetworkID))
	group := c.make(c.neutron, "security-groups", `{"security_group": {"name": "g"}}`)
	const rule = `{"security_group_rule": {"security_group_id": %q, "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 80, "port_range_max": 80%s}}`
	c.make(c.neutron, "security-group-rules", fmt.Sprintf(rule, id(group), ""))
	user := c.make(c.neutron, "ports", fmt.Sprintf(`{"port": {"network_id": %q, "security_groups": [%q]}}`, st.NetworkID, id(group)))
	onSubnet := func(address string) string {
		return fmt.Sprintf(`{"port": {"network_id": %q, "fixed_ips": [{"subnet_id": %q, "ip_address": %q}]}}`, st.NetworkID, st.SubnetID, address)
	}
	const nowhere = "00000000-0000-0000-0000-000000000000"
	c.assertRefused(c.neutron, []refusal{
		{"address in use", "POST", "ports", onSubnet(address(port)), 409, "IpAddressAlreadyAllocated", address(port)},
		{"address of another subnet", "POST", "ports", onSubnet("192.0.2.1"), 400, "InvalidIpForSubnet", "192.0.2.1"},
		{"no such network", "POST", "ports", fmt.Sprintf(`{"port": {"network_id": %q}}`, nowhere), 404, "NetworkNotFound", nowhere},
		{"no such group", "POST", "ports", fmt.Sprintf(`{"port": {"network_id": %q, "security_groups": [%q]}}`, st.NetworkID, nowhere), 404, "SecurityGroupNotFound", nowhere},
		{"no such policy", "PUT", "ports/" + id(port), fmt.Sprintf(`{"port": {"qos_policy_id": %q}}`, nowhere), 404, "QosPolicyNotFound", nowhere},
		{"bad pair", "PUT", "ports/" + id(port), `{"port": {"allowed_address_pairs": [{"ip_address": "x"}]}}`, 400, "HTTPBadRequest", "allowed_address_pairs"},
		{"the same rule", "POST", "security-group-rules", fmt.Sprintf(rule, id(group), ""), 409, "SecurityGroupRuleExists", "already exists"},
		{"the same rule, everywhere spelled out", "POST", "security-group-rules", fmt.Sprintf(rule, id(group), `, "remote_ip_prefix": "0.0.0.0/0"`), 409, "SecurityGroupRuleExists", "already exists"},
		{"group in use", "DELETE", "security-groups/" + id(group), "", 409, "SecurityGroupInUse", id(group)},
		{"subnet in use", "DELETE", "subnets/" + st.SubnetID, "", 409, "SubnetInUse", st.SubnetID},
		{"network in use", "DELETE", "networks/" + st.NetworkID, "", 409, "NetworkInUse", st.NetworkID},
		{"the management network is not the tenant's", "GET", "networks/" + st.ManagementNetworkID, "", 404, "NetworkNotFound", st.ManagementNetworkID},
		{"a port of another project", "POST", "ports", fmt.Sprintf(`{"port": {"network_id": %q, "project_id": %q}}`, st.NetworkID, st.Other.ProjectID), 403, "PolicyNotAuthorized", st.Other.ProjectID},
		{"a floating IP of an internal network", "POST", "floatingips", fmt.Sprintf(`{"floatingip": {"floating_network_id": %q}}`, st.NetworkID), 400, "HTTPBadRequest", "not a valid external network"},
		{"quotas without being admin", "PUT", "quotas/" + st.Tenant.ProjectID, `{"quota": {"port": 1}}`, 403, "PolicyNotAuthorized", ""},
	})
	c.call(c.neutron, http.MethodDelete, "ports/"+id(user), "")
	if a := c.call(c.neutron, http.MethodDelete, "security-groups/"+id(group), ""); a.status != http.StatusNoContent {
		t.Errorf("a group that nobody uses any more: got %d, want 204", a.status)
	}
}

// TestNeutronUndoesHalfABulkRequest: the second rule is a duplicate, so the first must not stay either.
func TestNeutronUndoesHalfABulkRequest(t *testing.T) {
	s := start(t, sandbox.Config{})
	c := login(t, s, s.Settings().Tenant)
	group := c.make(c.neutron, "security-groups", `{"security_group": {"name": "g"}}`)
	rule := fmt.Sprintf(`{"security_group_id": %q, "direction": "ingress", "protocol": "tcp"}`, id(group))
	a := c.call(c.neutron, http.MethodPost, "security-group-rules", `{"security_group_rules": [`+rule+`, `+rule+`]}`)
	if kind, _ := a.fault(); a.status != http.StatusConflict || kind != "SecurityGroupRuleExists" {
		t.Errorf("got %d %v, want 409 SecurityGroupRuleExists", a.status, a.body)
	}
	shown := c.call(c.neutron, http.MethodGet, "security-groups/"+id(group), "").body["security_group"].(map[string]any)
	if rules := shown["security_group_rules"].([]any); len(rules) != 2 {
		t.Errorf("got rules %v, want the two that every group comes with", rules)
	}
}

func TestNeutronQuotas(t *testing.T) {
	s := start(t, sandbox.Config{})
	st := s.Settings()
	admin, c := login(t, s, st.Admin), login(t, s, st.Tenant)
	quota := "quotas/" + st.Tenant.ProjectID
	if a := admin.call(admin.neutron, http.MethodPut, quota, `{"quota": {"port": 1, "security_group_rule": 0}}`); a.status != http.StatusOK {
		t.Fatalf("set: got %d %v", a.status, a.body)
	}
	port := fmt.Sprintf(`{"port": {"network_id": %q}}`, st.NetworkID)
	c.make(c.neutron, "ports", port)
	group := c.make(c.neutron, "security-groups", `{"security_group": {"name": "g"}}`)
	c.assertRefused(c.neutron, []refusal{
		{"one port too many", "POST", "ports", port, 409, "OverQuota", "['port']"},
		{"one rule too many", "POST", "security-group-rules", fmt.Sprintf(`{"security_group_rule": {"security_group_id": %q, "direction": "ingress"}}`, id(group)), 409, "OverQuota", "['security_group_rule']"},
	})
	details := c.call(c.neutron, http.MethodGet, quota+"/details.json", "").body["quota"].(map[string]any)
	if got := details["port"].(map[string]any); got["limit"] != 1.0 || got["used"] != 1.0 {
		t.Errorf("got %v, want 1 port of 1", got)
	}
	if a := admin.call(admin.neutron, http.MethodDelete, quota, ""); a.status != http.StatusNoContent {
		t.Errorf("reset: got %d, want 204", a.status)
	}
	c.make(c.neutron, "ports", port)
}

func TestFloatingIPs(t *testing.T) {
	s := start(t, sandbox.Config{})
	st := s.Settings()
	admin, c := login(t, s, st.Admin), login(t, s, st.Tenant)
	outside := admin.make(admin.neutron, "networks", `{"network": {"name": "public", "router:external": true}}`)
	admin.make(admin.neutron, "subnets", fmt.Sprintf(`{"subnet": {"network_id": %q, "cidr": "203.0.113.0/24", "ip_version": 4}}`, id(outside)))
	port := c.make(c.neutron, "ports", fmt.Sprintf(`{"port": {"network_id": %q}}`, st.NetworkID))
	body := fmt.Sprintf(`{"floatingip": {"floating_network_id": %q, "port_id": %q}}`, id(outside), id(port))
	ip := c.make(c.neutron, "floatingips", body)
	if ip["floating_ip_address"] != "203.0.113.2" || ip["fixed_ip_address"] != address(port) || ip["status"] != "ACTIVE" {
		t.Errorf("got %v, want the first free address for the port's", ip)
	}
	c.assertRefused(c.neutron, []refusal{{"a second one for the port", "POST", "floatingips", body, 409, "FloatingIPPortAlreadyAssociated", ""}})
	c.call(c.neutron, http.MethodDelete, "ports/"+id(port), "")
	alone := c.call(c.neutron, http.MethodGet, "floatingips/"+id(ip), "").body["floatingip"].(map[string]any)
	if alone["port_id"] != nil || alone["fixed_ip_address"] != nil || alone["status"] != "DOWN" {
		t.Errorf("got %v after its port went, want it free", alone)
	}
	if a := c.call(c.neutron, http.MethodDelete, "floatingips/"+id(ip), ""); a.status != http.StatusNoContent {
		t.Errorf("delete: got %d, want 204", a.status)
	}
	assertNoLeaks(t, s)
}
