package api_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/db"
)

func TestMemberLife(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	lb := f.loadBalancer()
	listener := f.create(listeners, `{"listener": {"loadbalancer_id": "`+lb+`", "protocol": "HTTP", "protocol_port": 80}}`)
	f.settle(lb)
	pool := f.create(pools, `{"pool": {"listener_id": "`+listener+`", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}}`)
	f.settle(lb)
	members := pools + "/" + pool + "/members"
	made := f.must(201, "POST", members, `{"member": {"address": "10.0.0.1", "protocol_port": 80, "subnet_id": "`+subnet+`", "weight": null}}`)
	id := made.at("member.id").(string)
	expect(t, made, "member.address", `"10.0.0.1"`, "member.protocol_port", "80", "member.weight", "null",
		"member.backup", "false", "member.subnet_id", `"`+subnet+`"`, "member.monitor_address", "null",
		"member.monitor_port", "null", "member.operating_status", `"NO_MONITOR"`, "member.name", `""`,
		"member.provisioning_status", `"PENDING_CREATE"`, "member.vnic_type", `"normal"`, "member.request_sriov", `"absent"`)
	expect(t, f.must(200, "GET", pools+"/"+pool, ""), "pool.provisioning_status", `"PENDING_UPDATE"`, "pool.members", `[{"id":"`+id+`"}]`)
	expect(t, f.must(200, "GET", listeners+"/"+listener, ""), "listener.provisioning_status", `"PENDING_UPDATE"`)
	locked := "Pool " + pool + " is immutable and cannot be updated."
	f.refuse(
		wrong{"pool locked", "POST", members, `{"member": {"address": "10.0.0.2", "protocol_port": 80}}`, 409, locked},
		wrong{"pool locked", "PUT", members + "/" + id, `{"member": {}}`, 409, locked},
		wrong{"pool locked", "DELETE", members + "/" + id, "", 409, locked},
		wrong{"pool locked", "PUT", members, `{"members": []}`, 409, locked},
	)
	f.settle(lb)
	f.must(200, "PUT", listeners+"/"+listener, `{"listener": {}}`)
	f.refuse(wrong{"load balancer locked", "DELETE", members + "/" + id, "", 409, "Load Balancer " + lb + " is immutable and cannot be updated."})
	f.settle(lb)
	expect(t, f.must(200, "PUT", members+"/"+id, `{"member": {"weight": null, "backup": true, "name": "n", "monitor_port": 81, "monitor_address": "10.0.0.9"}}`),
		"member.weight", "1", "member.backup", "true", "member.name", `"n"`, "member.monitor_port", "81",
		"member.monitor_address", `"10.0.0.9"`, "member.provisioning_status", `"PENDING_UPDATE"`)
	f.settle(lb)
	f.must(204, "DELETE", members+"/"+id, "")
	f.settle(lb)
	f.refuse(wrong{"gone", "GET", members + "/" + id, "", 404, "Member " + id + " not found."})
}

func TestMemberFaults(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	lb := f.loadBalancer()
	pool, other := f.pool(lb, `"protocol": "HTTP"`), f.pool(lb, `"protocol": "UDP"`)
	members := pools + "/" + pool + "/members"
	id := f.create(members, `{"member": {"address": "10.0.0.1", "protocol_port": 80}}`)
	f.settle(lb)
	noPool := pools + "/" + absent + "/members"
	f.refuse(
		wrong{"no pool", "GET", noPool, "", 404, "Pool " + absent + " not found."},
		wrong{"no pool", "POST", noPool, `{"member": {"address": "10.0.0.1", "protocol_port": 80}}`, 404, "Pool " + absent + " not found."},
		wrong{"no pool", "PUT", noPool, `{"members": []}`, 404, "Pool " + absent + " not found."},
		wrong{"no pool", "DELETE", noPool + "/" + id, "", 404, "Pool " + absent + " not found."},
		wrong{"other pool", "GET", pools + "/" + other + "/members/" + id, "", 404, "Member " + id + " not found."},
		wrong{"no member", "PUT", members + "/" + absent, `{"member": {}}`, 404, "Member " + absent + " not found."},
		wrong{"no address", "POST", members, `{"member": {"protocol_port": 80}}`, 400, "Invalid input for field/attribute address. Value: 'None'. Mandatory field missing."},
		wrong{"null address", "POST", members, `{"member": {"address": null, "protocol_port": 80}}`, 400, "None is not a valid option for address"},
		wrong{"reserved", "POST", members, `{"member": {"address": "169.254.169.254", "protocol_port": 80}}`, 400, "169.254.169.254 is not a valid option for member address"},
		wrong{"weight", "POST", members, `{"member": {"address": "10.0.0.1", "protocol_port": 80, "weight": 257}}`, 400, "Invalid input for field/attribute weight. Value: '257'. Value should be lower or equal to 256"},
		wrong{"subnet", "POST", members, `{"member": {"address": "10.0.0.2", "protocol_port": 80, "subnet_id": "` + absent + `"}}`, 400, "Subnet " + absent + " not found."},
		wrong{"SR-IOV", "POST", members, `{"member": {"address": "10.0.0.2", "protocol_port": 80, "request_sriov": true}}`, 400, "The load balancer flavor does not allow SR-IOV member ports."},
		wrong{"twice", "POST", members, `{"member": {"address": "10.0.0.1", "protocol_port": 80}}`, 409, "Another member on this pool is already using ip 10.0.0.1 on protocol_port 80"},
		wrong{"put address", "PUT", members + "/" + id, `{"member": {"address": "10.0.0.2"}}`, 400, "Unknown attribute for argument member_.member: address"},
		wrong{"delete all", "DELETE", members, "", 400, `Missing argument: "id"`},
	)
	body := f.do("GET", noPool, "").json(t)
	expect(t, body, "code", "404", "title", `"Bad Request"`)
	f.create(listeners, `{"listener": {"loadbalancer_id": "`+lb+`", "protocol": "UDP", "protocol_port": 53, "default_pool_id": "`+other+`"}}`)
	f.settle(lb)
	f.refuse(wrong{"family", "POST", pools + "/" + other + "/members", `{"member": {"address": "2001:db8::1", "protocol_port": 53}}`, 501,
		"Provider 'amphora' does not support a requested option: This provider doesn't support mixing IPv4 and IPv6 addresses for its VIP and members in UDP load balancers."})
}

func TestMemberBatch(t *testing.T) {
	t.Parallel()
	onEach(t, testMemberBatch, func(c *api.Config, _ *api.Deps) { c.Quotas = db.QuotaDefaults{db.QuotaMember: 3} })
}

func testMemberBatch(t *testing.T, f *fixture) {
	t.Helper()
	lb := f.loadBalancer()
	pool := f.pool(lb, `"protocol": "HTTP"`)
	members := pools + "/" + pool + "/members"
	m := func(n int, more string) string {
		return fmt.Sprintf(`{"address": "10.0.0.%d", "protocol_port": 80%s}`, n, more)
	}
	put := func(query, list string) {
		t.Helper()
		if a := f.do("PUT", members+query, `{"members": [`+list+`]}`); a.status != 202 || len(a.body) > 0 {
			t.Fatalf("batch: got %d %s, want an empty 202\n%s", a.status, a.body, f.log)
		}
	}
	// states lists the pool's members as address:weight:status.
	states := func() string {
		out := ""
		for _, v := range f.must(200, "GET", members+"?sort=address", "").at("members").([]any) {
			o := object(v.(map[string]any))
			out += fmt.Sprintf("%s:%s:%s ", o.at("address"), show(o.at("weight")), o.at("provisioning_status"))
		}
		return out
	}
	check := func(want string) {
		t.Helper()
		if got := states(); got != want {
			t.Fatalf("members: got %q, want %q", got, want)
		}
		f.settle(lb)
	}
	put("", "")
	expect(t, f.must(200, "GET", lbs+"/"+lb, ""), "loadbalancer.provisioning_status", `"ACTIVE"`)
	put("", m(1, `, "weight": 5, "name": "kept"`)+","+m(2, ""))
	check("10.0.0.1:5:PENDING_CREATE 10.0.0.2:1:PENDING_CREATE ")
	put("?additive_only=True", m(1, "")+","+m(3, ""))
	check("10.0.0.1:1:PENDING_UPDATE 10.0.0.2:1:ACTIVE 10.0.0.3:1:PENDING_CREATE ")
	f.refuse(
		wrong{"twice", "PUT", members, `{"members": [` + m(1, "") + "," + m(1, "") + `]}`, 400, "Validation failure: Member must be updated only once in the same request."},
		wrong{"new twice", "PUT", members, `{"members": [` + m(8, "") + "," + m(8, "") + `]}`, 409, "Another member on this pool is already using ip 10.0.0.8 on protocol_port 80"},
		wrong{"quota", "PUT", members + "?additive_only=1", `{"members": [` + m(4, "") + `]}`, 403, "Quota has been met for resources: Member"},
		wrong{"unknown", "PUT", members, `{"members": [` + m(4, `, "x": 1`) + `]}`, 400, "Unknown attribute for argument members_.members: x"},
		wrong{"no port", "PUT", members, `{"members": [{"address": "10.0.0.1"}]}`, 400, "Invalid input for field/attribute protocol_port. Value: 'None'. Mandatory field missing."},
		wrong{"subnet", "PUT", members, `{"members": [` + m(4, `, "subnet_id": "`+absent+`"`) + `]}`, 400, "Subnet " + absent + " not found."},
		wrong{"reserved", "PUT", members, `{"members": [{"address": "169.254.169.254", "protocol_port": 1}]}`, 400, "169.254.169.254 is not a valid option for member address"},
		wrong{"query", "PUT", members + "?x=1", `{"members": []}`, 400, `Unknown argument: "x"`},
	)
	check("10.0.0.1:1:ACTIVE 10.0.0.2:1:ACTIVE 10.0.0.3:1:ACTIVE ")
	put("", m(1, "")+","+m(5, "")+","+m(6, ""))
	check("10.0.0.1:1:PENDING_UPDATE 10.0.0.2:1:PENDING_DELETE 10.0.0.3:1:PENDING_DELETE 10.0.0.5:1:PENDING_CREATE 10.0.0.6:1:PENDING_CREATE ")
	var quota *db.Quota
	err := f.store.Read(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		quota, err = db.Get[db.Quota](ctx, tx, project)
		return err
	})
	if err != nil || quota.InUseMember == nil || *quota.InUseMember != 5 {
		t.Errorf("members in use before the worker gives two back: got %s %v, want 5", show(quota), err)
	}
	expect(t, f.must(200, "GET", members+"?name=kept", ""), "members.0.address", `"10.0.0.1"`)
	put("", "")
	f.settle(lb)
	check("")
}
