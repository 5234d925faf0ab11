package vip_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/api/vip"
	"github.com/ottavino/ottavino/network"
	"github.com/ottavino/ottavino/sandbox/neutron"
	"github.com/ottavino/ottavino/sandbox/rest"
)

func (w *world) creation(change func(*api.VIPRequest)) api.VIPRequest {
	r := w.request(func(r *api.VIPRequest) { r.LoadBalancerID, r.NetworkID, r.SubnetID = lbID, w.net, w.four })
	change(&r)
	return r
}

func TestCreate(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	v := vip.New(open, w.neutron)
	r := w.creation(func(r *api.VIPRequest) {
		r.Address, r.SecurityGroupIDs, r.QoSPolicyID = "10.0.0.20", []string{w.group}, w.policy
		r.Additional = []api.AdditionalVIP{{SubnetID: w.six}}
	})
	got, err := v.Create(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	port, err := w.neutron.Port(ctx, got.PortID)
	if err != nil {
		t.Fatal(err)
	}
	if port.Name != "octavia-lb-"+lbID || port.DeviceID != "lb-"+lbID || port.DeviceOwner != "Octavia" ||
		port.ProjectID != w.project || port.AdminStateUp || port.QoSPolicyID != "" || !slices.Equal(port.SecurityGroups, []string{w.group}) {
		t.Errorf("port: got %+v", port)
	}
	if got.Address != "10.0.0.20" || got.SubnetID != w.four || got.NetworkID != w.net || !got.OctaviaOwned || got.QoSPolicyID != w.policy {
		t.Errorf("got %+v", got)
	}
	if len(got.Additional) != 1 || got.Additional[0].SubnetID != w.six || got.Additional[0].Address != port.FixedIPs[1].Address {
		t.Errorf("additional: got %+v, port has %+v", got.Additional, port.FixedIPs)
	}
	again, err := v.Create(ctx, r)
	if err != nil || again.PortID != got.PortID {
		t.Errorf("again: got %+v, %v, want the same port", again, err)
	}
	for range 2 {
		if err := v.Delete(ctx, lbID, ""); err != nil { // by name, as after a lost answer
			t.Fatal(err)
		}
	}
	if ports, err := w.neutron.Ports(ctx, network.PortFilter{DeviceOwner: "Octavia"}); err != nil || len(ports) != 0 {
		t.Errorf("after delete: got %+v, %v", ports, err)
	}
}

// A user may give a port our name: it is not taken for ours, and not deleted.
func TestForeignPortOfOurName(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	trap := w.addPort(t, neutron.Port{Name: network.VIPPortName(lbID), DeviceID: "vm", DeviceOwner: "Octavia"})
	v := vip.New(open, w.neutron)
	got, err := v.Create(ctx, w.creation(func(*api.VIPRequest) {}))
	if err != nil || got.PortID == trap {
		t.Fatalf("got %+v, %v", got, err)
	}
	if err := v.Delete(ctx, lbID, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.neutron.Port(ctx, trap); err != nil {
		t.Errorf("the foreign port: %v", err)
	}
}

func TestAdopt(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	v := vip.New(open, w.neutron)
	got, err := v.Create(ctx, w.creation(func(r *api.VIPRequest) {
		r.PortID, r.Address = w.port, "10.0.0.50"
		r.Additional = []api.AdditionalVIP{{SubnetID: w.six}}
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got.PortID != w.port || got.Address != "10.0.0.50" || got.OctaviaOwned || got.Additional[0].Address != "2001:db8::50" {
		t.Errorf("got %+v", got)
	}
	if err := v.Delete(ctx, lbID, w.port); err != nil {
		t.Fatal(err)
	}
	if _, err := w.neutron.Port(ctx, w.port); err != nil {
		t.Errorf("the user's port: %v", err)
	}
	if err := v.Delete(ctx, lbID, "none"); err != nil {
		t.Errorf("an absent port: %v", err)
	}
	_, err = v.Create(ctx, w.creation(func(r *api.VIPRequest) { r.PortID, r.Address = w.port, "10.0.0.77" }))
	wantFault(t, err, 500, "Provider 'amphora' reports error: VIP port "+w.port+
		" does not have the addresses of the load balancer. It is not ours and will not be changed.")
	_, err = v.Create(ctx, w.creation(func(r *api.VIPRequest) { r.PortID = "none" }))
	wantFault(t, err, 400, "Port none not found.")
}

func TestCreateIsRefused(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	v := vip.New(open, w.neutron)
	for _, tc := range []struct {
		name   string
		r      func(*api.VIPRequest)
		fault  *rest.Fault
		status int
		want   string
	}{
		{
			name: "address in use", r: func(r *api.VIPRequest) { r.Address = "10.0.0.50" }, status: 409,
			want: "The VIP IP address is already in use: IP address 10.0.0.50 already allocated in subnet " + w.four,
		},
		{
			name: "address of another subnet", r: func(r *api.VIPRequest) { r.Address = "192.0.2.1" }, status: 500,
			want: "Provider 'amphora' reports error: IP address 192.0.2.1 is not a valid IP for the specified subnet.",
		},
		{
			name: "quota", r: func(*api.VIPRequest) {}, status: 409, want: "The VIP IP address is already in use: Quota exceeded for resources: ['port'].",
			fault: &rest.Fault{Method: "POST", Path: "/ports", Status: 409, Body: `{"NeutronError": {"type": "OverQuota", "message": "Quota exceeded for resources: ['port']."}}`},
		},
		{
			name: "no port security", r: func(r *api.VIPRequest) { r.NetworkID, r.SubnetID = w.open, w.openSubnet }, status: 500,
			want: "Provider 'amphora' reports error: Port security must be enabled on the VIP network.",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.fault != nil {
				defer w.Hub.Inject(*tc.fault)()
			}
			_, err := v.Create(ctx, w.creation(tc.r))
			wantFault(t, err, tc.status, tc.want)
		})
	}
}

// The answer to a create is lost: the port is found by name and goes.
func TestLostAnswer(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	v := vip.New(open, w.neutron)
	w.Hub.Inject(rest.Fault{Method: "POST", Path: "/ports", AfterEffect: true, Drop: true, Times: 1})
	_, err := v.Create(ctx, w.creation(func(*api.VIPRequest) {}))
	if !errors.Is(err, api.ErrUnavailable) {
		t.Fatalf("got %v, want ErrUnavailable", err)
	}
	if err := v.Delete(ctx, lbID, ""); err != nil {
		t.Fatal(err)
	}
	if ports, err := w.neutron.Ports(ctx, network.PortFilter{Name: network.VIPPortName(lbID)}); err != nil || len(ports) != 0 {
		t.Errorf("got %+v, %v, want none", ports, err)
	}
}

func TestNoop(t *testing.T) {
	ctx := t.Context()
	v := vip.New(open, network.NewNoop())
	for name, r := range map[string]api.VIPRequest{
		"subnet":                 {SubnetID: "s"},
		"network":                {NetworkID: "n"},
		"network and subnet":     {NetworkID: "n2", SubnetID: "s2"},
		"network and address":    {NetworkID: "n", Address: "198.18.33.33"},
		"network and IPv6":       {NetworkID: "n", Address: "2001:db8:33:33:33:33:33:33"},
		"port":                   {PortID: "p"},
		"subnet and any address": {SubnetID: "s", Address: "10.1.2.3"},
		"all":                    {SubnetID: "s", QoSPolicyID: "q", QoSGiven: true, SecurityGroupIDs: []string{"g"}},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := v.Resolve(ctx, r)
			if err != nil {
				t.Fatal(err)
			}
			if found.NetworkID == "" || found.SubnetID == "" {
				t.Errorf("resolved %+v", found)
			}
			r.LoadBalancerID, r.NetworkID, r.SubnetID, r.Address = lbID, found.NetworkID, found.SubnetID, found.Address
			got, err := v.Create(ctx, r)
			if err != nil || got.Address == "" || got.PortID == "" || got.OctaviaOwned == (r.PortID != "") {
				t.Errorf("got %+v, %v", got, err)
			}
			if err := v.Delete(ctx, lbID, got.PortID); err != nil {
				t.Error(err)
			}
		})
	}
}
