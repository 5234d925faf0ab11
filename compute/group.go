package compute

import (
	"context"
	"net/http"

	"github.com/ottavino/ottavino/cloud"
)

type wireGroup struct {
	ID       string   `json:"id,omitempty"`
	Name     string   `json:"name"`
	Policies []string `json:"policies"`
}

// EnsureServerGroup finds the group by name or makes it with the policy.
func (n *Nova) EnsureServerGroup(ctx context.Context, name, policy string) (id string, err error) {
	groups, err := cloud.List[wireGroup](ctx, n.service, cloud.Call{
		Op: "list server groups", Path: "os-server-groups",
	}, "server_groups")
	if err != nil {
		return "", err
	}
	for _, g := range groups {
		if g.Name == name {
			return g.ID, nil
		}
	}
	var out struct {
		Group wireGroup `json:"server_group"`
	}
	err = n.service.Do(ctx, cloud.Call{
		Op: "create server group", Method: http.MethodPost, Path: "os-server-groups",
		In:  map[string]any{"server_group": wireGroup{Name: name, Policies: []string{policy}}},
		Out: &out,
	})
	return out.Group.ID, err
}

// DeleteServerGroup deletes a group; absent is no error.
func (n *Nova) DeleteServerGroup(ctx context.Context, id string) error {
	return n.delete(ctx, "delete server group", "os-server-groups/"+cloud.ID(id))
}
