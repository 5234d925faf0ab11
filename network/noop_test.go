package network_test

import (
	"net/netip"
	"testing"

	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/network"
)

func TestNoopPorts(t *testing.T) {
	ctx, n := t.Context(), network.NewNoop()
	net, err := n.Network(ctx, "net")
	if err != nil || len(net.SubnetIDs) != 2 || !net.PortSecurity {
		t.Fatalf("got %+v, %v", net, err)
	}
	made, err := n.CreatePort(ctx, network.PortSpec{
		Name: "p", NetworkID: "net", FixedIPs: []network.FixedIP{{SubnetID: net.SubnetIDs[0]}, {SubnetID: net.SubnetIDs[1]}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, ip := range made.FixedIPs {
		s, err := n.Subnet(ctx, ip.SubnetID)
		if err != nil || s.NetworkID != "net" || !netip.MustParsePrefix(s.CIDR).Contains(netip.MustParseAddr(ip.Address)) {
			t.Errorf("address %d: %+v is not in %+v, %v", i, ip, s, err)
		}
	}
	owner := network.VIPOwner
	if _, err := n.UpdatePort(ctx, made.ID, network.PortChange{DeviceOwner: &owner}); err != nil {
		t.Fatal(err)
	}
	if found, err := n.Ports(ctx, network.PortFilter{Name: "p", DeviceOwner: owner}); err != nil || len(found) != 1 {
		t.Errorf("got %+v, %v", found, err)
	}
	for range 2 {
		if err := n.DeletePort(ctx, made.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.Port(ctx, made.ID); !cloud.IsGone(err) {
		t.Errorf("after delete: got %v, want class gone", err)
	}
}

// Ports are found by name as long as they are there, and only those that match all else.
func TestNoopPortsByName(t *testing.T) {
	ctx, n := t.Context(), network.NewNoop()
	var ids []string
	for _, device := range []string{"a", "b"} {
		p, err := n.CreatePort(ctx, network.PortSpec{Name: "same", NetworkID: "net", DeviceID: device})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, p.ID)
	}
	want := func(f network.PortFilter, count int) {
		t.Helper()
		if found, err := n.Ports(ctx, f); err != nil || len(found) != count {
			t.Errorf("%+v: got %+v, %v, want %d ports", f, found, err, count)
		}
	}
	want(network.PortFilter{Name: "same"}, 2)
	want(network.PortFilter{Name: "same", DeviceID: "b"}, 1)
	want(network.PortFilter{Name: "other"}, 0)
	want(network.PortFilter{DeviceID: "a"}, 1)
	name := "other"
	if _, err := n.UpdatePort(ctx, ids[1], network.PortChange{Name: &name}); err != nil {
		t.Fatal(err)
	}
	want(network.PortFilter{Name: "same", DeviceID: "b"}, 0)
	want(network.PortFilter{Name: "other", DeviceID: "b"}, 1)
	if err := n.DeletePort(ctx, ids[0]); err != nil {
		t.Fatal(err)
	}
	want(network.PortFilter{Name: "same"}, 0)
	want(network.PortFilter{}, 1)
}

// What another process made exists too, and always looks the same.
func TestNoopKnowsForeignObjects(t *testing.T) {
	ctx := t.Context()
	a, err := network.NewNoop().Port(ctx, "port")
	if err != nil || len(a.FixedIPs) != 1 {
		t.Fatalf("got %+v, %v", a, err)
	}
	b, err := network.NewNoop().Port(ctx, "port")
	if err != nil || a.NetworkID != b.NetworkID || a.FixedIPs[0] != b.FixedIPs[0] {
		t.Errorf("got %+v and %+v, %v", a, b, err)
	}
	n := network.NewNoop()
	if ok, err := n.HasSubnet(ctx, "net", "sub"); !ok || err != nil {
		t.Fatalf("got %v, %v", ok, err)
	}
	one, err1 := n.Subnet(ctx, "nobody placed it")
	two, err2 := n.Subnet(ctx, "nor this one")
	if err1 != nil || err2 != nil || one.NetworkID != "net" || two.NetworkID != "net" {
		t.Errorf("networks of unknown subnets: got %q and %q (%v, %v), want the one named last", one.NetworkID, two.NetworkID, err1, err2)
	}
	if s, err := n.Subnet(ctx, "sub"); err != nil || s.NetworkID != "net" {
		t.Errorf("got %+v, %v, want the network it was named with", s, err)
	}
}

func TestNoopGroups(t *testing.T) {
	ctx, n := t.Context(), network.NewNoop()
	id, err := n.CreateSecurityGroup(ctx, "lb-1", "")
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := n.FindSecurityGroups(ctx, "lb-1"); err != nil || len(ids) != 1 || ids[0] != id {
		t.Errorf("got %v, %v", ids, err)
	}
	rule := network.Rule{Protocol: "tcp", Port: 80, EtherType: "IPv4"}
	if err := n.SyncRules(ctx, id, []network.Rule{rule}); err != nil {
		t.Fatal(err)
	}
	if rules := n.Rules(id); len(rules) != 1 || rules[0] != rule {
		t.Errorf("got %v", rules)
	}
	if err := n.DeleteSecurityGroup(ctx, id); err != nil {
		t.Fatal(err)
	}
	if err := n.SyncRules(ctx, id, nil); !cloud.IsGone(err) {
		t.Errorf("got %v, want class gone", err)
	}
}
