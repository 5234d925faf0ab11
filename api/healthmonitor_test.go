package api_test

import (
	"testing"

	"github.com/ottavino/ottavino/api"
)

const monitors = "/v2/lbaas/healthmonitors"

func TestHealthMonitorLife(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	lb := f.loadBalancer()
	pool := f.pool(lb, `"protocol": "HTTP"`)
	made := f.must(201, "POST", monitors, `{"healthmonitor": {"pool_id": "`+pool+`", "type": "HTTP", "delay": 5, "timeout": 3,
		"max_retries": 2, "http_version": "1.1", "domain_name": "www.example.org"}}`)
	id := made.at("healthmonitor.id").(string)
	expect(t, made, "healthmonitor.http_method", `"GET"`, "healthmonitor.url_path", `"/"`, "healthmonitor.expected_codes", `"200"`,
		"healthmonitor.max_retries_down", "3", "healthmonitor.http_version", "1.1", "healthmonitor.domain_name", `"www.example.org"`,
		"healthmonitor.pools", `[{"id":"`+pool+`"}]`, "healthmonitor.provisioning_status", `"PENDING_CREATE"`,
		"healthmonitor.operating_status", `"OFFLINE"`)
	expect(t, f.must(200, "GET", pools+"/"+pool, ""), "pool.healthmonitor_id", `"`+id+`"`, "pool.provisioning_status", `"PENDING_UPDATE"`)
	expect(t, f.must(200, "GET", pools+"?healthmonitor_id="+id, ""), "pools.0.id", `"`+pool+`"`, "pools.1", `"absent"`)
	f.refuse(wrong{"pool locked", "PUT", monitors + "/" + id, `{"healthmonitor": {}}`, 409, "Pool " + pool + " is immutable and cannot be updated."})
	f.settle(lb)
	f.refuse(wrong{"second", "POST", monitors, `{"healthmonitor": {"pool_id": "` + pool + `", "type": "TCP", "delay": 5, "timeout": 3, "max_retries": 2}}`,
		409, "This pool already has a health monitor"})
	expect(t, f.must(200, "PUT", monitors+"/"+id, `{"healthmonitor": {"delay": 7, "max_retries_down": null, "expected_codes": "200-204",
		"url_path": null, "http_method": "HEAD", "domain_name": null, "http_version": null}}`),
		"healthmonitor.delay", "7", "healthmonitor.max_retries_down", "3", "healthmonitor.expected_codes", `"200-204"`,
		"healthmonitor.url_path", `"/"`, "healthmonitor.http_method", `"HEAD"`, "healthmonitor.http_version", "null",
		"healthmonitor.domain_name", "null", "healthmonitor.provisioning_status", `"PENDING_UPDATE"`)
	f.settle(lb)
	f.must(204, "DELETE", monitors+"/"+id, "")
	f.settle(lb)
	f.refuse(wrong{"gone", "GET", monitors + "/" + id, "", 404, "Health Monitor " + id + " not found."})
	expect(t, f.must(200, "GET", pools+"/"+pool, ""), "pool.healthmonitor_id", `"absent"`)
}

func TestHealthMonitorFaults(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *api.Config, _ *api.Deps) { c.AllowPing = false })
	lb := f.loadBalancer()
	web, udp := f.pool(lb, `"protocol": "HTTP"`), f.pool(lb, `"protocol": "UDP"`)
	const v = "Validation failure: "
	times := `"delay": 5, "timeout": 3, "max_retries": 2`
	for _, c := range []struct {
		pool, attributes string
		status           int
		fault            string
	}{
		{absent, `"type": "TCP", ` + times, 404, "Pool " + absent + " not found."},
		{web, `"type": "TCP", "timeout": 3, "max_retries": 2`, 400, "Invalid input for field/attribute delay. Value: 'None'. Mandatory field missing."},
		{web, `"type": "TCP", "delay": null, "timeout": 3, "max_retries": 2`, 400, "None is not a valid option for delay"},
		{web, `"type": null, ` + times, 400, "None is not a valid option for type"},
		{web, `"type": "PING", ` + times, 400, "The selected type is not allowed in this deployment: PING"},
		{udp, `"type": "HTTPS", ` + times, 400, v + "The associated pool protocol is UDP, so only a UDP-CONNECT/SCTP/TCP/HTTP health monitor is supported."},
		{udp, `"type": "UDP-CONNECT", "delay": 2, "timeout": 3, "max_retries": 2`, 400, v + "The request delay value 2 should be larger than 3 for UDP-CONNECT health monitor type."},
		{web, `"type": "UDP-CONNECT", ` + times, 400, v + "The UDP-CONNECT type is only supported for pools of type UDP/SCTP."},
		{web, `"type": "TCP", "http_method": "GET", ` + times, 400, "http_method is not a valid option for health monitors of type TCP"},
		{web, `"type": "TCP", "expected_codes": "200", ` + times, 400, "expected_codes is not a valid option for health monitors of type TCP"},
		{web, `"type": "HTTP", "expected_codes": "200,201-203", ` + times, 400, `Invalid input for field/attribute expected_codes. Value: '200,201-203'. Value should match the pattern ^(\d{3}(\s*,\s*\d{3})*)$|^(\d{3}-\d{3})$`},
		{web, `"type": "HTTP", "url_path": "x", ` + times, 400, "Invalid input for field/attribute url_path. Value: 'x'. Value must be a valid URL Path string"},
		{web, `"type": "HTTP", "url_path": "//x/y", ` + times, 400, "Invalid input for field/attribute url_path. Value: '//x/y'. Value must be a valid URL Path string"},
		{web, `"type": "HTTP", "http_version": 2, ` + times, 400, "Invalid input for field/attribute http_version. Value: '2'. Value should be one of: 1.0, 1.1"},
		{web, `"type": "HTTP", "domain_name": "x", ` + times, 400, v + "'http_version' must be specified when 'domain_name' is provided."},
		{web, `"type": "HTTP", "domain_name": "x", "http_version": 1.0, ` + times, 400, "http_version 1.0 is not a valid option for health monitors HTTP 1.1 domain name health check"},
		{web, `"type": "HTTP", "domain_name": "-x", "http_version": 1.1, ` + times, 400, `Invalid input for field/attribute domain_name. Value: '-x'. Value should match the pattern ^(?=.{1,253}\.?$)(?:(?!-|[^.]+_)[A-Za-z0-9-_]{1,63}(?<!-)(?:\.|$))+$`},
		{web, `"type": "HTTP", "max_retries": 11, "delay": 1, "timeout": 1`, 400, "Invalid input for field/attribute max_retries. Value: '11'. Value should be lower or equal to 10"},
	} {
		f.refuse(wrong{"", "POST", monitors, `{"healthmonitor": {"pool_id": "` + c.pool + `", ` + c.attributes + `}}`, c.status, c.fault})
	}
	id := f.create(monitors, `{"healthmonitor": {"pool_id": "`+udp+`", "type": "UDP-CONNECT", "delay": 3, "timeout": 3, "max_retries": 2}}`)
	f.settle(lb)
	path := monitors + "/" + id
	f.refuse(
		wrong{"HTTP option", "PUT", path, `{"healthmonitor": {"url_path": null}}`, 400, "url_path is not a valid option for health monitors of type UDP-CONNECT"},
		wrong{"null", "PUT", path, `{"healthmonitor": {"timeout": null}}`, 400, "None is not a valid option for timeout"},
		wrong{"delay", "PUT", path, `{"healthmonitor": {"delay": 1}}`, 400, v + "The request delay value 1 should be larger than 3 for UDP-CONNECT health monitor type."},
		wrong{"domain", "PUT", path, `{"healthmonitor": {"domain_name": "x"}}`, 400, v + "'http_version' must be specified when 'domain_name' is provided."},
		wrong{"type", "PUT", path, `{"healthmonitor": {"type": "TCP"}}`, 400, "Unknown attribute for argument health_monitor_.healthmonitor: type"},
	)
}
