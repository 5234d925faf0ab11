package api

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/ottavino/ottavino/db"
)

// loadBalancerIn is the body of a load balancer POST or PUT.
type loadBalancerIn struct {
	name, description, project, provider field[string]
	adminUp                              field[bool]
	tags, vipSGs                         field[[]string]
	vipAddress, vipSubnet, vipNetwork    field[string]
	vipPort, vipQoS                      field[string]
	additional                           field[[]AdditionalVIP]
	flavor, zone                         field[string]
	listeners                            field[[]listenerIn]
	pools                                field[[]poolIn]
}

func decodeLoadBalancer(o *object) loadBalancerIn {
	in := decodeLoadBalancerChange(o)
	in.project = o.projectID()
	in.provider = o.text("provider", 64)
	in.vipAddress = o.address("vip_address")
	in.vipSubnet, in.vipNetwork, in.vipPort = o.uuid("vip_subnet_id"), o.uuid("vip_network_id"), o.uuid("vip_port_id")
	in.additional = nestedList(o, "additional_vips", decodeAdditionalVIP)
	in.flavor = o.uuid("flavor_id")
	in.zone = o.text("availability_zone", 255)
	in.listeners = nestedList(o, "listeners", decodeNestedListener)
	in.pools = nestedList(o, "pools", decodeNestedPool)
	o.defaults(map[string]any{"admin_state_up": true})
	return in
}

func decodeLoadBalancerChange(o *object) loadBalancerIn {
	return loadBalancerIn{
		name: o.text("name", 255), description: o.text("description", 255),
		adminUp: o.boolean("admin_state_up"), tags: o.tags(),
		vipQoS: o.uuid("vip_qos_policy_id"), vipSGs: o.uuids("vip_sg_ids"),
	}
}

func decodeAdditionalVIP(o *object) AdditionalVIP {
	o.need("subnet_id")
	v := AdditionalVIP{SubnetID: o.uuid("subnet_id").value, Address: o.address("ip_address").value}
	o.uuid("port_id") // accepted and ignored, as upstream does
	o.notNull("subnet_id")
	return v
}

// loadBalancerOut is a load balancer as lists and single calls show it.
type loadBalancerOut struct {
	ID                 string             `json:"id"`
	Name               string             `json:"name"`
	Description        string             `json:"description"`
	ProvisioningStatus string             `json:"provisioning_status"`
	OperatingStatus    string             `json:"operating_status"`
	AdminStateUp       bool               `json:"admin_state_up"`
	ProjectID          *string            `json:"project_id"`
	TenantID           *string            `json:"tenant_id"`
	CreatedAt          *stamp             `json:"created_at"`
	UpdatedAt          *stamp             `json:"updated_at"`
	VIPAddress         *string            `json:"vip_address"`
	VIPPortID          *string            `json:"vip_port_id"`
	VIPSubnetID        *string            `json:"vip_subnet_id"`
	VIPNetworkID       *string            `json:"vip_network_id"`
	VIPQoSPolicyID     *string            `json:"vip_qos_policy_id"`
	VIPSGIDs           []string           `json:"vip_sg_ids"`
	VIPVNICType        string             `json:"vip_vnic_type"`
	AdditionalVIPs     []additionalVIPOut `json:"additional_vips"`
	Listeners          []ref              `json:"listeners"`
	Pools              []ref              `json:"pools"`
	Provider           string             `json:"provider"`
	FlavorID           *string            `json:"flavor_id"`
	AvailabilityZone   *string            `json:"availability_zone"`
	Tags               []string           `json:"tags"`
}

type additionalVIPOut struct {
	SubnetID  string  `json:"subnet_id"`
	IPAddress *string `json:"ip_address"`
	PortID    *string `json:"port_id"`
}

func (s *Server) loadBalancers() *resource[db.LoadBalancer, loadBalancerIn, loadBalancerOut] {
	return &resource[db.LoadBalancer, loadBalancerIn, loadBalancerOut]{
		s: s, kind: db.KindLoadBalancer, singular: "loadbalancer", plural: "loadbalancers", policy: "loadbalancer",
		putArg: "load_balancer", global: true,
		columns: columnsOf(
			"description", "provider", "flavor_id", "availability_zone", "topology", "server_group_id",
			"vip_address=vip.ip_address", "vip_network_id=vip.network_id", "vip_port_id=vip.port_id",
			"vip_subnet_id=vip.subnet_id", "vip_qos_policy_id=vip.qos_policy_id", "vip_vnic_type=vip.vnic_type"),
		id:           func(lb *db.LoadBalancer) string { return lb.ID },
		project:      func(lb *db.LoadBalancer) string { return deref(lb.ProjectID) },
		view:         viewLoadBalancers,
		decodeChange: decodeLoadBalancerChange,
		outside:      s.checkLoadBalancerChange,
		update:       updateLoadBalancer,
	}
}

func viewLoadBalancers(ctx context.Context, tx *db.Tx, rows []db.LoadBalancer) ([]loadBalancerOut, error) {
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	vips, err := tx.VIPs(ctx, ids)
	if err != nil {
		return nil, err
	}
	lists, err := tx.Lists(ctx, ids, db.ListSecurityGroups, db.ListListeners, db.ListPools, db.ListTags)
	if err != nil {
		return nil, err
	}
	out := make([]loadBalancerOut, len(rows))
	for i := range rows {
		lb, vip := &rows[i], vips[rows[i].ID]
		out[i] = loadBalancerOut{
			ID: lb.ID, Name: deref(lb.Name), Description: deref(lb.Description),
			ProvisioningStatus: lb.ProvisioningStatus, OperatingStatus: lb.OperatingStatus, AdminStateUp: lb.Enabled,
			ProjectID: lb.ProjectID, TenantID: lb.ProjectID,
			CreatedAt: stampOf(lb.CreatedAt), UpdatedAt: stampOf(lb.UpdatedAt),
			VIPAddress: vip.IPAddress, VIPPortID: vip.PortID, VIPSubnetID: vip.SubnetID,
			VIPNetworkID: vip.NetworkID, VIPQoSPolicyID: vip.QoSPolicyID, VIPVNICType: vip.VNICType,
			VIPSGIDs: orEmpty(lists.Of(lb.ID, db.ListSecurityGroups)), AdditionalVIPs: viewAdditionalVIPs(vip.Additional),
			Listeners: refs(lists.Of(lb.ID, db.ListListeners)...), Pools: refs(lists.Of(lb.ID, db.ListPools)...),
			Provider: db.ProviderOctavia, FlavorID: lb.FlavorID, AvailabilityZone: lb.AvailabilityZone,
			Tags: orEmpty(lists.Of(lb.ID, db.ListTags)),
		}
		if lb.Provider != nil {
			out[i].Provider = *lb.Provider
		}
	}
	return out, nil
}

func viewAdditionalVIPs(rows []db.AdditionalVIP) []additionalVIPOut {
	out := make([]additionalVIPOut, 0, len(rows))
	for _, v := range rows {
		out = append(out, additionalVIPOut{SubnetID: v.SubnetID, IPAddress: v.IPAddress, PortID: v.PortID})
	}
	return out
}

// checkLoadBalancerChange asks Neutron about what a PUT names.
func (s *Server) checkLoadBalancerChange(ctx context.Context, who Identity, at place, _ *db.LoadBalancer, in *loadBalancerIn) error {
	if in.vipSGs.set {
		if err := s.authorize(who, "loadbalancer:put:vip_sg_ids", at.projectID); err != nil {
			return err
		}
	}
	if in.vipQoS.set {
		if err := s.deps.VIP.CheckQoS(ctx, who.Token, in.vipQoS.value); err != nil {
			return err
		}
	}
	if len(in.vipSGs.value) > 0 {
		return s.deps.VIP.CheckSecurityGroups(ctx, who.Token, in.vipSGs.value)
	}
	return nil
}

func updateLoadBalancer(ctx context.Context, c *change, lb *db.LoadBalancer, in *loadBalancerIn) ([]string, error) {
	if err := updateVIP(ctx, c, in); err != nil {
		return nil, err
	}
	if in.tags.given() {
		if err := c.tx.SetTags(ctx, lb.ID, in.tags.value); err != nil {
			return nil, err
		}
	}
	var e edits
	putPtr(&e, "name", &lb.Name, in.name)
	putPtr(&e, "description", &lb.Description, in.description)
	put(&e, "enabled", &lb.Enabled, in.adminUp)
	return e.columns, nil
}

// updateVIP stores the QoS policy and security groups of a PUT.
func updateVIP(ctx context.Context, c *change, in *loadBalancerIn) error {
	if !in.vipQoS.set && !in.vipSGs.set {
		return nil
	}
	vip, err := db.Get[db.VIP](ctx, c.tx, c.lb.ID)
	if err != nil {
		return err
	}
	if vip.VNICType == vnicDirect && len(in.vipSGs.value) > 0 {
		return Invalid("VIP Security Groups are not allowed with VNIC direct type")
	}
	var e edits
	putPtr(&e, "qos_policy_id", &vip.QoSPolicyID, in.vipQoS)
	if err := db.Update(ctx, c.tx, vip, e.columns...); err != nil {
		return err
	}
	if in.vipSGs.set {
		return c.tx.SetVIPSecurityGroups(ctx, c.lb.ID, in.vipSGs.value)
	}
	return nil
}

// deleteLoadBalancer answers DELETE of a load balancer, which with cascade takes its children along.
func (s *Server) deleteLoadBalancer(c echo.Context) error {
	q := callOf(c)
	if err := q.only("cascade"); err != nil {
		return err
	}
	_, at, err := s.loadBalancers().locateRow(c, "delete")
	if err != nil {
		return err
	}
	err = s.change(c.Request().Context(), q.who, at, func(ctx context.Context, ch *change) error {
		return ch.deleteLoadBalancer(ctx, q.flag("cascade"))
	})
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (c *change) deleteLoadBalancer(ctx context.Context, cascade bool) error {
	children, err := c.tx.Lists(ctx, []string{c.lb.ID}, db.ListListeners, db.ListPools)
	if err != nil {
		return err
	}
	if len(children) > 0 && !cascade {
		return Invalid("Cannot delete Load Balancer " + c.lb.ID + " - it has children")
	}
	if err := c.tx.DeleteLocked(ctx, c.lb, c.s.cfg.PendingChanges); err != nil {
		return stateFault(err)
	}
	return c.emit(ctx, db.KindLoadBalancer, c.lb.ID, "Delete")
}
