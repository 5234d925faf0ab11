package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// route is one call of the API: its row in the table of routes, and what the description of
// the API says of it.
type route struct {
	method, path string // as echo writes them; the path is below a version and a service
	handle       echo.HandlerFunc
	name         string       // "show listener"; "" leaves the call out of the description
	query        []*parameter // that the call understands
	body         *body        // nil is none
	status       int          // of a success
	answer       answer       // to a success
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
	s.openAPI = s.describeAPI(lbaas, octavia)
	for _, version := range []string{"/v2", "/v2.0"} {
		for _, service := range []string{"", "/lbaas", "/octavia"} {
			s.echo.GET(version+service, s.versionRoot)
		}
		s.echo.GET(version+openAPIPath, s.serveOpenAPI)
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
	return slices.Concat(s.loadBalancerCalls(), s.quotaCalls(), []route{
		{
			method: http.MethodGet, path: "/listeners/:id/stats", handle: s.listenerStats,
			name: "show listener stats", status: http.StatusOK, answer: whole[statsOut]("stats"),
		},
		{
			method: http.MethodPut, path: "/pools/:parent/members", handle: s.updateMembers,
			name: "replace members", query: []*parameter{flag("additive_only", "True: no member is removed.")},
			body:   &body{wrapper: "members", name: "MemberCreate", attributes: describe(decodeMember), list: true},
			status: http.StatusAccepted,
		},
		{
			method: http.MethodGet, path: "/providers", handle: s.providers,
			name: "list providers", query: s.selection(), status: http.StatusOK, answer: many[provider]("providers", ""),
		},
		s.capabilityCall("provider-flavor", "flavor_capabilities", func(d *driver) []capability { return d.flavor }),
		s.capabilityCall("provider-availability-zone", "availability_zone_capabilities",
			func(d *driver) []capability { return d.zone }),
	})
}

// loadBalancerCalls are those on load balancers.
func (s *Server) loadBalancerCalls() []route {
	const one = "/loadbalancers/:id"
	show := s.loadBalancers().shown(one, s.showLoadBalancer) // the collection's, which can also wait
	show.query = append(show.query, waitParameter())
	return []route{
		{
			method: http.MethodPost, path: "/loadbalancers", handle: s.createLoadBalancer, name: "create loadbalancer",
			body:   takes("loadbalancer", "LoadBalancer", "Create", decodeLoadBalancer),
			status: http.StatusCreated, answer: whole[loadBalancerFull]("loadbalancer"),
		},
		show,
		{
			method: http.MethodDelete, path: one, handle: s.deleteLoadBalancer, name: "delete loadbalancer",
			query: []*parameter{flag("cascade", "True: with all that is below it.")}, status: http.StatusNoContent,
		},
		{
			method: http.MethodGet, path: one + "/status", handle: s.statusTree, name: "show loadbalancer status",
			status: http.StatusOK, answer: whole[statusesOut]("statuses"),
		},
		{
			method: http.MethodGet, path: one + "/statuses", handle: s.statusTree, name: "show loadbalancer statuses",
			status: http.StatusOK, answer: whole[statusesOut]("statuses"),
		},
		{
			method: http.MethodGet, path: one + "/stats", handle: s.loadBalancerStats, name: "show loadbalancer stats",
			status: http.StatusOK, answer: whole[statsOut]("stats"),
		},
		{
			method: http.MethodGet, path: one + "/events", handle: s.events, name: "list loadbalancer events",
			query: s.listParameters(eventColumns, false), status: http.StatusOK, answer: many[eventOut]("events", "events_links"),
		},
		{
			method: http.MethodPut, path: one + "/failover", handle: s.failover, name: "fail over loadbalancer",
			status: http.StatusAccepted,
		},
	}
}

// quotaCalls are those on one project's quota, which is never 404, so that they are not the collection's.
func (s *Server) quotaCalls() []route {
	const one = "/quotas/:id"
	return []route{
		{
			method: http.MethodGet, path: one, handle: s.showQuota, name: "show quota",
			status: http.StatusOK, answer: whole[quotaOut]("quota"),
		},
		{
			method: http.MethodPut, path: one, handle: s.putQuota, name: "update quota",
			body: takes("quota", "Quota", "Update", decodeQuota), status: http.StatusAccepted, answer: whole[quotaOut]("quota"),
		},
		{method: http.MethodDelete, path: one, handle: s.deleteQuota, name: "reset quota", status: http.StatusAccepted},
		{
			method: http.MethodGet, path: one + "/default", handle: s.defaultQuota, name: "show default quota",
			status: http.StatusOK, answer: whole[quotaOut]("quota"),
		},
	}
}

// capabilityCall lists what profiles of a provider may ask for.
func (s *Server) capabilityCall(rule, wrapper string, of func(*driver) []capability) route {
	return route{
		method: http.MethodGet, path: "/providers/:id/" + wrapper, handle: s.capabilities(rule, wrapper, of),
		name:   "list provider " + strings.ReplaceAll(wrapper, "_", " "),
		query:  append(s.selection(), queryText("name", "Filter."), queryText("description", "Filter.")),
		status: http.StatusOK, answer: many[capability](wrapper, ""),
	}
}

// withoutID are the PUTs and DELETEs of whole collections, which only say what they lack. Most PUTs are the
// collections' own.
func withoutID() []route {
	out := []route{{method: http.MethodPut, path: "/quotas", handle: lacksID("project_id")}}
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
		out = append(out, route{method: http.MethodDelete, path: path, handle: lacksID(name)})
	}
	return out
}

// lacksID answers a PUT or DELETE of a whole collection.
func lacksID(name string) echo.HandlerFunc {
	return func(echo.Context) error { return lacks(name) }
}

func lacks(name string) *Fault { return BadRequest(fmt.Sprintf("Missing argument: %q", name)) }
