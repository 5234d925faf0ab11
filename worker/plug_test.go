package worker_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/network"
	"github.com/ottavino/ottavino/worker"
)

// neutron is the network service, as the worker's user.
func (r *rig) neutron() *network.Neutron {
	return network.NewNeutron(r.keys.Session, cloud.Endpoint{Type: "network"})
}

// subnet makes one, as the worker's user.
func (r *rig) subnet(networkID, cidr string) (id string) {
	r.t.Helper()
	return r.make("subnet", map[string]any{"network_id": networkID, "cidr": cidr, "ip_version": 4})
}

func (r *rig) make(what string, attributes map[string]any) (id string) {
	r.t.Helper()
	out := map[string]struct {
		ID string `json:"id"`
	}{}
	err := (cloud.Service{Session: r.keys.Session, Endpoint: cloud.Endpoint{Type: "network"}}).Do(r.t.Context(), cloud.Call{
		Op: "make " + what, Method: http.MethodPost, Path: what + "s", Out: &out, In: map[string]any{what: attributes},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return out[what].ID
}

// basePort is the amphora's port on the VIP's network.
func (r *rig) basePort(lb string) network.Port {
	r.t.Helper()
	port, err := r.neutron().Port(r.t.Context(), *r.tree(lb).Amphorae[0].VRRPPortID)
	if err != nil {
		r.t.Fatal(err)
	}
	return port
}

// memberIn makes a member in a subnet.
func (r *rig) memberIn(lb, subnet, address, vnic string) (id string) {
	r.t.Helper()
	id = uuid.NewString()
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.BeginChange(ctx, lb, db.AcceptPending); err != nil {
			return err
		}
		return db.Insert(ctx, tx, &db.Member{
			ID: id, ProjectID: r.tree(lb).LoadBalancer.ProjectID, PoolID: r.tree(lb).Pools[0].ID, SubnetID: &subnet, IPAddress: &address,
			ProtocolPort: 80, ProvisioningStatus: db.PendingCreate, OperatingStatus: db.NoMonitor, Enabled: true, VNICType: vnic,
		})
	})
	return id
}

func (r *rig) dropMember(lb, id string) {
	r.t.Helper()
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.BeginChange(ctx, lb, db.AcceptPending); err != nil {
			return err
		}
		return db.Update(ctx, tx, &db.Member{ID: id, ProvisioningStatus: db.PendingDelete}, "provisioning_status")
	})
}

// TestMembersInAnotherSubnetOfTheVIPsNetwork: the amphora gets an address beside them on the port that it has on that network,
// keeps it when it is looked at again, and gives it back when they are gone.
func TestMembersInAnotherSubnetOfTheVIPsNetwork(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *worker.Config) { c.DriftInterval = 20 * time.Millisecond })
	subnet := r.subnet(r.cloud.Settings().NetworkID, "10.11.0.0/24")
	id := r.balancer()
	r.active(id)
	member := r.memberIn(id, subnet, "10.11.0.250", "normal")
	r.active(id)
	subnets := func() (out []string) {
		for _, ip := range r.basePort(id).FixedIPs {
			out = append(out, ip.SubnetID)
		}
		return out
	}
	if got := subnets(); !slices.Contains(got, subnet) || len(got) != 2 {
		t.Fatalf("the base port is in the subnets %v, want the VIP's and the member's", got)
	}
	newest := func() amphora.NetworkPlug {
		_, networks := r.agent.plugs()
		if len(networks) == 0 {
			t.Fatal("the agent was not told")
		}
		return networks[len(networks)-1]
	}
	port := r.basePort(id)
	plug := newest()
	if plug.MAC != port.MAC || len(plug.FixedIPs) != 2 || plug.FixedIPs[1].SubnetCIDR != "10.11.0.0/24" || plug.VIPNetInfo == nil ||
		plug.VIPNetInfo.VIP != *r.tree(id).VIP.IPAddress || plug.VIPNetInfo.VRRPIP != *r.tree(id).Amphorae[0].VRRPIP {
		t.Errorf("the agent was told %+v", plug)
	}
	vips, before := r.agent.plugs()
	r.until("it is looked at again", func() bool { _, now := r.agent.plugs(); return len(now) > len(before)+2 })
	if now, _ := r.agent.plugs(); len(now) != len(vips) {
		t.Errorf("the VIP was plugged anew, which takes the other address away for a moment")
	}
	r.dropMember(id, member)
	r.until("the address is given back", func() bool { return len(subnets()) == 1 })
	r.until("the agent knows", func() bool { return len(newest().FixedIPs) == 1 && newest().VIPNetInfo != nil })
	r.remove(id)
}

// TestAddressOfNobodysWish: a port that has an address that Neutron added by itself, as in subnets with SLAAC, is plugged as others are
// when it is looked at, and Neutron is left alone.
func TestAddressOfNobodysWish(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *worker.Config) { c.DriftInterval = 20 * time.Millisecond })
	subnet := r.make("subnet", map[string]any{"network_id": r.cloud.Settings().NetworkID, "cidr": "2001:db8:5::/64", "ip_version": 6})
	id := r.balancer()
	r.active(id)
	port := r.basePort(id)
	fixed := append(port.FixedIPs, network.FixedIP{SubnetID: subnet})
	if _, err := r.neutron().UpdatePort(t.Context(), port.ID, network.PortChange{FixedIPs: &fixed}); err != nil {
		t.Fatal(err)
	}
	before, _ := r.agent.plugs()
	r.until("it is looked at", func() bool { now, _ := r.agent.plugs(); return len(now) > len(before)+3 })
	if got := r.basePort(id).FixedIPs; len(got) != 2 {
		t.Errorf("the port has %v", got)
	}
	r.remove(id)
}

// TestSRIOV: with a flavor that asks for it, the VIP is on a port past the host's firewall, which is in the amphora then and lets
// in what listeners allow; members are reached through such a port where they ask for that.
func TestSRIOV(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.vnic = "direct"
	id := r.balancer()
	r.active(id)
	port := r.basePort(id)
	if port.VNICType != "direct" || len(port.SecurityGroups) != 0 {
		t.Errorf("the base port is %s, with the groups %v", port.VNICType, port.SecurityGroups)
	}
	if vips, _ := r.agent.plugs(); len(vips) == 0 || !vips[0].SRIOV {
		t.Errorf("the agent was told %+v", vips)
	}
	if got := r.agent.admits(); !slices.Equal(got, []string{"TCP 80 from anywhere"}) {
		t.Errorf("the firewall admits %v", got)
	}
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.BeginChange(ctx, id, db.AcceptPending); err != nil {
			return err
		}
		listener := r.listener(uuid.NewString(), id, "UDP", 53, nil)
		return errors.Join(db.Insert(ctx, tx, listener),
			db.Insert(ctx, tx, &db.ListenerCIDR{ListenerID: listener.ID, CIDR: "192.0.2.0/24"}),
			db.Insert(ctx, tx, &db.ListenerCIDR{ListenerID: listener.ID, CIDR: "198.51.100.0/24"}))
	})
	r.active(id)
	if got := r.agent.admits(); !slices.Equal(got, []string{"TCP 80 from anywhere", "UDP 53 from 192.0.2.0/24", "UDP 53 from 198.51.100.0/24"}) {
		t.Errorf("the firewall admits %v", got)
	}
	members := r.make("network", map[string]any{"name": "members", "shared": true})
	r.memberIn(id, r.subnet(members, "10.12.0.0/24"), "10.12.0.250", "direct")
	r.active(id)
	_, networks := r.agent.plugs()
	if len(networks) != 1 || !networks[0].SRIOV || networks[0].VIPNetInfo != nil {
		t.Errorf("the agent was told %+v", networks)
	}
	ports, err := r.neutron().Ports(t.Context(), network.PortFilter{NetworkID: members})
	if err != nil || len(ports) != 1 || ports[0].VNICType != "direct" {
		t.Errorf("the member's port is %+v, %v", ports, err)
	}
	r.remove(id)
}

// TestWorkerDiesBeforeItPlugs: what it had attached is plugged by who comes next, though nothing has failed.
func TestWorkerDiesBeforeItPlugs(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *worker.Config) { c.DriftInterval = -1 })
	subnet := r.subnet(r.cloud.Settings().NetworkID, "10.11.0.0/24")
	id := r.balancer()
	r.active(id)
	r.agent.plan(func(n int, op string) (error, bool) {
		if op != "plug network" || slices.Contains(r.agent.made()[:n], op) {
			return nil, false
		}
		// From here on the first one can write nothing, as the dead.
		past := time.Now().Add(-time.Hour)
		r.tx(func(ctx context.Context, tx *db.Tx) error {
			return db.Update(ctx, tx, &db.Work{LoadBalancerID: id, LeaseOwner: "dead", LeaseToken: 1 << 20, LeaseUntil: &past}, "lease_owner", "lease_token", "lease_until")
		})
		return errors.New("dead"), false
	})
	r.memberIn(id, subnet, "10.11.0.250", "normal")
	r.active(id)
	if got := count(r.agent.made(), "plug network"); got != 2 {
		t.Errorf("got %d calls to plug the network, want that of the dead and another", got)
	}
	r.remove(id)
}
