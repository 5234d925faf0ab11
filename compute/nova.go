package compute

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/ottavino/ottavino/cloud"
)

// microversion is the last one that takes injected files of old clouds and the first that
// knows soft anti-affinity with all that we read: later ones drop files (2.57), embed
// flavors (2.47) and rename policies (2.64).
const microversion = "2.15"

// Marks of our servers: the prefix of their names, and the metadata of those whose names
// are random.
const (
	NamePrefix      = "amphora-"
	MetadataAmphora = "octavia-amphora-id"
)

// Nova drives servers and server groups. Safe for concurrent use.
type Nova struct {
	service cloud.Service
	zone    string
}

// NewNova wires a session; it makes no call. An empty Endpoint.Type means compute.
func NewNova(s *cloud.Session, cfg Config) *Nova {
	cfg.Endpoint.Type = cmp.Or(cfg.Endpoint.Type, "compute")
	return &Nova{
		service: cloud.Service{Session: s, Endpoint: cfg.Endpoint, Microversion: microversion},
		zone:    cfg.AvailabilityZone,
	}
}

// Server reads one server. Gone when Nova has none.
func (n *Nova) Server(ctx context.Context, id string) (Server, error) {
	var out struct{ Server wireServer }
	err := n.service.Do(ctx, cloud.Call{
		Op: "show server", Method: http.MethodGet, Path: "servers/" + cloud.ID(id), Out: &out,
	})
	return out.Server.read(), err
}

// FindServers returns the servers of exactly this name (deleted ones left out), oldest first.
func (n *Nova) FindServers(ctx context.Context, name string) ([]Server, error) {
	// Nova matches names as a regular expression of its database.
	servers, err := n.list(ctx, "find servers", url.Values{"name": {"^" + regexp.QuoteMeta(name) + "$"}})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(servers, func(s Server) bool { return s.Name != name }), nil
}

// ListServers returns our servers: name prefix "amphora-" or metadata octavia-amphora-id,
// oldest first. For orphan hunting.
func (n *Nova) ListServers(ctx context.Context) ([]Server, error) {
	servers, err := n.list(ctx, "list servers", nil)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(servers, func(s Server) bool { return !s.ours() }), nil
}

func (s Server) ours() bool {
	return strings.HasPrefix(s.Name, NamePrefix) || s.Metadata[MetadataAmphora] != ""
}

func (n *Nova) list(ctx context.Context, op string, q url.Values) ([]Server, error) {
	found, err := cloud.List[wireServer](ctx, n.service, cloud.Call{Op: op, Path: "servers/detail", Query: q}, "servers")
	if err != nil {
		return nil, err
	}
	servers := make([]Server, 0, len(found))
	for _, w := range found {
		if s := w.read(); s.Status != ServerDeleted && s.Status != "SOFT_DELETED" {
			servers = append(servers, s)
		}
	}
	oldestFirst(servers)
	return servers, nil
}

func oldestFirst(servers []Server) {
	slices.SortStableFunc(servers, func(a, b Server) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
}

// CreateServer asks for a server and returns as soon as Nova took it. Of the result only ID,
// Name, Status and what spec said are set.
func (n *Nova) CreateServer(ctx context.Context, spec ServerSpec) (Server, error) {
	spec.Zone = cmp.Or(spec.Zone, n.zone)
	var out struct {
		Server struct{ ID string }
	}
	err := n.service.Do(ctx, cloud.Call{
		Op: "create server", Method: http.MethodPost, Path: "servers", In: spec.wire(), Out: &out,
	})
	if err != nil {
		return Server{}, err
	}
	if out.Server.ID == "" {
		return Server{}, &cloud.Error{
			Class: cloud.Unavailable, Service: n.service.Endpoint.Type, Op: "create server",
			Status: http.StatusAccepted, Message: "the answer has no id",
		}
	}
	return Server{
		ID: out.Server.ID, Name: spec.Name, Status: ServerBuild, FlavorID: spec.FlavorID, ImageID: spec.ImageID,
		Metadata: spec.Metadata,
	}, nil
}

// HasFlavor says whether Nova has a flavor of this id.
func (n *Nova) HasFlavor(ctx context.Context, id string) (bool, error) {
	err := n.service.Do(ctx, cloud.Call{Op: "show flavor", Method: http.MethodGet, Path: "flavors/" + cloud.ID(id)})
	if cloud.IsGone(err) {
		return false, nil
	}
	return err == nil, err
}

// HasZone says whether Nova lists an availability zone of this name.
func (n *Nova) HasZone(ctx context.Context, name string) (bool, error) {
	var out struct {
		Zones []struct {
			Name string `json:"zoneName"`
		} `json:"availabilityZoneInfo"`
	}
	err := n.service.Do(ctx, cloud.Call{
		Op: "list availability zones", Method: http.MethodGet, Path: "os-availability-zone", Out: &out,
	})
	for _, z := range out.Zones {
		if z.Name == name {
			return true, nil
		}
	}
	return false, err
}

// DeleteServer asks Nova to delete; an absent server is no error. It does not wait.
func (n *Nova) DeleteServer(ctx context.Context, id string) error {
	return n.delete(ctx, "delete server", "servers/"+cloud.ID(id))
}

// delete deletes; what is absent is no error.
func (n *Nova) delete(ctx context.Context, op, path string) error {
	err := n.service.Do(ctx, cloud.Call{Op: op, Method: http.MethodDelete, Path: path})
	if cloud.IsGone(err) {
		return nil
	}
	return err
}
