// Package neutron is the sandbox's network service: networks, subnets, ports with address allocation, security
// groups, QoS policies. It wires nothing: what a port is plugged into is Nova's business.
package neutron

import (
	"net/http"
	"slices"

	"github.com/ottavino/ottavino/sandbox/rest"
)

// Neutron is the service.
type Neutron struct {
	*rest.Service
	URL string // of itself, without a version; set before the first call
	// Gone is told, in a goroutine of its own, of every port that was deleted. It may be nil; set before the first call.
	Gone func(Port)

	networks *rest.Collection[Network]
	subnets  *rest.Collection[Subnet]
	ports    *rest.Collection[Port]
	groups   *rest.Collection[SecurityGroup]
	rules    *rest.Collection[Rule]
	policies *rest.Collection[QoSPolicy]
	floating *rest.Collection[FloatingIP]
	quotas   *rest.Quotas
}

// New makes an empty Neutron.
func New(hub *rest.Hub, auth rest.Authenticator) *Neutron {
	n := &Neutron{
		Service:  rest.NewService("network", hub, auth, fail),
		networks: rest.NewCollection[Network](), subnets: rest.NewCollection[Subnet](), ports: rest.NewCollection[Port](),
		groups: rest.NewCollection[SecurityGroup](), rules: rest.NewCollection[Rule](), policies: rest.NewCollection[QoSPolicy](),
		floating: rest.NewCollection[FloatingIP](),
	}
	n.HandleOpen("GET /{$}", n.versions)
	n.Handle("GET /v2.0", n.versions)
	n.Handle("GET /v2.0/extensions", n.listExtensions)
	n.Handle("GET /v2.0/extensions/{alias}", n.showExtension)
	n.Handle("GET /v2.0/network-ip-availabilities/{id}", n.availability)
	rest.Mount(n.Service, n.networkResource())
	rest.Mount(n.Service, n.subnetResource())
	rest.Mount(n.Service, n.portResource())
	rest.Mount(n.Service, n.groupResource())
	rest.Mount(n.Service, n.ruleResource())
	rest.Mount(n.Service, n.policyResource())
	rest.Mount(n.Service, n.floatingResource())
	n.quotaRoutes()
	return n
}

func fail(e *rest.Error) any {
	return rest.Doc{"NeutronError": rest.Doc{"type": e.Type, "message": e.Message, "detail": ""}}
}

func (n *Neutron) versions(*rest.Request) (int, any, error) {
	return http.StatusOK, rest.Doc{"versions": []any{rest.Doc{
		"id": "v2.0", "status": "CURRENT", "links": []any{rest.Doc{"rel": "self", "href": n.URL + "/v2.0/"}},
	}}}, nil
}

// extensions that clients and the product ask for.
var extensions = []string{
	"allowed-address-pairs", "security-group", "port-security", "qos", "project-id", "network-ip-availability",
	"binding", "provider", "router", "external-net", "standard-attr-tag", "net-mtu", "quotas", "quota_details",
}

func extension(alias string) rest.Doc {
	return rest.Doc{"alias": alias, "name": alias, "description": alias, "updated": "2020-01-01T00:00:00-00:00", "links": []any{}}
}

func (n *Neutron) listExtensions(*rest.Request) (int, any, error) {
	docs := make([]any, len(extensions))
	for i, alias := range extensions {
		docs[i] = extension(alias)
	}
	return http.StatusOK, rest.Doc{"extensions": docs}, nil
}

func (n *Neutron) showExtension(r *rest.Request) (int, any, error) {
	alias := r.PathValue("alias")
	if !slices.Contains(extensions, alias) {
		return 0, nil, rest.NotFound("Extension with alias %s does not exist.", alias)
	}
	return http.StatusOK, rest.Doc{"extension": extension(alias)}, nil
}

func missing(kind, what string) func(id string) error {
	return func(id string) error {
		return &rest.Error{Status: http.StatusNotFound, Type: kind, Message: what + " " + id + " could not be found."}
	}
}

// seen is the visibility rule of most things: admins see all, others what is theirs.
func seen(r *rest.Request, projectID string, shared bool) bool {
	return r.Admin() || shared || projectID == r.ProjectID
}

// own sets the project of something new: the caller's, unless an admin names another.
func own(r *rest.Request, tenant, project *string) error {
	named := *project
	if named == "" {
		named = *tenant
	}
	if named == "" {
		named = r.ProjectID
	}
	if named != r.ProjectID && !r.Admin() {
		return rest.Forbidden("The resource is not yours to make for project %s.", named)
	}
	*tenant, *project = named, named
	return nil
}

func (n *Neutron) networkResource() *rest.Resource[Network] {
	return &rest.Resource[Network]{
		Path: "/v2.0/networks", Singular: "network", Plural: "networks", Items: n.networks,
		ID: func(v *Network) *string { return &v.ID },
		Default: func(*rest.Request) Network {
			return Network{Status: "ACTIVE", AdminStateUp: true, MTU: 1500, PortSecurity: true, Subnets: []string{}, Tags: []string{}}
		},
		Create:  func(r *rest.Request, v *Network) error { return n.admit(r, "network", &v.TenantID, &v.ProjectID) },
		Update:  func(*rest.Request, Network, *Network) error { return nil },
		Delete:  func(_ *rest.Request, v Network) error { return n.networkFree(v) },
		Visible: func(r *rest.Request, v Network) bool { return seen(r, v.ProjectID, v.Shared || v.External) },
		Missing: missing("NetworkNotFound", "Network"),
	}
}

func (n *Neutron) networkFree(v Network) error {
	if len(n.ports.Where(func(p Port) bool { return p.NetworkID == v.ID })) > 0 {
		return rest.Conflict("NetworkInUse", "Unable to complete operation on network %s. There are one or more ports still in use on the network.", v.ID)
	}
	for _, s := range v.Subnets {
		n.subnets.Delete(s)
	}
	return nil
}

func (n *Neutron) policyResource() *rest.Resource[QoSPolicy] {
	return &rest.Resource[QoSPolicy]{
		Path: "/v2.0/qos/policies", Singular: "policy", Plural: "policies", Items: n.policies,
		ID:      func(v *QoSPolicy) *string { return &v.ID },
		Default: func(*rest.Request) QoSPolicy { return QoSPolicy{} },
		Create:  func(r *rest.Request, v *QoSPolicy) error { return own(r, &v.TenantID, &v.ProjectID) },
		Delete:  func(*rest.Request, QoSPolicy) error { return nil },
		Visible: func(r *rest.Request, v QoSPolicy) bool { return seen(r, v.ProjectID, v.Shared) },
		Missing: missing("QosPolicyNotFound", "QoS policy"),
	}
}
