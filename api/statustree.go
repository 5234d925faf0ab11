package api

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/ottavino/ottavino/db"
)

// statusNode is what every object of a status tree shows.
type statusNode struct {
	ID                 string `json:"id"`
	Name               string `json:"name"`
	OperatingStatus    string `json:"operating_status"`
	ProvisioningStatus string `json:"provisioning_status"`
}

type loadBalancerStatus struct {
	statusNode
	Listeners []listenerStatus `json:"listeners"`
}

type listenerStatus struct {
	statusNode
	Pools []poolStatus `json:"pools"`
}

type poolStatus struct {
	statusNode
	Monitor *monitorStatus `json:"health_monitor"`
	Members []memberStatus `json:"members"`
}

type monitorStatus struct {
	statusNode
	Type string `json:"type"`
}

type memberStatus struct {
	statusNode
	Address      *string `json:"address"`
	ProtocolPort int     `json:"protocol_port"`
}

type statusesOut struct {
	LoadBalancer loadBalancerStatus `json:"loadbalancer"`
}

// statusTree answers GET …/status: the load balancer with what its listeners use.
func (s *Server) statusTree(c echo.Context) error {
	if err := callOf(c).only(); err != nil {
		return err
	}
	var out loadBalancerStatus
	err := s.deps.Store.Read(c.Request().Context(), func(ctx context.Context, tx *db.Tx) error {
		lb, err := s.loadBalancers().find(ctx, tx, c, "get_status")
		if err != nil {
			return err
		}
		tree, err := tx.Tree(ctx, lb.ID)
		if err != nil {
			return err
		}
		out = statusOf(tree)
		return nil
	})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]statusesOut{"statuses": {out}})
}

func statusOf(t *db.Tree) loadBalancerStatus {
	pools := map[string]*db.PoolTree{}
	for i := range t.Pools {
		pools[t.Pools[i].ID] = &t.Pools[i]
	}
	lb := &t.LoadBalancer
	out := loadBalancerStatus{
		statusNode: statusNode{lb.ID, deref(lb.Name), lb.OperatingStatus, lb.ProvisioningStatus},
		Listeners:  []listenerStatus{},
	}
	for i := range t.Listeners {
		l := &t.Listeners[i]
		node := listenerStatus{
			statusNode: statusNode{l.ID, deref(l.Name), l.OperatingStatus, l.ProvisioningStatus},
			Pools:      []poolStatus{},
		}
		for _, id := range poolsOf(l) {
			if p := pools[id]; p != nil {
				node.Pools = append(node.Pools, statusOfPool(p))
			}
		}
		out.Listeners = append(out.Listeners, node)
	}
	return out
}

// poolsOf are the pools that a listener uses: its default pool, then those that enabled
// policies with rules redirect to, each once.
func poolsOf(l *db.ListenerTree) []string {
	var ids []string
	seen := map[string]bool{}
	add := func(id *string) {
		if id != nil && !seen[*id] {
			seen[*id] = true
			ids = append(ids, *id)
		}
	}
	add(l.DefaultPoolID)
	for i := range l.Policies {
		if p := &l.Policies[i]; p.Enabled && len(p.Rules) > 0 {
			add(p.RedirectPoolID)
		}
	}
	return ids
}

func statusOfPool(p *db.PoolTree) poolStatus {
	out := poolStatus{
		statusNode: statusNode{p.ID, deref(p.Name), p.OperatingStatus, p.ProvisioningStatus},
		Members:    []memberStatus{},
	}
	if m := p.Monitor; m != nil {
		out.Monitor = &monitorStatus{statusNode{m.ID, deref(m.Name), m.OperatingStatus, m.ProvisioningStatus}, m.Type}
	}
	for i := range p.Members {
		m := &p.Members[i]
		out.Members = append(out.Members, memberStatus{
			statusNode{m.ID, deref(m.Name), m.OperatingStatus, m.ProvisioningStatus}, m.IPAddress, m.ProtocolPort,
		})
	}
	return out
}
