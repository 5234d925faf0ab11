package api

import (
	"context"
	"fmt"

	"github.com/ottavino/ottavino/db"
)

// graph is what a load balancer POST creates below the load balancer: pools first, since
// listeners name them.
type graph struct {
	pools     []poolIn
	listeners []listenerIn
}

// reference says that a nested pool only names one defined elsewhere: it has a name and
// nothing else that could define it.
func (in *poolIn) reference() bool {
	return in.name.given() && !in.description.set && !in.protocol.set && !in.algorithm.set && !in.persistence.set &&
		!in.members.set && !in.monitor.set && !in.tlsRef.set && !in.caRef.set && !in.crlRef.set && !in.ciphers.set &&
		!in.versions.set && !in.alpn.set && !in.tags.set
}

// planGraph gathers the pools of a body and tests their names.
func planGraph(in *loadBalancerIn) (graph, error) {
	g := graph{listeners: in.listeners.value}
	g.pools = append(g.pools, in.pools.value...)
	wanted, err := g.gather()
	if err != nil {
		return g, err
	}
	defined := map[string]bool{}
	for i := range g.pools {
		name := g.pools[i].name.value
		if defined[name] {
			return g, Invalid("Pool names must be unique when creating a fully populated loadbalancer.")
		}
		defined[name] = true
	}
	for _, name := range wanted {
		if !defined[name] {
			return g, Invalid(fmt.Sprintf("Pool '%s' was referenced but no full definition was found.", name))
		}
	}
	return g, nil
}

// gather adds the pools that are defined where they are used, and returns the names of all
// that are used.
func (g *graph) gather() ([]string, error) {
	var wanted []string
	for i := range g.listeners {
		used := []field[poolIn]{g.listeners[i].defaultPool}
		for _, p := range g.listeners[i].policies.value {
			used = append(used, p.pool)
		}
		for _, p := range used {
			if !p.given() {
				continue
			}
			if p.value.name.or("") == "" {
				return nil, Invalid("Pools must be named when creating a fully populated loadbalancer.")
			}
			wanted = append(wanted, p.value.name.value)
			if !p.value.reference() {
				g.pools = append(g.pools, p.value)
			}
		}
	}
	return wanted, nil
}

// insert writes the rows of the graph.
func (g graph) insert(ctx context.Context, c *change) error {
	if err := c.takeSome(ctx, db.QuotaPool, len(g.pools)); err != nil {
		return err
	}
	pools := map[string]*db.Pool{}
	for i := range g.pools {
		p, err := c.insertNestedPool(ctx, &g.pools[i])
		if err != nil {
			return err
		}
		pools[g.pools[i].name.value] = p
	}
	if err := c.takeSome(ctx, db.QuotaListener, len(g.listeners)); err != nil {
		return err
	}
	for i := range g.listeners {
		if err := c.insertNestedListener(ctx, g.listeners[i], pools); err != nil {
			return err
		}
	}
	return nil
}

// takeSome is take for a number that may be 0.
func (c *change) takeSome(ctx context.Context, r db.QuotaResource, n int) error {
	if n == 0 {
		return nil
	}
	return c.take(ctx, r, n)
}

func (c *change) insertNestedPool(ctx context.Context, in *poolIn) (*db.Pool, error) {
	for _, need := range []struct {
		name  string
		value field[string]
	}{{"protocol", in.protocol}, {"lb_algorithm", in.algorithm}} {
		if !need.value.given() {
			return nil, Invalid(fmt.Sprintf("Pool definition for '%s' missing required attribute: %s", in.name.value, need.name))
		}
	}
	if in.persistence.given() && !in.persistence.value.kind.given() {
		return nil, notAnOption("None", "type")
	}
	p, err := c.insertPool(ctx, in)
	if err != nil {
		return nil, err
	}
	if in.monitor.given() {
		if err := c.insertNestedMonitor(ctx, p, in.monitor.value); err != nil {
			return nil, err
		}
	}
	if err := c.takeSome(ctx, db.QuotaMember, len(in.members.value)); err != nil {
		return nil, err
	}
	for i := range in.members.value {
		if err := c.s.cfg.checkMemberAddress(&in.members.value[i]); err != nil {
			return nil, err
		}
	}
	if err := c.checkSRIOV(ctx, in.members.value); err != nil {
		return nil, err
	}
	_, err = c.insertMembers(ctx, p.ID, in.members.value, in.monitor.given())
	return p, err
}

func (c *change) insertNestedMonitor(ctx context.Context, p *db.Pool, in monitorIn) error {
	if err := c.take(ctx, db.QuotaHealthMonitor, 1); err != nil {
		return err
	}
	in.poolID = field[string]{set: true, value: p.ID}
	if err := c.s.cfg.checkMonitorPool(p.Protocol, &in); err != nil {
		return err
	}
	_, err := createMonitor(ctx, c, &in)
	return err
}

func (c *change) insertNestedListener(ctx context.Context, in listenerIn, pools map[string]*db.Pool) error {
	if err := checkNewListener(ctx, c, &in); err != nil {
		return err
	}
	if in.defaultPool.given() {
		pool := pools[in.defaultPool.value.name.value]
		if err := matchProtocols(in.protocol.value, pool.Protocol); err != nil {
			return err
		}
		in.defaultPoolID = field[string]{set: true, value: pool.ID}
	}
	l, err := createListener(ctx, c, &in)
	if err != nil {
		return err
	}
	if l.Protocol == protocolPrometheus && len(in.policies.value) > 0 {
		return BadRequest(prometheusChildren)
	}
	for _, p := range in.policies.value {
		if err := c.insertNestedPolicy(ctx, l, p, pools); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) insertNestedPolicy(ctx context.Context, l *db.Listener, body policyIn, pools map[string]*db.Pool) error {
	in, err := body.consistent()
	if err != nil {
		return err
	}
	in.listenerID = wordOf(l.ID)
	if in.pool.given() {
		pool := pools[in.pool.value.name.value]
		if err := matchProtocols(l.Protocol, pool.Protocol); err != nil {
			return err
		}
		in.poolID = wordOf(pool.ID)
	}
	p, err := c.insertPolicy(ctx, &in)
	if err != nil {
		return err
	}
	if len(in.rules.value) > mostRules {
		return tooManyRules(p.ID)
	}
	for _, r := range in.rules.value {
		r.policyID = p.ID
		if err := checkRule(r.row()); err != nil {
			return err
		}
		if _, err := createRule(ctx, c, &r); err != nil {
			return err
		}
	}
	return nil
}
