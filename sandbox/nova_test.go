package sandbox_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ottavino/ottavino/sandbox"
)

// imageID is the id of the amphora image.
func imageID(c *clients) string {
	c.t.Helper()
	images := c.call(c.glance, http.MethodGet, "images?tag=amphora&status=active", "").body["images"].([]any)
	if len(images) != 1 {
		c.t.Fatalf("got images %v, want one", images)
	}
	return id(images[0].(map[string]any))
}

// serverBody is POST /servers with more attributes.
func serverBody(c *clients, st sandbox.Settings, more string) string {
	c.t.Helper()
	return fmt.Sprintf(`{"server": {"name": "v", "imageRef": %q, "flavorRef": %q%s}}`, imageID(c), st.FlavorID, more)
}

// awaitStatus waits until a server has a status, "" for gone.
func (c *clients) awaitStatus(serverID, want string) map[string]any {
	c.t.Helper()
	var server map[string]any
	within(c.t, func() bool {
		a := c.call(c.nova, http.MethodGet, "servers/"+serverID, "")
		if a.status == http.StatusNotFound {
			return want == ""
		}
		server = a.body["server"].(map[string]any)
		return server["status"] == want
	})
	return server
}

func TestNovaRefuses(t *testing.T) {
	s := start(t, sandbox.Config{})
	st := s.Settings()
	c := login(t, s, st.Service)
	const nowhere = "00000000-0000-0000-0000-000000000000"
	file := `{"path": "/x", "contents": ""},`
	files := strings.TrimSuffix(strings.Repeat(file, 6), ",")
	c.make(c.nova, "os-keypairs", `{"keypair": {"name": "mine", "public_key": "ssh-ed25519 AAAA x"}}`)
	c.assertRefused(c.nova, []refusal{
		{"no such flavor", "POST", "servers", strings.ReplaceAll(serverBody(c, st, ""), st.FlavorID, nowhere), 400, "badRequest", "Flavor " + nowhere},
		{"no such image", "POST", "servers", strings.ReplaceAll(serverBody(c, st, ""), imageID(c), nowhere), 400, "badRequest", "Image " + nowhere},
		{"no such network", "POST", "servers", serverBody(c, st, fmt.Sprintf(`, "networks": [{"uuid": %q}]`, nowhere)), 400, "badRequest", "Network " + nowhere},
		{"no such keypair", "POST", "servers", serverBody(c, st, `, "key_name": "x"`), 400, "badRequest", "key_name"},
		{"no such group", "POST", "servers", serverBody(c, st, `, "security_groups": [{"name": "x"}]`), 400, "badRequest", "Security group x"},
		{"too many files", "POST", "servers", serverBody(c, st, `, "personality": [`+files+`]`), 403, "forbidden", "Personality"},
		{"no such server", "GET", "servers/" + nowhere, "", 404, "itemNotFound", nowhere},
		{"no such server to delete", "DELETE", "servers/" + nowhere, "", 404, "itemNotFound", nowhere},
		{"a keypair twice", "POST", "os-keypairs", `{"keypair": {"name": "mine", "public_key": "ssh-ed25519 AAAA x"}}`, 409, "conflictingRequest", "already exists"},
		{"a keypair that is none", "POST", "os-keypairs", `{"keypair": {"name": "bad", "public_key": "x"}}`, 400, "badRequest", "fingerprint"},
	})
}

// TestServerLifeAsClientsSeeIt follows a server through its statuses, with a port that it is given.
func TestServerLifeAsClientsSeeIt(t *testing.T) {
	s := start(t, sandbox.Config{BuildDelay: 500 * time.Millisecond, DeleteDelay: time.Second})
	st := s.Settings()
	c := login(t, s, st.Service)
	port := c.make(c.neutron, "ports", fmt.Sprintf(`{"port": {"network_id": %q}}`, st.NetworkID))
	late := c.make(c.neutron, "ports", fmt.Sprintf(`{"port": {"network_id": %q}}`, st.NetworkID))
	group := c.make(c.nova, "os-server-groups", `{"server_group": {"name": "g", "policies": ["soft-anti-affinity"]}}`)
	body := serverBody(c, st, fmt.Sprintf(`, "metadata": {"k": "v"}, "networks": [{"uuid": %q}, {"port": %q}]`, st.ManagementNetworkID, id(port)))
	body = strings.TrimSuffix(body, "}") + fmt.Sprintf(`, "os:scheduler_hints": {"group": %q}}`, id(group))
	server := id(c.make(c.nova, "servers", body))
	if v := c.call(c.nova, http.MethodGet, "servers/"+server, "").body["server"].(map[string]any); v["status"] != "BUILD" {
		t.Errorf("got status %v at first, want BUILD", v["status"])
	}
	attach := fmt.Sprintf(`{"interfaceAttachment": {"port_id": %q}}`, id(late))
	interfaces := "servers/" + server + "/os-interface"
	c.assertRefused(c.nova, []refusal{{"attach while it builds", "POST", interfaces, attach, 409, "conflictingRequest", "building"}})
	c.awaitStatus(server, "ACTIVE")
	c.make(c.nova, interfaces, attach)
	c.assertRefused(c.nova, []refusal{{"attach what is attached", "POST", interfaces, attach, 409, "conflictingRequest", "in use"}})
	if nics := c.call(c.nova, http.MethodGet, interfaces, "").body["interfaceAttachments"].([]any); len(nics) != 3 {
		t.Errorf("got interfaces %v, want three", nics)
	}
	members := c.call(c.nova, http.MethodGet, "os-server-groups/"+id(group), "").body["server_group"].(map[string]any)["members"].([]any)
	if len(members) != 1 || members[0] != server {
		t.Errorf("got members %v of its group, want %s", members, server)
	}
	c.call(c.nova, http.MethodDelete, "servers/"+server, "")
	c.assertRefused(c.nova, []refusal{{"attach while it is deleted", "POST", interfaces, attach, 409, "conflictingRequest", "deleting"}})
	c.awaitStatus(server, "")
	for _, p := range []map[string]any{port, late} {
		v := c.call(c.neutron, http.MethodGet, "ports/"+id(p), "").body["port"].(map[string]any)
		if v["device_id"] != "" || v["status"] != "DOWN" {
			t.Errorf("got port %v after its server went, want it let go", v)
		}
		c.call(c.neutron, http.MethodDelete, "ports/"+id(p), "")
	}
	c.call(c.nova, http.MethodDelete, "os-server-groups/"+id(group), "")
	assertNoLeaks(t, s)
}

func TestDetachedPortsAreLetGo(t *testing.T) {
	s := start(t, sandbox.Config{BuildDelay: -1, DeleteDelay: -1})
	st := s.Settings()
	c := login(t, s, st.Service)
	port := c.make(c.neutron, "ports", fmt.Sprintf(`{"port": {"network_id": %q}}`, st.NetworkID))
	server := id(c.make(c.nova, "servers", serverBody(c, st, fmt.Sprintf(`, "networks": [{"port": %q}]`, id(port)))))
	c.awaitStatus(server, "ACTIVE")
	path := "servers/" + server + "/os-interface/" + id(port)
	if a := c.call(c.nova, http.MethodDelete, path, ""); a.status != http.StatusAccepted {
		t.Errorf("detach: got %d, want 202", a.status)
	}
	within(t, func() bool {
		v := c.call(c.neutron, http.MethodGet, "ports/"+id(port), "").body["port"].(map[string]any)
		return v["device_id"] == ""
	})
	c.assertRefused(c.nova, []refusal{{"detach twice", "DELETE", path, "", 404, "itemNotFound", id(port)}})
}

// TestPortsMadeForAServerGoWithIt: who attaches a network has Nova make the port.
func TestPortsMadeForAServerGoWithIt(t *testing.T) {
	s := start(t, sandbox.Config{BuildDelay: -1, DeleteDelay: -1})
	st := s.Settings()
	c := login(t, s, st.Service)
	server := id(c.make(c.nova, "servers", serverBody(c, st, "")))
	c.awaitStatus(server, "ACTIVE")
	interfaces := "servers/" + server + "/os-interface"
	const nowhere = "00000000-0000-4000-8000-000000000000"
	attach := func(network string) string { return fmt.Sprintf(`{"interfaceAttachment": {"net_id": %q}}`, network) }
	c.assertRefused(c.nova, []refusal{{"attach to nothing", "POST", interfaces, attach(nowhere), 400, "badRequest", nowhere}})
	port := func() string { return c.make(c.nova, interfaces, attach(st.NetworkID))["port_id"].(string) }
	first, second := port(), port()
	if v := c.call(c.neutron, http.MethodGet, "ports/"+first, "").body["port"].(map[string]any); v["device_id"] != server || len(v["fixed_ips"].([]any)) != 1 {
		t.Errorf("got port %v, want it on the server, with an address", v)
	}
	c.call(c.nova, http.MethodDelete, interfaces+"/"+first, "")
	within(t, func() bool {
		return c.call(c.neutron, http.MethodGet, "ports/"+first, "").status == http.StatusNotFound
	})
	c.call(c.nova, http.MethodDelete, "servers/"+server, "")
	c.awaitStatus(server, "")
	if a := c.call(c.neutron, http.MethodGet, "ports/"+second, ""); a.status != http.StatusNotFound {
		t.Errorf("got %d for the port of a server that is gone, want 404", a.status)
	}
	assertNoLeaks(t, s)
}

func TestNovaQuotas(t *testing.T) {
	s := start(t, sandbox.Config{ServerQuota: 1, BuildDelay: -1, DeleteDelay: -1})
	st := s.Settings()
	c := login(t, s, st.Service)
	server := id(c.make(c.nova, "servers", serverBody(c, st, "")))
	c.assertRefused(c.nova, []refusal{{"one too many", "POST", "servers", serverBody(c, st, ""), 403, "forbidden", "Quota exceeded for instances"}})
	quota := "os-quota-sets/" + st.Service.ProjectID
	if a := c.call(c.nova, http.MethodPut, quota, `{"quota_set": {"instances": 2, "server_groups": 0, "force": true}}`); a.status != http.StatusOK {
		t.Fatalf("set: got %d %v", a.status, a.body)
	}
	c.make(c.nova, "servers", serverBody(c, st, ""))
	c.assertRefused(c.nova, []refusal{{"a group", "POST", "os-server-groups", `{"server_group": {"name": "g", "policies": ["affinity"]}}`, 403, "forbidden", "too many server groups"}})
	detail := c.call(c.nova, http.MethodGet, quota+"/detail", "").body["quota_set"].(map[string]any)
	if got := detail["instances"].(map[string]any); got["limit"] != 2.0 || got["in_use"] != 2.0 {
		t.Errorf("got %v, want 2 servers of 2", got)
	}
	c.call(c.nova, http.MethodDelete, "servers/"+server, "")
	c.awaitStatus(server, "")
	c.make(c.nova, "servers", serverBody(c, st, ""))
}

func TestKeypairsBelongToTheirUsers(t *testing.T) {
	s := start(t, sandbox.Config{})
	st := s.Settings()
	c, other := login(t, s, st.Tenant), login(t, s, st.Other)
	made := c.make(c.nova, "os-keypairs", `{"keypair": {"name": "mine", "public_key": "ssh-ed25519 AAAA x"}}`)
	if made["fingerprint"] != "69:3e:9a:f8:4d:3d:fc:c7:1e:64:0e:00:5b:dc:5e:2e" {
		t.Errorf("got fingerprint %v, want the MD5 of three zero bytes", made["fingerprint"])
	}
	if list := c.call(c.nova, http.MethodGet, "os-keypairs", "").body["keypairs"].([]any); len(list) != 1 {
		t.Errorf("got %v, want one keypair", list)
	}
	other.assertRefused(other.nova, []refusal{{"another user's", "GET", "os-keypairs/mine", "", 404, "itemNotFound", "mine"}})
	if a := c.call(c.nova, http.MethodDelete, "os-keypairs/mine", ""); a.status != http.StatusNoContent {
		t.Errorf("delete: got %d, want 204", a.status)
	}
	c.assertRefused(c.nova, []refusal{{"deleted", "GET", "os-keypairs/mine", "", 404, "itemNotFound", "mine"}})
}
