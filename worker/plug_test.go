package worker_test

import (
	"context"
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

// subnet makes one more on the tenants' network.
func (r *rig) subnet(cidr string) (id string) {
	r.t.Helper()
	st := r.cloud.Settings()
	var out struct {
		Subnet struct {
			ID string `json:"id"`
		} `json:"subnet"`
	}
	err := (cloud.Service{Session: r.keys.Session, Endpoint: cloud.Endpoint{Type: "network"}}).Do(r.t.Context(), cloud.Call{
		Op: "make subnet", Method: http.MethodPost, Path: "subnets", Out: &out,
		In: map[string]any{"subnet": map[string]any{"network_id": st.NetworkID, "cidr": cidr, "ip_version": 4, "tenant_id": st.Tenant.ProjectID}},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return out.Subnet.ID
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
func (r *rig) memberIn(lb, subnet, address string) (id string) {
	r.t.Helper()
	id = uuid.NewString()
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.BeginChange(ctx, lb, db.AcceptPending); err != nil {
			return err
		}
		return db.Insert(ctx, tx, &db.Member{
			ID: id, ProjectID: r.tree(lb).LoadBalancer.ProjectID, PoolID: r.tree(lb).Pools[0].ID, SubnetID: &subnet, IPAddress: &address,
			ProtocolPort: 80, ProvisioningStatus: db.PendingCreate, OperatingStatus: db.NoMonitor, Enabled: true, VNICType: "normal",
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
	subnet := r.subnet("10.11.0.0/24")
	id := r.balancer()
	r.active(id)
	member := r.memberIn(id, subnet, "10.11.0.250")
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
