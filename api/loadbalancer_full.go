package api

import (
	"context"

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

// viewFull reads a load balancer with all below it.
func viewFull(ctx context.Context, tx *db.Tx, id string) (*loadBalancerFull, error) {
	lb, err := db.Get[db.LoadBalancer](ctx, tx, id)
	if err != nil {
		return nil, err
	}
	views, err := viewLoadBalancers(ctx, tx, []db.LoadBalancer{*lb})
	if err != nil {
		return nil, err
	}
	out := &loadBalancerFull{loadBalancerOut: views[0]}
	below := db.ListQuery{Filters: []db.Filter{{Column: "load_balancer_id", Value: id}}}
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
	out := make([]listenerFull, len(rows))
	for i := range views {
		out[i].listenerOut = views[i]
		if out[i].L7Policies, err = viewFullPolicies(ctx, tx, rows[i].ID); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// viewFullPolicies reads the policies of a listener, by position, with their rules.
func viewFullPolicies(ctx context.Context, tx *db.Tx, listenerID string) ([]policyFull, error) {
	rows, err := db.List[db.L7Policy](ctx, tx, db.ListQuery{
		Filters: []db.Filter{{Column: "listener_id", Value: listenerID}}, Sort: []db.Order{{Column: "position"}},
	})
	if err != nil {
		return nil, err
	}
	views, err := viewPolicies(ctx, tx, rows)
	if err != nil {
		return nil, err
	}
	out := make([]policyFull, len(rows))
	for i := range views {
		out[i].policyOut = views[i]
		rules, err := db.List[db.L7Rule](ctx, tx, db.ListQuery{
			Filters: []db.Filter{{Column: "l7policy_id", Value: rows[i].ID}},
		})
		if err != nil {
			return nil, err
		}
		if out[i].Rules, err = viewRules(ctx, tx, rules); err != nil {
			return nil, err
		}
	}
	return out, nil
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
	out := make([]poolFull, len(rows))
	for i, id := range ids {
		out[i].poolOut = views[i]
		if out[i].Members, err = viewMembers(ctx, tx, members[id]); err != nil {
			return nil, err
		}
		m, ok := monitors[id]
		if !ok {
			continue
		}
		monitor, err := viewMonitors(ctx, tx, []db.HealthMonitor{m})
		if err != nil {
			return nil, err
		}
		out[i].Monitor = &monitorFull{monitorOut: monitor[0]}
	}
	return out, nil
}
