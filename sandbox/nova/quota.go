package nova

import (
	"net/http"

	"github.com/ottavino/ottavino/sandbox/rest"
)

// quotaRoutes serve the limits that the product can meet.
func (n *Nova) quotaRoutes() {
	servers := rest.Unlimited
	if n.cfg.Quota > 0 {
		servers = n.cfg.Quota
	}
	n.quotas = rest.NewQuotas(map[string]int{
		"instances": servers, "server_groups": rest.Unlimited, "injected_files": personalityLimit,
	}, n.count)
	const one = "/v2.1/os-quota-sets/{project}"
	n.Handle("GET "+one, n.quotas.Show("quota_set"))
	n.Handle("PUT "+one, n.quotas.Set("quota_set"))
	n.Handle("DELETE "+one, n.quotas.Reset(http.StatusAccepted))
	n.Handle("GET "+one+"/defaults", n.quotas.ShowDefault("quota_set"))
	n.Handle("GET "+one+"/detail", n.quotas.ShowDetails("quota_set", "in_use"))
}

// count is what a project has of a resource. Injected files are counted per server, not per project.
func (n *Nova) count(projectID, resource string) int {
	switch resource {
	case "instances":
		return len(n.servers.Where(func(s Server) bool { return s.TenantID == projectID }))
	case "server_groups":
		return len(n.groups.Where(func(g Group) bool { return g.ProjectID == projectID }))
	default:
		return 0
	}
}
