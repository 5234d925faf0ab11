package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/ottavino/ottavino/db"
)

// updateMembers answers PUT …/members: the pool's members become those of the body, at once
// or not at all. With additive_only none is removed.
func (s *Server) updateMembers(c echo.Context) error {
	q := callOf(c)
	if err := q.only("additive_only"); err != nil {
		return err
	}
	wanted, err := s.decodeMembers(c)
	if err != nil {
		return err
	}
	additive, poolID := q.flag("additive_only"), c.Param("parent")
	at, old, err := s.locateBatch(c, additive)
	if err != nil {
		return err
	}
	fresh := newMembers(old, wanted)
	if err := s.checkBatchOutside(c.Request().Context(), q.who, fresh); err != nil {
		return err
	}
	if len(wanted) == 0 && len(old) == 0 {
		return c.NoContent(http.StatusAccepted)
	}
	err = s.change(c.Request().Context(), q.who, at, func(ctx context.Context, ch *change) error {
		return ch.applyBatch(ctx, poolID, wanted, additive)
	})
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

func (s *Server) decodeMembers(c echo.Context) ([]memberIn, error) {
	body, err := s.readBody(c)
	if err != nil {
		return nil, err
	}
	doc := document{arg: "members_", body: body}
	raw, err := unwrap(doc, "members")
	if err != nil {
		return nil, err
	}
	return decodeList(doc, "members_.members", raw, decodeMember)
}

// locateBatch finds the pool of a batch and its members, if the caller may do all of it.
func (s *Server) locateBatch(c echo.Context, additive bool) (place, []db.Member, error) {
	var at place
	var old []db.Member
	poolID, who := c.Param("parent"), callOf(c).who
	err := s.deps.Store.Read(c.Request().Context(), func(ctx context.Context, tx *db.Tx) error {
		var err error
		if _, err = s.members().parentProject(ctx, tx, poolID); err != nil {
			return err
		}
		if at, err = locateBelowPool(ctx, tx, poolID); err != nil {
			return err
		}
		actions := []string{"post", "put", "delete"}
		if additive {
			actions = actions[:2]
		}
		for _, a := range actions {
			if err := s.authorize(who, "member:"+a, at.projectID); err != nil {
				return err
			}
		}
		old, err = liveMembers(ctx, tx, poolID)
		return err
	})
	return at, old, err
}

func liveMembers(ctx context.Context, tx *db.Tx, poolID string) ([]db.Member, error) {
	return db.List[db.Member](ctx, tx, db.ListQuery{Filters: []db.Filter{{Column: "pool_id", Value: poolID}}})
}

// endpoint is what makes a member of a pool unique.
func endpoint(address string, port int) string { return address + " " + strconv.Itoa(port) }

func (in *memberIn) endpoint() string { return endpoint(in.address.value, in.port.value) }

// newMembers are those wanted that are not there yet.
func newMembers(old []db.Member, wanted []memberIn) []*memberIn {
	known := map[string]bool{}
	for i := range old {
		known[endpoint(deref(old[i].IPAddress), old[i].ProtocolPort)] = true
	}
	var fresh []*memberIn
	for i := range wanted {
		if !known[wanted[i].endpoint()] {
			fresh = append(fresh, &wanted[i])
		}
	}
	return fresh
}

// checkBatchOutside checks addresses, and asks Neutron once for each new subnet.
func (s *Server) checkBatchOutside(ctx context.Context, who Identity, fresh []*memberIn) error {
	seen := map[string]bool{}
	for _, in := range fresh {
		if err := s.cfg.checkMemberAddress(in); err != nil {
			return err
		}
	}
	for _, in := range fresh {
		if !in.subnetID.given() || seen[in.subnetID.value] {
			continue
		}
		seen[in.subnetID.value] = true
		if err := s.deps.VIP.SubnetExists(ctx, who.Token, in.subnetID.value); err != nil {
			return err
		}
	}
	return nil
}

// batch is what a PUT of all members comes to.
type batch struct {
	create []memberIn
	update []memberUpdate
	remove []string // ids
}

type memberUpdate struct {
	row *db.Member
	in  *memberIn
}

func planBatch(old []db.Member, wanted []memberIn, additive bool) (batch, error) {
	var b batch
	rows := map[string]*db.Member{}
	for i := range old {
		rows[endpoint(deref(old[i].IPAddress), old[i].ProtocolPort)] = &old[i]
	}
	kept := map[string]bool{}
	for i := range wanted {
		row, there := rows[wanted[i].endpoint()]
		switch {
		case !there:
			b.create = append(b.create, wanted[i])
		case kept[row.ID]:
			return b, Invalid("Member must be updated only once in the same request.")
		default:
			kept[row.ID] = true
			b.update = append(b.update, memberUpdate{row, &wanted[i]})
		}
	}
	for i := range old {
		if !additive && !kept[old[i].ID] && old[i].ProvisioningStatus != db.PendingDelete {
			b.remove = append(b.remove, old[i].ID)
		}
	}
	return b, nil
}

// applyBatch is the transaction of a batch.
func (c *change) applyBatch(ctx context.Context, poolID string, wanted []memberIn, additive bool) error {
	if err := c.poolMutable(ctx, poolID); err != nil {
		return err
	}
	if err := c.begin(ctx); err != nil {
		return err
	}
	old, err := liveMembers(ctx, c.tx, poolID)
	if err != nil {
		return err
	}
	b, err := planBatch(old, wanted, additive)
	if err != nil {
		return err
	}
	if err := c.takeBatch(ctx, b); err != nil {
		return err
	}
	if err := c.writeBatch(ctx, poolID, b); err != nil {
		return err
	}
	if err := c.mark(ctx, marks{poolID: poolID, pool: true}); err != nil {
		return err
	}
	return c.emit(ctx, db.KindPool, poolID, "MemberUpdate")
}

// takeBatch tests the growth only, but counts all that is new: the worker gives back what is
// removed one by one.
func (c *change) takeBatch(ctx context.Context, b batch) error {
	if growth := len(b.create) - len(b.remove); growth > 0 {
		if err := c.take(ctx, db.QuotaMember, growth); err != nil {
			return err
		}
	}
	if replaced := min(len(b.create), len(b.remove)); replaced > 0 && c.s.cfg.AuthStrategy != AuthNoAuth {
		return c.tx.CountQuota(ctx, c.projectID, db.QuotaMember, replaced)
	}
	return nil
}

// writeBatch writes a batch in a number of statements that does not depend on its size.
func (c *change) writeBatch(ctx context.Context, poolID string, b batch) error {
	if len(b.create) > 0 {
		if err := c.checkSRIOV(ctx, b.create); err != nil {
			return err
		}
		if _, err := c.createMembers(ctx, poolID, b.create); err != nil {
			return err
		}
	}
	if err := c.resetMembers(ctx, b.update); err != nil {
		return err
	}
	if len(b.remove) == 0 {
		return nil
	}
	return c.tx.MarkPending(ctx, db.KindMember, db.PendingDelete, b.remove...)
}

// resetMembers changes members as a batch does.
func (c *change) resetMembers(ctx context.Context, updates []memberUpdate) error {
	rows, tags := make([]db.Member, len(updates)), map[string][]string{}
	for i, u := range updates {
		u.reset()
		rows[i] = *u.row
		if u.in.tags.given() {
			tags[u.row.ID] = u.in.tags.value
		}
	}
	err := db.UpdateAll(ctx, c.tx, rows, "name", "subnet_id", "enabled", "backup", "weight", "monitor_address",
		"monitor_port", "provisioning_status")
	if err != nil {
		return err
	}
	return c.tx.SetTagsOf(ctx, tags)
}

// reset gives what the body leaves out its default back, except name, tags and subnet.
func (u memberUpdate) reset() {
	m, in := u.row, u.in
	var e edits // of all rows the same columns are written
	putPtr(&e, "name", &m.Name, in.name)
	putPtr(&e, "subnet_id", &m.SubnetID, in.subnetID)
	m.Enabled, m.Backup = in.adminUp.absentOr(true), in.backup.value
	m.Weight, m.MonitorAddress, m.MonitorPort = absentPtr(in.weight, 1), in.monitorAddress.ptr(), in.monitorPort.ptr()
	if m.ProvisioningStatus != db.PendingCreate { // PENDING_DELETE: wanted again before it was gone
		m.ProvisioningStatus = db.PendingUpdate
	}
}
