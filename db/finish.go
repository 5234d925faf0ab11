package db

import (
	"context"
	"fmt"
)

// FinishChange writes that a load balancer and all below it are applied as t says: objects that were to go are removed
// and given back to the quota, all others become ACTIVE, except the blamed ones (by id), which become ERROR. The load
// balancer is unlocked last. The caller makes sure that t is current.
func (tx *Tx) FinishChange(ctx context.Context, t *Tree, blamed map[string]bool) error {
	f := finisher{tx: tx, blamed: blamed, projects: map[string]map[QuotaResource]int{}}
	for i := range t.Listeners {
		f.listener(ctx, &t.Listeners[i])
	}
	for i := range t.Pools {
		f.pool(ctx, &t.Pools[i])
	}
	f.giveBack(ctx)
	if f.err != nil {
		return f.err
	}
	return finishRow(ctx, tx, &t.LoadBalancer, t.LoadBalancer.ProvisioningStatus, Active)
}

// finisher keeps the first error, so that walking the tree reads as what it does.
type finisher struct {
	tx       *Tx
	blamed   map[string]bool
	projects map[string]map[QuotaResource]int // what goes back to whose quota
	err      error
}

func (f *finisher) gone(project *string, r QuotaResource) {
	id := deref(project)
	if f.projects[id] == nil {
		f.projects[id] = map[QuotaResource]int{}
	}
	f.projects[id][r]++
}

func (f *finisher) giveBack(ctx context.Context) {
	for project, counts := range f.projects {
		for r, n := range counts {
			if f.err == nil {
				f.err = f.tx.TakeQuota(ctx, project, r, -n, nil)
			}
		}
	}
}

// end is the status an object gets; remove says that its row goes.
func (f *finisher) end(id string, was ProvisioningStatus) (now ProvisioningStatus, remove bool) {
	switch {
	case was == PendingDelete:
		return was, true
	case f.blamed[id]:
		return Error, false
	}
	return Active, false
}

// settle finishes one row: it is removed, with its quota, or gets its status.
func settle[M any](ctx context.Context, f *finisher, row *M, id string, project *string, was ProvisioningStatus, r QuotaResource) (removed bool) {
	if f.err != nil {
		return false
	}
	now, remove := f.end(id, was)
	if !remove {
		f.err = finishRow(ctx, f.tx, row, was, now)
		return false
	}
	f.gone(project, r)
	f.err = Delete[M](ctx, f.tx, id)
	return true
}

// finishRow writes a row's provisioning status unless it has it.
func finishRow[M any](ctx context.Context, tx *Tx, row *M, was, now ProvisioningStatus) error {
	if was == now {
		return nil
	}
	*provisioningOf(row) = now
	return Update(ctx, tx, row, "provisioning_status")
}

// provisioningOf points to a row's provisioning status.
func provisioningOf(row any) *string {
	switch r := row.(type) {
	case *LoadBalancer:
		return &r.ProvisioningStatus
	case *Listener:
		return &r.ProvisioningStatus
	case *Pool:
		return &r.ProvisioningStatus
	case *Member:
		return &r.ProvisioningStatus
	case *HealthMonitor:
		return &r.ProvisioningStatus
	case *L7Policy:
		return &r.ProvisioningStatus
	case *L7Rule:
		return &r.ProvisioningStatus
	}
	panic(fmt.Sprintf("%T has no provisioning status", row))
}

func (f *finisher) listener(ctx context.Context, l *ListenerTree) {
	goes := l.ProvisioningStatus == PendingDelete
	for i := range l.Policies {
		f.policy(ctx, &l.Policies[i], goes)
	}
	settle(ctx, f, &l.Listener, l.ID, l.ProjectID, l.ProvisioningStatus, QuotaListener)
}

func (f *finisher) policy(ctx context.Context, p *L7PolicyTree, parentGoes bool) {
	if parentGoes {
		p.ProvisioningStatus = PendingDelete
	}
	goes := p.ProvisioningStatus == PendingDelete
	for i := range p.Rules {
		r := &p.Rules[i]
		if goes {
			r.ProvisioningStatus = PendingDelete
		}
		if !settle(ctx, f, r, r.ID, r.ProjectID, r.ProvisioningStatus, QuotaL7Rule) {
			f.working(ctx, r, &r.OperatingStatus, r.Enabled)
		}
	}
	if !settle(ctx, f, &p.L7Policy, p.ID, p.ProjectID, p.ProvisioningStatus, QuotaL7Policy) {
		f.working(ctx, &p.L7Policy, &p.OperatingStatus, p.Enabled)
	}
}

// working sets the operating status of objects that no heartbeat speaks of.
func (f *finisher) working(ctx context.Context, row any, status *string, enabled bool) {
	now := Offline
	if enabled {
		now = Online
	}
	if f.err != nil || *status == now {
		return
	}
	*status = now
	switch r := row.(type) {
	case *HealthMonitor:
		f.err = Update(ctx, f.tx, r, "operating_status")
	case *L7Policy:
		f.err = Update(ctx, f.tx, r, "operating_status")
	case *L7Rule:
		f.err = Update(ctx, f.tx, r, "operating_status")
	}
}

func (f *finisher) pool(ctx context.Context, p *PoolTree) {
	goes := p.ProvisioningStatus == PendingDelete
	if m := p.Monitor; m != nil {
		if goes {
			m.ProvisioningStatus = PendingDelete
		}
		if settle(ctx, f, m, m.ID, m.ProjectID, m.ProvisioningStatus, QuotaHealthMonitor) {
			f.unmonitor(ctx, p)
		} else {
			f.working(ctx, m, &m.OperatingStatus, m.Enabled)
		}
	}
	for i := range p.Members {
		m := &p.Members[i]
		if goes {
			m.ProvisioningStatus = PendingDelete
		}
		settle(ctx, f, m, m.ID, m.ProjectID, m.ProvisioningStatus, QuotaMember)
	}
	settle(ctx, f, &p.Pool, p.ID, p.ProjectID, p.ProvisioningStatus, QuotaPool)
}

// unmonitor says of the members of a pool that nobody checks them any more.
func (f *finisher) unmonitor(ctx context.Context, p *PoolTree) {
	for i := range p.Members {
		m := &p.Members[i]
		if f.err == nil && m.OperatingStatus != NoMonitor {
			m.OperatingStatus = NoMonitor
			f.err = Update(ctx, f.tx, m, "operating_status")
		}
	}
}

// FinishDelete writes that a load balancer is gone: its children are removed, its amphorae and itself DELETED, the quota
// is given back, and the work is done for good.
func (tx *Tx) FinishDelete(ctx context.Context, t *Tree) error {
	f := finisher{tx: tx, projects: map[string]map[QuotaResource]int{}}
	for i := range t.Listeners {
		t.Listeners[i].ProvisioningStatus = PendingDelete
		f.listener(ctx, &t.Listeners[i])
	}
	for i := range t.Pools {
		t.Pools[i].ProvisioningStatus = PendingDelete
		f.pool(ctx, &t.Pools[i])
	}
	f.gone(t.LoadBalancer.ProjectID, QuotaLoadBalancer)
	f.giveBack(ctx)
	if f.err != nil {
		return f.err
	}
	for i := range t.Amphorae {
		if err := tx.FinishAmphora(ctx, &t.Amphorae[i]); err != nil {
			return err
		}
	}
	if err := tx.ForgetSecretCopies(ctx, t.LoadBalancer.ID, nil); err != nil {
		return err
	}
	if err := finishRow(ctx, tx, &t.LoadBalancer, t.LoadBalancer.ProvisioningStatus, Deleted); err != nil {
		return err
	}
	return tx.ForgetWork(ctx, t.LoadBalancer.ID)
}

// FinishAmphora writes that an amphora is gone.
func (tx *Tx) FinishAmphora(ctx context.Context, a *Amphora) error {
	if _, err := DeleteWhere[AmphoraHealth](ctx, tx, "amphora_id = ?", a.ID); err != nil {
		return err
	}
	if _, err := DeleteWhere[AmphoraMemberPort](ctx, tx, "amphora_id = ?", a.ID); err != nil {
		return err
	}
	if _, err := DeleteWhere[AmphoraRequest](ctx, tx, "amphora_id = ?", a.ID); err != nil {
		return err
	}
	a.Status = Deleted
	return Update(ctx, tx, a, "status")
}

// GiveUp shows that a load balancer cannot be brought to what was asked for now: what was to be made or changed becomes
// ERROR. What is to go stays PENDING_DELETE, since that is the only record of the wish. The work goes on.
func (tx *Tx) GiveUp(ctx context.Context, lbID string) error {
	t, err := tx.Tree(ctx, lbID)
	if err != nil {
		return err
	}
	g := giver{ctx: ctx, tx: tx}
	for i := range t.Listeners {
		l := &t.Listeners[i]
		for j := range l.Policies {
			p := &l.Policies[j]
			for k := range p.Rules {
				surrender(&g, &p.Rules[k])
			}
			surrender(&g, &p.L7Policy)
		}
		surrender(&g, &l.Listener)
	}
	for i := range t.Pools {
		p := &t.Pools[i]
		for j := range p.Members {
			surrender(&g, &p.Members[j])
		}
		if p.Monitor != nil {
			surrender(&g, p.Monitor)
		}
		surrender(&g, &p.Pool)
	}
	surrender(&g, &t.LoadBalancer)
	return g.err
}

type giver struct {
	ctx context.Context //nolint:containedctx // lives for one walk over the tree
	tx  *Tx
	err error
}

func surrender[M any](g *giver, row *M) {
	if was := *provisioningOf(row); g.err == nil && (was == PendingCreate || was == PendingUpdate) {
		g.err = finishRow(g.ctx, g.tx, row, was, Error)
	}
}
