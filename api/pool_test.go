package api_test

import (
	"context"
	"testing"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/db"
)

const pools = "/v2/lbaas/pools"

// pool creates a pool below a load balancer and settles it.
func (f *fixture) pool(lb, attributes string) string {
	f.t.Helper()
	id := f.create(pools, `{"pool": {"loadbalancer_id": "`+lb+`", "lb_algorithm": "ROUND_ROBIN", `+attributes+`}}`)
	f.settle(lb)
	return id
}

func TestPoolLife(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	lb := f.loadBalancer()
	listener := f.create(listeners, `{"listener": {"loadbalancer_id": "`+lb+`", "protocol": "HTTP", "protocol_port": 80}}`)
	f.settle(lb)
	made := f.must(201, "POST", pools, `{"pool": {"listener_id": "`+listener+`", "protocol": "HTTP", "lb_algorithm": "SOURCE_IP",
		"session_persistence": {"type": "APP_COOKIE", "cookie_name": "c"}, "members": [], "healthmonitor": null}}`)
	id := made.at("pool.id").(string)
	expect(t, made,
		"pool.protocol", `"HTTP"`, "pool.lb_algorithm", `"SOURCE_IP"`, "pool.listeners", `[{"id":"`+listener+`"}]`,
		"pool.loadbalancers", `[{"id":"`+lb+`"}]`, "pool.members", "[]", "pool.healthmonitor_id", `"absent"`,
		"pool.session_persistence", `{"cookie_name":"c","persistence_granularity":null,"persistence_timeout":null,"type":"APP_COOKIE"}`,
		"pool.tls_enabled", "false", "pool.tls_versions", "null", "pool.tls_ciphers", "null",
		"pool.provisioning_status", `"PENDING_CREATE"`, "pool.operating_status", `"OFFLINE"`)
	expect(t, f.must(200, "GET", listeners+"/"+listener, ""), "listener.default_pool_id", `"`+id+`"`,
		"listener.provisioning_status", `"PENDING_UPDATE"`)
	f.settle(lb)
	f.refuse(wrong{"second default pool", "POST", pools, `{"pool": {"listener_id": "` + listener + `", "protocol": "HTTP", "lb_algorithm": "SOURCE_IP"}}`,
		409, "This listener already has a default pool"})

	path := pools + "/" + id
	for _, c := range []struct{ body, want string }{
		{`{"cookie_name": "d"}`, `{"cookie_name":"d","persistence_granularity":null,"persistence_timeout":null,"type":"APP_COOKIE"}`},
		{`{"type": "SOURCE_IP"}`, `{"cookie_name":null,"persistence_granularity":null,"persistence_timeout":null,"type":"SOURCE_IP"}`},
		{`{}`, `{"cookie_name":null,"persistence_granularity":null,"persistence_timeout":null,"type":"SOURCE_IP"}`},
		{`null`, `null`},
		{`{"type": "HTTP_COOKIE"}`, `{"cookie_name":null,"persistence_granularity":null,"persistence_timeout":null,"type":"HTTP_COOKIE"}`},
	} {
		expect(t, f.must(200, "PUT", path, `{"pool": {"session_persistence": `+c.body+`}}`), "pool.session_persistence", c.want)
		f.settle(lb)
	}
	expect(t, f.must(200, "PUT", path, `{"pool": {"name": "n", "lb_algorithm": "LEAST_CONNECTIONS", "tls_enabled": true, "tls_versions": null}}`),
		"pool.name", `"n"`, "pool.lb_algorithm", `"LEAST_CONNECTIONS"`, "pool.tls_enabled", "true",
		"pool.tls_versions", `["TLSv1.2","TLSv1.3"]`, "pool.tls_ciphers", "null", "pool.provisioning_status", `"PENDING_UPDATE"`)
	expect(t, f.must(200, "GET", listeners+"/"+listener, ""), "listener.provisioning_status", `"PENDING_UPDATE"`)
	f.settle(lb)
	f.must(204, "DELETE", path, "")
	expect(t, f.must(200, "GET", listeners+"/"+listener, ""), "listener.provisioning_status", `"PENDING_UPDATE"`,
		"listener.default_pool_id", `"`+id+`"`)
}

func TestPoolFaults(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	lb, other := f.loadBalancer(), f.loadBalancer()
	listener := f.create(listeners, `{"listener": {"loadbalancer_id": "`+lb+`", "protocol": "HTTP", "protocol_port": 80}}`)
	f.settle(lb)
	metrics := f.create(listeners, `{"listener": {"loadbalancer_id": "`+lb+`", "protocol": "PROMETHEUS", "protocol_port": 90}}`)
	f.settle(lb)
	on, algorithm := `"loadbalancer_id": "`+lb+`"`, `"lb_algorithm": "ROUND_ROBIN"`
	const v = "Validation failure: "
	for _, c := range []struct {
		attributes string
		status     int
		fault      string
	}{
		{`"protocol": "HTTP", ` + algorithm, 400, v + "Must provide at least one of: loadbalancer_id, listener_id"},
		{`"loadbalancer_id": "` + absent + `", "protocol": "HTTP", ` + algorithm, 404, "Load Balancer " + absent + " not found."},
		{`"listener_id": "` + absent + `", "protocol": "HTTP", ` + algorithm, 404, "Listener " + absent + " not found."},
		{on + `, "protocol": "HTTP"`, 400, "Invalid input for field/attribute lb_algorithm. Value: 'None'. Mandatory field missing."},
		{on + `, "protocol": null, ` + algorithm, 400, "None is not a valid option for protocol"},
		{on + `, "protocol": "TERMINATED_HTTPS", ` + algorithm, 400, "Invalid input for field/attribute protocol. Value: 'TERMINATED_HTTPS'. Value should be one of: TCP, HTTP, HTTPS, PROXY, PROXYV2, UDP, SCTP"},
		{`"listener_id": "` + listener + `", "protocol": "UDP", ` + algorithm, 400, v + "The pool protocol 'UDP' is invalid while the listener protocol is 'HTTP'."},
		{`"listener_id": "` + metrics + `", "protocol": "HTTP", ` + algorithm, 400, "Protocol PROMETHEUS listeners cannot have child objects."},
		{`"listener_id": "` + listener + `", "loadbalancer_id": "` + other + `", "protocol": "HTTP", ` + algorithm, 404, "Listener " + listener + " not found."},
		{on + `, "protocol": "HTTP", "lb_algorithm": "SOURCE_IP_PORT"`, 501, "Provider 'amphora' does not support a requested option: Amphora provider does not support SOURCE_IP_PORT algorithm."},
		{on + `, "protocol": "UDP", "session_persistence": {"type": "SOURCE_IP", "cookie_name": "c"}, ` + algorithm, 400, v + "session_persistence SOURCE_IP type for UDP and SCTP protocols only accepts: type, persistence_timeout, persistence_granularity."},
		{on + `, "protocol": "UDP", "session_persistence": {"type": "APP_COOKIE", "cookie_name": "c"}, ` + algorithm, 400, v + "Cookie names are not supported for UDP/SCTP pools."},
		{on + `, "protocol": "UDP", "session_persistence": {"type": "HTTP_COOKIE"}, ` + algorithm, 400, v + "Session persistence of type HTTP_COOKIE is not supported for UDP/SCTP protocol pools."},
		{on + `, "protocol": "HTTP", "session_persistence": {"type": "SOURCE_IP", "persistence_timeout": 1}, ` + algorithm, 400, v + "persistence_timeout and persistence_granularity is only for UDP and SCTP protocol pools."},
		{on + `, "protocol": "HTTP", "session_persistence": {"type": "SOURCE_IP", "cookie_name": "c"}, ` + algorithm, 400, v + `Field "cookie_name" can only be specified with session persistence of type "APP_COOKIE".`},
		{on + `, "protocol": "HTTP", "session_persistence": {"type": "APP_COOKIE", "cookie_name": "a(b"}, ` + algorithm, 400, v + `Supplied "cookie_name" is invalid.`},
		{on + `, "protocol": "HTTP", "session_persistence": {"type": "APP_COOKIE", "cookie_name": "a b"}, ` + algorithm, 400, `Invalid input for field/attribute cookie_name. Value: 'a b'. Value should match the pattern ^[^\s,;\\]+$`},
		{on + `, "protocol": "HTTP", "session_persistence": {"type": "APP_COOKIE"}, ` + algorithm, 400, v + `Field "cookie_name" must be specified when using the "APP_COOKIE" session persistence type.`},
		{on + `, "protocol": "HTTP", "session_persistence": {}, ` + algorithm, 400, "Invalid input for field/attribute type. Value: 'None'. Mandatory field missing."},
		{on + `, "protocol": "HTTP", "session_persistence": {"x": 1}, ` + algorithm, 400, "Unknown attribute for argument pool_.pool.session_persistence: x"},
		{on + `, "protocol": "HTTP", "crl_container_ref": "x", ` + algorithm, 400, v + "A CA certificate reference is required to specify a revocation list."},
		{on + `, "protocol": "HTTP", "tls_enabled": true, "tls_versions": [], ` + algorithm, 400, v + "Empty TLS version list. Either specify at least one TLS version or remove this parameter to use the default."},
	} {
		f.refuse(wrong{"", "POST", pools, `{"pool": {` + c.attributes + `}}`, c.status, c.fault})
	}
	id := f.pool(lb, `"protocol": "HTTP"`)
	path := pools + "/" + id
	f.refuse(
		wrong{"no type", "PUT", path, `{"pool": {"session_persistence": {"cookie_name": "c"}}}`, 400, v + "Invalid session_persistence provided."},
		wrong{"timeout", "PUT", path, `{"pool": {"session_persistence": {"type": "SOURCE_IP", "persistence_timeout": 1}}}`, 400, v + "persistence_timeout and persistence_granularity is only for UDP protocol pools."},
		wrong{"CRL", "PUT", path, `{"pool": {"crl_container_ref": "x"}}`, 400, v + "A CA reference is required to specify a certificate revocation list."},
		wrong{"protocol", "PUT", path, `{"pool": {"protocol": "TCP"}}`, 400, "Unknown attribute for argument pool_.pool: protocol"},
	)
	f.must(200, "PUT", path, `{"pool": {"ca_tls_container_ref": "ca", "crl_container_ref": "crl"}}`)
	f.settle(lb)
	f.refuse(wrong{"CA", "PUT", path, `{"pool": {"ca_tls_container_ref": null}}`, 400, v + "A CA reference cannot be removed when a certificate revocation list is present."})
	f.setStatus(lb, db.Error)
	f.refuse(
		wrong{"locked", "PUT", path, `{"pool": {}}`, 409, "Load Balancer " + lb + " is immutable and cannot be updated."},
		wrong{"locked", "DELETE", path, "", 409, "Load Balancer " + lb + " is immutable and cannot be updated."},
	)
}

func TestPoolInUseByPolicy(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	lb := f.loadBalancer()
	listener := f.create(listeners, `{"listener": {"loadbalancer_id": "`+lb+`", "protocol": "HTTP", "protocol_port": 80}}`)
	f.settle(lb)
	id := f.pool(lb, `"protocol": "HTTP"`)
	err := f.store.Tx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		return db.Insert(ctx, tx, &db.L7Policy{ID: absent, ListenerID: listener, Action: "REDIRECT_TO_POOL",
			RedirectPoolID: &id, Position: 1, ProvisioningStatus: db.Active, OperatingStatus: db.Online})
	})
	if err != nil {
		t.Fatal(err)
	}
	f.refuse(wrong{"in use", "DELETE", pools + "/" + id, "", 409, "Pool " + id + " is in use by L7 policy " + absent})
}

// TestAcceptPending changes a load balancer again before the first change is done.
func TestAcceptPending(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *api.Config, _ *api.Deps) { c.PendingChanges = db.AcceptPending })
	lb := f.create(lbs, `{"loadbalancer": {"vip_subnet_id": "`+subnet+`"}}`)
	pool := f.create(pools, `{"pool": {"loadbalancer_id": "`+lb+`", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}}`)
	member := f.create(pools+"/"+pool+"/members", `{"member": {"address": "10.0.0.1", "protocol_port": 80}}`)
	f.must(200, "PUT", pools+"/"+pool, `{"pool": {"name": "n"}}`)
	expect(t, f.must(200, "GET", lbs+"/"+lb, ""), "loadbalancer.provisioning_status", `"PENDING_CREATE"`)
	expect(t, f.must(200, "GET", pools+"/"+pool, ""), "pool.provisioning_status", `"PENDING_CREATE"`)
	f.must(204, "DELETE", pools+"/"+pool+"/members/"+member, "")
	f.must(202, "PUT", pools+"/"+pool+"/members", `{"members": [{"address": "10.0.0.1", "protocol_port": 80}]}`)
	expect(t, f.must(200, "GET", pools+"/"+pool+"/members/"+member, ""), "member.provisioning_status", `"PENDING_UPDATE"`)
	other := f.create(pools, `{"pool": {"loadbalancer_id": "`+lb+`", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}}`)
	f.must(204, "DELETE", pools+"/"+other, "")
	f.must(204, "DELETE", lbs+"/"+lb+"?cascade=true", "")
	f.must(204, "DELETE", lbs+"/"+lb+"?cascade=true", "")
	f.must(204, "DELETE", pools+"/"+other, "")
	f.refuse(wrong{"of what is not going itself", "DELETE", pools + "/" + pool, "", 409, "Load Balancer " + lb + " is immutable and cannot be updated."})
}
