package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/db"
)

const lbs = "/v2/lbaas/loadbalancers"

func TestLoadBalancerLife(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	made := f.must(201, "POST", lbs, `{"loadbalancer": {"name": "web", "vip_subnet_id": "`+subnet+`",
		"vip_address": "192.0.2.7", "tags": ["b", "a", "b"], "vip_qos_policy_id": "`+policy1+`", "vip_sg_ids": ["`+group1+`"]}}`)
	id := made.at("loadbalancer.id").(string)
	expect(t, made,
		"loadbalancer.name", `"web"`, "loadbalancer.description", `""`, "loadbalancer.admin_state_up", "true",
		"loadbalancer.provisioning_status", `"PENDING_CREATE"`, "loadbalancer.operating_status", `"OFFLINE"`,
		"loadbalancer.vip_address", `"192.0.2.7"`, "loadbalancer.vip_subnet_id", `"`+subnet+`"`,
		"loadbalancer.vip_network_id", `"`+network+`"`, "loadbalancer.vip_port_id", `"bbbbbbbb`+id[8:]+`"`,
		"loadbalancer.vip_qos_policy_id", `"`+policy1+`"`, "loadbalancer.vip_sg_ids", `["`+group1+`"]`,
		"loadbalancer.vip_vnic_type", `"normal"`, "loadbalancer.additional_vips", "[]", "loadbalancer.listeners", "[]",
		"loadbalancer.pools", "[]", "loadbalancer.provider", `"amphora"`, "loadbalancer.tags", `["a","b"]`,
		"loadbalancer.project_id", `"`+project+`"`, "loadbalancer.tenant_id", `"`+project+`"`,
		"loadbalancer.flavor_id", "null", "loadbalancer.availability_zone", "null", "loadbalancer.updated_at", "null")

	path := lbs + "/" + id
	f.refuse(
		wrong{"locked", "PUT", path, `{"loadbalancer": {}}`, 409, "Invalid state PENDING_CREATE of loadbalancer resource " + id},
		wrong{"locked", "DELETE", path, "", 409, "Invalid state PENDING_CREATE of loadbalancer resource " + id},
	)
	f.settle(id)
	changed := f.must(200, "PUT", path, `{"loadbalancer": {"name": null, "description": "d", "admin_state_up": null,
		"tags": [], "vip_qos_policy_id": null, "vip_sg_ids": null}}`)
	expect(t, changed,
		"loadbalancer.name", `""`, "loadbalancer.description", `"d"`, "loadbalancer.admin_state_up", "false",
		"loadbalancer.tags", "[]", "loadbalancer.vip_qos_policy_id", "null", "loadbalancer.vip_sg_ids", "[]",
		"loadbalancer.provisioning_status", `"PENDING_UPDATE"`)
	f.settle(id)
	if a := f.do("DELETE", path, ""); a.status != 204 || len(a.body) != 0 {
		t.Errorf("delete: got %d %s, want an empty 204", a.status, a.body)
	}
	expect(t, f.must(200, "GET", path, ""), "loadbalancer.provisioning_status", `"PENDING_DELETE"`)
	f.settle(id)
	f.refuse(
		wrong{"gone", "GET", path, "", 404, "Load Balancer " + id + " not found."},
		wrong{"gone", "DELETE", path, "", 404, "Load Balancer " + id + " not found."},
	)
}

func TestLoadBalancerFaults(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.loadBalancer()
	vip := `"vip_subnet_id": "` + subnet + `"`
	post := func(name, attributes, fault string) wrong {
		return wrong{name, "POST", lbs, `{"loadbalancer": {` + attributes + `}}`, 400, fault}
	}
	f.refuse(
		wrong{"no body", "POST", lbs, "", 400, `Missing argument: "load_balancer"`},
		wrong{"not JSON", "POST", lbs, "{", 400, "Request is not in valid JSON format"},
		wrong{"other key", "POST", lbs, `{"loadbalancer": {}, "x": 1}`, 400, "Unknown attribute for argument load_balancer: x"},
		wrong{"query", "POST", lbs + "?x=1", "", 400, `Unknown argument: "x"`},
		post("no VIP", "", "Validation failure: VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id."),
		post("unknown", vip+`, "x": 1`, "Unknown attribute for argument load_balancer.loadbalancer: x"),
		post("two unknown", vip+`, "y": 1, "x": 1`, "Unknown attributes for argument load_balancer.loadbalancer: x, y"),
		post("id", vip+`, "id": "`+id+`"`, "Unknown attribute for argument load_balancer.loadbalancer: id"),
		post("name no text", vip+`, "name": 1`, "Invalid input for field/attribute name. Value: '1'. Value should be string"),
		post("long name", vip+`, "name": "`+strings.Repeat("ö", 256)+`"`,
			"Invalid input for field/attribute name. Value: '"+strings.Repeat("ö", 256)+"'. Value should have a maximum character requirement of 255"),
		post("bad uuid", `"vip_subnet_id": "x"`, "Invalid input for field/attribute vip_subnet_id. Value: 'x'. Value should be UUID format"),
		post("absent subnet", `"vip_subnet_id": "`+absent+`"`, "Subnet "+absent+" not found."),
		post("bad address", vip+`, "vip_address": "1.2.3"`,
			"Invalid input for field/attribute vip_address. Value: '1.2.3'. Value should be IPv4 or IPv6 format"),
		post("bad boolean", `"admin_state_up": "True"`,
			"Invalid input for field/attribute load_balancer. Value: '{'loadbalancer': {'admin_state_up': 'True'}}'. Value not an unambiguous boolean: True"),
		post("tags no list", `"tags": "x"`,
			"Invalid input for field/attribute load_balancer. Value: '{'loadbalancer': {'tags': 'x'}}'. Value not a valid list: x"),
		post("bad tag", `"tags": ["a", 1]`, "Invalid input for field/attribute tags. Value: '['a', 1]'. Value should be string"),
		post("additional VIP", vip+`, "additional_vips": [{}]`,
			"Invalid input for field/attribute subnet_id. Value: 'None'. Mandatory field missing."),
		post("unknown nested", vip+`, "listeners": [{"protocol": "HTTP", "protocol_port": 80, "x": 1}]`,
			"Unknown attribute for argument load_balancer.loadbalancer.listeners: x"),
		post("flavor", vip+`, "flavor_id": "`+absent+`"`, "Validation failure: Invalid flavor_id."),
		post("null flavor", vip+`, "flavor_id": null`, "Validation failure: Invalid flavor_id."),
		post("zone", vip+`, "availability_zone": ""`, "Validation failure: Invalid availability zone."),
		post("provider", vip+`, "provider": "f5"`, "Provider 'f5' is not enabled."),
		post("nameless pool", vip+`, "listeners": [{"protocol": "HTTP", "protocol_port": 80, "default_pool": {"protocol": "HTTP"}}]`,
			"Validation failure: Pools must be named when creating a fully populated loadbalancer."),
		post("unknown pool", vip+`, "listeners": [{"protocol": "HTTP", "protocol_port": 80, "default_pool": {"name": "p"}}]`,
			"Validation failure: Pool 'p' was referenced but no full definition was found."),
		post("same pool twice", vip+`, "pools": [{"name": "p"}, {"name": "p"}]`,
			"Validation failure: Pool names must be unique when creating a fully populated loadbalancer."),
		post("pool without protocol", vip+`, "pools": [{"name": "p"}]`,
			"Validation failure: Pool definition for 'p' missing required attribute: protocol"),
		wrong{"put of provider", "PUT", lbs + "/" + id, `{"loadbalancer": {"provider": "amphora"}}`, 400,
			"Unknown attribute for argument load_balancer.loadbalancer: provider"},
		wrong{"put of all", "PUT", lbs, `{"loadbalancer": {}}`, 400, `Missing argument: "id"`},
		wrong{"absent QoS", "PUT", lbs + "/" + id, `{"loadbalancer": {"vip_qos_policy_id": "` + absent + `"}}`, 400,
			"qos_policy " + absent + " not found."},
		wrong{"absent group", "PUT", lbs + "/" + id, `{"loadbalancer": {"vip_sg_ids": ["` + absent + `"]}}`, 400,
			"Security Group " + absent + " not found."},
		wrong{"absent", "GET", lbs + "/x", "", 404, "Load Balancer x not found."},
		wrong{"delete's query", "DELETE", lbs + "/" + id + "?force=1", "", 400, `Unknown argument: "force"`},
	)
	f.as("member", "").refuse(wrong{"no project", "POST", lbs, `{"loadbalancer": {` + vip + `}}`, 400,
		"Validation failure: Missing project ID in request where one is required. An administrator should check the keystone settings in the Octavia configuration."})
	if n := f.neutron.count(); n != 1 {
		t.Errorf("ports: got %d, want 1: refused requests must leave none", n)
	}
}

func TestLoadBalancerChildren(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.loadBalancer()
	path := lbs + "/" + id
	f.create("/v2/listeners", `{"listener": {"loadbalancer_id": "`+id+`", "protocol": "TCP", "protocol_port": 80}}`)
	f.settle(id)
	f.refuse(
		wrong{"children", "DELETE", path, "", 400, "Validation failure: Cannot delete Load Balancer " + id + " - it has children"},
		wrong{"children", "DELETE", path + "?cascade=no", "", 400, "Validation failure: Cannot delete Load Balancer " + id + " - it has children"},
	)
	f.must(204, "DELETE", path+"?cascade=True", "")
}

func TestSingleCallCreate(t *testing.T) {
	t.Parallel()
	onEach(t, testSingleCallCreate)
}

func testSingleCallCreate(t *testing.T, f *fixture) {
	t.Helper()
	out := f.must(201, "POST", lbs, `{"loadbalancer": {"vip_subnet_id": "`+subnet+`",
		"pools": [{"name": "spare", "protocol": "TCP", "lb_algorithm": "SOURCE_IP"}],
		"listeners": [
			{"name": "one", "protocol": "HTTP", "protocol_port": 80, "default_pool": {
				"name": "web", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN",
				"session_persistence": {"type": "HTTP_COOKIE"},
				"members": [{"address": "10.0.0.1", "protocol_port": 8080}, {"address": "10.0.0.2", "protocol_port": 8080}],
				"healthmonitor": {"type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2}}},
			{"name": "two", "protocol": "HTTP", "protocol_port": 81, "default_pool": {"name": "web"}}]}}`)
	id := out.at("loadbalancer.id").(string)
	pools := map[any]object{}
	for _, p := range out.at("loadbalancer.pools").([]any) {
		pools[p.(map[string]any)["name"]] = p.(map[string]any)
	}
	web := pools["web"]
	if len(pools) != 2 || web == nil {
		t.Fatalf("pools: got %s", show(out.at("loadbalancer.pools")))
	}
	expect(t, web, "members.0.operating_status", `"OFFLINE"`, "members.1.protocol_port", "8080",
		"healthmonitor.type", `"HTTP"`, "healthmonitor.url_path", `"/"`, "healthmonitor.pools", `"absent"`,
		"healthmonitor_id", `"absent"`, "loadbalancers", `"absent"`, "session_persistence.type", `"HTTP_COOKIE"`)
	expect(t, pools["spare"], "healthmonitor", "null", "members", "[]")
	for _, l := range out.at("loadbalancer.listeners").([]any) {
		expect(t, l.(map[string]any), "default_pool_id", show(web["id"]), "loadbalancers", `"absent"`,
			"provisioning_status", `"PENDING_CREATE"`)
	}
	tree := f.must(200, "GET", lbs+"/"+id+"/status", "")
	expect(t, tree, "statuses.loadbalancer.listeners.0.pools.0.id", show(web["id"]),
		"statuses.loadbalancer.listeners.0.pools.0.health_monitor.type", `"HTTP"`,
		"statuses.loadbalancer.listeners.1.pools.0.members.1.protocol_port", "8080")
	if again := f.must(200, "GET", lbs+"/"+id+"/statuses", ""); show(again) != show(tree) {
		t.Error("/statuses differs from /status")
	}
	expect(t, f.must(200, "GET", lbs+"/"+id, ""), "loadbalancer.listeners.1.id", show(out.at("loadbalancer.listeners.1.id")))

	before := f.neutron.count()
	f.refuse(wrong{"port taken", "POST", lbs, `{"loadbalancer": {"vip_subnet_id": "` + subnet + `", "listeners": [
		{"protocol": "HTTP", "protocol_port": 80}, {"protocol": "TCP", "protocol_port": 80}]}}`, 409,
		"Another Listener on this Load Balancer is already using protocol HTTP and protocol_port 80"})
	if n := f.neutron.count(); n != before {
		t.Errorf("ports after a create that failed late: got %d, want %d", n, before)
	}
	if n := len(f.must(200, "GET", lbs, "").at("loadbalancers").([]any)); n != 1 {
		t.Errorf("load balancers after a create that failed late: got %d, want 1", n)
	}
}

func TestVIPFailure(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := `{"loadbalancer": {"vip_subnet_id": "` + subnet + `"}}`
	for _, c := range []struct {
		refuse error
		status int
		fault  string
	}{
		{&api.Fault{Status: 409, Text: "The VIP IP address is already in use: x"}, 409, "The VIP IP address is already in use: x"},
		{errors.Join(api.ErrUnavailable, errors.New("secret host")), 503, "A service this request needs is not available. Please try again."},
		{errors.New("secret host"), 500, "The server could not complete the request."},
	} {
		f.neutron.refuse = c.refuse
		f.refuse(wrong{"create", "POST", lbs, body, c.status, c.fault})
	}
	if !strings.Contains(f.log.String(), "secret host") {
		t.Error("the cause of a 500 is not logged")
	}
	f.neutron.refuse, f.neutron.panics = nil, true
	f.refuse(wrong{"panic", "POST", lbs, body, 500, "The server could not complete the request."})
	if !strings.Contains(f.log.String(), "boom") {
		t.Error("a panic is not logged")
	}
	f.neutron.panics = false
	if n := len(f.must(200, "GET", lbs, "").at("loadbalancers").([]any)); n != 0 {
		t.Errorf("load balancers: got %d, want none", n)
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.loadBalancer()
	listener := f.create("/v2/listeners", `{"listener": {"loadbalancer_id": "`+id+`", "protocol": "TCP", "protocol_port": 80}}`)
	zero := `{"stats":{"active_connections":0,"bytes_in":0,"bytes_out":0,"request_errors":0,"total_connections":0}}`
	for _, path := range []string{lbs + "/" + id + "/stats", "/v2/listeners/" + listener + "/stats"} {
		if got := show(f.must(200, "GET", path, "")); got != zero {
			t.Errorf("%s: got %s, want %s", path, got, zero)
		}
	}
	err := f.store.Tx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		for amphora, status := range map[string]string{"amp1": db.Allocated, "amp2": db.Deleted} {
			if err := db.Insert(ctx, tx, &db.Amphora{ID: amphora, Status: status, LoadBalancerID: &id}); err != nil {
				return err
			}
			err := db.Insert(ctx, tx, &db.ListenerStatistics{ListenerID: listener, AmphoraID: amphora,
				BytesIn: 1, BytesOut: 2, ActiveConnections: 3, TotalConnections: 4, RequestErrors: 5})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"stats":{"active_connections":3,"bytes_in":2,"bytes_out":4,"request_errors":10,"total_connections":8}}`
	for _, path := range []string{lbs + "/" + id + "/stats", "/v2/listeners/" + listener + "/stats"} {
		if got := show(f.must(200, "GET", path, "")); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	f.refuse(wrong{"stats of nothing", "GET", "/v2/listeners/x/stats", "", http.StatusNotFound, "Listener x not found."})
	amphorae := f.admin().must(200, "GET", "/v2/octavia/amphorae?loadbalancer_id="+id, "")
	expect(t, amphorae, "amphorae.0.id", `"amp1"`, "amphorae.0.status", `"ALLOCATED"`, "amphorae.1", `"absent"`)
	f.refuse(wrong{"amphorae of a member", "GET", "/v2/octavia/amphorae", "", 403, "Policy does not allow this request to be performed."})
}

func TestFailover(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.loadBalancer()
	path := lbs + "/" + id + "/failover"
	err := f.store.Tx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		return db.Insert(ctx, tx, &db.Amphora{ID: "amp1", Status: db.Allocated, LoadBalancerID: &id})
	})
	if err != nil {
		t.Fatal(err)
	}
	f.refuse(wrong{"member", "PUT", path, "", 403, "Policy does not allow this request to be performed."})
	f.setStatus(id, db.Error)
	if a := f.admin().do("PUT", path, ""); a.status != 202 || len(a.body) != 0 {
		t.Fatalf("failover: got %d %s, want an empty 202", a.status, a.body)
	}
	expect(t, f.must(200, "GET", lbs+"/"+id, ""), "loadbalancer.provisioning_status", `"PENDING_UPDATE"`)
	expect(t, f.admin().must(200, "GET", "/v2/octavia/amphorae/amp1", ""), "amphora.status", `"ERROR"`)
	f.admin().refuse(
		wrong{"pending", "PUT", path, "", 409, "Invalid state PENDING_UPDATE of loadbalancer resource " + id},
		wrong{"absent", "PUT", lbs + "/x/failover", "", 404, "Load Balancer x not found."},
		wrong{"no GET", "GET", path, "", 405, ""},
	)
}

// TestRecordOfCreate looks at what is left for the worker when a create ends half way.
func TestRecordOfCreate(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	works := func() []db.Work {
		t.Helper()
		var rows []db.Work
		err := f.store.Read(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
			rows, err = db.Where[db.Work](ctx, tx, "1 = 1")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	clash := `{"loadbalancer": {"vip_subnet_id": "` + subnet + `", "listeners": [
		{"protocol": "HTTP", "protocol_port": 80}, {"protocol": "TCP", "protocol_port": 80}]}}`
	f.must(409, "POST", lbs, clash)
	if rows := works(); len(rows) != 0 || f.neutron.count() != 0 {
		t.Errorf("after undo: %d records and %d ports, want none", len(rows), f.neutron.count())
	}
	f.neutron.stuck = errors.New("neutron is away")
	f.must(409, "POST", lbs, clash)
	rows := works()
	if len(rows) != 1 || f.neutron.count() != 1 || rows[0].RunAfter == nil {
		t.Fatalf("after a failed undo: %s and %d ports, want a record that is due and one port", show(rows), f.neutron.count())
	}
	if wait := time.Until(*rows[0].RunAfter); wait < time.Minute {
		t.Errorf("the record is due in %s, want it after the create can have ended", wait)
	}
	if f.neutron.ports[rows[0].LoadBalancerID] == "" {
		t.Error("the record is for another load balancer than the port")
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	x := f.tree()
	f.must(204, "DELETE", pools+"/"+x.pool+"/members/"+x.member, "")
	var rows []db.Event
	err := f.store.Read(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		rows, err = db.Where[db.Event](ctx, tx, "load_balancer_id = ?", x.lb)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for i := range rows {
		got[rows[i].ObjectKind+" "+rows[i].ObjectID+" "+rows[i].Reason] = rows[i].RequestID + " " + rows[i].ProjectID
	}
	for _, want := range []string{
		"loadbalancer " + x.lb + " CreateRequested", "listener " + x.listener + " CreateRequested",
		"member " + x.member + " CreateRequested", "member " + x.member + " DeleteRequested",
	} {
		if v := got[want]; !strings.HasPrefix(v, "req-") || !strings.HasSuffix(v, project) {
			t.Errorf("event %s: got %q", want, v)
		}
	}
}
