package api_test

import (
	"fmt"
	"strings"
	"testing"
)

const policies = "/v2/lbaas/l7policies"

// l7 is a load balancer with an HTTP listener and a pool.
func (f *fixture) l7() (lb, listener, pool string) {
	f.t.Helper()
	lb = f.loadBalancer()
	listener = f.create(listeners, `{"listener": {"loadbalancer_id": "`+lb+`", "protocol": "HTTP", "protocol_port": 80}}`)
	f.settle(lb)
	return lb, listener, f.pool(lb, `"protocol": "HTTP"`)
}

func (f *fixture) policy(lb, listener, attributes string) string {
	f.t.Helper()
	id := f.create(policies, `{"l7policy": {"listener_id": "`+listener+`", `+attributes+`}}`)
	f.settle(lb)
	return id
}

func TestPolicyActions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	lb, listener, pool := f.l7()
	const u = `"redirect_url": "http://a.example/"`
	const x = `"redirect_prefix": "https://b.example"`
	p := `"redirect_pool_id": "` + pool + `"`
	for _, c := range []struct{ attributes, action, pool, url, prefix, code string }{
		{`"action": "REJECT"`, "REJECT", "null", "null", "null", "null"},
		{`"action": "REJECT", ` + u, "REJECT", "null", "null", "null", "null"},
		{`"action": "REJECT", ` + x, "REDIRECT_PREFIX", "null", "null", `"https://b.example"`, "302"},
		{`"action": "REJECT", "redirect_http_code": 301`, "REJECT", "null", "null", "null", "301"},
		{`"action": "REDIRECT_TO_URL", ` + u + "," + p, "REDIRECT_TO_URL", "null", `"http://a.example/"`, "null", "302"},
		{`"action": "REDIRECT_TO_URL", "redirect_http_code": "308", ` + u + "," + x, "REDIRECT_TO_URL", "null", `"http://a.example/"`, "null", "308"},
		{`"action": "REDIRECT_TO_POOL", "redirect_http_code": 301, ` + p + "," + u, "REDIRECT_TO_POOL", `"` + pool + `"`, "null", "null", "null"},
		{`"action": "REDIRECT_PREFIX", ` + x + "," + u, "REDIRECT_TO_URL", "null", `"http://a.example/"`, "null", "302"},
	} {
		made := f.must(201, "POST", policies, `{"l7policy": {"listener_id": "`+listener+`", `+c.attributes+`}}`)
		expect(t, made, "l7policy.action", `"`+c.action+`"`, "l7policy.redirect_pool_id", c.pool, "l7policy.redirect_url", c.url,
			"l7policy.redirect_prefix", c.prefix, "l7policy.redirect_http_code", c.code, "l7policy.rules", "[]",
			"l7policy.provisioning_status", `"PENDING_CREATE"`, "l7policy.listener_id", `"`+listener+`"`)
		f.settle(lb)
	}
	id := f.policy(lb, listener, `"action": "REDIRECT_TO_URL", `+u)
	for _, c := range []struct{ body, action, pool, url, code string }{
		{`"redirect_http_code": 307`, "REDIRECT_TO_URL", "null", `"http://a.example/"`, "307"},
		{`"redirect_url": "http://c.example/"`, "REDIRECT_TO_URL", "null", `"http://c.example/"`, "302"},
		{p, "REDIRECT_TO_POOL", `"` + pool + `"`, "null", "null"},
		{`"redirect_pool_id": null`, "REDIRECT_TO_POOL", "null", "null", "null"},
		{`"action": "REJECT"`, "REJECT", "null", "null", "null"},
		{`"redirect_url": null`, "REJECT", "null", "null", "null"},
	} {
		expect(t, f.must(200, "PUT", policies+"/"+id, `{"l7policy": {`+c.body+`}}`), "l7policy.action", `"`+c.action+`"`,
			"l7policy.redirect_pool_id", c.pool, "l7policy.redirect_url", c.url, "l7policy.redirect_http_code", c.code)
		f.settle(lb)
	}
	bad := "Invalid L7 Policy arguments: "
	for _, c := range []struct {
		attributes string
		status     int
		fault      string
	}{
		{`"action": null`, 400, "Invalid L7 Policy action specified: None"},
		{`"action": "REDIRECT_TO_URL"`, 400, bad + "redirect_url must not be None"},
		{`"action": "REDIRECT_TO_POOL"`, 400, bad + "redirect_pool_id or redirect_pool must not be None"},
		{`"action": "REDIRECT_PREFIX"`, 400, bad + "redirect_prefix must not be None"},
		{`"action": "REDIRECT_TO_POOL", ` + p + "," + x, 400, bad + "Cannot specify redirect_pool_id and redirect_url or redirect_prefix at the same time"},
		{`"action": "REDIRECT_TO_POOL", "redirect_pool_id": "` + absent + `"`, 404, "Pool " + absent + " not found."},
		{`"action": "REDIRECT_TO_URL", "redirect_url": "ftp://x"`, 400, "Invalid input for field/attribute redirect_url. Value: 'ftp://x'. Value must be a valid URL string"},
		{`"action": "REJECT", "redirect_http_code": 200`, 400, "Invalid input for field/attribute redirect_http_code. Value: '200'. Value should be one of: 301, 302, 303, 307, 308"},
	} {
		f.refuse(wrong{"", "POST", policies, `{"l7policy": {"listener_id": "` + listener + `", ` + c.attributes + `}}`, c.status, c.fault})
	}
	f.refuse(
		wrong{"listener", "POST", policies, `{"l7policy": {"listener_id": "` + absent + `", "action": "REJECT"}}`, 404, "Listener " + absent + " not found."},
		wrong{"nothing", "PUT", policies + "/" + id, `{"l7policy": {}}`, 400, bad + "Invalid update options"},
		wrong{"stored pool", "PUT", policies + "/" + id, `{"l7policy": {"action": "REDIRECT_TO_POOL"}}`, 400, bad + "redirect_pool_id or redirect_pool must not be None"},
	)
	tcp := f.create(listeners, `{"listener": {"loadbalancer_id": "`+lb+`", "protocol": "TCP", "protocol_port": 81}}`)
	f.settle(lb)
	f.refuse(wrong{"TCP", "POST", policies, `{"l7policy": {"listener_id": "` + tcp + `", "action": "REJECT"}}`, 501,
		"Provider 'amphora' does not support a requested option: TCP protocol listeners do not support L7 policies"})
}

func TestPolicyPositions(t *testing.T) {
	t.Parallel()
	onEach(t, testPolicyPositions)
}

func testPolicyPositions(t *testing.T, f *fixture) {
	t.Helper()
	lb, listener, _ := f.l7()
	reject := func(name, more string) string {
		return f.policy(lb, listener, `"action": "REJECT", "name": "`+name+`"`+more)
	}
	order := func() string {
		out := ""
		for i, v := range f.must(200, "GET", policies+"?sort=position", "").at("l7policies").([]any) {
			p := object(v.(map[string]any))
			if got := p.at("position"); got != float64(i+1) {
				t.Errorf("position of %v: got %v, want %d", p.at("name"), got, i+1)
			}
			out += p.at("name").(string)
		}
		return out
	}
	a := reject("a", "")
	reject("b", `, "position": 9`)
	reject("c", `, "position": 1`)
	reject("d", `, "position": null`)
	if got := order(); got != "cabd" {
		t.Errorf("order: got %s, want cabd", got)
	}
	f.must(200, "PUT", policies+"/"+a, `{"l7policy": {"position": 4}}`)
	if got := order(); got != "cbda" {
		t.Errorf("order: got %s, want cbda", got)
	}
	expect(t, f.must(200, "GET", listeners+"/"+listener, ""), "listener.provisioning_status", `"PENDING_UPDATE"`,
		"listener.l7policies.3.id", `"`+a+`"`)
}

func TestRules(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	lb, listener, pool := f.l7()
	policy := f.policy(lb, listener, `"action": "REDIRECT_TO_POOL", "redirect_pool_id": "`+pool+`"`)
	other := f.policy(lb, listener, `"action": "REJECT"`)
	rules := policies + "/" + policy + "/rules"
	expect(t, f.must(200, "GET", pools+"/"+pool, ""), "pool.listeners", "[]")
	made := f.must(201, "POST", rules, `{"rule": {"type": "PATH", "compare_type": "STARTS_WITH", "value": "/x", "invert": null, "tags": ["t"]}}`)
	id := made.at("rule.id").(string)
	expect(t, made, "rule.type", `"PATH"`, "rule.key", "null", "rule.invert", "false", "rule.admin_state_up", "true",
		"rule.tags", `["t"]`, "rule.provisioning_status", `"PENDING_CREATE"`, "rule.name", `"absent"`)
	expect(t, f.must(200, "GET", policies+"/"+policy, ""), "l7policy.rules", `[{"id":"`+id+`"}]`, "l7policy.provisioning_status", `"PENDING_UPDATE"`)
	expect(t, f.must(200, "GET", pools+"/"+pool, ""), "pool.listeners", `[{"id":"`+listener+`"}]`)
	expect(t, f.must(200, "GET", listeners+"/"+listener, ""), "listener.provisioning_status", `"PENDING_UPDATE"`)
	f.refuse(wrong{"locked", "DELETE", rules + "/" + id, "", 409, "L7Policy " + policy + " is immutable and cannot be updated."})
	f.settle(lb)
	const v = "Error parsing L7Rule: "
	rule := func(kind, compare, key, value string) string {
		if key != "" {
			key = `"key": ` + key + `,`
		}
		return `{"rule": {"type": "` + kind + `", "compare_type": "` + compare + `", ` + key + `"value": "` + value + `"}}`
	}
	for _, c := range [][5]string{
		{"PATH", "REGEX", "", "(", v + "Unable to parse regular expression: missing closing ): `(`"},
		{"PATH", "EQUAL_TO", "", "", v + "Invalid L7 Rule: L7 rule type requires a value"},
		{"PATH", "EQUAL_TO", "", "a b", v + "Invalid characters in comparison value"},
		{"HEADER", "EQUAL_TO", "", "a", v + "Invalid L7 Rule: L7 rule type requires a key"},
		{"HEADER", "EQUAL_TO", `"a b"`, "a", v + "Invalid characters in key"},
		{"HEADER", "EQUAL_TO", `"a"`, "a b", v + "Invalid characters in header value"},
		{"COOKIE", "EQUAL_TO", `"a"`, "a;b", v + "Invalid characters in cookie value"},
		{"FILE_TYPE", "CONTAINS", "", "a", v + "Invalid L7 Rule: invalid comparison type for rule type"},
		{"SSL_CONN_HAS_CERT", "EQUAL_TO", `"a"`, "true", v + `Invalid L7 Rule: L7rule type SSL_CONN_HAS_CERT does not use the "key" field.`},
		{"SSL_CONN_HAS_CERT", "EQUAL_TO", "", "no", v + "Invalid L7 Rule: L7rule value no is not a boolean True string."},
		{"SSL_CONN_HAS_CERT", "REGEX", "", "true", v + "Invalid L7 Rule: L7rule type SSL_CONN_HAS_CERT only supports the EQUAL_TO compare type."},
		{"SSL_VERIFY_RESULT", "EQUAL_TO", "", "-1", v + "Invalid L7 Rule: L7rule type SSL_VERIFY_RESULT needs a int value, which is >= 0"},
		{"SSL_DN_FIELD", "EQUAL_TO", "", "a", v + "Invalid L7 Rule: L7rule type SSL_DN_FIELD needs to specify a key and a value."},
		{"SSL_DN_FIELD", "EQUAL_TO", `"1"`, "a", v + "Invalid L7 Rule: Invalid L7rule distinguished name field."},
	} {
		f.refuse(wrong{c[0], "POST", rules, rule(c[0], c[1], c[2], c[3]), 400, c[4]})
	}
	f.refuse(
		wrong{"other policy", "GET", policies + "/" + other + "/rules/" + id, "", 404, "L7 Rule " + id + " not found."},
		wrong{"no policy", "GET", policies + "/" + absent + "/rules", "", 404, "L7Policy " + absent + " not found."},
		wrong{"null value", "PUT", rules + "/" + id, `{"rule": {"value": null}}`, 400, v + "Invalid L7 Rule: L7 rule type requires a value"},
		wrong{"line feed", "PUT", rules + "/" + id, `{"rule": {"value": "a\nb"}}`, 400,
			"Invalid input for field/attribute value. Value: 'a\nb'. Value should match the pattern ^[^\\r\\n]*$"},
	)
	expect(t, f.must(200, "PUT", rules+"/"+id, `{"rule": {"type": "HEADER", "key": "X-A", "compare_type": "REGEX", "value": "(?!a)b", "tags": null}}`),
		"rule.type", `"HEADER"`, "rule.key", `"X-A"`, "rule.value", `"(?!a)b"`, "rule.tags", "[]", "rule.provisioning_status", `"PENDING_UPDATE"`)
	f.settle(lb)
	expect(t, f.must(200, "PUT", rules+"/"+id, `{"rule": {"type": "PATH"}}`), "rule.key", "null")
	f.settle(lb)
	f.must(204, "DELETE", rules+"/"+id, "")
	f.settle(lb)
	f.refuse(wrong{"gone", "DELETE", rules + "/" + id, "", 404, "L7 Rule " + id + " not found."})
	for n := range 50 {
		f.create(rules, rule("PATH", "EQUAL_TO", "", fmt.Sprint("/", n)))
		f.settle(lb)
	}
	f.refuse(wrong{"51", "POST", rules, rule("PATH", "EQUAL_TO", "", "/x"), 409, "Too many rules on L7 policy " + policy})
}

func TestSingleCallPolicies(t *testing.T) {
	t.Parallel()
	onEach(t, testSingleCallPolicies)
}

func testSingleCallPolicies(t *testing.T, f *fixture) {
	t.Helper()
	body := `{"loadbalancer": {"vip_subnet_id": "` + subnet + `", "listeners": [{"protocol": "%s", "protocol_port": 80, "l7policies": [
		{"action": "REJECT", "rules": [{"type": "PATH", "compare_type": "EQUAL_TO", "value": "%s"}]},
		{"action": "REDIRECT_TO_POOL", "position": 1, "redirect_pool": {"name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}}]}]}}`
	made := f.must(201, "POST", lbs, fmt.Sprintf(body, "HTTP", "/x"))
	expect(t, made,
		"loadbalancer.listeners.0.l7policies.0.action", `"REDIRECT_TO_POOL"`,
		"loadbalancer.listeners.0.l7policies.0.redirect_pool_id", show(made.at("loadbalancer.pools.0.id")),
		"loadbalancer.listeners.0.l7policies.1.rules.0.value", `"/x"`,
		"loadbalancer.listeners.0.l7policies.1.position", "2")
	f.refuse(
		wrong{"rule", "POST", lbs, fmt.Sprintf(body, "HTTP", "x y"), 400, "Error parsing L7Rule: Invalid characters in comparison value"},
		wrong{"metrics", "POST", lbs, fmt.Sprintf(body, "PROMETHEUS", "/x"), 400, "Protocol PROMETHEUS listeners cannot have child objects."},
		wrong{"unknown", "POST", lbs, strings.Replace(fmt.Sprintf(body, "HTTP", "/x"), `"position"`, `"listener_id"`, 1), 400,
			"Unknown attribute for argument load_balancer.loadbalancer.listeners.l7policies: listener_id"},
	)
}
