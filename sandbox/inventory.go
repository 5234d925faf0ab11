package sandbox

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ottavino/ottavino/sandbox/instance"
)

// Inventory is everything there is in the cloud, each as "kind name id".
type Inventory []string

// Inventory lists servers, ports, security groups and server groups, and behind them instances and interfaces. What
// belongs to backends is left out.
func (s *Sandbox) Inventory(context.Context) (Inventory, error) {
	var out Inventory
	add := func(kind, name, id string) { out = append(out, strings.Join([]string{kind, name, id}, " ")) }
	for _, v := range s.compute.Servers() {
		add("server", v.Name, v.ID)
	}
	for _, p := range s.network.PortsOf("") {
		if !s.backends.has(p.DeviceID) {
			add("port", p.Name, p.ID)
		}
	}
	for _, g := range s.network.Groups() {
		add("security group", g.Name, g.ID)
	}
	for _, g := range s.compute.Groups() {
		add("server group", g.Name, g.ID)
	}
	if s.host == nil {
		return out, nil
	}
	for _, id := range s.host.ids() {
		if !s.backends.has(id) {
			add("instance", "", id)
		}
	}
	taps, err := instance.Taps()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	for _, tap := range taps {
		if !s.backends.plugged(tap) {
			add("interface", tap, "")
		}
	}
	return out, nil
}

// Leaks lists what is there beyond a cloud without load balancers.
func (s *Sandbox) Leaks(ctx context.Context) ([]string, error) {
	now, err := s.Inventory(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(now, func(item string) bool { return slices.Contains(s.basis, item) }), nil
}

// Servers returns the ids of the servers whose names begin with prefix, oldest first.
func (s *Sandbox) Servers(prefix string) []string {
	var ids []string
	for _, v := range s.compute.Servers() {
		if strings.HasPrefix(v.Name, prefix) {
			ids = append(ids, v.ID)
		}
	}
	return ids
}

// Amphora returns the id of the one amphora there is.
func (s *Sandbox) Amphora(context.Context) (serverID string, err error) {
	ids := s.Servers("amphora-")
	if len(ids) != 1 {
		return "", fmt.Errorf("there are %d amphorae, not one", len(ids))
	}
	return ids[0], nil
}
