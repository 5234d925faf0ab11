package vip_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/api/vip"
	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/internal/cloudtest"
	"github.com/ottavino/ottavino/network"
	"github.com/ottavino/ottavino/sandbox/keystone"
	"github.com/ottavino/ottavino/sandbox/neutron"
	"github.com/ottavino/ottavino/sandbox/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ api.VIP = (*vip.VIP)(nil)

// open allows everything.
var open = vip.Config{AllowPortID: true, AllowNetworkID: true, AllowSubnetID: true}

const lbID = "11111111-2222-3333-4444-555555555555"

// world is a Neutron with a network of alice's, subnets of several kinds, and one of somebody else.
type world struct {
	*cloudtest.Cloud
	neutron *network.Neutron
	project string // alice's
	token   string

	net, four, six, tiny string // alice's network and its subnets
	foreignNet, foreign  string // somebody else's
	empty                string // network without subnets
	full                 string // network whose subnets are full
	open                 string // network without port security
	openSubnet           string
	port                 string // alice's port with addresses on four and six
	single               string // alice's port with one address, 10.0.0.51
	used                 string // alice's port of a server
	group                string
	policy               string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Cloud: cloudtest.New(t, keystone.Config{})}
	w.neutron = network.NewNeutron(w.Session, cloud.Endpoint{})
	w.project, w.token = w.User(t, "alice", "member")
	w.net, w.four = w.network(t, w.project, "10.0.0.0/24", "10.0.0.10", "10.0.0.99")
	w.six = w.create(t, "subnet", map[string]any{"network_id": w.net, "cidr": "2001:db8::/64", "ip_version": 6, "project_id": w.project})
	w.tiny = w.create(t, "subnet", map[string]any{"network_id": w.net, "cidr": "10.0.1.0/30", "ip_version": 4, "project_id": w.project})
	w.foreignNet, w.foreign = w.network(t, "somebody", "10.9.0.0/24", "10.9.0.10", "10.9.0.99")
	w.empty = w.create(t, "network", map[string]any{"name": "empty", "project_id": w.project})
	w.full, _ = w.network(t, w.project, "10.2.0.0/24", "10.2.0.10", "10.2.0.10")
	w.open = w.create(t, "network", map[string]any{"name": "open", "project_id": w.project, "port_security_enabled": false})
	w.openSubnet = w.create(t, "subnet", map[string]any{"network_id": w.open, "cidr": "10.3.0.0/24", "ip_version": 4, "project_id": w.project})
	w.policy = w.create(t, "policy", map[string]any{"name": "gold", "project_id": w.project})
	w.group = w.Neutron.AddGroup("web", w.project).ID
	w.port = w.addPort(t, neutron.Port{FixedIPs: []neutron.FixedIP{{SubnetID: w.four, IPAddress: "10.0.0.50"}, {SubnetID: w.six, IPAddress: "2001:db8::50"}}, QoSPolicyID: &w.policy})
	w.single = w.addPort(t, neutron.Port{FixedIPs: []neutron.FixedIP{{SubnetID: w.four, IPAddress: "10.0.0.51"}}})
	w.used = w.addPort(t, neutron.Port{FixedIPs: []neutron.FixedIP{{SubnetID: w.four, IPAddress: "10.0.0.52"}}, DeviceID: "vm"})
	return w
}

func (w *world) network(t *testing.T, project, cidr, start, end string) (netID, subnetID string) {
	t.Helper()
	n, s, err := w.Neutron.AddNetwork("n", project, false, cidr, "", start, end)
	if err != nil {
		t.Fatal(err)
	}
	return n.ID, s.ID
}

func (w *world) addPort(t *testing.T, p neutron.Port) string {
	t.Helper()
	p.NetworkID, p.ProjectID = w.net, w.project
	made, err := w.Neutron.AddPort(p)
	if err != nil {
		t.Fatal(err)
	}
	return made.ID
}

// create makes an object as an admin.
func (w *world) create(t *testing.T, kind string, body map[string]any) string {
	t.Helper()
	path := map[string]string{"subnet": "subnets", "network": "networks", "policy": "qos/policies"}[kind]
	var out map[string]struct{ ID string }
	err := cloud.Service{Session: w.Session, Endpoint: cloud.Endpoint{Type: "network"}}.Do(t.Context(), cloud.Call{
		Op: "create", Method: http.MethodPost, Path: path, In: map[string]any{kind: body}, Out: &out,
	})
	if err != nil {
		t.Fatal(err)
	}
	return out[kind].ID
}

func (w *world) request(change func(*api.VIPRequest)) api.VIPRequest {
	r := api.VIPRequest{ProjectID: w.project, UserToken: w.token, Topology: "SINGLE"}
	change(&r)
	return r
}

func wantFault(t *testing.T, err error, status int, text string) {
	t.Helper()
	var f *api.Fault
	if !errors.As(err, &f) || f.Status != status || f.Text != text {
		t.Errorf("got  %v (%T)\nwant %d %s", err, err, status, text)
	}
}

const invalid = "Validation failure: "

func TestResolveRefuses(t *testing.T) {
	w := newWorld(t)
	const id = "99999999-9999-9999-9999-999999999999"
	extra := func(subnets ...string) (out []api.AdditionalVIP) {
		for _, s := range subnets {
			out = append(out, api.AdditionalVIP{SubnetID: s})
		}
		return out
	}
	denied := open
	denied.DeniedNetworks = []string{strings.ToUpper(w.net)}
	only := open
	only.ValidNetworks = []string{id}
	for _, tc := range []struct {
		name string
		cfg  vip.Config
		r    func(*api.VIPRequest)
		want string
	}{
		{"nothing", open, func(*api.VIPRequest) {}, invalid + "VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id."},
		{"nothing, few ways", vip.Config{AllowSubnetID: true}, func(*api.VIPRequest) {}, invalid + "VIP must contain one of: vip_subnet_id."},
		{"port not allowed", vip.Config{}, func(r *api.VIPRequest) { r.PortID, r.SubnetID = w.port, w.four }, invalid + "use of vip_port_id is disallowed by this deployment's configuration."},
		{"network not allowed", vip.Config{}, func(r *api.VIPRequest) { r.NetworkID = w.net }, invalid + "use of vip_network_id is disallowed by this deployment's configuration."},
		{"subnet not allowed", vip.Config{}, func(r *api.VIPRequest) { r.SubnetID = w.four }, invalid + "use of vip_subnet_id is disallowed by this deployment's configuration."},

		{"no such port", open, func(r *api.VIPRequest) { r.PortID = id }, "Port " + id + " not found."},
		{"used port", open, func(r *api.VIPRequest) { r.PortID = w.used }, invalid + "Port " + w.used + " is already used by device vm "},
		{"port, no such subnet", open, func(r *api.VIPRequest) { r.PortID, r.SubnetID = w.port, id }, "Subnet " + id + " not found."},
		{"port not in subnet", open, func(r *api.VIPRequest) { r.PortID, r.SubnetID = w.port, w.tiny }, invalid + "No VIP address found on the specified VIP port within the specified subnet."},
		{"port without address", open, func(r *api.VIPRequest) { r.PortID, r.Address = w.port, "10.0.0.77" }, invalid + "Specified VIP address not found on the specified VIP port."},
		{"port with several", open, func(r *api.VIPRequest) { r.PortID = w.port }, invalid + "VIP port's subnet could not be determined. Please specify either a VIP subnet or address."},

		{"no such network", open, func(r *api.VIPRequest) { r.NetworkID = id }, "Network " + id + " not found."},
		{"no such network, subnet", open, func(r *api.VIPRequest) { r.NetworkID, r.SubnetID = id, w.four }, "Network " + id + " not found."},
		{"invisible network", open, func(r *api.VIPRequest) { r.NetworkID = w.foreignNet }, "Network " + w.foreignNet + " not found."},
		{"subnet of another network", open, func(r *api.VIPRequest) { r.NetworkID, r.SubnetID = w.net, w.openSubnet }, "Subnet " + w.openSubnet + " not found."},
		{"address of no subnet", open, func(r *api.VIPRequest) { r.NetworkID, r.Address = w.net, "192.0.2.1" }, invalid + "Supplied network does not contain a subnet for VIP address specified."},
		{"network without subnets", open, func(r *api.VIPRequest) { r.NetworkID = w.empty }, invalid + "Supplied network does not contain a subnet."},
		{"full network", open, func(r *api.VIPRequest) { r.NetworkID = w.full }, invalid + "Subnet(s) in the supplied network do not contain enough available IPs."},

		{"no such subnet", open, func(r *api.VIPRequest) { r.SubnetID = id }, "Subnet " + id + " not found."},
		{"invisible subnet", open, func(r *api.VIPRequest) { r.SubnetID = w.foreign }, "Subnet " + w.foreign + " not found."},

		{"same subnet twice", open, func(r *api.VIPRequest) { r.SubnetID, r.Additional = w.four, extra(w.six, w.four) }, invalid + "Duplicate VIP subnet(s) specified. Only one IP can be bound per subnet."},
		{"no such additional subnet", open, func(r *api.VIPRequest) { r.SubnetID, r.Additional = w.four, extra(id) }, invalid + "Subnet " + id + " not found"},
		{"additional subnet elsewhere", open, func(r *api.VIPRequest) { r.SubnetID, r.Additional = w.four, extra(w.openSubnet) }, invalid + "All VIP subnets must belong to the same network."},

		{"no such policy", open, func(r *api.VIPRequest) { r.SubnetID, r.QoSPolicyID, r.QoSGiven = w.four, id, true }, "qos_policy " + id + " not found."},
		{"no such group", open, func(r *api.VIPRequest) { r.SubnetID, r.SecurityGroupIDs = w.four, []string{w.group, id} }, "Security Group " + id + " not found."},
		{"denied network", denied, func(r *api.VIPRequest) { r.SubnetID = w.four }, invalid + "Supplied VIP network_id is not allowed by the configuration of this deployment."},
		{"network not valid", only, func(r *api.VIPRequest) { r.SubnetID = w.four }, invalid + "Supplied VIP network_id is not allowed by the configuration of this deployment."},
		{"network not valid in zone", open, func(r *api.VIPRequest) { r.SubnetID, r.ValidNetworks = w.four, []string{} }, invalid + "Supplied VIP network_id is not allowed by the configuration of this deployment."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := vip.New(tc.cfg, w.neutron).Resolve(t.Context(), w.request(tc.r))
			wantFault(t, err, http.StatusBadRequest, tc.want)
		})
	}
	if n := w.Count(t, "POST /v2.0/ports"); n != 0 {
		t.Errorf("Resolve made %d ports", n)
	}
}

func TestResolve(t *testing.T) {
	w := newWorld(t)
	invisible := open
	invisible.AllowInvisible = true
	zone := open
	zone.ValidNetworks = []string{"another"}
	for _, tc := range []struct {
		name string
		cfg  vip.Config
		r    func(*api.VIPRequest)
		want api.VIPResult
	}{
		{"subnet", open, func(r *api.VIPRequest) { r.SubnetID = w.four }, api.VIPResult{SubnetID: w.four, NetworkID: w.net}},
		{"subnet, any address", open, func(r *api.VIPRequest) { r.SubnetID, r.Address = w.four, "192.0.2.1" }, api.VIPResult{SubnetID: w.four, NetworkID: w.net, Address: "192.0.2.1"}},
		{"network: IPv4 first", open, func(r *api.VIPRequest) { r.NetworkID = w.net }, api.VIPResult{SubnetID: w.four, NetworkID: w.net}},
		{"network and subnet", open, func(r *api.VIPRequest) { r.NetworkID, r.SubnetID = w.net, w.six }, api.VIPResult{SubnetID: w.six, NetworkID: w.net}},
		{"network and IPv6 address", open, func(r *api.VIPRequest) { r.NetworkID, r.Address = w.net, "2001:db8::7" }, api.VIPResult{SubnetID: w.six, NetworkID: w.net, Address: "2001:db8::7"}},
		{"port with one address", open, func(r *api.VIPRequest) { r.PortID = w.single }, api.VIPResult{PortID: w.single, SubnetID: w.four, NetworkID: w.net, Address: "10.0.0.51"}},
		{"port by subnet", open, func(r *api.VIPRequest) { r.PortID, r.SubnetID, r.Address = w.port, w.four, "1.2.3.4" }, api.VIPResult{PortID: w.port, SubnetID: w.four, NetworkID: w.net, Address: "10.0.0.50", QoSPolicyID: w.policy}},
		{"port by address", open, func(r *api.VIPRequest) { r.PortID, r.Address = w.port, "2001:DB8:0::50" }, api.VIPResult{PortID: w.port, SubnetID: w.six, NetworkID: w.net, Address: "2001:DB8:0::50", QoSPolicyID: w.policy}},
		{"port before network", open, func(r *api.VIPRequest) { r.PortID, r.NetworkID = w.single, w.empty }, api.VIPResult{PortID: w.single, SubnetID: w.four, NetworkID: w.net, Address: "10.0.0.51"}},
		{"port's policy taken away", open, func(r *api.VIPRequest) { r.PortID, r.SubnetID, r.QoSGiven = w.port, w.four, true }, api.VIPResult{PortID: w.port, SubnetID: w.four, NetworkID: w.net, Address: "10.0.0.50"}},
		{"additional", open, func(r *api.VIPRequest) { r.SubnetID, r.Additional = w.four, []api.AdditionalVIP{{SubnetID: w.six}} }, api.VIPResult{SubnetID: w.four, NetworkID: w.net, Additional: []api.AdditionalVIP{{SubnetID: w.six}}}},
		{"policy and group", open, func(r *api.VIPRequest) {
			r.SubnetID, r.QoSPolicyID, r.QoSGiven, r.SecurityGroupIDs = w.four, w.policy, true, []string{w.group}
		}, api.VIPResult{SubnetID: w.four, NetworkID: w.net, QoSPolicyID: w.policy}},
		{"invisible", invisible, func(r *api.VIPRequest) { r.SubnetID = w.foreign }, api.VIPResult{SubnetID: w.foreign, NetworkID: w.foreignNet}},
		{"zone's list replaces", zone, func(r *api.VIPRequest) { r.SubnetID, r.ValidNetworks = w.four, []string{strings.ToUpper(w.net)} }, api.VIPResult{SubnetID: w.four, NetworkID: w.net}},
		{"without token", open, func(r *api.VIPRequest) { r.SubnetID, r.UserToken = w.foreign, "" }, api.VIPResult{SubnetID: w.foreign, NetworkID: w.foreignNet}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := vip.New(tc.cfg, w.neutron).Resolve(t.Context(), w.request(tc.r))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.Additional, tc.want.Additional) {
				t.Errorf("got additional %v, want %v", got.Additional, tc.want.Additional)
			}
			got.Additional, tc.want.Additional = nil, nil
			if got.PortID != tc.want.PortID || got.Address != tc.want.Address || got.SubnetID != tc.want.SubnetID ||
				got.NetworkID != tc.want.NetworkID || got.QoSPolicyID != tc.want.QoSPolicyID || got.OctaviaOwned {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

// A pair needs one address more than a single amphora.
func TestResolveCountsAddresses(t *testing.T) {
	w := newWorld(t)
	two, subnet := w.network(t, w.project, "10.4.0.0/24", "10.4.0.10", "10.4.0.11")
	v := vip.New(open, w.neutron)
	r := w.request(func(r *api.VIPRequest) { r.NetworkID = two })
	if got, err := v.Resolve(t.Context(), r); err != nil || got.SubnetID != subnet {
		t.Errorf("SINGLE: got %+v, %v", got, err)
	}
	r.Topology = "ACTIVE_STANDBY"
	_, err := v.Resolve(t.Context(), r)
	wantFault(t, err, 400, invalid+"Subnet(s) in the supplied network do not contain enough available IPs.")
}

func TestChecks(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	v := vip.New(open, w.neutron)
	if err := v.SubnetExists(ctx, w.token, w.four); err != nil {
		t.Error(err)
	}
	wantFault(t, v.SubnetExists(ctx, w.token, w.foreign), 400, "Subnet "+w.foreign+" not found.")
	w.Hub.Inject(rest.Fault{Path: "/extensions/qos", Status: 404, Body: "{}", Times: 1})
	wantFault(t, v.CheckQoS(ctx, w.token, ""), 400, invalid+"VIP QoS policy is not allowed in this deployment.")
	for range 2 {
		if err := v.CheckQoS(ctx, w.token, ""); err != nil {
			t.Errorf("an absent extension is remembered: %v", err)
		}
	}
	if n := w.Count(t, "GET /v2.0/extensions/qos"); n != 2 {
		t.Errorf("asked %d times for the extension, want 2", n)
	}
	wantFault(t, v.CheckQoS(ctx, w.token, "none"), 400, "qos_policy none not found.")
}

func TestNeutronIsAway(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	v := vip.New(open, w.neutron)
	w.Hub.Inject(rest.Fault{Service: "network", Status: 503})
	r := w.request(func(r *api.VIPRequest) { r.SubnetID, r.NetworkID = w.four, w.net })
	_, resolve := v.Resolve(ctx, r)
	_, create := v.Create(ctx, r)
	for name, err := range map[string]error{
		"Resolve": resolve, "Create": create, "Delete": v.Delete(ctx, lbID, w.port), "Delete by name": v.Delete(ctx, lbID, ""),
		"SubnetExists": v.SubnetExists(ctx, w.token, w.four), "CheckQoS": v.CheckQoS(ctx, w.token, ""),
		"CheckSecurityGroups": v.CheckSecurityGroups(ctx, w.token, []string{w.group}),
	} {
		if !errors.Is(err, api.ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrUnavailable", name, err)
		}
	}
}
