package api

import (
	"fmt"

	"github.com/labstack/echo/v4"
)

// routes mounts everything below both version prefixes, with and without /lbaas.
func (s *Server) routes() {
	s.echo.Any("/", s.versions)
	if s.cfg.HealthcheckEnabled {
		s.echo.Any("/healthcheck", s.healthcheck)
	}
	resources := s.resources()
	for _, version := range []string{"/v2", "/v2.0"} {
		for _, service := range []string{"", "/lbaas", "/octavia"} {
			s.echo.GET(version+service, s.versionRoot)
		}
		for _, service := range []string{"", "/lbaas"} {
			g := s.echo.Group(version + service)
			for _, r := range resources {
				r.mount(g)
			}
			s.extras(g)
		}
		s.amphoraCalls(s.echo.Group(version + "/octavia"))
	}
}

// resources are the collections of the API.
func (s *Server) resources() []mounter {
	return []mounter{
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

// extras are the calls that are not one of a collection's five.
func (s *Server) extras(g *echo.Group) {
	g.POST("/loadbalancers", s.createLoadBalancer)
	g.DELETE("/loadbalancers/:id", s.deleteLoadBalancer)
	g.GET("/loadbalancers/:id/status", s.statusTree)
	g.GET("/loadbalancers/:id/statuses", s.statusTree)
	g.GET("/loadbalancers/:id/stats", s.loadBalancerStats)
	g.GET("/loadbalancers/:id/events", s.events)
	g.PUT("/loadbalancers/:id/failover", s.failover)
	g.GET("/loadbalancers/:id/work", s.work)
	for action, steer := range workCalls {
		g.PUT("/loadbalancers/:id/work/"+action, s.steer(action, steer))
	}
	g.GET("/listeners/:id/stats", s.listenerStats)
	g.PUT("/pools/:parent/members", s.updateMembers)
	g.GET("/quotas/:id", s.showQuota) // never 404, so not the collection's
	g.PUT("/quotas/:id", s.putQuota)
	g.DELETE("/quotas/:id", s.deleteQuota)
	g.GET("/quotas/:id/default", s.defaultQuota)
	g.GET("/providers", s.providers)
	g.GET("/providers/:id/flavor_capabilities", s.capabilities("provider-flavor", "flavor_capabilities",
		func(d *driver) []capability { return d.flavor }))
	g.GET("/providers/:id/availability_zone_capabilities", s.capabilities("provider-availability-zone",
		"availability_zone_capabilities", func(d *driver) []capability { return d.zone }))
	for _, plural := range []string{"loadbalancers", "listeners", "pools", "healthmonitors", "l7policies"} {
		g.PUT("/"+plural, lacksID("id"))
		g.DELETE("/"+plural, lacksID("id"))
	}
	for path, names := range map[string][2]string{ // of PUT and of DELETE
		"/flavors":                  {"id", "flavor_id"},
		"/flavorprofiles":           {"id", "flavor_profile_id"},
		"/availabilityzones":        {"name", "availability_zone_name"},
		"/availabilityzoneprofiles": {"id", "availability_zone_profile_id"},
	} {
		g.PUT(path, lacksID(names[0]))
		g.DELETE(path, lacksID(names[1]))
	}
	g.DELETE("/pools/:parent/members", lacksID("id"))
	g.PUT("/l7policies/:parent/rules", lacksID("id"))
	g.DELETE("/l7policies/:parent/rules", lacksID("id"))
	g.PUT("/quotas", lacksID("project_id"))
	g.DELETE("/quotas", lacksID("project_id"))
}

// lacksID answers a PUT or DELETE of a whole collection.
func lacksID(name string) echo.HandlerFunc {
	return func(echo.Context) error { return BadRequest(fmt.Sprintf("Missing argument: %q", name)) }
}
