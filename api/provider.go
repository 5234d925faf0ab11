package api

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/ottavino/ottavino/db"
)

// Upstream's drivers for tests. They take everything and do nothing: rows are written and stay
// pending, and neither a cloud nor a worker hears of them.
const (
	providerNoop    = "noop_driver"
	providerNoopAlt = "noop_driver-alt"
)

// capability is something that a profile of a provider may ask for.
type capability struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	kind        string   // JSON type of the value
	enum        []string // nil: any value of the type
}

// driver is what the API knows of a provider's driver.
type driver struct {
	flavor, zone []capability
	// noop says that the driver takes everything and does nothing.
	noop bool
}

var amphoraDriver = driver{
	flavor: []capability{
		{"loadbalancer_topology", "The load balancer topology. One of: SINGLE - One amphora per load balancer. " +
			"ACTIVE_STANDBY - Two amphora per load balancer.", "string", []string{topologyActiveStandby, topologySingle}},
		{"compute_flavor", "The compute driver flavor ID.", "string", nil},
		{"amp_image_tag", "The amphora image tag.", "string", nil},
		{"sriov_vip", "When true, the VIP port will be created using an SR-IOV VF port.", "boolean", nil},
		{"allow_member_sriov", "When true, users can request a member port be SR-IOV enabled at member creation time.", "boolean", nil},
	},
	zone: []capability{
		{"compute_zone", "The compute availability zone.", "string", nil},
		{"volume_zone", "The volume availability zone.", "string", nil},
		{"management_network", "The management network ID for the amphora.", "string", nil},
		{"valid_vip_networks", "List of network IDs that are allowed for VIP use. This overrides/replaces the list of " +
			"allowed networks configured in `octavia.conf`.", "array", nil},
	},
}

var noopDriver = driver{
	flavor: []capability{{Name: "amp_image_tag", Description: "The glance image tag to use for this load balancer."}},
	zone: []capability{
		{Name: "compute_zone", Description: "The compute availability zone to use for this loadbalancer."},
		{Name: "volume_zone", Description: "The volume availability zone to use for this loadbalancer."},
	},
	noop: true,
}

// drivers are all that can be loaded, by the names that enabled_provider_drivers has for them.
var drivers = map[string]*driver{
	db.ProviderAmphora: &amphoraDriver, db.ProviderOctavia: &amphoraDriver, db.ProviderAmphoraV2: &amphoraDriver,
	providerNoop: &noopDriver, providerNoopAlt: &noopDriver,
}

// driver finds an enabled provider's.
func (c Config) driver(name string) (*driver, error) {
	if _, ok := c.EnabledProviders[name]; !ok {
		return nil, BadRequest(fmt.Sprintf("Provider '%s' is not enabled.", name))
	}
	d, ok := drivers[name]
	if !ok {
		return nil, &Fault{Status: http.StatusNotImplemented, Text: fmt.Sprintf("Provider '%s' was not found.", name)}
	}
	return d, nil
}

// providerOf is a load balancer's provider as faults name it.
func providerOf(lb *db.LoadBalancer) string { return cmp.Or(deref(lb.Provider), db.ProviderAmphora) }

// unsupportedOption is a provider's 501 for something that it cannot do.
func unsupportedOption(provider, text string) *Fault {
	return &Fault{
		Status: http.StatusNotImplemented,
		Text:   fmt.Sprintf("Provider '%s' does not support a requested option: %s", provider, text),
	}
}

// providerFailed is a provider's 500 for something that it needs and that is not there.
func providerFailed(provider, text string) *Fault {
	return &Fault{
		Status: http.StatusInternalServerError, Text: fmt.Sprintf("Provider '%s' reports error: %s", provider, text),
	}
}

type provider struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// providers answers GET /providers with [api_settings] enabled_provider_drivers, less what
// cannot be loaded.
func (s *Server) providers(c echo.Context) error {
	who := callOf(c).who
	if err := s.authorize(who, "provider:get_all", who.ProjectID); err != nil {
		return err
	}
	out := []provider{}
	for _, name := range slices.Sorted(maps.Keys(s.cfg.EnabledProviders)) {
		if drivers[name] != nil {
			out = append(out, provider{name, s.cfg.EnabledProviders[name]})
		}
	}
	return writeList(s, c, "providers", "", out, nil)
}

// capabilities answers GET /providers/{name}/<wrapper>.
func (s *Server) capabilities(rule, wrapper string, of func(*driver) []capability) echo.HandlerFunc {
	return func(c echo.Context) error {
		q := callOf(c)
		if err := s.authorize(q.who, rule+":get_all", q.who.ProjectID); err != nil {
			return err
		}
		d, err := s.cfg.driver(c.Param("id"))
		if err != nil {
			return err
		}
		out := []capability{}
		for _, one := range of(d) {
			if matches(q, "name", one.Name) && matches(q, "description", one.Description) {
				out = append(out, one)
			}
		}
		return writeList(s, c, wrapper, "", out, nil)
	}
}

// matches says that a query has no such filter, or the value.
func matches(q *call, name, value string) bool {
	return !q.query.Has(name) || q.query.Get(name) == value
}
