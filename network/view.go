package network

import "context"

// View is what may be read with somebody's token. It stands here and not with its user
// because both drivers return it.
type View interface {
	Port(ctx context.Context, id string) (Port, error)
	Subnet(ctx context.Context, id string) (Subnet, error)
	Network(ctx context.Context, id string) (Network, error)
	HasSubnet(ctx context.Context, networkID, subnetID string) (bool, error)
	QoSPolicyExists(ctx context.Context, id string) (bool, error)
	SecurityGroupExists(ctx context.Context, id string) (bool, error)
}

// View is AsUser for callers that know both drivers.
func (n *Neutron) View(token string) View { return n.AsUser(token) }

// View is the same for everybody.
func (n *Noop) View(string) View { return n }
