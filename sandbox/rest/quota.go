package rest

import (
	"maps"
	"net/http"
)

// Quotas are the limits of projects, as the services keep them. Its user holds the service's lock.
type Quotas struct {
	defaults map[string]int
	own      map[string]map[string]int // project id →
	used     func(projectID, resource string) int
}

// Unlimited is the limit that is none.
const Unlimited = -1

// NewQuotas makes the limits of a service. defaults names its resources; used counts what a project has of one.
func NewQuotas(defaults map[string]int, used func(projectID, resource string) int) *Quotas {
	return &Quotas{defaults: defaults, own: map[string]map[string]int{}, used: used}
}

// Limits are the limits of a project.
func (q *Quotas) Limits(projectID string) map[string]int {
	all := maps.Clone(q.defaults)
	maps.Copy(all, q.own[projectID])
	return all
}

// Full says whether a project may not have one more of a resource.
func (q *Quotas) Full(projectID, resource string) (limit int, full bool) {
	limit, ok := q.Limits(projectID)[resource]
	return limit, ok && limit != Unlimited && q.used(projectID, resource) >= limit
}

// Details are the limits of a project and what it has; usedKey is what the service calls the latter.
func (q *Quotas) Details(projectID, usedKey string) Doc {
	out := Doc{}
	for resource, limit := range q.Limits(projectID) {
		out[resource] = Doc{"limit": limit, usedKey: q.used(projectID, resource), "reserved": 0}
	}
	return out
}

// Show answers with the limits of the project in the path, in an envelope.
func (q *Quotas) Show(envelope string) Handler {
	return func(r *Request) (int, any, error) {
		id := r.PathValue("project")
		return http.StatusOK, Doc{envelope: q.Limits(id)}, theirs(r, id)
	}
}

// ShowDefault answers with the limits of a project that has none of its own.
func (q *Quotas) ShowDefault(envelope string) Handler {
	return func(*Request) (int, any, error) { return http.StatusOK, Doc{envelope: q.defaults}, nil }
}

// ShowDetails answers with the limits of the project in the path and what it has; see Details.
func (q *Quotas) ShowDetails(envelope, usedKey string) Handler {
	return func(r *Request) (int, any, error) {
		id := r.PathValue("project")
		return http.StatusOK, Doc{envelope: q.Details(id, usedKey)}, theirs(r, id)
	}
}

// Set changes the limits of the project in the path that the body names; other attributes are ignored, as "force" is.
func (q *Quotas) Set(envelope string) Handler {
	return func(r *Request) (int, any, error) {
		if !r.Admin() {
			return 0, nil, Forbidden("Only admins set quotas.")
		}
		var body map[string]map[string]any
		if err := r.Decode(&body); err != nil {
			return 0, nil, err
		}
		id := r.PathValue("project")
		limits := q.Limits(id)
		for resource, v := range body[envelope] {
			if _, known := q.defaults[resource]; !known {
				continue
			}
			limit, ok := v.(float64)
			if !ok || limit < Unlimited {
				return 0, nil, BadRequest("Invalid input for %s. Reason: '%v' is no limit.", resource, v)
			}
			limits[resource] = int(limit)
		}
		q.own[id] = limits
		return http.StatusOK, Doc{envelope: limits}, nil
	}
}

// Reset gives the project in the path the default limits again.
func (q *Quotas) Reset(status int) Handler {
	return func(r *Request) (int, any, error) {
		if !r.Admin() {
			return 0, nil, Forbidden("Only admins reset quotas.")
		}
		delete(q.own, r.PathValue("project"))
		return status, nil, nil
	}
}

func theirs(r *Request, projectID string) error {
	if r.Admin() || projectID == r.ProjectID {
		return nil
	}
	return Forbidden("Quotas of other projects are not yours to see.")
}
