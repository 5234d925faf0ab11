package api

import (
	"context"
	"errors"
)

// ErrUnavailable says that a service the API needs cannot be reached now: 503.
var ErrUnavailable = errors.New("a needed service is not available")

// VIP is what the API needs of Neutron. What a user did wrong is returned as a *Fault with
// the exact status and text that the client is to see (400 `Subnet <id> not found.`, 409
// `The VIP IP address is already in use: …`, 500 `Provider 'amphora' reports error: …`);
// wrap ErrUnavailable when Neutron cannot be asked; anything else is a 500 whose cause is
// only logged. Methods may be called concurrently.
type VIP interface {
	// Resolve applies all rules on what the user names for a VIP ([networking] allow_vip_*,
	// one of port, network and subnet, additional VIPs, QoS policy, security groups, valid
	// and denied networks), in upstream's order, reading with the user's token unless
	// [networking] allow_invisible_resource_usage. It writes nothing. The result has network
	// and subnet, the address as far as known, the QoS policy (the given port's when
	// !QoSGiven) and PortID only when the user gave it.
	Resolve(ctx context.Context, r VIPRequest) (VIPResult, error)

	// Create makes the port octavia-lb-<LoadBalancerID> (device_id lb-<LoadBalancerID>,
	// device_owner Octavia, in the user's project, down), or adopts the user's when PortID is
	// set. The request holds what Resolve returned. OctaviaOwned says that the port is ours.
	// When a port of that name is there already, it is used: the call may be repeated.
	Create(ctx context.Context, r VIPRequest) (VIPResult, error)

	// Delete removes the port if it is ours (its device_owner is Octavia). An absent port,
	// or portID "" with no port of the load balancer's name, is no error.
	Delete(ctx context.Context, lbID, portID string) error

	// SubnetExists returns 400 `Subnet <id> not found.` unless the user sees the subnet.
	SubnetExists(ctx context.Context, userToken, subnetID string) error

	// CheckQoS returns 400 `Validation failure: VIP QoS policy is not allowed in this
	// deployment.` without Neutron's QoS extension, and 400 `qos_policy <id> not found.`
	// unless the user sees the policy; with policyID "" only the extension is checked.
	CheckQoS(ctx context.Context, userToken, policyID string) error

	// CheckSecurityGroups returns 400 `Security Group <id> not found.` for the first group
	// the user does not see.
	CheckSecurityGroups(ctx context.Context, userToken string, ids []string) error
}

// VIPRequest is what a user asks of a VIP; "" is not given.
type VIPRequest struct {
	LoadBalancerID, ProjectID string // LoadBalancerID is "" in Resolve
	Address, SubnetID         string
	NetworkID, PortID         string
	QoSPolicyID               string
	QoSGiven                  bool // vip_qos_policy_id is in the body, null included
	SecurityGroupIDs          []string
	Additional                []AdditionalVIP
	Topology                  string // SINGLE or ACTIVE_STANDBY: 2 or 3 free addresses are needed
	// ValidNetworks is the availability zone's valid_vip_networks; nil falls back to
	// [networking] valid_vip_networks.
	ValidNetworks []string
	UserToken     string // "" with auth_strategy noauth and testing: read as the service
}

// AdditionalVIP is one more address of a load balancer, on another subnet of its network.
type AdditionalVIP struct{ SubnetID, Address string }

// VIPResult is a VIP as far as it is known.
type VIPResult struct {
	PortID, Address, SubnetID, NetworkID, QoSPolicyID string
	OctaviaOwned                                      bool
	Additional                                        []AdditionalVIP
}
