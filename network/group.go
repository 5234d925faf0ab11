package network

import (
	"context"
	"net/http"
	"strings"

	"github.com/ottavino/ottavino/cloud"
)

type wireGroup struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// FindSecurityGroups returns the ids of our groups of exactly this name. Groups of other
// projects are not ours: an admin sees them, and anybody may take our name.
func (n *Neutron) FindSecurityGroups(ctx context.Context, name string) ([]string, error) {
	groups, err := n.groups(ctx, "find security groups", name)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, g := range groups {
		if g.Name == name {
			ids = append(ids, g.ID)
		}
	}
	return ids, nil
}

// SecurityGroups lists our groups with a name prefix, name by id. For orphan hunting.
func (n *Neutron) SecurityGroups(ctx context.Context, prefix string) (map[string]string, error) {
	groups, err := n.groups(ctx, "list security groups", "")
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, g := range groups {
		if strings.HasPrefix(g.Name, prefix) {
			names[g.ID] = g.Name
		}
	}
	return names, nil
}

func (n *Neutron) groups(ctx context.Context, op, name string) ([]wireGroup, error) {
	project, err := n.service.Session.ProjectID(ctx)
	if err != nil {
		return nil, err
	}
	q := filter("name", name, "project_id", project)
	q["fields"] = []string{"id", "name"} // without the rules, which are many
	return cloud.List[wireGroup](ctx, n.service, cloud.Call{Op: op, Path: "security-groups", Query: q}, "security_groups")
}

// CreateSecurityGroup makes a group in our project.
func (n *Neutron) CreateSecurityGroup(ctx context.Context, name, description string) (string, error) {
	var out struct {
		Group wireGroup `json:"security_group"`
	}
	err := n.service.Do(ctx, cloud.Call{
		Op: "create security group", Method: http.MethodPost, Path: "security-groups",
		In: map[string]any{"security_group": map[string]string{"name": name, "description": description}}, Out: &out,
	})
	return out.Group.ID, err
}

// DeleteSecurityGroup deletes a group; absent is no error; in use: class Conflict.
func (n *Neutron) DeleteSecurityGroup(ctx context.Context, id string) error {
	return n.delete(ctx, "delete security group", "security-groups/"+cloud.ID(id))
}
