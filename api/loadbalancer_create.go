package api

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/obs"
)

const (
	// recordFor is how long a create may take before a worker looks for what it left behind.
	recordFor = 2 * time.Minute
	// undoTimeout bounds the removal of a VIP port after a failed create.
	undoTimeout = 30 * time.Second
)

// creation is a load balancer POST on its way.
type creation struct {
	s         *Server
	call      *call
	who       Identity
	in        *loadBalancerIn
	id        string
	projectID string
	settings  lbSettings
	graph     graph
	vip       VIPRequest
}

// createLoadBalancer answers POST of a load balancer, alone or with all below it. The VIP's
// port is made before the rows: a record for the worker is written first, so that a port
// without rows is found when this process ends between the two.
func (s *Server) createLoadBalancer(c echo.Context) error {
	in, err := s.decodeNewLoadBalancer(c)
	if err != nil {
		return err
	}
	cr := &creation{s: s, call: callOf(c), who: callOf(c).who, in: &in, id: s.deps.NewID()}
	ctx := c.Request().Context()
	if err := cr.check(ctx); err != nil {
		return err
	}
	ctx = obs.With(ctx, obs.IDs{LoadBalancerID: cr.id, ProjectID: cr.projectID})
	out, err := cr.run(ctx)
	if err != nil {
		return err
	}
	return s.writeOne(c, http.StatusCreated, "loadbalancer", out)
}

func (s *Server) decodeNewLoadBalancer(c echo.Context) (loadBalancerIn, error) {
	var in loadBalancerIn
	if err := callOf(c).only(); err != nil {
		return in, err
	}
	body, err := s.readBody(c)
	if err != nil {
		return in, err
	}
	o, err := openBody("load_balancer", "loadbalancer", body)
	if err != nil {
		return in, err
	}
	in = decodeLoadBalancer(o)
	return in, o.done()
}

// check tests all that can be tested before anything is written, in upstream's order.
func (cr *creation) check(ctx context.Context) error {
	cr.projectID = cmp.Or(cr.in.project.value, cr.who.ProjectID)
	if cr.projectID == "" {
		return Invalid("Missing project ID in request where one is required. " +
			"An administrator should check the keystone settings in the Octavia configuration.")
	}
	if err := cr.s.authorize(cr.who, "loadbalancer:post", cr.projectID); err != nil {
		return err
	}
	if cr.in.vipSGs.set {
		if err := cr.s.authorize(cr.who, "loadbalancer:post:vip_sg_ids", cr.projectID); err != nil {
			return err
		}
	}
	// The zone decides which networks are valid, but upstream complains about the VIP first.
	settingsErr := cr.s.deps.Store.Read(ctx, func(ctx context.Context, tx *db.Tx) error {
		var err error
		cr.settings, err = cr.s.settingsFor(ctx, tx, cr.in)
		return err
	})
	if err := cr.resolveVIP(ctx); err != nil {
		return err
	}
	if settingsErr != nil {
		return settingsErr
	}
	if err := cr.s.checkProfiles(ctx, &cr.settings); err != nil {
		return err
	}
	if cr.settings.vnicType == vnicDirect && len(cr.in.vipSGs.value) > 0 {
		return Invalid("VIP Security Groups are not allowed with VNIC direct type")
	}
	var err error
	if cr.graph, err = planGraph(cr.in); err != nil {
		return err
	}
	return cr.graph.readMaterial(ctx, cr.s, cr.who)
}

func (cr *creation) resolveVIP(ctx context.Context) error {
	in := cr.in
	cr.vip = VIPRequest{
		ProjectID: cr.projectID, Address: in.vipAddress.value, SubnetID: in.vipSubnet.value,
		NetworkID: in.vipNetwork.value, PortID: in.vipPort.value, QoSPolicyID: in.vipQoS.value,
		QoSGiven: in.vipQoS.set, SecurityGroupIDs: in.vipSGs.value, Additional: in.additional.value,
		Topology: cr.s.cfg.Topology, ValidNetworks: cr.settings.validNetworks, UserToken: cr.who.Token,
	}
	found, err := cr.s.deps.VIP.Resolve(ctx, cr.vip)
	if err != nil {
		return err
	}
	cr.vip.Address, cr.vip.SubnetID, cr.vip.NetworkID = found.Address, found.SubnetID, found.NetworkID
	cr.vip.QoSPolicyID, cr.vip.LoadBalancerID = found.QoSPolicyID, cr.id
	cr.vip.Topology = cr.settings.topology
	return nil
}

// run writes the record, makes the port and writes the rows.
func (cr *creation) run(ctx context.Context) (*loadBalancerFull, error) {
	if cr.settings.driver.noop {
		return cr.store(ctx, cr.noopVIP())
	}
	store := cr.s.deps.Store
	err := store.Tx(ctx, func(ctx context.Context, tx *db.Tx) error {
		// So that no port is made in vain; it is taken with the rows.
		if err := cr.testQuota(ctx, tx); err != nil {
			return err
		}
		return tx.Record(ctx, cr.id, tx.Now().Add(recordFor))
	})
	if err != nil {
		return nil, err
	}
	vip, err := cr.s.deps.VIP.Create(ctx, cr.vip)
	if err != nil {
		cr.undo(ctx, "")
		return nil, err
	}
	out, err := cr.store(ctx, vip)
	if err != nil {
		cr.undo(ctx, vip.PortID)
		return nil, err
	}
	return out, nil
}

// store writes the rows and reads the answer from them.
func (cr *creation) store(ctx context.Context, vip VIPResult) (*loadBalancerFull, error) {
	var out *loadBalancerFull
	err := cr.s.deps.Store.Tx(ctx, func(ctx context.Context, tx *db.Tx) error {
		lb, err := cr.insert(ctx, tx, vip)
		if err != nil {
			return err
		}
		if out, err = viewFull(ctx, tx, lb); err != nil {
			return err
		}
		return cr.call.keep(ctx, tx, "loadbalancer", out)
	})
	return out, err
}

// noopVIP is what upstream's noop driver says of any VIP: nothing is made.
func (cr *creation) noopVIP() VIPResult {
	r := cr.vip
	return VIPResult{
		PortID: cmp.Or(r.PortID, cr.s.deps.NewID()), Address: cmp.Or(r.Address, "198.0.2.5"), SubnetID: r.SubnetID,
		NetworkID: r.NetworkID, QoSPolicyID: r.QoSPolicyID, Additional: r.Additional,
	}
}

func (cr *creation) testQuota(ctx context.Context, tx *db.Tx) error {
	if cr.s.cfg.AuthStrategy == AuthNoAuth {
		return nil
	}
	return tx.TestQuota(ctx, cr.projectID, db.QuotaLoadBalancer, 1, cr.s.cfg.Quotas)
}

// undo removes the port of a load balancer that got no rows. When that fails too, the worker
// will find the record.
func (cr *creation) undo(ctx context.Context, portID string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if err := cr.s.deps.VIP.Delete(ctx, cr.id, portID); err != nil {
		cr.s.deps.Log.WarnContext(ctx, "port of a failed create not removed, a worker will retry", "error", err)
		return
	}
	err := cr.s.deps.Store.Tx(ctx, func(ctx context.Context, tx *db.Tx) error { return tx.ForgetWork(ctx, cr.id) })
	if err != nil {
		cr.s.deps.Log.WarnContext(ctx, "record of a failed create not removed", "error", err)
	}
}

// insert writes all rows of a load balancer and returns its own.
func (cr *creation) insert(ctx context.Context, tx *db.Tx, vip VIPResult) (*db.LoadBalancer, error) {
	c := &change{s: cr.s, tx: tx, who: cr.who, projectID: cr.projectID, lb: cr.row()}
	if err := c.take(ctx, db.QuotaLoadBalancer, 1); err != nil {
		return nil, err
	}
	if err := db.Insert(ctx, tx, c.lb); err != nil {
		return nil, err
	}
	if err := cr.insertVIP(ctx, tx, vip); err != nil {
		return nil, err
	}
	if err := tx.SetTags(ctx, cr.id, cr.in.tags.value); err != nil {
		return nil, err
	}
	if err := cr.graph.insert(ctx, c); err != nil {
		return nil, err
	}
	if c.lb.HasAmphorae() {
		if err := tx.Touch(ctx, cr.id); err != nil {
			return nil, err
		}
	}
	return c.lb, c.emit(ctx, db.KindLoadBalancer, cr.id, "Create")
}

func (cr *creation) row() *db.LoadBalancer {
	in := cr.in
	return &db.LoadBalancer{
		ID: cr.id, ProjectID: &cr.projectID, Name: in.name.ptr(), Description: in.description.ptr(),
		ProvisioningStatus: db.PendingCreate, OperatingStatus: db.Offline, Enabled: in.adminUp.absentOr(true),
		Topology: &cr.settings.topology, Provider: &cr.settings.provider, FlavorID: in.flavor.ptr(),
		AvailabilityZone: in.zone.ptr(),
	}
}

func (cr *creation) insertVIP(ctx context.Context, tx *db.Tx, vip VIPResult) error {
	err := db.Insert(ctx, tx, &db.VIP{
		LoadBalancerID: cr.id, IPAddress: orNil(vip.Address), PortID: orNil(vip.PortID), SubnetID: orNil(vip.SubnetID),
		NetworkID: orNil(vip.NetworkID), QoSPolicyID: orNil(vip.QoSPolicyID), OctaviaOwned: &vip.OctaviaOwned,
		VNICType: cr.settings.vnicType,
	})
	if err != nil {
		return err
	}
	for _, a := range vip.Additional {
		// Upstream's noop driver knows of no other port than the one that was asked for.
		row := db.AdditionalVIP{LoadBalancerID: cr.id, SubnetID: a.SubnetID, IPAddress: orNil(a.Address), PortID: orNil(cr.vip.PortID)}
		if !cr.settings.driver.noop {
			row.PortID, row.NetworkID = orNil(vip.PortID), orNil(vip.NetworkID)
		}
		err := db.Insert(ctx, tx, &row)
		if err != nil {
			return err
		}
	}
	return tx.SetVIPSecurityGroups(ctx, cr.id, cr.in.vipSGs.value)
}

// orNil is the text, nil for "".
func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
