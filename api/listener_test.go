package api_test

import (
	"strings"
	"testing"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/db"
)

const listeners = "/v2.0/lbaas/listeners"

func TestListenerLife(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	lb := f.loadBalancer()
	made := f.must(201, "POST", listeners, `{"listener": {"loadbalancer_id": "`+strings.ToUpper(lb)+`", "protocol": "HTTP",
		"protocol_port": "80", "insert_headers": {"X-Forwarded-For": "true"}, "allowed_cidrs": ["10.0.0.5/8", "192.0.2.1"],
		"timeout_client_data": null, "tags": ["t"], "project_id": "ignored"}}`)
	id := made.at("listener.id").(string)
	expect(t, made,
		"listener.protocol_port", "80", "listener.connection_limit", "-1", "listener.loadbalancers", `[{"id":"`+lb+`"}]`,
		"listener.insert_headers", `{"X-Forwarded-For":"true"}`, "listener.allowed_cidrs", `["10.0.0.0/8","192.0.2.1/32"]`,
		"listener.timeout_client_data", "50000", "listener.timeout_member_connect", "5000",
		"listener.timeout_member_data", "50000", "listener.timeout_tcp_inspect", "0", "listener.l7policies", "[]",
		"listener.sni_container_refs", "[]", "listener.tls_versions", "null", "listener.tls_ciphers", "null",
		"listener.client_authentication", `"NONE"`, "listener.hsts_max_age", "null", "listener.hsts_preload", "false",
		"listener.default_pool_id", "null", "listener.project_id", `"`+project+`"`, "listener.tags", `["t"]`,
		"listener.provisioning_status", `"PENDING_CREATE"`, "listener.operating_status", `"OFFLINE"`)
	expect(t, f.must(200, "GET", lbs+"/"+lb, ""), "loadbalancer.provisioning_status", `"PENDING_UPDATE"`,
		"loadbalancer.listeners", `[{"id":"`+id+`"}]`)
	path := listeners + "/" + id
	immutable := "Load Balancer " + lb + " is immutable and cannot be updated."
	f.refuse(
		wrong{"locked", "PUT", path, `{"listener": {}}`, 409, immutable},
		wrong{"locked", "DELETE", path, "", 409, immutable},
		wrong{"locked", "POST", listeners, `{"listener": {"loadbalancer_id": "` + lb + `", "protocol": "UDP", "protocol_port": 80}}`, 409, immutable},
	)
	if got := f.do("DELETE", path, "").header.Get("Retry-After"); got != "1" {
		t.Errorf("Retry-After of a lock: got %q, want 1", got)
	}
	f.settle(lb)
	expect(t, f.must(200, "PUT", path, `{"listener": {"name": "n", "connection_limit": 5, "allowed_cidrs": [],
		"insert_headers": null, "timeout_client_data": 1, "tls_ciphers": null, "tags": null, "admin_state_up": "off"}}`),
		"listener.name", `"n"`, "listener.connection_limit", "5", "listener.allowed_cidrs", "null",
		"listener.insert_headers", "{}", "listener.timeout_client_data", "1", "listener.tags", `["t"]`,
		"listener.admin_state_up", "false", "listener.provisioning_status", `"PENDING_UPDATE"`)
	f.settle(lb)
	expect(t, f.must(200, "PUT", path, `{"listener": {"connection_limit": null, "timeout_client_data": null}}`),
		"listener.connection_limit", "-1", "listener.timeout_client_data", "50000")
	f.settle(lb)
	f.must(204, "DELETE", path, "")
	expect(t, f.must(200, "GET", path, ""), "listener.provisioning_status", `"PENDING_DELETE"`)
	f.settle(lb)
	f.refuse(wrong{"gone", "DELETE", path, "", 404, "Listener " + id + " not found."})
}

func TestListenerFaults(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *api.Config, _ *api.Deps) {
		c.ProhibitedCiphers, c.MinimumTLS = []string{"BAD"}, "TLSv1.2"
	})
	lb, other := f.loadBalancer(), f.loadBalancer()
	f.create(listeners, `{"listener": {"loadbalancer_id": "`+lb+`", "protocol": "HTTP", "protocol_port": 80}}`)
	f.settle(lb)
	udp := f.create("/v2/pools", `{"pool": {"loadbalancer_id": "`+lb+`", "protocol": "UDP", "lb_algorithm": "ROUND_ROBIN"}}`)
	f.settle(lb)
	foreignPool := f.create("/v2/pools", `{"pool": {"loadbalancer_id": "`+other+`", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}}`)
	const v = "Validation failure: "
	const hsts = v + "The HSTS feature can only be used for listeners using the TERMINATED_HTTPS protocol."
	type c struct {
		protocol, attributes string
		status               int
		fault                string
	}
	for _, c := range []c{
		{"HTTP", `"protocol_port": 80`, 409, "Another Listener on this Load Balancer is already using protocol HTTP and protocol_port 80"},
		{"TCP", `"protocol_port": 80`, 409, "Another Listener on this Load Balancer is already using protocol HTTP and protocol_port 80"},
		{"HTTP", ``, 400, "Invalid input for field/attribute protocol_port. Value: 'None'. Mandatory field missing."},
		{"HTTP", `"protocol_port": null`, 400, "HTTP is not a valid option for protocol"},
		{"HTTP", `"protocol_port": 0`, 400, "Invalid input for field/attribute protocol_port. Value: '0'. Value should be greater or equal to 1"},
		{"HTTP", `"protocol_port": 65536`, 400, "Invalid input for field/attribute protocol_port. Value: '65536'. Value should be lower or equal to 65535"},
		{"http", `"protocol_port": 1`, 400, "Invalid input for field/attribute protocol. Value: 'http'. Value should be one of: TCP, HTTP, HTTPS, TERMINATED_HTTPS, UDP, SCTP, PROMETHEUS"},
		{"HTTP", `"protocol_port": 1, "allowed_cidrs": ["x"]`, 400, "Invalid input for field/attribute allowed_cidrs. Value: '['x']'. Value should be IPv4 or IPv6 CIDR format"},
		{"HTTP", `"protocol_port": 1, "allowed_cidrs": ["2001:db8::/32"]`, 400, v + "CIDR 2001:db8::/32 IP version incompatible with all VIPs ['192.0.2.10'] IP version."},
		{"HTTP", `"protocol_port": 1, "insert_headers": {"X-Bogus": "1"}`, 400, "dict_keys(['X-Bogus']) is not a valid option for insert_headers"},
		{"HTTP", `"protocol_port": 1, "insert_headers": {"X-Forwarded-For": true}`, 400, "Invalid input for field/attribute insert_headers. Value: '{'X-Forwarded-For': True}'. Value should be string"},
		{"HTTP", `"protocol_port": 1, "insert_headers": {"X-SSL-Issuer": "1"}`, 400, "['X-SSL-Issuer'] is not a valid option for HTTP protocol listener."},
		{"TCP", `"protocol_port": 1, "insert_headers": {"X-Forwarded-For": "1"}`, 400, "insert-headers is not a valid option for a TCP protocol listener."},
		{"UDP", `"protocol_port": 1, "insert_headers": {"X-Forwarded-For": "1"}`, 400, v + "UDP protocol listener does not support TLS."},
		{"HTTP", `"protocol_port": 1, "default_tls_container_ref": "c"`, 400, v + "Certificate container references are not allowed on HTTP protocol listeners."},
		{"TERMINATED_HTTPS", `"protocol_port": 1, "default_tls_container_ref": ""`, 400, v + "An SNI or default certificate container reference must be provided for TERMINATED_HTTPS protocol listeners."},
		{"HTTP", `"protocol_port": 1, "client_ca_tls_container_ref": "c"`, 400, v + "An SNI or default certificate container reference must be provided with a client CA container reference."},
		{"TERMINATED_HTTPS", `"protocol_port": 1, "sni_container_refs": ["c"], "client_authentication": "OPTIONAL"`, 400, v + "Client authentication setting OPTIONAL requires a client CA container reference."},
		{"TERMINATED_HTTPS", `"protocol_port": 1, "sni_container_refs": ["c"], "client_authentication": null`, 400, v + "Client authentication setting None requires a client CA container reference."},
		{"TERMINATED_HTTPS", `"protocol_port": 1, "sni_container_refs": ["c"], "client_crl_container_ref": "d"`, 400, v + "A client authentication CA reference is required to specify a client authentication revocation list."},
		{"TERMINATED_HTTPS", `"protocol_port": 1, "sni_container_refs": ["c"], "tls_ciphers": "A B"`, 400, v + "Invalid characters in cipher string. Only alphanumeric, -, +, !, :, @, =, _, and . are allowed."},
		{"TERMINATED_HTTPS", `"protocol_port": 1, "sni_container_refs": ["c"], "tls_ciphers": "GOOD:BAD"`, 400, v + "The following ciphers have been prohibited by an administrator: BAD"},
		{"TERMINATED_HTTPS", `"protocol_port": 1, "sni_container_refs": ["c"], "tls_versions": []`, 400, v + "Empty TLS version list. Either specify at least one TLS version or remove this parameter to use the default."},
		{"TERMINATED_HTTPS", `"protocol_port": 1, "sni_container_refs": ["c"], "tls_versions": ["TLSv9"]`, 400, v + "Invalid TLS versions: TLSv9"},
		{"TERMINATED_HTTPS", `"protocol_port": 1, "sni_container_refs": ["c"], "tls_versions": ["TLSv1", "TLSv1.1", "TLSv1.3"]`, 400, v + "Requested TLS versions are less than the minimum: TLSv1, TLSv1.1 < TLSv1.2"},
		{"TERMINATED_HTTPS", `"protocol_port": 1, "sni_container_refs": ["c"], "alpn_protocols": []`, 400, v + "Empty ALPN protocol list. Either specify at least one ALPN protocol or remove this parameter to use the default."},
		{"HTTP", `"protocol_port": 1, "alpn_protocols": ["spdy"]`, 400, "Invalid input for field/attribute alpn_protocols. Value: '['spdy']'. Value should be a valid ALPN protocol ID"},
		{"HTTP", `"protocol_port": 1, "hsts_max_age": 5`, 400, hsts},
		{"HTTP", `"protocol_port": 1, "hsts_preload": true`, 400, v + "HSTS configuration options hsts_include_subdomains and hsts_preload only make sense if hsts_max_age is set as well."},
		{"HTTP", `"protocol_port": 1, "default_pool_id": "` + absent + `"`, 404, "Pool " + absent + " not found."},
		{"HTTP", `"protocol_port": 1, "default_pool_id": "` + foreignPool + `"`, 404, "Pool " + foreignPool + " not found."},
		{"HTTP", `"protocol_port": 1, "default_pool_id": "` + udp + `"`, 400, v + "The pool protocol 'UDP' is invalid while the listener protocol is 'HTTP'."},
		{"PROMETHEUS", `"protocol_port": 1, "default_pool_id": "` + udp + `"`, 400, "Protocol PROMETHEUS listeners cannot have child objects."},
	} {
		body := `{"listener": {"loadbalancer_id": "` + lb + `", "protocol": "` + c.protocol + `"`
		if c.attributes != "" {
			body += ", " + c.attributes
		}
		f.refuse(wrong{"", "POST", listeners, body + "}}", c.status, c.fault})
	}
	f.refuse(
		wrong{"no load balancer", "POST", listeners, `{"listener": {"loadbalancer_id": "` + absent + `", "protocol": "TCP", "protocol_port": 1}}`, 404, "Load Balancer " + absent + " not found."},
		wrong{"null load balancer", "POST", listeners, `{"listener": {"loadbalancer_id": null, "protocol": "TCP", "protocol_port": 1}}`, 404, "Load Balancer None not found."},
		wrong{"null protocol", "POST", listeners, `{"listener": {"loadbalancer_id": "` + lb + `", "protocol": null, "protocol_port": 1}}`, 400, "None is not a valid option for protocol"},
	)
	f.create(listeners, `{"listener": {"loadbalancer_id": "`+lb+`", "protocol": "UDP", "protocol_port": 80, "default_pool_id": "`+udp+`"}}`)
	f.setStatus(other, db.Deleted)
	f.refuse(wrong{"deleted", "POST", listeners, `{"listener": {"loadbalancer_id": "` + other + `", "protocol": "TCP", "protocol_port": 1}}`,
		409, "Load Balancer " + other + " is immutable and cannot be updated."})
}

func TestListenerPutFaults(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	lb := f.loadBalancer()
	ids := map[string]string{}
	for protocol, more := range map[string]string{"HTTP": "", "UDP": "", "TERMINATED_HTTPS": `, "default_tls_container_ref": "c"`} {
		port := map[string]string{"HTTP": "80", "UDP": "53", "TERMINATED_HTTPS": "443"}[protocol]
		ids[protocol] = f.create(listeners, `{"listener": {"loadbalancer_id": "`+lb+`", "protocol": "`+protocol+`", "protocol_port": `+port+more+`}}`)
		f.settle(lb)
	}
	const v = "Validation failure: "
	for _, c := range []struct{ protocol, attributes, fault string }{
		{"HTTP", `"protocol": "TCP"`, "Unknown attribute for argument listener_.listener: protocol"},
		{"HTTP", `"protocol_port": 81`, "Unknown attribute for argument listener_.listener: protocol_port"},
		{"UDP", `"insert_headers": {"X-Forwarded-For": "1"}`, v + "UDP protocol listener does not support TLS or header insertion."},
		{"HTTP", `"sni_container_refs": ["c"]`, v + "Certificate container references are not allowed on HTTP protocol listeners."},
		{"TERMINATED_HTTPS", `"client_authentication": "MANDATORY"`, v + "Client authentication setting MANDATORY requires a client CA container reference."},
		{"TERMINATED_HTTPS", `"client_authentication": null`, v + "Client authentication setting None requires a client CA container reference."},
		{"HTTP", `"insert_headers": {"X-Bogus": "1"}`, "['X-Bogus'] is not a valid option for insert_headers"},
		{"TERMINATED_HTTPS", `"client_crl_container_ref": "x"`, v + "A client authentication CA reference is required to specify a client authentication revocation list."},
		{"HTTP", `"allowed_cidrs": ["::/0"]`, v + "CIDR ::/0 IP version incompatible with all VIPs ['192.0.2.10'] IP version."},
		{"HTTP", `"tls_versions": []`, v + "Empty TLS version list. Either specify at least one TLS version or remove this parameter to use the default."},
		{"TERMINATED_HTTPS", `"hsts_preload": true`, v + "Cannot enable hsts_include_subdomains or hsts_preload if hsts_max_age was not set as well."},
		{"HTTP", `"hsts_max_age": 0`, v + "The HSTS feature can only be used for listeners using the TERMINATED_HTTPS protocol."},
	} {
		f.refuse(wrong{"", "PUT", listeners + "/" + ids[c.protocol], `{"listener": {` + c.attributes + `}}`, 400, c.fault})
	}
	expect(t, f.must(200, "PUT", listeners+"/"+ids["TERMINATED_HTTPS"], `{"listener": {"hsts_max_age": 0, "hsts_preload": true,
		"tls_versions": ["TLSv1.3"], "alpn_protocols": null}}`), "listener.hsts_max_age", "0", "listener.hsts_preload", "true",
		"listener.tls_versions", `["TLSv1.3"]`, "listener.alpn_protocols", `["h2","http/1.1","http/1.0"]`)
}

func TestDisabledListeners(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *api.Config, _ *api.Deps) { c.AllowTLSTerminated, c.AllowPrometheus = false, false })
	lb := f.loadBalancer()
	body := func(rest string) string {
		return `{"listener": {"loadbalancer_id": "` + lb + `", "protocol_port": 1, ` + rest + `}}`
	}
	f.refuse(
		wrong{"TLS", "POST", listeners, body(`"protocol": "TERMINATED_HTTPS", "default_tls_container_ref": "c"`), 400, "The selected protocol is not allowed in this deployment: TERMINATED_HTTPS"},
		wrong{"TLS", "POST", listeners, body(`"protocol": "PROMETHEUS", "default_tls_container_ref": "c"`), 400, "The selected protocol is not allowed in this deployment: PROMETHEUS with TLS"},
		wrong{"metrics", "POST", listeners, body(`"protocol": "PROMETHEUS"`), 400, "The selected protocol is not allowed in this deployment: PROMETHEUS"},
	)
}
