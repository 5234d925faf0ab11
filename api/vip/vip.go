// Package vip is the API's view of Neutron: what users may name for a VIP, and the port that
// holds it. It words Neutron's answers as upstream's faults.
package vip

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/network"
)

// Config is the part of [networking] that says what users may name.
type Config struct {
	AllowPortID, AllowNetworkID, AllowSubnetID bool
	// ValidNetworks is valid_vip_networks; nil = all, empty = none.
	ValidNetworks  []string
	DeniedNetworks []string // denylist_vip_networks
	// AllowInvisible is allow_invisible_resource_usage: look with our token, not the user's.
	AllowInvisible bool
}

// Neutron is what a VIP asks of a network driver: *network.Neutron or *network.Noop.
type Neutron interface {
	View(token string) network.View
	HasExtension(ctx context.Context, alias string) (bool, error)
	FreeAddresses(ctx context.Context, networkID string) (map[string]int, error)
	Ports(ctx context.Context, f network.PortFilter) ([]network.Port, error)
	CreatePort(ctx context.Context, s network.PortSpec) (network.Port, error)
	DeletePort(ctx context.Context, id string) error
}

// VIP is api.VIP. It is safe for concurrent use.
type VIP struct {
	cfg     Config
	neutron Neutron
	hasQoS  atomic.Bool // extensions are not taken away while we run
}

// New makes a VIP; it makes no call.
func New(cfg Config, n Neutron) *VIP { return &VIP{cfg: cfg, neutron: n} }

// view is Neutron as the user sees it.
func (v *VIP) view(token string) network.View {
	if v.cfg.AllowInvisible {
		token = ""
	}
	return v.neutron.View(token)
}

// SubnetExists implements api.VIP.
func (v *VIP) SubnetExists(ctx context.Context, userToken, subnetID string) error {
	_, err := v.view(userToken).Subnet(ctx, subnetID)
	return absent(err, "Subnet", subnetID)
}

// CheckQoS implements api.VIP.
func (v *VIP) CheckQoS(ctx context.Context, userToken, policyID string) error {
	if !v.hasQoS.Load() {
		ok, err := v.neutron.HasExtension(ctx, "qos")
		if err != nil {
			return failed(err)
		}
		if !ok {
			return api.Invalid("VIP QoS policy is not allowed in this deployment.")
		}
		v.hasQoS.Store(true)
	}
	if policyID == "" {
		return nil
	}
	ok, err := v.view(userToken).QoSPolicyExists(ctx, policyID)
	return exists(ok, err, "qos_policy", policyID)
}

// CheckSecurityGroups implements api.VIP.
func (v *VIP) CheckSecurityGroups(ctx context.Context, userToken string, ids []string) error {
	view := v.view(userToken)
	for _, id := range ids {
		ok, err := view.SecurityGroupExists(ctx, id)
		if err := exists(ok, err, "Security Group", id); err != nil {
			return err
		}
	}
	return nil
}

// absent words the error of a read; nil stays nil.
func absent(err error, title, id string) error {
	if cloud.IsGone(err) {
		return &api.Fault{Status: http.StatusBadRequest, Text: fmt.Sprintf("%s %s not found.", title, id), Err: err}
	}
	return failed(err)
}

func exists(ok bool, err error, title, id string) error {
	if err != nil {
		return failed(err)
	}
	if !ok {
		return api.BadRequest(fmt.Sprintf("%s %s not found.", title, id))
	}
	return nil
}

// failed words the error of a call whose refusal is not the user's mistake.
func failed(err error) error {
	if err == nil {
		return nil
	}
	var e *cloud.Error
	if errors.As(err, &e) {
		switch e.Class {
		case cloud.Unavailable, cloud.RateLimited, cloud.Unauthorized:
			return fmt.Errorf("vip: %w: %w", api.ErrUnavailable, err)
		case cloud.Final, cloud.Gone, cloud.Conflict, cloud.Quota:
		}
	}
	return fmt.Errorf("vip: %w", err)
}
