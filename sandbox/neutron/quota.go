package neutron

import (
	"net/http"

	"github.com/ottavino/ottavino/sandbox/rest"
)

// quotaRoutes serve limits; none are set from the start, as a deployment raises those of the product's project.
func (n *Neutron) quotaRoutes() {
	n.quotas = rest.NewQuotas(map[string]int{
		"network": rest.Unlimited, "subnet": rest.Unlimited, "port": rest.Unlimited, "floatingip": rest.Unlimited,
		"security_group": rest.Unlimited, "security_group_rule": rest.Unlimited,
	}, n.count)
	const one = "/v2.0/quotas/{project}"
	n.Handle("GET "+one, n.quotas.Show("quota"))
	n.Handle("PUT "+one, n.quotas.Set("quota"))
	n.Handle("DELETE "+one, n.quotas.Reset(http.StatusNoContent))
	n.Handle("GET "+one+"/default", n.quotas.ShowDefault("quota"))
	n.Handle("GET "+one+"/details", n.quotas.ShowDetails("quota", "used"))
	n.Handle("GET "+one+"/details.json", n.quotas.ShowDetails("quota", "used"))
}

// count is what a project has of a resource.
func (n *Neutron) count(projectID, resource string) int {
	switch resource {
	case "network":
		return len(n.networks.Where(func(v Network) bool { return v.ProjectID == projectID }))
	case "subnet":
		return len(n.subnets.Where(func(v Subnet) bool { return v.ProjectID == projectID }))
	case "port":
		return len(n.ports.Where(func(v Port) bool { return v.ProjectID == projectID }))
	case "floatingip":
		return len(n.floating.Where(func(v FloatingIP) bool { return v.ProjectID == projectID }))
	case "security_group":
		return len(n.groups.Where(func(v SecurityGroup) bool { return v.ProjectID == projectID }))
	default:
		return len(n.rules.Where(func(v Rule) bool { return v.ProjectID == projectID }))
	}
}

func (n *Neutron) room(projectID, resource string) error {
	if _, full := n.quotas.Full(projectID, resource); full {
		return rest.Conflict("OverQuota", "Quota exceeded for resources: ['%s'].", resource)
	}
	return nil
}

// admit sets the owner of something new and refuses what the owner's quota does not allow.
func (n *Neutron) admit(r *rest.Request, resource string, tenant, project *string) error {
	if err := own(r, tenant, project); err != nil {
		return err
	}
	return n.room(*project, resource)
}
