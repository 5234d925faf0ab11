package vip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/network"
)

// Create implements api.VIP.
func (v *VIP) Create(ctx context.Context, r api.VIPRequest) (api.VIPResult, error) {
	n, err := v.neutron.View("").Network(ctx, r.NetworkID)
	if err != nil {
		return api.VIPResult{}, absent(err, "Network", r.NetworkID)
	}
	if !n.PortSecurity { // the agent's addresses would be open to all
		return api.VIPResult{}, providerError("Port security must be enabled on the VIP network.", nil)
	}
	if r.PortID != "" {
		return v.adopt(ctx, r)
	}
	p, err := v.find(ctx, r.LoadBalancerID)
	if err != nil {
		return api.VIPResult{}, failed(err)
	}
	if p == nil {
		made, err := v.neutron.CreatePort(ctx, spec(r))
		if err != nil {
			return api.VIPResult{}, refused(err)
		}
		p = &made
	}
	out, ok := result(r, *p)
	if !ok {
		return api.VIPResult{}, providerError(fmt.Sprintf("VIP port %s has no address.", p.ID), nil)
	}
	out.OctaviaOwned = true
	return out, nil
}

// adopt takes the user's port as it is.
func (v *VIP) adopt(ctx context.Context, r api.VIPRequest) (api.VIPResult, error) {
	p, err := v.neutron.View("").Port(ctx, r.PortID)
	if err != nil {
		return api.VIPResult{}, absent(err, "Port", r.PortID)
	}
	has := func(subnet, address string) bool {
		return slices.ContainsFunc(p.FixedIPs, func(ip network.FixedIP) bool {
			return ip.SubnetID == subnet && (address == "" || sameAddress(ip.Address, address))
		})
	}
	fits := p.NetworkID == r.NetworkID && has(r.SubnetID, r.Address)
	for _, a := range r.Additional {
		fits = fits && has(a.SubnetID, a.Address)
	}
	out, ok := result(r, p)
	if !fits || !ok {
		return api.VIPResult{}, providerError(fmt.Sprintf(
			"VIP port %s does not have the addresses of the load balancer. It is not ours and will not be changed.", p.ID), nil)
	}
	return out, nil
}

// find returns the port that an earlier try made, or nil.
func (v *VIP) find(ctx context.Context, lbID string) (*network.Port, error) {
	ports, err := v.neutron.Ports(ctx, network.PortFilter{Name: network.VIPPortName(lbID), DeviceOwner: network.VIPOwner})
	if err != nil {
		return nil, err
	}
	for _, p := range ports {
		if p.DeviceID == deviceID(lbID) { // names are free to all
			return &p, nil
		}
	}
	return nil, nil
}

func deviceID(lbID string) string { return "lb-" + lbID }

func spec(r api.VIPRequest) network.PortSpec {
	s := network.PortSpec{
		Name: network.VIPPortName(r.LoadBalancerID), NetworkID: r.NetworkID, ProjectID: r.ProjectID,
		DeviceID: deviceID(r.LoadBalancerID), DeviceOwner: network.VIPOwner,
		FixedIPs: []network.FixedIP{{SubnetID: r.SubnetID, Address: r.Address}},
	}
	for _, a := range r.Additional {
		s.FixedIPs = append(s.FixedIPs, network.FixedIP(a))
	}
	if len(r.SecurityGroupIDs) > 0 {
		s.SecurityGroups = r.SecurityGroupIDs
	}
	return s
}

// result reads what a port holds: the primary address is the one on the subnet asked for,
// or else the first; of the others only those asked for count on a user's port.
func result(r api.VIPRequest, p network.Port) (api.VIPResult, bool) {
	if len(p.FixedIPs) == 0 {
		return api.VIPResult{}, false
	}
	primary := slices.IndexFunc(p.FixedIPs, func(ip network.FixedIP) bool {
		return ip.SubnetID == r.SubnetID && (r.Address == "" || sameAddress(ip.Address, r.Address))
	})
	primary = max(primary, 0)
	out := api.VIPResult{
		PortID: p.ID, NetworkID: cmp.Or(p.NetworkID, r.NetworkID), QoSPolicyID: r.QoSPolicyID,
		SubnetID: p.FixedIPs[primary].SubnetID,
		// The user's spelling stays: clients compare.
		Address: cmp.Or(r.Address, p.FixedIPs[primary].Address),
	}
	for _, a := range r.Additional {
		i := slices.IndexFunc(p.FixedIPs, func(ip network.FixedIP) bool { return ip.SubnetID == a.SubnetID })
		if i >= 0 {
			a.Address = cmp.Or(a.Address, p.FixedIPs[i].Address)
		}
		out.Additional = append(out.Additional, a)
	}
	return out, true
}

// Delete implements api.VIP.
func (v *VIP) Delete(ctx context.Context, lbID, portID string) error {
	if portID == "" {
		p, err := v.find(ctx, lbID)
		if err != nil || p == nil {
			return failed(err)
		}
		return failed(v.neutron.DeletePort(ctx, p.ID))
	}
	p, err := v.neutron.View("").Port(ctx, portID)
	if cloud.IsGone(err) {
		return nil
	}
	if err != nil {
		return failed(err)
	}
	if p.DeviceOwner != network.VIPOwner {
		return nil // the user's
	}
	return failed(v.neutron.DeletePort(ctx, portID))
}

// refused words Neutron's refusal to make the port.
func refused(err error) error {
	var e *cloud.Error
	if !errors.As(err, &e) || e.Class == cloud.Unavailable || e.Class == cloud.RateLimited || e.Class == cloud.Unauthorized {
		return failed(err)
	}
	if e.Status == http.StatusConflict {
		return &api.Fault{
			Status: http.StatusConflict, Text: "The VIP IP address is already in use: " + e.Message, Err: err,
		}
	}
	return providerError(e.Message, err)
}

func providerError(text string, err error) error {
	return &api.Fault{
		Status: http.StatusInternalServerError, Text: "Provider 'amphora' reports error: " + text, Err: err,
	}
}
