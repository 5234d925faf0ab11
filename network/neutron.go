package network

import (
	"context"
	"encoding/json"
	"math"
	"math/big"
	"net/http"
	"net/url"
	"slices"

	"github.com/ottavino/ottavino/cloud"
)

// Neutron drives ports and security groups. Safe for concurrent use.
type Neutron struct{ service cloud.Service }

// NewNeutron wires a session; it makes no call. An empty e.Type means network.
func NewNeutron(s *cloud.Session, e cloud.Endpoint) *Neutron {
	if e.Type == "" {
		e.Type = "network"
	}
	return &Neutron{service: cloud.Service{Session: s, Endpoint: e}}
}

// AsUser returns the same verbs with the caller's token (read only use: what may the user
// see). With token "" it is the service's own view.
func (n *Neutron) AsUser(token string) *Neutron {
	user := *n
	user.service.Token = token
	return &user
}

// Subnet reads one subnet. Absent: class Gone.
func (n *Neutron) Subnet(ctx context.Context, id string) (Subnet, error) {
	var out struct{ Subnet wireSubnet }
	err := n.get(ctx, "show subnet", "subnets/"+cloud.ID(id), &out)
	return out.Subnet.read(), err
}

// Network reads one network. Absent: class Gone.
func (n *Neutron) Network(ctx context.Context, id string) (Network, error) {
	var out struct{ Network wireNetwork }
	err := n.get(ctx, "show network", "networks/"+cloud.ID(id), &out)
	return out.Network.read(), err
}

// HasSubnet says whether a subnet belongs to a network. An absent network is class Gone.
func (n *Neutron) HasSubnet(ctx context.Context, networkID, subnetID string) (bool, error) {
	net, err := n.Network(ctx, networkID)
	return slices.Contains(net.SubnetIDs, subnetID), err
}

// QoSPolicyExists says whether a QoS policy is visible.
func (n *Neutron) QoSPolicyExists(ctx context.Context, id string) (bool, error) {
	return n.exists(ctx, "show QoS policy", "qos/policies/"+cloud.ID(id))
}

// SecurityGroupExists says whether a security group is visible.
func (n *Neutron) SecurityGroupExists(ctx context.Context, id string) (bool, error) {
	return n.exists(ctx, "show security group", "security-groups/"+cloud.ID(id))
}

// HasExtension says whether Neutron has an extension of this alias, such as qos.
func (n *Neutron) HasExtension(ctx context.Context, alias string) (bool, error) {
	return n.exists(ctx, "show extension", "extensions/"+cloud.ID(alias))
}

// FreeAddresses returns free addresses per subnet of a network (network-ip-availability).
// Counts end at math.MaxInt32: an IPv6 subnet has more.
func (n *Neutron) FreeAddresses(ctx context.Context, networkID string) (map[string]int, error) {
	var out struct {
		Availability struct {
			Subnets []struct {
				ID    string      `json:"subnet_id"`
				Total json.Number `json:"total_ips"`
				Used  json.Number `json:"used_ips"`
			} `json:"subnet_ip_availability"`
		} `json:"network_ip_availability"`
	}
	err := n.get(ctx, "show free addresses", "network-ip-availabilities/"+cloud.ID(networkID), &out)
	if err != nil {
		return nil, err
	}
	free := make(map[string]int, len(out.Availability.Subnets))
	for _, s := range out.Availability.Subnets {
		free[s.ID] = difference(s.Total, s.Used)
	}
	return free, nil
}

// difference subtracts numbers that may be beyond any integer, and is never negative.
func difference(total, used json.Number) int {
	t, ok := new(big.Float).SetString(total.String())
	if !ok {
		return 0
	}
	if u, ok := new(big.Float).SetString(used.String()); ok {
		t.Sub(t, u)
	}
	n, _ := t.Int64() // saturates
	return int(min(max(n, 0), math.MaxInt32))
}

func (n *Neutron) get(ctx context.Context, op, path string, out any) error {
	return n.service.Do(ctx, cloud.Call{Op: op, Method: http.MethodGet, Path: path, Out: out})
}

func (n *Neutron) exists(ctx context.Context, op, path string) (bool, error) {
	var out map[string]json.RawMessage
	err := n.get(ctx, op, path, &out)
	if cloud.IsGone(err) {
		return false, nil
	}
	return err == nil, err
}

// delete deletes; what is absent is no error.
func (n *Neutron) delete(ctx context.Context, op, path string) error {
	err := n.service.Do(ctx, cloud.Call{Op: op, Method: http.MethodDelete, Path: path})
	if cloud.IsGone(err) {
		return nil
	}
	return err
}

// filter makes a query of the pairs whose value is not empty.
func filter(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}
