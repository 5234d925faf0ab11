package api

import (
	"context"
	"fmt"
	"slices"

	"github.com/ottavino/ottavino/db"
)

// VNIC types.
const (
	vnicNormal = "normal"
	vnicDirect = "direct"
)

// memberIn is the body of a member POST or PUT, an element of a batch, or a member inside a
// load balancer POST.
type memberIn struct {
	name, address, subnetID field[string]
	adminUp, backup, sriov  field[bool]
	port, weight            field[int]
	monitorAddress          field[string]
	monitorPort             field[int]
	tags                    field[[]string]
	poolID                  string // from the path
}

func decodeMember(o *object) memberIn {
	o.projectID() // accepted and ignored: the load balancer's counts
	return decodeNestedMember(o)
}

func decodeNestedMember(o *object) memberIn {
	in := decodeMemberChange(o)
	o.need("address")
	in.address = o.address("address")
	o.need("protocol_port")
	in.port = o.integer("protocol_port", 1, 65535)
	in.subnetID = o.uuid("subnet_id")
	in.sriov = o.boolean("request_sriov")
	o.refuseNull("address", "protocol_port", "backup")
	o.defaults(map[string]any{"admin_state_up": true, "weight": 1, "backup": false, "request_sriov": false})
	return in
}

func decodeMemberChange(o *object) memberIn {
	return memberIn{
		name: o.text("name", 255), adminUp: o.boolean("admin_state_up"), weight: o.integer("weight", 0, 256),
		backup: o.boolean("backup"), monitorAddress: o.address("monitor_address"),
		monitorPort: o.integer("monitor_port", 1, 65535), tags: o.tags(),
	}
}

type memberOut struct {
	ID                 string   `json:"id"`
	Name               string   `json:"name"`
	OperatingStatus    string   `json:"operating_status"`
	ProvisioningStatus string   `json:"provisioning_status"`
	AdminStateUp       bool     `json:"admin_state_up"`
	Address            *string  `json:"address"`
	ProtocolPort       int      `json:"protocol_port"`
	Weight             *int     `json:"weight"`
	Backup             bool     `json:"backup"`
	SubnetID           *string  `json:"subnet_id"`
	ProjectID          *string  `json:"project_id"`
	TenantID           *string  `json:"tenant_id"`
	CreatedAt          *stamp   `json:"created_at"`
	UpdatedAt          *stamp   `json:"updated_at"`
	MonitorAddress     *string  `json:"monitor_address"`
	MonitorPort        *int     `json:"monitor_port"`
	Tags               []string `json:"tags"`
	VNICType           string   `json:"vnic_type"`
}

func (s *Server) members() *resource[db.Member, memberIn, memberOut] {
	return &resource[db.Member, memberIn, memberOut]{
		s: s, kind: db.KindMember, singular: "member", plural: "members", policy: "member",
		postArg: "member_", putArg: "member_", quota: db.QuotaMember,
		columns: columnsOf("address=ip_address", "protocol_port", "weight", "backup", "subnet_id",
			"monitor_address", "monitor_port", "vnic_type", "pool_id"),
		parent:       &parent{path: "pools", column: "pool_id", of: "Pool", project: poolProject},
		parentOf:     func(m *db.Member) string { return m.PoolID },
		id:           func(m *db.Member) string { return m.ID },
		project:      func(m *db.Member) string { return deref(m.ProjectID) },
		view:         viewMembers,
		decodeNew:    decodeMember,
		decodeChange: decodeMemberChange,
		locate: func(ctx context.Context, tx *db.Tx, parentID string, in *memberIn) (place, error) {
			in.poolID = parentID
			return locateBelowPool(ctx, tx, parentID)
		},
		outside: s.checkMemberOutside,
		check:   checkNewMember,
		create:  createMember,
		update:  updateMember,
		removable: func(ctx context.Context, c *change, m *db.Member) error {
			return c.poolMutable(ctx, m.PoolID)
		},
		marks: func(m *db.Member) marks { return marks{poolID: m.PoolID, pool: true} },
	}
}

func poolProject(ctx context.Context, tx *db.Tx, id string) (string, error) {
	p, err := db.Get[db.Pool](ctx, tx, id)
	if err != nil {
		return "", err
	}
	return deref(p.ProjectID), nil
}

// locateBelowPool finds the load balancer of a pool.
func locateBelowPool(ctx context.Context, tx *db.Tx, poolID string) (place, error) {
	p, err := db.Get[db.Pool](ctx, tx, poolID)
	if err != nil {
		return place{}, err
	}
	return place{deref(p.LoadBalancerID), deref(p.ProjectID)}, nil
}

func viewMembers(ctx context.Context, tx *db.Tx, rows []db.Member) ([]memberOut, error) {
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	lists, err := tx.Lists(ctx, ids, db.ListTags)
	out := make([]memberOut, len(rows))
	for i := range rows {
		m := &rows[i]
		out[i] = memberOut{
			ID: m.ID, Name: deref(m.Name), OperatingStatus: m.OperatingStatus, ProvisioningStatus: m.ProvisioningStatus,
			AdminStateUp: m.Enabled, Address: m.IPAddress, ProtocolPort: m.ProtocolPort, Weight: m.Weight,
			Backup: m.Backup, SubnetID: m.SubnetID, ProjectID: m.ProjectID, TenantID: m.ProjectID,
			CreatedAt: stampOf(m.CreatedAt), UpdatedAt: stampOf(m.UpdatedAt), MonitorAddress: m.MonitorAddress,
			MonitorPort: m.MonitorPort, Tags: orEmpty(lists.Of(m.ID, db.ListTags)), VNICType: m.VNICType,
		}
	}
	return out, err
}

// checkMemberOutside asks Neutron for the subnet of a new member.
func (s *Server) checkMemberOutside(ctx context.Context, who Identity, _ place, _ *db.Member, in *memberIn) error {
	if err := s.cfg.checkMemberAddress(in); err != nil {
		return err
	}
	if !in.subnetID.given() {
		return nil
	}
	return s.deps.VIP.SubnetExists(ctx, who.Token, in.subnetID.value)
}

// checkMemberAddress keeps members off addresses such as the metadata service's.
func (c Config) checkMemberAddress(in *memberIn) error {
	if c.reserved(in.address.value) {
		return notAnOption(in.address.value, "member address")
	}
	return nil
}

func checkNewMember(ctx context.Context, c *change, in *memberIn) error {
	if err := c.checkSRIOV(ctx, []memberIn{*in}); err != nil {
		return err
	}
	return c.poolMutable(ctx, in.poolID)
}

// checkSRIOV tests that the flavor lets new members have SR-IOV ports.
func (c *change) checkSRIOV(ctx context.Context, ins []memberIn) error {
	if !slices.ContainsFunc(ins, func(in memberIn) bool { return in.sriov.value }) {
		return nil
	}
	data, err := flavorData(ctx, c.tx, deref(c.lb.FlavorID))
	if err != nil {
		return err
	}
	if !data.memberSRIOV {
		return BadRequest("The load balancer flavor does not allow SR-IOV member ports.")
	}
	return nil
}

// poolMutable tests that the members and the monitor of a pool may change.
func (c *change) poolMutable(ctx context.Context, id string) error {
	p, err := db.Get[db.Pool](ctx, c.tx, id)
	if err != nil {
		return err
	}
	return c.mutable(db.KindPool, id, p.ProvisioningStatus)
}

func createMember(ctx context.Context, c *change, in *memberIn) (*db.Member, error) {
	rows, err := c.createMembers(ctx, in.poolID, []memberIn{*in})
	if err != nil {
		return nil, err
	}
	return &rows[0], nil
}

// createMembers checks new members of a pool and inserts their rows.
func (c *change) createMembers(ctx context.Context, poolID string, ins []memberIn) ([]db.Member, error) {
	pool, err := db.Get[db.Pool](ctx, c.tx, poolID)
	if err != nil {
		return nil, err
	}
	monitors, err := c.tx.Monitors(ctx, []string{pool.ID})
	if err != nil {
		return nil, err
	}
	_, monitored := monitors[pool.ID]
	listeners, err := c.tx.ListenersOfPool(ctx, pool.ID)
	if err != nil {
		return nil, err
	}
	if len(listeners) > 0 {
		if err := c.checkMemberFamilies(ctx, pool.Protocol, ins); err != nil {
			return nil, err
		}
	}
	return c.insertMembers(ctx, poolID, ins, monitored)
}

// checkMemberFamilies refuses members that a datagram pool cannot reach from any VIP.
func (c *change) checkMemberFamilies(ctx context.Context, protocol string, ins []memberIn) error {
	if !datagram(protocol) || !c.lb.HasAmphorae() {
		return nil
	}
	addresses, err := c.vipAddresses(ctx)
	if err != nil {
		return err
	}
	for i := range ins {
		v6 := isIPv6(ins[i].address.value)
		if !slices.ContainsFunc(addresses, func(a string) bool { return isIPv6(a) == v6 }) {
			return unsupportedOption(providerOf(c.lb), "This provider doesn't support mixing IPv4 and IPv6 addresses for its VIP and members in "+
				protocol+" load balancers.")
		}
	}
	return nil
}

// insertMembers inserts the rows of new members of a pool.
func (c *change) insertMembers(ctx context.Context, poolID string, ins []memberIn, monitored bool) ([]db.Member, error) {
	rows, tags, seen := make([]db.Member, len(ins)), map[string][]string{}, map[string]bool{}
	for i := range ins {
		in := &ins[i]
		if seen[in.endpoint()] {
			return nil, conflict(endpointTaken(in))
		}
		seen[in.endpoint()] = true
		rows[i] = c.newMember(poolID, in, monitored)
		if len(in.tags.value) > 0 {
			tags[rows[i].ID] = in.tags.value
		}
	}
	if err := db.InsertAll(ctx, c.tx, rows); err != nil {
		if len(ins) == 1 {
			err = orDuplicate(err, endpointTaken(&ins[0]))
		}
		return nil, err
	}
	return rows, c.tx.SetTagsOf(ctx, tags)
}

func endpointTaken(in *memberIn) string {
	return fmt.Sprintf("Another member on this pool is already using ip %s on protocol_port %d", in.address.value, in.port.value)
}

func (c *change) newMember(poolID string, in *memberIn, monitored bool) db.Member {
	m := db.Member{
		ID: c.s.deps.NewID(), ProjectID: &c.projectID, PoolID: poolID, Name: in.name.ptr(),
		Enabled: in.adminUp.absentOr(true), IPAddress: in.address.ptr(), ProtocolPort: in.port.value,
		Weight: absentPtr(in.weight, 1), Backup: in.backup.value, SubnetID: in.subnetID.ptr(),
		MonitorAddress: in.monitorAddress.ptr(), MonitorPort: in.monitorPort.ptr(), VNICType: vnicNormal,
		ProvisioningStatus: db.PendingCreate, OperatingStatus: db.NoMonitor,
	}
	if monitored {
		m.OperatingStatus = db.Offline
	}
	if in.sriov.value {
		m.VNICType = vnicDirect
	}
	return m
}

func updateMember(ctx context.Context, c *change, m *db.Member, in *memberIn) ([]string, error) {
	if err := c.poolMutable(ctx, m.PoolID); err != nil {
		return nil, err
	}
	if in.tags.given() {
		if err := c.tx.SetTags(ctx, m.ID, in.tags.value); err != nil {
			return nil, err
		}
	}
	var e edits
	putPtr(&e, "name", &m.Name, in.name)
	put(&e, "enabled", &m.Enabled, in.adminUp)
	putPtrOr(&e, "weight", &m.Weight, in.weight, 1)
	put(&e, "backup", &m.Backup, in.backup)
	putPtr(&e, "monitor_address", &m.MonitorAddress, in.monitorAddress)
	putPtr(&e, "monitor_port", &m.MonitorPort, in.monitorPort)
	return e.columns, nil
}
