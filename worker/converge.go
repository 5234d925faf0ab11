package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/haproxy"
	"github.com/ottavino/ottavino/db"
)

// converge makes the cloud match the rows, as far as it gets in one pass. The order of steps keeps
// passes that wait for a server cheap: nothing else is looked at before its agent answers.
func (p *pass) converge(ctx context.Context) error {
	if err := p.unservable(); err != nil {
		return err
	}
	a, err := p.amphora(ctx)
	if err != nil {
		return err
	}
	networks, err := p.ensureMemberPorts(ctx, a)
	if err != nil {
		return err
	}
	err = p.apply(ctx, a)
	if unanswered(err) {
		return err
	}
	broken := p.applyListeners(ctx, a)
	if err != nil {
		return err
	}
	if broken != nil && !p.onlyBlamed(broken) {
		return broken
	}
	if err := p.admit(ctx, a); err != nil {
		return err
	}
	if err := p.awaitSecrets(); err != nil {
		return err
	}
	fresh := p.beginsToGo(a)
	rest := p.removeDoomed(ctx, a)
	if rest != nil && fresh {
		return rest
	}
	if err := p.finish(ctx, a); err != nil {
		return err
	}
	if err := p.dropMemberPorts(ctx, a, networks); err != nil {
		return err
	}
	return errors.Join(rest, broken)
}

// unservable is why nothing can be made of the rows; nil = something can.
func (p *pass) unservable() error {
	lb := p.tree.LoadBalancer
	if t := deref(lb.Topology); t != "" && t != topologySingle {
		return &failure{"TopologyNotSupported", db.KindLoadBalancer, lb.ID, fmt.Errorf("topology %s is not supported yet", t)}
	}
	if deref(p.tree.VIP.IPAddress) == "" {
		return &failure{"VIPWithoutAddress", db.KindLoadBalancer, lb.ID, errors.New("the load balancer has no VIP address: its creation was never finished; delete it")}
	}
	return nil
}

// amphora makes one that answers and has the VIP.
func (p *pass) amphora(ctx context.Context) (*db.Amphora, error) {
	a, err := p.wantedAmphora(ctx)
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context, *db.Amphora) error{p.ensureServer, p.ensureAgent, p.configureAgent, p.retire} {
		if err := step(ctx, a); err != nil {
			return nil, err
		}
	}
	group, err := p.ensureGroup(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.ensureVIPPort(ctx, group); err != nil {
		return nil, err
	}
	return a, p.ensureBasePort(ctx, a, group)
}

// beginsToGo says that an amphora that was replaced has not been going away for long. Who sees a load balancer ACTIVE
// after a failover expects the old one to be gone; but a Nova that cannot delete a server, as when its host is dead,
// must not lock the load balancer.
func (p *pass) beginsToGo(successor *db.Amphora) bool {
	return slices.ContainsFunc(p.tree.Amphorae, func(a db.Amphora) bool {
		return a.ID != successor.ID && doomed(a) &&
			(a.Status != db.PendingDelete || p.Now().Sub(lateSince(&a)) < p.cfg.RemovalPatience)
	})
}

// apply has the agent run what the rows say. What cannot be rendered is left out and blamed, so that its siblings
// are served.
func (p *pass) apply(ctx context.Context, a *db.Amphora) error {
	target, err := target(a)
	if err != nil {
		return err
	}
	if p.cfg.NoHAProxy {
		return p.applyOnce(ctx, a, target)
	}
	p.measure(ctx, a, target)
	if err := p.readSecrets(ctx); err != nil {
		return err
	}
	if err := p.keepServing(a); err != nil {
		return err
	}
	for {
		refusal := p.applyOnce(ctx, a, target)
		again, err := p.withoutRefused(ctx, refusal)
		if err == nil && !again {
			again, err = p.withoutCulprits(ctx, target, refusal)
		}
		if err != nil {
			return err
		}
		if !again {
			return refusal
		}
	}
}

func (p *pass) applyOnce(ctx context.Context, a *db.Amphora, target amphora.Target) error {
	cfg, ok, err := p.render(a)
	if err != nil {
		return err
	}
	// What runs of a refused listener is better than nothing.
	if !ok && (len(p.refused.keep) > 0 || p.calm || len(p.tree.Listeners) == 0 && a.Status != db.Allocated) {
		return nil
	}
	if !ok {
		return p.Agent.Remove(ctx, target, p.tree.LoadBalancer.ID)
	}
	return p.deliver(ctx, a, target, cfg)
}

// deliver brings the agent certificates and configuration, and has it run them.
func (p *pass) deliver(ctx context.Context, a *db.Amphora, target amphora.Target, cfg []byte) error {
	lbID := p.tree.LoadBalancer.ID
	files := p.certificateFiles()
	certificates, changed, err := p.pushCertificates(ctx, a, target, files)
	if err != nil {
		return err
	}
	changed = changed || p.rotated()
	if p.calm && a.Status == db.Allocated && !changed {
		if ok, err := p.runs(ctx, a, target, cfg); err != nil || ok {
			return err
		}
	}
	if changed {
		// The agent tests what it gets; Apply would not send again what the agent has, though its certificates are others.
		if err := p.Agent.Upload(ctx, target, lbID, cfg); err != nil {
			return err
		}
	}
	if err := p.Agent.Apply(ctx, target, lbID, cfg); err != nil {
		return err
	}
	p.dropCertificates(ctx, target, files, certificates)
	return nil
}

// stopped says that no haproxy runs, as after a reboot that left the amphora without certificates.
func (p *pass) stopped(a *db.Amphora) bool {
	told := p.server[a.ID]
	return told.CPUCount > 0 && told.HAProxyCount == 0
}

// runs says that the agent runs what it should.
func (p *pass) runs(ctx context.Context, a *db.Amphora, target amphora.Target, cfg []byte) (bool, error) {
	held, has, err := p.Agent.Config(ctx, target, p.tree.LoadBalancer.ID)
	if err != nil {
		return false, err
	}
	if !p.stopped(a) && has && string(held) == string(cfg) {
		return true, nil
	}
	p.Log.WarnContext(ctx, "the amphora does not run its configuration: that is repaired", "amphora_id", a.ID)
	return false, nil
}

func (p *pass) render(a *db.Amphora) (cfg []byte, ok bool, err error) {
	if p.cfg.NoHAProxy {
		return nil, len(p.tree.Listeners) > 0, nil
	}
	o := p.cfg.HAProxy
	o.AmphoraID = a.ID
	told := p.server[a.ID]
	o.HAProxyMajor, o.HAProxyMinor = haproxy.ParseVersion(told.HAProxyVersion)
	o.CPUCount, o.PinCPUs, o.MemoryKiB = told.size.cpus, told.size.pinned, told.size.memoryKiB
	for range objects(p.tree) + 1 {
		doc := p.document()
		cfg, ok, err = haproxy.Render(doc, o)
		var object *amphora.ObjectError
		if !errors.As(err, &object) {
			cfg, ok = p.withRefused(cfg, ok)
			return cfg, ok, err
		}
		p.blame(db.Kind(object.Kind), object.ID, object.Reason)
	}
	return nil, false, err
}

// blame leaves an object out of what is applied.
func (p *pass) blame(kind db.Kind, id, reason string) { p.blamed[object{kind, id}] = reason }

func (p *pass) isBlamed(kind db.Kind, id string) bool {
	_, ok := p.blamed[object{kind, id}]
	return ok
}

// applied tells the owner that what was asked for is there.
func (p *pass) applied() db.Event {
	message := "all that was asked for is in effect"
	if len(p.blamed) > 0 {
		message = "what was asked for is in effect, except what is in ERROR"
	}
	return p.about(db.KindLoadBalancer, p.tree.LoadBalancer.ID, "Normal", "Applied", message)
}

// finish says in one transaction that the rows that were read are applied, unless they have changed since.
func (p *pass) finish(ctx context.Context, a *db.Amphora) error {
	lb := p.tree.LoadBalancer
	err := p.write(ctx, func(ctx context.Context, tx *db.Tx) error {
		now, err := tx.CurrentGeneration(ctx, lb.ID)
		if err != nil {
			return err
		}
		if now != p.lease.Generation {
			return errMoved
		}
		if a.Status != db.Allocated {
			a.Status = db.Allocated
			if err := db.Update(ctx, tx, a, "status"); err != nil {
				return err
			}
		}
		if err := p.keepSecrets(ctx, tx); err != nil {
			return err
		}
		blamed := map[string]bool{}
		for o, reason := range p.blamed {
			blamed[o.id] = true
			if err := tx.Emit(ctx, p.about(o.kind, o.id, "Warning", "NotApplicable", reason)); err != nil {
				return err
			}
		}
		if p.calm && len(p.blamed) == 0 && settled(p.tree) {
			return nil
		}
		if err := tx.FinishChange(ctx, p.tree, blamed); err != nil || p.calm {
			return err
		}
		return tx.Emit(ctx, p.applied())
	})
	if err == nil && len(p.blamed) > 0 {
		p.Log.WarnContext(ctx, "applied without the objects that cannot be", "objects", len(p.blamed))
	}
	return err
}
