package network_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/internal/cloudtest"
	"github.com/ottavino/ottavino/network"
	"github.com/ottavino/ottavino/sandbox/keystone"
	"github.com/ottavino/ottavino/sandbox/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a Neutron with one network and subnet of ours.
type fixture struct {
	*cloudtest.Cloud
	neutron      *network.Neutron
	netID, subID string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	c := cloudtest.New(t, keystone.Config{})
	n, s, err := c.Neutron.AddNetwork("x", c.Project, false, "10.0.0.0/24", "10.0.0.1", "10.0.0.10", "10.0.0.13")
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{Cloud: c, neutron: network.NewNeutron(c.Session, cloud.Endpoint{}), netID: n.ID, subID: s.ID}
}

func wantClass(t *testing.T, err error, want cloud.Class) {
	t.Helper()
	var e *cloud.Error
	if !errors.As(err, &e) || e.Class != want {
		t.Errorf("got %v, want class %v", err, want)
	}
}

func ptr[T any](v T) *T { return &v }

// recorded is a Neutron that echoes what it is sent.
func recorded(t *testing.T) (*network.Neutron, func() string) {
	t.Helper()
	var body []byte
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusCreated)
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(s.Close)
	c := cloudtest.New(t, keystone.Config{})
	n := network.NewNeutron(c.Session, cloud.Endpoint{Override: s.URL})
	return n, func() string {
		var out bytes.Buffer
		if err := json.Compact(&out, body); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
}

func TestCreatePortBytes(t *testing.T) {
	n, body := recorded(t)
	for _, tc := range []struct {
		name string
		spec network.PortSpec
		want string
	}{
		{"least", network.PortSpec{NetworkID: "n"}, `{"port":{"network_id":"n","admin_state_up":false}}`},
		{
			"no groups", network.PortSpec{NetworkID: "n", AdminStateUp: true, SecurityGroups: []string{}},
			`{"port":{"network_id":"n","admin_state_up":true,"security_groups":[]}}`,
		},
		{
			"VIP", network.PortSpec{
				Name: network.VIPPortName("lb"), NetworkID: "n", ProjectID: "p", DeviceID: "lb-lb", DeviceOwner: network.VIPOwner,
				FixedIPs: []network.FixedIP{{SubnetID: "s", Address: "10.0.0.5"}, {SubnetID: "s6"}, {Address: "10.0.1.5"}},
			},
			`{"port":{"name":"octavia-lb-lb","network_id":"n","project_id":"p","device_id":"lb-lb","device_owner":"Octavia",` +
				`"admin_state_up":false,"fixed_ips":[{"subnet_id":"s","ip_address":"10.0.0.5"},{"subnet_id":"s6"},{"ip_address":"10.0.1.5"}]}}`,
		},
		{
			"base port", network.PortSpec{
				Name: network.BasePortName("a"), NetworkID: "n", DeviceOwner: network.VIPOwner, AdminStateUp: true,
				SecurityGroups: []string{"g"}, AllowedAddresses: []string{"10.0.0.5"}, QoSPolicyID: "q", VNICType: "normal",
			},
			`{"port":{"name":"octavia-lb-vrrp-a","network_id":"n","device_owner":"Octavia","admin_state_up":true,` +
				`"security_groups":["g"],"allowed_address_pairs":[{"ip_address":"10.0.0.5"}],"qos_policy_id":"q","binding:vnic_type":"normal"}}`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := n.CreatePort(t.Context(), tc.spec); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, body()); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUpdatePortBytes(t *testing.T) {
	n, body := recorded(t)
	for _, tc := range []struct {
		name   string
		change network.PortChange
		want   string
	}{
		{"name", network.PortChange{Name: ptr("x")}, `{"port":{"name":"x"}}`},
		{"empty device", network.PortChange{DeviceID: ptr(""), DeviceOwner: ptr("")}, `{"port":{"device_id":"","device_owner":""}}`},
		{"down", network.PortChange{AdminStateUp: ptr(false)}, `{"port":{"admin_state_up":false}}`},
		{"no QoS", network.PortChange{QoSPolicyID: ptr("")}, `{"port":{"qos_policy_id":null}}`},
		{"QoS", network.PortChange{QoSPolicyID: ptr("q")}, `{"port":{"qos_policy_id":"q"}}`},
		{"no lists", network.PortChange{
			FixedIPs: ptr([]network.FixedIP(nil)), SecurityGroups: ptr([]string(nil)), AllowedAddresses: ptr([]string(nil)),
		}, `{"port":{"allowed_address_pairs":[],"fixed_ips":[],"security_groups":[]}}`},
		{"lists", network.PortChange{
			FixedIPs: ptr([]network.FixedIP{{SubnetID: "s"}}), SecurityGroups: ptr([]string{"g"}), AllowedAddresses: ptr([]string{"::1"}),
		}, `{"port":{"allowed_address_pairs":[{"ip_address":"::1"}],"fixed_ips":[{"subnet_id":"s"}],"security_groups":["g"]}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := n.UpdatePort(t.Context(), "p", tc.change); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, body()); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPorts(t *testing.T) {
	f, ctx := newFixture(t), t.Context()
	made, err := f.neutron.CreatePort(ctx, network.PortSpec{
		Name: network.VIPPortName("1"), NetworkID: f.netID, DeviceID: "lb-1", DeviceOwner: network.VIPOwner,
		FixedIPs: []network.FixedIP{{SubnetID: f.subID, Address: "10.0.0.100"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []network.FixedIP{{SubnetID: f.subID, Address: "10.0.0.100"}}; !slices.Equal(made.FixedIPs, want) ||
		made.ProjectID != f.Project || made.MAC == "" || made.VNICType != "normal" {
		t.Errorf("got %+v", made)
	}
	_, err = f.neutron.CreatePort(ctx, network.PortSpec{NetworkID: f.netID, FixedIPs: made.FixedIPs})
	wantClass(t, err, cloud.Conflict)
	if err != nil && !strings.Contains(err.Error(), "already allocated") {
		t.Errorf("got %v, want Neutron's words", err)
	}
	shown, err := f.neutron.Port(ctx, made.ID)
	if diff := cmp.Diff(made, shown); diff != "" || err != nil {
		t.Errorf("show: got %v, (-want +got):\n%s", err, diff)
	}
	for name, filter := range map[string]network.PortFilter{
		"name": {Name: made.Name}, "device": {DeviceID: "lb-1"}, "owner": {DeviceOwner: network.VIPOwner}, "network": {NetworkID: f.netID},
	} {
		if found, err := f.neutron.Ports(ctx, filter); err != nil || len(found) != 1 || found[0].ID != made.ID {
			t.Errorf("list by %s: got %+v, %v", name, found, err)
		}
	}
	if found, err := f.neutron.Ports(ctx, network.PortFilter{Name: "none"}); err != nil || len(found) != 0 {
		t.Errorf("list of none: got %+v, %v", found, err)
	}
	if same, err := f.neutron.UpdatePort(ctx, made.ID, network.PortChange{}); err != nil || same.ID != made.ID {
		t.Errorf("no change: got %+v, %v", same, err)
	}
	for range 2 { // the second finds none
		if err := f.neutron.DeletePort(ctx, made.ID); err != nil {
			t.Fatal(err)
		}
	}
	_, err = f.neutron.Port(ctx, made.ID)
	wantClass(t, err, cloud.Gone)
	_, err = f.neutron.UpdatePort(ctx, made.ID, network.PortChange{Name: ptr("x")})
	wantClass(t, err, cloud.Gone)
}

func TestErrorIsNoEmptyList(t *testing.T) {
	for name, fault := range map[string]rest.Fault{
		"500": {Status: 500}, "garbage": {Status: 200, Body: "<html>"}, "no list": {Status: 200, Body: "{}"},
		"null": {Status: 200, Body: `{"ports": null}`}, "other type": {Status: 200, Body: `{"ports": {}}`}, "closed": {Drop: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			fault.Path = "/ports"
			f.Hub.Inject(fault)
			_, err := f.neutron.Ports(t.Context(), network.PortFilter{})
			wantClass(t, err, cloud.Unavailable)
		})
	}
}

func TestReads(t *testing.T) {
	f, ctx := newFixture(t), t.Context()
	s, err := f.neutron.Subnet(ctx, f.subID)
	want := network.Subnet{
		ID: f.subID, Name: "x-subnet", NetworkID: f.netID, ProjectID: f.Project, CIDR: "10.0.0.0/24", GatewayIP: "10.0.0.1", IPVersion: 4,
	}
	if diff := cmp.Diff(want, s); diff != "" || err != nil {
		t.Errorf("subnet: got %v, (-want +got):\n%s", err, diff)
	}
	n, err := f.neutron.Network(ctx, f.netID)
	if diff := cmp.Diff(network.Network{
		ID: f.netID, Name: "x-net", ProjectID: f.Project, MTU: 1500, PortSecurity: true, SubnetIDs: []string{f.subID},
	}, n); diff != "" || err != nil {
		t.Errorf("network: got %v, (-want +got):\n%s", err, diff)
	}
	if free, err := f.neutron.FreeAddresses(ctx, f.netID); err != nil || free[f.subID] != 4 {
		t.Errorf("free: got %v, %v, want 4", free, err)
	}
	for alias, want := range map[string]bool{"qos": true, "no-such": false} {
		if got, err := f.neutron.HasExtension(ctx, alias); err != nil || got != want {
			t.Errorf("extension %s: got %v, %v", alias, got, err)
		}
	}
	for id, want := range map[string]bool{f.subID: true, "other": false} {
		if got, err := f.neutron.HasSubnet(ctx, f.netID, id); err != nil || got != want {
			t.Errorf("subnet %s: got %v, %v", id, got, err)
		}
	}
	_, token := f.User(t, "alice", "member")
	_, err = f.neutron.AsUser(token).Subnet(ctx, f.subID)
	wantClass(t, err, cloud.Gone)
	if ok, err := f.neutron.QoSPolicyExists(ctx, "none"); err != nil || ok {
		t.Errorf("QoS policy: got %v, %v", ok, err)
	}
	f.Hub.Inject(rest.Fault{Path: "/qos", Status: 500})
	_, err = f.neutron.QoSPolicyExists(ctx, "none")
	wantClass(t, err, cloud.Unavailable)
}

func TestFreeAddressesOfIPv6(t *testing.T) {
	f := newFixture(t)
	f.Hub.Inject(rest.Fault{Path: "availabilities", Status: 200, Body: `{"network_ip_availability": {"subnet_ip_availability": [
		{"subnet_id": "six", "total_ips": 18446744073709551614, "used_ips": 3},
		{"subnet_id": "float", "total_ips": 1.8446744073709552e+19, "used_ips": 3},
		{"subnet_id": "over", "total_ips": 2, "used_ips": 3}]}}`})
	free, err := f.neutron.FreeAddresses(t.Context(), f.netID)
	if diff := cmp.Diff(map[string]int{"six": 1<<31 - 1, "float": 1<<31 - 1, "over": 0}, free); diff != "" || err != nil {
		t.Errorf("got %v, (-want +got):\n%s", err, diff)
	}
}

func TestSecurityGroups(t *testing.T) {
	f, ctx := newFixture(t), t.Context()
	f.Neutron.AddGroup(network.SecurityGroupName("1"), "other-project") // anybody may take our name
	id, err := f.neutron.CreateSecurityGroup(ctx, network.SecurityGroupName("1"), "of a load balancer")
	if err != nil || id == "" {
		t.Fatalf("got %q, %v", id, err)
	}
	if ids, err := f.neutron.FindSecurityGroups(ctx, "lb-1"); err != nil || !slices.Equal(ids, []string{id}) {
		t.Errorf("find: got %q, %v, want %s", ids, err, id)
	}
	if names, err := f.neutron.SecurityGroups(ctx, "lb-"); err != nil || len(names) != 1 || names[id] != "lb-1" {
		t.Errorf("list: got %v, %v", names, err)
	}
	if ok, err := f.neutron.SecurityGroupExists(ctx, id); err != nil || !ok {
		t.Errorf("exists: got %v, %v", ok, err)
	}
	port, err := f.neutron.CreatePort(ctx, network.PortSpec{NetworkID: f.netID, SecurityGroups: []string{id}})
	if err != nil {
		t.Fatal(err)
	}
	wantClass(t, f.neutron.DeleteSecurityGroup(ctx, id), cloud.Conflict)
	if err := f.neutron.DeletePort(ctx, port.ID); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.neutron.DeleteSecurityGroup(ctx, id); err != nil {
			t.Error(err)
		}
	}
}
