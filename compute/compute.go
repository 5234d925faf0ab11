// Package compute holds our verbs on Nova, Glance and server groups. Every error is a
// *cloud.Error. Noop implements the same verbs without a cloud.
package compute

import (
	"context"
	"time"

	"github.com/ottavino/ottavino/cloud"
)

// Config is [nova] and [compute].
type Config struct {
	Endpoint         cloud.Endpoint
	AvailabilityZone string // default zone; "" = Nova chooses
}

// ServerStatus is Nova's status of a server.
type ServerStatus string

// The statuses that callers tell apart; others may occur.
const (
	ServerActive  ServerStatus = "ACTIVE"
	ServerBuild   ServerStatus = "BUILD"
	ServerError   ServerStatus = "ERROR"
	ServerDeleted ServerStatus = "DELETED"
)

// Server is what we read of a Nova server.
type Server struct {
	ID, Name  string
	Status    ServerStatus
	TaskState string // OS-EXT-STS:task_state, "deleting" while it goes
	Fault     string // fault.message; "" unless Status is ERROR
	FlavorID  string
	ImageID   string // "" when booted from volume
	Zone      string // OS-EXT-AZ:availability_zone
	Metadata  map[string]string
	Created   time.Time
}

// ServerSpec is a server to make (spec of Nova's create call: microversion 2.15, config drive).
type ServerSpec struct {
	Name           string
	ImageID        string
	FlavorID       string
	Networks       []string // uuids in order
	Ports          []string // existing ports, after Networks
	SecurityGroups []string // ids or names; apply to Networks
	KeyName        string   // "" = none
	UserData       []byte   // plain; encoded on the wire
	// Files are injected as personality: absolute path → content.
	Files         map[string][]byte
	ServerGroupID string // scheduler hint; "" = none
	Zone          string // "" = Config.AvailabilityZone
	Metadata      map[string]string
}

// Interface is one NIC of a server.
type Interface struct {
	PortID, NetworkID, MAC string
	FixedIPs               []FixedIP
	State                  string
}

// FixedIP is an address of an interface.
type FixedIP struct{ SubnetID, Address string }

// Nova drives servers and server groups.
type Nova struct{}

// NewNova wires a session; it makes no call.
func NewNova(s *cloud.Session, cfg Config) *Nova { panic("todo") }

// Server reads one server. Gone when Nova has none.
func (n *Nova) Server(ctx context.Context, id string) (Server, error) { panic("todo") }

// FindServers returns the servers of exactly this name (deleted ones left out), oldest first.
func (n *Nova) FindServers(ctx context.Context, name string) ([]Server, error) { panic("todo") }

// CreateServer asks for a server and returns as soon as Nova took it.
func (n *Nova) CreateServer(ctx context.Context, spec ServerSpec) (Server, error) { panic("todo") }

// DeleteServer asks Nova to delete; an absent server is no error. It does not wait.
func (n *Nova) DeleteServer(ctx context.Context, id string) error { panic("todo") }

// Interfaces lists a server's NICs.
func (n *Nova) Interfaces(ctx context.Context, serverID string) ([]Interface, error) { panic("todo") }

// AttachPort plugs a port; already plugged into this server is no error.
func (n *Nova) AttachPort(ctx context.Context, serverID, portID string) error { panic("todo") }

// DetachPort unplugs a port; not plugged, or no such server, is no error.
func (n *Nova) DetachPort(ctx context.Context, serverID, portID string) error { panic("todo") }

// EnsureServerGroup finds the group by name or makes it with the policy.
func (n *Nova) EnsureServerGroup(ctx context.Context, name, policy string) (id string, err error) {
	panic("todo")
}

// DeleteServerGroup deletes a group; absent is no error.
func (n *Nova) DeleteServerGroup(ctx context.Context, id string) error { panic("todo") }

// ListServers returns our servers: name prefix "amphora-" or metadata octavia-amphora-id. For orphan hunting.
func (n *Nova) ListServers(ctx context.Context) ([]Server, error) { panic("todo") }

// Image is a Glance image.
type Image struct {
	ID, Name string
	Created  time.Time
}

// Glance selects images.
type Glance struct{}

// NewGlance wires a session; it makes no call.
func NewGlance(s *cloud.Session, e cloud.Endpoint) *Glance { panic("todo") }

// NewestImage returns the newest active image with the tag, of the owner when not "". None: class Final
// with a message that names tag and owner.
func (g *Glance) NewestImage(ctx context.Context, tag, owner string) (Image, error) { panic("todo") }
