package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbtest"
)

// write is a POST or PUT whose body is right.
type write struct{ method, path, body string }

// estate is an API with one of everything, for requests that must not hurt it.
type estate struct {
	*fixture
	x      tree
	writes []write
	dump   string      // of the database, as the last request left it
	wrote  atomic.Bool // there was a statement that is no SELECT
}

// estateOn builds an estate. Changes are accepted while others are pending, so that each write
// can be repeated.
func estateOn(tb testing.TB, database db.Config) *estate {
	tb.Helper()
	e := &estate{}
	database.Trace = func(_ context.Context, statement string) {
		if !strings.HasPrefix(statement, "SELECT ") {
			e.wrote.Store(true)
		}
	}
	f := newFixtureOn(tb, database, func(c *api.Config, d *api.Deps) {
		c.PendingChanges = db.AcceptPending
		bothProviders(c, d)
	}).admin()
	e.fixture, e.x = f, f.tree()
	policy := f.policy(e.x.lb, e.x.listener, `"action": "REJECT"`)
	rules := policies + "/" + policy + "/rules"
	rule := f.create(rules, `{"rule": {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/x"}}`)
	profile := f.create(flavorProfiles, `{"flavorprofile": {"name": "p", "provider_name": "noop_driver", "flavor_data": "{}"}}`)
	flavor := f.create(flavors, `{"flavor": {"name": "f", "flavor_profile_id": "`+profile+`"}}`)
	zoneProfile := f.create(zoneProfiles, `{"availability_zone_profile": {"name": "p", "provider_name": "noop_driver", "availability_zone_data": "{}"}}`)
	f.must(201, "POST", zones, `{"availability_zone": {"name": "z", "availability_zone_profile_id": "`+zoneProfile+`"}}`)
	f.settle(e.x.lb)
	e.writes = slices.Concat(e.balancerWrites(), e.poolWrites(), policyWrites(e.x.listener, rules, policy, rule),
		catalogueWrites(profile, flavor, zoneProfile))
	return e
}

// balancerWrites are those of load balancers, listeners and quotas.
func (e *estate) balancerWrites() []write {
	const more = `"name": "n", "description": "d", "admin_state_up": true, "tags": ["t"]`
	member := `{"address": "10.0.0.9", "protocol_port": 80, "name": "m", "weight": 1, "backup": false, "subnet_id": "` + subnet + `",
		"monitor_address": "10.0.0.8", "monitor_port": 81, "tags": ["t"]}`
	monitor := `{"type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2, "max_retries_down": 3, "http_method": "GET",
		"url_path": "/", "expected_codes": "200", "http_version": 1.1, "domain_name": "a.example", "name": "n"}`
	pool := `{"name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "session_persistence":
		{"type": "APP_COOKIE", "cookie_name": "c"}, "members": [` + member + `], "healthmonitor": ` + monitor + `}`
	policy := `{"action": "REDIRECT_TO_POOL", "redirect_pool": {"name": "p"}, "position": 1, "name": "n", "tags": ["t"],
		"rules": [{"type": "HEADER", "compare_type": "EQUAL_TO", "key": "k", "value": "v", "invert": false, "tags": ["t"]}]}`
	listener := more + `, "connection_limit": 9, "insert_headers": {"X-Forwarded-For": "true"}, "allowed_cidrs": ["192.0.2.0/24"],
		"timeout_client_data": 1, "timeout_member_connect": 1, "timeout_member_data": 1, "timeout_tcp_inspect": 1,
		"tls_ciphers": "A", "tls_versions": ["TLSv1.2"], "alpn_protocols": ["h2"], "client_authentication": "NONE"`
	tls := `"default_tls_container_ref": "r", "sni_container_refs": ["s"], "client_ca_tls_container_ref": "c",
		"client_crl_container_ref": "l", "hsts_max_age": 1, "hsts_include_subdomains": true, "hsts_preload": true`
	return []write{
		{"POST", lbs, `{"loadbalancer": {` + more + `, "vip_subnet_id": "` + subnet + `", "vip_network_id": "` + network + `",
			"vip_address": "192.0.2.7", "vip_qos_policy_id": "` + policy1 + `", "vip_sg_ids": ["` + group1 + `"], "project_id": "` + project + `",
			"provider": "noop_driver", "additional_vips": [{"subnet_id": "` + subnet + `", "ip_address": "192.0.2.8"}]}}`},
		{"POST", lbs, `{"loadbalancer": {"vip_subnet_id": "` + subnet + `", "availability_zone": "z", "pools": [` + pool + `],
			"listeners": [{"protocol": "HTTP", "protocol_port": 80, "default_pool": {"name": "p"}, "l7policies": [` + policy + `]}]}}`},
		{"PUT", lbs + "/" + e.x.lb, `{"loadbalancer": {` + more + `, "vip_qos_policy_id": "` + policy1 + `", "vip_sg_ids": []}}`},
		{"POST", listeners, `{"listener": {"loadbalancer_id": "` + e.x.lb + `", "protocol": "HTTP", "protocol_port": 8080,
			"default_pool_id": "` + e.x.pool + `", "project_id": "` + project + `", ` + listener + `}}`},
		{"POST", listeners, `{"listener": {"loadbalancer_id": "` + e.x.lb + `", "protocol": "TERMINATED_HTTPS", "protocol_port": 443, ` + tls + `}}`},
		{"PUT", listeners + "/" + e.x.listener, `{"listener": {` + listener + `, "default_pool_id": "` + e.x.pool + `"}}`},
		{"PUT", "/v2/quotas/" + project, `{"quota": {"loadbalancer": 9, "load_balancer": 9, "listener": -1, "pool": -1, "member": -1,
			"healthmonitor": -1, "health_monitor": -1, "l7policy": -1, "l7rule": -1}}`},
	}
}

// poolWrites are those of pools, members and health monitors.
func (e *estate) poolWrites() []write {
	const common = `"name": "n", "admin_state_up": true, "tags": ["t"]`
	const pool = common + `, "description": "d", "lb_algorithm": "ROUND_ROBIN", "tls_enabled": true, "tls_container_ref": "r",
		"ca_tls_container_ref": "c", "crl_container_ref": "l", "tls_ciphers": "A", "tls_versions": ["TLSv1.2"], "alpn_protocols": ["h2"],
		"session_persistence": {"type": "APP_COOKIE", "cookie_name": "c"}`
	const member = common + `, "weight": 1, "backup": false, "monitor_address": "10.0.0.8", "monitor_port": 81`
	const monitor = common + `, "delay": 5, "timeout": 3, "max_retries": 2, "max_retries_down": 3, "http_method": "GET",
		"url_path": "/", "expected_codes": "200", "http_version": 1.1, "domain_name": "a.example"`
	members := pools + "/" + e.x.pool + "/members"
	free := e.create(pools, `{"pool": {"loadbalancer_id": "`+e.x.lb+`", "protocol": "UDP", "lb_algorithm": "ROUND_ROBIN"}}`)
	web := e.create(pools, `{"pool": {"loadbalancer_id": "`+e.x.lb+`", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}}`)
	hm := e.create(monitors, `{"healthmonitor": {"pool_id": "`+web+`", "type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2}}`)
	e.settle(e.x.lb)
	return []write{
		{"POST", pools, `{"pool": {"loadbalancer_id": "` + e.x.lb + `", "protocol": "HTTP", ` + pool + `}}`},
		{"PUT", pools + "/" + e.x.pool, `{"pool": {` + pool + `}}`},
		{"PUT", pools + "/" + free, `{"pool": {"session_persistence": {"type": "SOURCE_IP", "persistence_timeout": 5, "persistence_granularity": "255.255.0.0"}}}`},
		{"POST", members, `{"member": {"address": "10.0.0.7", "protocol_port": 80, "subnet_id": "` + subnet + `", "project_id": "` + project + `", ` + member + `}}`},
		{"PUT", members + "/" + e.x.member, `{"member": {` + member + `}}`},
		{"PUT", members, `{"members": [{"address": "10.0.0.1", "protocol_port": 80}, {"address": "10.0.0.2", "protocol_port": 80, ` + member + `}]}`},
		{"POST", monitors, `{"healthmonitor": {"pool_id": "` + free + `", "type": "UDP-CONNECT", "delay": 5, "timeout": 3, "max_retries": 2}}`},
		{"PUT", monitors + "/" + hm, `{"healthmonitor": {` + monitor + `}}`},
	}
}

func policyWrites(listener, rules, policy, rule string) []write {
	const common = `"name": "n", "description": "d", "admin_state_up": true, "tags": ["t"], "position": 1`
	const redirect = `, "action": "REDIRECT_TO_URL", "redirect_url": "http://a.example/", "redirect_http_code": 301`
	const prefix = `, "action": "REDIRECT_PREFIX", "redirect_prefix": "http://a.example/"`
	const in = `"type": "HEADER", "compare_type": "REGEX", "key": "k", "value": "v", "invert": false, "admin_state_up": true, "tags": ["t"]`
	return []write{
		{"POST", policies, `{"l7policy": {"listener_id": "` + listener + `", ` + common + redirect + `}}`},
		{"PUT", policies + "/" + policy, `{"l7policy": {` + common + prefix + `}}`},
		{"POST", rules, `{"rule": {` + in + `}}`},
		{"PUT", rules + "/" + rule, `{"rule": {` + in + `}}`},
	}
}

func catalogueWrites(profile, flavor, zoneProfile string) []write {
	return []write{
		{"POST", flavorProfiles, `{"flavorprofile": {"name": "q", "provider_name": "amphora", "flavor_data": "{\"compute_flavor\": \"flavor-1\"}"}}`},
		{"PUT", flavorProfiles + "/" + profile, `{"flavorprofile": {"name": "p"}}`},
		{"POST", flavors, `{"flavor": {"name": "g", "description": "d", "enabled": true, "flavor_profile_id": "` + profile + `"}}`},
		{"PUT", flavors + "/" + flavor, `{"flavor": {"name": "f", "description": "d", "enabled": true}}`},
		{"POST", zoneProfiles, `{"availability_zone_profile": {"name": "q", "provider_name": "amphora", "availability_zone_data": "{\"compute_zone\": \"nova\"}"}}`},
		{"PUT", zoneProfiles + "/" + zoneProfile, `{"availability_zone_profile": {"name": "p"}}`},
		{"POST", zones, `{"availability_zone": {"name": "y", "description": "d", "enabled": true, "availability_zone_profile_id": "` + zoneProfile + `"}}`},
		{"PUT", zones + "/z", `{"availability_zone": {"description": "d", "enabled": true}}`},
	}
}

// try sends a body that may be nonsense: it is never a failure of the server, and what is refused leaves no trace. What
// is accepted is shown, and undone.
func (e *estate) try(w write, body string) int {
	e.t.Helper()
	if e.dump == "" {
		e.dump = e.dumped()
	}
	e.wrote.Store(false)
	a := e.do(w.method, w.path, body)
	short := body[:min(len(body), 2000)]
	switch {
	case a.status >= 500 && a.status != 501: // 501: a provider cannot do what is asked
		e.t.Fatalf("%s %s %q: got %d %s\n%s", w.method, w.path, short, a.status, a.body, e.log)
	case a.status >= 300:
		if e.wrote.Load() { // what only reads leaves no trace
			if now := e.dumped(); now != e.dump {
				e.t.Fatalf("%s %s %q: refused with %d %s, but the database changed: %s", w.method, w.path, short, a.status, a.body, firstDifference(e.dump, now))
			}
		}
		if a.status != 413 && faultText(a) == "" {
			e.t.Fatalf("%s %s %q: got %d without a text: %s", w.method, w.path, short, a.status, a.body)
		}
	default:
		e.shown(w, a, short)
		e.dump = e.dumped()
	}
	return a.status
}

// shown compares the answer of an accepted write with a GET, and makes a new object go again, a changed one be as it was.
func (e *estate) shown(w write, a answer, body string) {
	e.t.Helper()
	e.must(200, "GET", lbs+"/"+e.x.lb+"/status", "")
	if w.method == "PUT" {
		if one := e.do("GET", strings.SplitN(w.path, "?", 2)[0], ""); one.status != 200 {
			e.t.Fatalf("%s %s %q: accepted, but GET gets %d %s", w.method, w.path, body, one.status, one.body)
		}
		if again := e.do(w.method, w.path, e.right(w)); again.status >= 300 {
			e.t.Fatalf("%s %s %q: accepted, but the right body is then %d %s", w.method, w.path, body, again.status, again.body)
		}
		e.settle(e.x.lb)
		return
	}
	for kind, made := range a.json(e.t) {
		o := object(made.(map[string]any))
		id, _ := o["id"].(string)
		if id == "" {
			id, _ = o["name"].(string)
		}
		if w.path == zones && (id == "" || strings.Contains(id, "/") || strings.HasSuffix(id, ".json")) {
			e.forget(kind, id) // paths cannot name it, upstream's neither
			continue
		}
		one := e.must(200, "GET", w.path+"/"+url.PathEscape(id), "")
		for name, want := range o {
			got := one.at(kind + "." + name)
			if _, nested := want.([]any); !nested && show(got) != show(want) {
				e.t.Fatalf("%s %s %q: %s is %s in the answer and %s in GET", w.method, w.path, body, name, show(want), show(got))
			}
		}
		e.forget(kind, id)
	}
	e.settle(e.x.lb)
}

// right is the body that a PUT had when it was made.
func (e *estate) right(w write) string {
	for _, x := range e.writes {
		if x.method == w.method && x.path == w.path {
			return x.body
		}
	}
	return w.body
}

// forget removes a new object as if it had never been.
func (e *estate) forget(kind, id string) {
	e.t.Helper()
	err := e.store.Tx(e.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		remove := map[string]func(context.Context, *db.Tx, string) error{
			"loadbalancer": db.Delete[db.LoadBalancer], "listener": db.Delete[db.Listener], "pool": db.Delete[db.Pool],
			"member": db.Delete[db.Member], "healthmonitor": db.Delete[db.HealthMonitor], "l7policy": db.Delete[db.L7Policy],
			"rule": db.Delete[db.L7Rule], "flavor": db.Delete[db.Flavor], "flavorprofile": db.Delete[db.FlavorProfile],
			"availability_zone": db.Delete[db.AvailabilityZone], "availability_zone_profile": db.Delete[db.AvailabilityZoneProfile],
		}[kind]
		if kind == "loadbalancer" {
			if err := tx.ForgetWork(ctx, id); err != nil {
				return err
			}
		}
		return remove(ctx, tx, id)
	})
	if err != nil {
		e.t.Fatal(err)
	}
}

// dumped is the content of all tables that the API writes.
func (e *estate) dumped() string {
	e.t.Helper()
	var b strings.Builder
	err := e.store.Read(e.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		b.Reset()
		for _, table := range []func(context.Context, *db.Tx, *strings.Builder) error{
			rowsOf[db.LoadBalancer], rowsOf[db.VIP], rowsOf[db.AdditionalVIP], rowsOf[db.VIPSecurityGroup], rowsOf[db.Listener],
			rowsOf[db.SNI], rowsOf[db.ListenerCIDR], rowsOf[db.Pool], rowsOf[db.SessionPersistence], rowsOf[db.Member],
			rowsOf[db.HealthMonitor], rowsOf[db.L7Policy], rowsOf[db.L7Rule], rowsOf[db.Tag], rowsOf[db.Quota],
			rowsOf[db.Flavor], rowsOf[db.FlavorProfile], rowsOf[db.AvailabilityZone], rowsOf[db.AvailabilityZoneProfile],
			rowsOf[db.Work], rowsOf[db.Event],
		} {
			if err := table(ctx, tx, &b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return b.String()
}

// rowsOf writes the rows of a table, sorted.
func rowsOf[M any](ctx context.Context, tx *db.Tx, b *strings.Builder) error {
	rows, err := db.Where[M](ctx, tx, "1 = 1")
	lines := make([]string, len(rows))
	for i := range rows {
		lines[i] = fmt.Sprintf("%T %s\n", rows[i], show(rows[i]))
	}
	slices.Sort(lines)
	for _, l := range lines {
		b.WriteString(l)
	}
	return err
}

func firstDifference(a, b string) string {
	lines := strings.Split(a, "\n")
	for i, l := range strings.Split(b, "\n") {
		if i >= len(lines) || lines[i] != l {
			return l
		}
	}
	return "something is gone"
}

// node is a place in a JSON document: the value is document[from:to]. Key says that it is an attribute's.
type node struct {
	from, to int
	key      string
}

// nodes are the places of a document, the whole first.
func nodes(document string) []node {
	d := json.NewDecoder(strings.NewReader(document))
	var out []node
	var walk func(key string)
	walk = func(key string) {
		at := len(out)
		out = append(out, node{key: key})
		from := int(d.InputOffset())
		tok, err := d.Token()
		if err != nil {
			panic(err)
		}
		from += strings.IndexFunc(document[from:], func(r rune) bool { return !strings.ContainsRune(" \t\r\n:,", r) })
		if open, ok := tok.(json.Delim); ok {
			for d.More() {
				key := ""
				if open == '{' {
					k, err := d.Token()
					if err != nil {
						panic(err)
					}
					key = k.(string)
				}
				walk(key)
			}
			if _, err := d.Token(); err != nil {
				panic(err)
			}
		}
		out[at].from, out[at].to = from, int(d.InputOffset())
	}
	walk("")
	return out
}

// hostile are values that attributes do not expect, as JSON.
var hostile = []string{
	`null`, `true`, `""`, `"x"`, `"1"`, `0`, `-1`, `1.5`, `1e400`, `-1e9`, `2147483648`, `9223372036854775808`, `123456789012345678901234567890`,
	`"NaN"`, `"Infinity"`, `"٣"`, `"1_0"`, `"0x1p4"`, `[]`, `{}`, `[null]`, `[{}]`, `[[]]`, `{"": null}`, `{"nonsense": {"a": 1}}`, `[null, "x"]`,
	`"\u0000"`, `"a\u0000b"`, `["\u0000"]`, `{"X-Forwarded-For": "\u0000"}`, "\"\xff\"", "[\"\xc3\"]", `"\ud800"`, `"😀"`, `["😀"]`, `"é\u0301\u202e"`, `"a b"`,
	`"\r\n"`, `"/é"`, `"//x"`, `"::ffff:192.0.2.1"`, `"fe80::1%eth0"`, `"http://[::1"`, `"{99999999-9999-4999-8999-999999999999}"`,
	`"` + strings.Repeat("x", 300) + `"`, `"/` + strings.Repeat("y", 300) + `"`, `"http://` + strings.Repeat("z", 5000) + `"`,
	`"` + strings.Repeat("é", 255) + `"`, `"` + strings.Repeat("😀", 255) + `"`, `["` + strings.Repeat("x", 200) + `"]`,
	`[` + strings.Repeat(`"h2",`, 400) + `"h2"]`, `[` + strings.Repeat(`"TLSv1.2",`, 400) + `"TLSv1.2"]`, `["a", "a", "A", "a "]`,
	strings.Repeat("[", 9000) + strings.Repeat("]", 9000), strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000),
	strings.Repeat("[", 50000), `"(" `, `"(a"`, `"a{1000}{1000}"`, `tru`, `"`, ``, `1 2`, `{"a": 1, "a": 2}`, `[1, 2`,
}

// Ways to put a value into a body.
const (
	replacing = iota // in place of a value
	beside           // as an attribute more
	repeated         // as the same attribute again
	listed           // as a list of many
	bare             // instead of the whole body
	manners
)

// mutated puts a value into a place of a body in some manner.
func mutated(body string, at, manner int, value string) string {
	if manner == bare {
		return value
	}
	places := nodes(body)
	n := places[at%len(places)]
	switch manner {
	case beside:
		if body[n.from] == '{' {
			return body[:n.from+1] + `"nonsense": ` + value + `, ` + body[n.from+1:]
		}
	case repeated:
		if n.key != "" {
			return body[:n.to] + `, "` + n.key + `": ` + value + body[n.to:]
		}
	case listed:
		value = "[" + strings.Repeat(value+", ", 20) + value + "]"
	}
	return body[:n.from] + value + body[n.to:]
}

// TestHostileValues puts hostile values into each place of each write, on all engines: their columns refuse different
// things. Each place gets every 20th value, each value comes to every 20th place.
func TestHostileValues(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		t.Helper()
		e := estateOn(t, cfg)
		statuses := map[int]int{}
		for _, w := range e.writes {
			if got := e.try(w, w.body); got >= 300 {
				t.Fatalf("%s %s: the right body is refused with %d: %s", w.method, w.path, got, e.do(w.method, w.path, w.body).body)
			}
			for at := range nodes(w.body) {
				for i := at % 20; i < len(hostile); i += 20 {
					statuses[e.try(w, mutated(w.body, at, replacing, hostile[i]))]++
				}
				statuses[e.try(w, mutated(w.body, at, at%manners, hostile[at%len(hostile)]))]++
			}
		}
		for _, status := range []int{200, 201, 202, 400} {
			if statuses[status] == 0 {
				t.Errorf("statuses: got %v, want some %d", slices.Sorted(maps.Keys(statuses)), status)
			}
		}
	})
}

// FuzzWrite sends all POSTs and PUTs with a body in which one value is replaced, joined or repeated by anything.
func FuzzWrite(f *testing.F) {
	for i, value := range hostile { // TestHostileValues has more of them
		f.Add(uint8(i), uint8(3*i), uint8(i), []byte(value))
	}
	e := estateOn(f, db.Config{URL: dbtest.Server(f, dbtest.SQLite)})
	f.Fuzz(func(t *testing.T, call, at, manner uint8, value []byte) {
		e.t = t
		w := e.writes[int(call)%len(e.writes)]
		body := mutated(w.body, int(at), int(manner)%manners, string(value))
		e.log.Reset()
		e.try(w, body)
		if bytes.Contains(value, []byte(`"`)) { // as text, too
			e.try(w, mutated(w.body, int(at), replacing, show(string(value))))
		}
	})
}
