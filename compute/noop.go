package compute

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ottavino/ottavino/cloud"
)

// noopNetwork is where servers of Noop have their addresses: a net for tests of devices.
var noopNetwork = netip.MustParseAddr("198.18.0.1")

// noopAddresses is how many there are before they begin anew.
const noopAddresses = 100_000

// Noop is Nova without a cloud, compute_noop_driver: servers are ACTIVE at once and known to
// this process only. Safe for concurrent use.
type Noop struct {
	mu      sync.Mutex
	servers map[string]*noopServer
	groups  map[string]string // name by id
	address netip.Addr        // of the last interface
	given   int
}

type noopServer struct {
	Server
	interfaces []Interface
}

// NewNoop makes a cloud without servers.
func NewNoop() *Noop {
	return &Noop{servers: map[string]*noopServer{}, groups: map[string]string{}, address: noopNetwork}
}

// Server reads one server. Gone when there is none.
func (n *Noop) Server(_ context.Context, id string) (Server, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.servers[id]
	if s == nil {
		return Server{}, noopGone("show server", id)
	}
	return s.Server, nil
}

// FindServers returns the servers of exactly this name, oldest first.
func (n *Noop) FindServers(_ context.Context, name string) ([]Server, error) {
	return n.where(func(s Server) bool { return s.Name == name }), nil
}

// ListServers returns our servers, oldest first.
func (n *Noop) ListServers(context.Context) ([]Server, error) { return n.where(Server.ours), nil }

func (n *Noop) where(match func(Server) bool) []Server {
	n.mu.Lock()
	defer n.mu.Unlock()
	var found []Server
	for _, s := range n.servers {
		if match(s.Server) {
			found = append(found, s.Server)
		}
	}
	oldestFirst(found)
	return found
}

// CreateServer makes a server with an interface per network and port.
func (n *Noop) CreateServer(_ context.Context, spec ServerSpec) (Server, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := &noopServer{Server: Server{
		ID: uuid.NewString(), Name: spec.Name, Status: ServerActive, FlavorID: spec.FlavorID, ImageID: spec.ImageID,
		Zone: spec.Zone, Metadata: maps.Clone(spec.Metadata), Created: time.Now().UTC(),
	}}
	networks := spec.Networks
	if len(networks) == 0 { // as Nova does: the one network there is
		networks = []string{uuid.NewSHA1(uuid.NameSpaceOID, []byte("noop network")).String()}
	}
	for _, id := range networks {
		s.interfaces = append(s.interfaces, n.plug(uuid.NewString(), id))
	}
	for _, id := range spec.Ports {
		s.interfaces = append(s.interfaces, n.plug(id, ""))
	}
	n.servers[s.ID] = s
	return s.Server, nil
}

// plug makes an interface. Its network is not known for a port that Neutron made.
func (n *Noop) plug(portID, networkID string) Interface {
	if n.given++; n.given%noopAddresses == 0 {
		n.address = noopNetwork
	}
	n.address = n.address.Next()
	b := n.address.As4()
	return Interface{
		PortID: portID, NetworkID: networkID, State: "ACTIVE",
		MAC: fmt.Sprintf("fa:16:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3]),
		FixedIPs: []FixedIP{{
			SubnetID: uuid.NewSHA1(uuid.NameSpaceOID, []byte(networkID)).String(), Address: n.address.String(),
		}},
	}
}

// HasFlavor is always true.
func (n *Noop) HasFlavor(context.Context, string) (bool, error) { return true, nil }

// HasZone is always true.
func (n *Noop) HasZone(context.Context, string) (bool, error) { return true, nil }

// DeleteServer forgets a server; an absent server is no error.
func (n *Noop) DeleteServer(_ context.Context, id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.servers, id)
	return nil
}

// Interfaces lists a server's NICs. Gone when there is no such server.
func (n *Noop) Interfaces(_ context.Context, serverID string) ([]Interface, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.servers[serverID]
	if s == nil {
		return nil, noopGone("list interfaces", serverID)
	}
	return slices.Clone(s.interfaces), nil
}

// AttachPort plugs a port; already plugged is no error. Gone when there is no such server.
func (n *Noop) AttachPort(_ context.Context, serverID, portID string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.servers[serverID]
	if s == nil {
		return noopGone("attach port", serverID)
	}
	if !slices.ContainsFunc(s.interfaces, func(i Interface) bool { return i.PortID == portID }) {
		s.interfaces = append(s.interfaces, n.plug(portID, ""))
	}
	return nil
}

// DetachPort unplugs a port; not plugged, or no such server, is no error.
func (n *Noop) DetachPort(_ context.Context, serverID, portID string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s := n.servers[serverID]; s != nil {
		s.interfaces = slices.DeleteFunc(s.interfaces, func(i Interface) bool { return i.PortID == portID })
	}
	return nil
}

// EnsureServerGroup finds the group by name or makes it.
func (n *Noop) EnsureServerGroup(_ context.Context, name, _ string) (id string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, have := range n.groups {
		if have == name {
			return id, nil
		}
	}
	id = uuid.NewString()
	n.groups[id] = name
	return id, nil
}

// DeleteServerGroup forgets a group; absent is no error.
func (n *Noop) DeleteServerGroup(_ context.Context, id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.groups, id)
	return nil
}

func noopGone(op, id string) error {
	return &cloud.Error{
		Class: cloud.Gone, Service: "compute", Op: op, Status: 404,
		Message: fmt.Sprintf("Instance %s could not be found.", id),
	}
}

// NoopImages is Glance without a cloud, image_noop_driver: every tag has an image, whose id
// follows from tag and owner.
type NoopImages struct{}

// NewNoopImages makes the images.
func NewNoopImages() *NoopImages { return &NoopImages{} }

// NewestImage returns the image of a tag.
func (*NoopImages) NewestImage(_ context.Context, tag, owner string) (Image, error) {
	return Image{ID: uuid.NewSHA1(uuid.NameSpaceOID, []byte("image "+tag+" "+owner)).String(), Name: tag}, nil
}
