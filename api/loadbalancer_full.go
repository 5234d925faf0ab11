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
	LoadBalancers none `json:"loadbalancers,omitempty"`
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
	out := &loadBalancerFull{loadBalancerOut: views[0], Listeners: []listenerFull{}, Pools: []poolFull{}}
	below := db.ListQuery{Filters: []db.Filter{{Column: "load_balancer_id", Value: id}}}
	listeners, err := db.List[db.Listener](ctx, tx, below)
	if err != nil {
		return nil, err
	}
	listenerViews, err := viewListeners(ctx, tx, listeners)
	if err != nil {
		return nil, err
	}
	for _, l := range listenerViews {
		out.Listeners = append(out.Listeners, listenerFull{listenerOut: l})
	}
	pools, err := db.List[db.Pool](ctx, tx, below)
	if err != nil {
		return nil, err
	}
	out.Pools, err = viewFullPools(ctx, tx, pools)
	return out, err
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
	l := loader{ctx: ctx}
	members, monitors := load(&l, tx.Members, ids), load(&l, tx.Monitors, ids)
	if l.err != nil {
		return nil, l.err
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
