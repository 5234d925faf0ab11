package api

import (
	"context"
	"net/http"
	"slices"

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
		nodes, err := tx.StatusNodes(ctx, lb.ID)
		if err != nil {
			return err
		}
		out = statusOf(lb, nodes)
		return nil
	})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]statusesOut{"statuses": {out}})
}

// statusOf puts together what a load balancer's listeners use: pools that none uses are not shown.
func statusOf(lb *db.LoadBalancer, nodes []db.StatusNode) loadBalancerStatus {
	out := loadBalancerStatus{
		statusNode: statusNode{lb.ID, deref(lb.Name), lb.OperatingStatus, lb.ProvisioningStatus},
		Listeners:  []listenerStatus{},
	}
	pools := poolStatuses(nodes)
	uses := poolsInUse(nodes)
	for i := range nodes {
		if nodes[i].Kind != string(db.KindListener) {
			continue
		}
		l := listenerStatus{statusNode: statusNodeOf(&nodes[i]), Pools: []poolStatus{}}
		for _, id := range uses[l.ID] {
			if p := pools[id]; p != nil {
				l.Pools = append(l.Pools, *p)
			}
		}
		out.Listeners = append(out.Listeners, l)
	}
	return out
}

func statusNodeOf(n *db.StatusNode) statusNode {
	return statusNode{n.ID, deref(n.Name), n.OperatingStatus, n.ProvisioningStatus}
}

// poolStatuses are the pools by their ids.
func poolStatuses(nodes []db.StatusNode) map[string]*poolStatus {
	pools := map[string]*poolStatus{}
	for i := range nodes {
		if nodes[i].Kind == string(db.KindPool) {
			pools[nodes[i].ID] = &poolStatus{statusNode: statusNodeOf(&nodes[i]), Members: []memberStatus{}}
		}
	}
	for i := range nodes {
		n := &nodes[i]
		p := pools[n.OwnerID]
		if p == nil {
			continue
		}
		switch n.Kind {
		case string(db.KindHealthMonitor):
			p.Monitor = &monitorStatus{statusNodeOf(n), deref(n.Text)}
		case string(db.KindMember):
			p.Members = append(p.Members, memberStatus{statusNodeOf(n), n.Text, n.Port})
		}
	}
	return pools
}

// poolsInUse are the ids of the pools that each listener uses: its default pool, then those that policies redirect to,
// each once.
func poolsInUse(nodes []db.StatusNode) map[string][]string {
	uses := map[string][]string{}
	add := func(listenerID string, pool *string) {
		if pool != nil && !slices.Contains(uses[listenerID], *pool) {
			uses[listenerID] = append(uses[listenerID], *pool)
		}
	}
	for i := range nodes {
		if nodes[i].Kind == string(db.KindListener) {
			add(nodes[i].ID, nodes[i].Text)
		}
	}
	for i := range nodes {
		if nodes[i].Kind == string(db.KindL7Policy) {
			add(nodes[i].OwnerID, nodes[i].Text)
		}
	}
	return uses
}
