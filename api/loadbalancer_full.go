package api

import (
	"context"
	"maps"
	"slices"

	"github.com/ottavino/ottavino/db"
)

// none hides an attribute of an embedded view: a field of this type shadows it and, being
// nil, is left out.
type none *struct{}

// loadBalancerFull is the answer of a load balancer POST: objects in place of references.
type loadBalancerFull struct {
	loadBalancerOut
	Listeners []listenerFull `json:"listeners"`
	Pools     []poolFull     `json:"pools"`
}

type listenerFull struct {
	listenerOut
	LoadBalancers none         `json:"loadbalancers,omitempty"`
	L7Policies    []policyFull `json:"l7policies"`
}

type policyFull struct {
	policyOut
	Rules []ruleOut `json:"rules"`
}

type poolFull struct {
	poolOut
	LoadBalancers none         `json:"loadbalancers,omitempty"`
	MonitorID     none         `json:"healthmonitor_id,omitempty"`
	Monitor       *monitorFull `json:"healthmonitor"`
	Members       []memberOut  `json:"members"`
}

type monitorFull struct {
	monitorOut
	Pools none `json:"pools,omitempty"`
}

// viewFull reads all below a load balancer.
func viewFull(ctx context.Context, tx *db.Tx, lb *db.LoadBalancer) (*loadBalancerFull, error) {
	views, err := viewLoadBalancers(ctx, tx, []db.LoadBalancer{*lb})
	if err != nil {
		return nil, err
	}
	out := &loadBalancerFull{loadBalancerOut: views[0], Listeners: []listenerFull{}, Pools: []poolFull{}}
	if len(views[0].Listeners) == 0 && len(views[0].Pools) == 0 {
		return out, nil
	}
	below := db.ListQuery{Filters: []db.Filter{{Column: "load_balancer_id", Value: lb.ID}}}
	listeners, err := db.List[db.Listener](ctx, tx, below)
	if err != nil {
		return nil, err
	}
	if out.Listeners, err = viewFullListeners(ctx, tx, listeners); err != nil {
		return nil, err
	}
	pools, err := db.List[db.Pool](ctx, tx, below)
	if err != nil {
		return nil, err
	}
	out.Pools, err = viewFullPools(ctx, tx, pools)
	return out, err
}

func viewFullListeners(ctx context.Context, tx *db.Tx, rows []db.Listener) ([]listenerFull, error) {
	views, err := viewListeners(ctx, tx, rows)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	policies, err := viewFullPolicies(ctx, tx, ids)
	out := make([]listenerFull, len(rows))
	for i := range views {
		out[i].listenerOut = views[i]
		out[i].L7Policies = orEmpty(policies[ids[i]])
	}
	return out, err
}

// viewFullPolicies reads the policies of each listener, by position, with their rules.
func viewFullPolicies(ctx context.Context, tx *db.Tx, listenerIDs []string) (map[string][]policyFull, error) {
	byListener, err := tx.Policies(ctx, listenerIDs)
	if err != nil || len(byListener) == 0 {
		return nil, err
	}
	rows, ids := flattened(byListener, listenerIDs, func(p *db.L7Policy) string { return p.ID })
	views, err := viewPolicies(ctx, tx, rows)
	if err != nil {
		return nil, err
	}
	byPolicy, err := tx.Rules(ctx, ids)
	if err != nil {
		return nil, err
	}
	rules, _ := flattened(byPolicy, ids, func(r *db.L7Rule) string { return r.ID })
	ruleViews, err := viewRules(ctx, tx, rules)
	if err != nil {
		return nil, err
	}
	rulesOf := grouped(ruleViews, func(i int) string { return rules[i].L7policyID })
	full := make([]policyFull, len(views))
	for i := range views {
		full[i] = policyFull{views[i], orEmpty(rulesOf[ids[i]])}
	}
	return grouped(full, func(i int) string { return rows[i].ListenerID }), nil
}

func viewFullPools(ctx context.Context, tx *db.Tx, rows []db.Pool) ([]poolFull, error) {
	views, err := viewPools(ctx, tx, rows)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	members, monitors := load(ctx, &err, tx.Members, ids), load(ctx, &err, tx.Monitors, ids)
	if err != nil {
		return nil, err
	}
	memberRows, _ := flattened(members, ids, func(m *db.Member) string { return m.ID })
	memberViews, err := viewMembers(ctx, tx, memberRows)
	if err != nil {
		return nil, err
	}
	monitorRows := slices.Collect(maps.Values(monitors))
	monitorViews, err := viewMonitors(ctx, tx, monitorRows)
	membersOf := grouped(memberViews, func(i int) string { return memberRows[i].PoolID })
	monitorsOf := grouped(monitorViews, func(i int) string { return monitorRows[i].PoolID })
	out := make([]poolFull, len(rows))
	for i, id := range ids {
		out[i].poolOut = views[i]
		out[i].Members = orEmpty(membersOf[id])
		if m := monitorsOf[id]; len(m) > 0 {
			out[i].Monitor = &monitorFull{monitorOut: m[0]}
		}
	}
	return out, err
}

// flattened are the rows of all owners, owner by owner, and their ids.
func flattened[M any](rows map[string][]M, owners []string, id func(*M) string) (all []M, ids []string) {
	for _, o := range owners {
		all = append(all, rows[o]...)
	}
	for i := range all {
		ids = append(ids, id(&all[i]))
	}
	return all, ids
}

// grouped are values by their owners, in order.
func grouped[V any](values []V, owner func(i int) string) map[string][]V {
	out := map[string][]V{}
	for i := range values {
		out[owner(i)] = append(out[owner(i)], values[i])
	}
	return out
}
