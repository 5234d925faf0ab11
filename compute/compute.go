// Package compute holds our verbs on Nova, Glance and server groups. Every error is a
// *cloud.Error. Noop implements the same verbs without a cloud.
package compute

import (
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

// Image is a Glance image.
type Image struct {
	ID, Name string
	Created  time.Time
}
