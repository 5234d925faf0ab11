package api

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"
)

// route is one call of the API.
type route struct {
	method, path string // as echo writes them; the path is below a version and a service
	handle       echo.HandlerFunc
}

// collection is a resource without its types.
type collection interface{ routes() []route }

// routes mounts everything below both version prefixes, with and without /lbaas.
func (s *Server) routes() {
	s.echo.Any("/", s.versions)
	if s.cfg.HealthcheckEnabled {
		s.echo.Any("/healthcheck", s.healthcheck)
	}
	lbaas, octavia := s.calls(), s.amphoraCalls()
	for _, version := range []string{"/v2", "/v2.0"} {
		for _, service := range []string{"", "/lbaas", "/octavia"} {
			s.echo.GET(version+service, s.versionRoot)
		}
		s.mount(version, lbaas)
		s.mount(version+"/lbaas", lbaas)
		s.mount(version+"/octavia", octavia)
	}
}

// mount adds calls below a prefix. The last of two with the same method and path counts. What makes something can be
// repeated by its key.
func (s *Server) mount(prefix string, routes []route) {
	for _, r := range routes {
		if r.method == http.MethodPost {
			r.handle = s.once(r.handle)
		}
		s.echo.Add(r.method, prefix+r.path, r.handle)
	}
}

// resources are the collections of the API.
func (s *Server) resources() []collection {
	return []collection{
		s.loadBalancers(),
		s.listeners(),
		s.pools(),
		s.members(),
		s.healthMonitors(),
		s.policies(),
		s.rules(),
		s.quotas(),
		s.flavors(),
		s.flavorProfiles(),
		s.zones(),
		s.zoneProfiles(),
	}
}

// calls are all calls but those on amphorae.
func (s *Server) calls() []route {
	var all []route
	for _, r := range s.resources() {
		all = append(all, r.routes()...)
	}
	return slices.Concat(all, s.extras(), s.workRoutes(), withoutID())
}

// extras are the calls that are not one of a collection's five.
func (s *Server) extras() []route {
	return []route{
		{http.MethodPost, "/loadbalancers", s.createLoadBalancer},
		{http.MethodGet, "/loadbalancers/:id", s.showLoadBalancer}, // the collection's, which can also wait
		{http.MethodDelete, "/loadbalancers/:id", s.deleteLoadBalancer},
		{http.MethodGet, "/loadbalancers/:id/status", s.statusTree},
		{http.MethodGet, "/loadbalancers/:id/statuses", s.statusTree},
		{http.MethodGet, "/loadbalancers/:id/stats", s.loadBalancerStats},
		{http.MethodGet, "/loadbalancers/:id/events", s.events},
		{http.MethodPut, "/loadbalancers/:id/failover", s.failover},
		{http.MethodGet, "/listeners/:id/stats", s.listenerStats},
		{http.MethodPut, "/pools/:parent/members", s.updateMembers},
		{http.MethodGet, "/quotas/:id", s.showQuota}, // never 404, so not the collection's
		{http.MethodPut, "/quotas/:id", s.putQuota},
		{http.MethodDelete, "/quotas/:id", s.deleteQuota},
		{http.MethodGet, "/quotas/:id/default", s.defaultQuota},
		{http.MethodGet, "/providers", s.providers},
		{http.MethodGet, "/providers/:id/flavor_capabilities", s.capabilities("provider-flavor", "flavor_capabilities",
			func(d *driver) []capability { return d.flavor })},
		{http.MethodGet, "/providers/:id/availability_zone_capabilities", s.capabilities("provider-availability-zone",
			"availability_zone_capabilities", func(d *driver) []capability { return d.zone })},
	}
}

// withoutID are the PUTs and DELETEs of whole collections, which only say what they lack. Most PUTs are the
// collections' own.
func withoutID() []route {
	out := []route{{http.MethodPut, "/quotas", lacksID("project_id")}}
	for path, name := range map[string]string{
		"/loadbalancers":            "id",
		"/listeners":                "id",
		"/pools":                    "id",
		"/pools/:parent/members":    "id",
		"/healthmonitors":           "id",
		"/l7policies":               "id",
		"/l7policies/:parent/rules": "id",
		"/quotas":                   "project_id",
		"/flavors":                  "flavor_id",
		"/flavorprofiles":           "flavor_profile_id",
		"/availabilityzones":        "availability_zone_name",
		"/availabilityzoneprofiles": "availability_zone_profile_id",
	} {
		out = append(out, route{http.MethodDelete, path, lacksID(name)})
	}
	return out
}

// lacksID answers a PUT or DELETE of a whole collection.
func lacksID(name string) echo.HandlerFunc {
	return func(echo.Context) error { return lacks(name) }
}

func lacks(name string) *Fault { return BadRequest(fmt.Sprintf("Missing argument: %q", name)) }
