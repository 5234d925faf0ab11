package worker

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/certs"
	"github.com/ottavino/ottavino/compute"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/network"
	"github.com/ottavino/ottavino/secret"
)

// Compute is what the worker asks of Nova. Creating MUST be findable by exact name
// afterwards; deleting what is gone MUST succeed. Errors are *cloud.Error.
type Compute interface {
	Server(ctx context.Context, id string) (compute.Server, error)
	FindServers(ctx context.Context, name string) ([]compute.Server, error)
	CreateServer(ctx context.Context, spec compute.ServerSpec) (compute.Server, error)
	DeleteServer(ctx context.Context, id string) error
	Interfaces(ctx context.Context, serverID string) ([]compute.Interface, error)
	AttachPort(ctx context.Context, serverID, portID string) error
	DetachPort(ctx context.Context, serverID, portID string) error
	DeleteServerGroup(ctx context.Context, id string) error
}

// Images selects the image of a new amphora.
type Images interface {
	NewestImage(ctx context.Context, tag, owner string) (compute.Image, error)
}

// Ports is what the worker asks of Neutron about networks and ports.
type Ports interface {
	Port(ctx context.Context, id string) (network.Port, error)
	Subnet(ctx context.Context, id string) (network.Subnet, error)
	Network(ctx context.Context, id string) (network.Network, error)
	Ports(ctx context.Context, f network.PortFilter) ([]network.Port, error)
	CreatePort(ctx context.Context, s network.PortSpec) (network.Port, error)
	UpdatePort(ctx context.Context, id string, c network.PortChange) (network.Port, error)
	DeletePort(ctx context.Context, id string) error
}

// SecurityGroups is what the worker asks of Neutron about security groups.
type SecurityGroups interface {
	FindSecurityGroups(ctx context.Context, name string) ([]string, error)
	CreateSecurityGroup(ctx context.Context, name, description string) (string, error)
	SyncRules(ctx context.Context, groupID string, want []network.Rule) error
	DeleteSecurityGroup(ctx context.Context, id string) error
}

// Network is all of Neutron that the worker uses.
type Network interface {
	Ports
	SecurityGroups
}

// Agent talks to the agent of one amphora. Errors are *amphora.AgentError.
type Agent interface {
	Info(ctx context.Context, t amphora.Target) (amphora.Info, error)
	Details(ctx context.Context, t amphora.Target) (amphora.Details, error)
	Config(ctx context.Context, t amphora.Target, lbID string) (cfg []byte, ok bool, err error)
	PlugVIP(ctx context.Context, t amphora.Target, vip netip.Addr, p amphora.VIPPlug) error
	PlugNetwork(ctx context.Context, t amphora.Target, p amphora.NetworkPlug) error
	Apply(ctx context.Context, t amphora.Target, lbID string, cfg []byte) error
	Remove(ctx context.Context, t amphora.Target, lbID string) error
	ListenerConfig(ctx context.Context, t amphora.Target, listenerID string) (cfg []byte, ok bool, err error)
	ApplyListener(ctx context.Context, t amphora.Target, listenerID string, cfg []byte) error
	RemoveListener(ctx context.Context, t amphora.Target, listenerID string) error
	UploadConfig(ctx context.Context, t amphora.Target, conf []byte) error
	Upload(ctx context.Context, t amphora.Target, lbID string, cfg []byte) error
	SetRules(ctx context.Context, t amphora.Target, ip netip.Addr, rules []amphora.FirewallRule) error
	CertificateFiles
}

// CertificateFiles are what an agent holds for a load balancer beside its configuration. CertificateFiles is only
// called of agents with amphora.CapabilityCertificates.
type CertificateFiles interface {
	CertificateFiles(ctx context.Context, t amphora.Target, lbID string) (map[string]string, error)
	CertificateFile(ctx context.Context, t amphora.Target, lbID, name string) (md5 string, ok bool, err error)
	PutCertificateFile(ctx context.Context, t amphora.Target, lbID, name string, content []byte) error
	DeleteCertificateFile(ctx context.Context, t amphora.Target, lbID, name string) error
}

// Authority issues the server certificates of amphorae.
type Authority interface {
	Server(id string, now time.Time, d time.Duration) (certs.Issued, error)
}

// Deps are the parts a worker works with.
type Deps struct {
	Store   *db.Store
	Compute Compute
	Images  Images
	Network Network
	Agent   Agent
	// Secrets is where users keep certificates, nil = nowhere: who refers to one is blamed.
	Secrets Secrets
	// Sealer encrypts the copies of what was read there; it may be nil without Secrets.
	Sealer *secret.Sealer
	// CA may be nil with noop drivers: amphorae then get no certificate.
	CA  Authority
	Log *slog.Logger
	// Metrics takes the worker's collectors; nil means nobody reads them.
	Metrics prometheus.Registerer
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// NewID makes amphora ids; nil means random UUIDs.
	NewID func() string
}
