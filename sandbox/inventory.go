package sandbox

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ottavino/ottavino/sandbox/instance"
	"github.com/ottavino/ottavino/sandbox/neutron"
)

// Inventory is everything there is in the cloud, each as "kind name id".
type Inventory []string

// Inventory lists servers, ports, security groups and server groups, and what the kernel has behind them: interfaces,
// namespaces and the processes in them. What belongs to backends is left out.
func (s *Sandbox) Inventory(context.Context) (Inventory, error) {
	out := s.rows()
	if s.host == nil {
		return out, nil
	}
	kernel, err := s.kernel()
	return append(out, kernel...), err
}

func (v *Inventory) add(kind, name, id string) {
	*v = append(*v, strings.Join([]string{kind, name, id}, " "))
}

// rows are the things that the services know.
func (s *Sandbox) rows() Inventory {
	var out Inventory
	for _, v := range s.compute.Servers() {
		out.add("server", v.Name, v.ID)
	}
	for _, p := range s.network.PortsOf("") {
		if !s.backends.has(p.DeviceID) {
			out.add("port", p.Name, p.ID)
		}
	}
	for _, g := range s.network.Groups() {
		if g.Name != neutron.DefaultGroup { // which Neutron makes by itself, and keeps
			out.add("security group", g.Name, g.ID)
		}
	}
	for _, g := range s.compute.Groups() {
		out.add("server group", g.Name, g.ID)
	}
	return out
}

// kernel are the things that the kernel has for instances.
func (s *Sandbox) kernel() (Inventory, error) {
	var out Inventory
	taps, err := instance.Taps()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	for _, tap := range taps {
		if !s.backends.plugged(tap) {
			out.add("interface", tap, "")
		}
	}
	processes, err := instance.Processes()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	spaces := map[string]bool{}
	for _, p := range processes {
		if s.backends.run(p) {
			continue
		}
		out.add("process", p.Name, strconv.Itoa(p.PID))
		if !spaces[p.Net] {
			spaces[p.Net] = true
			out.add("namespace", p.Net, "")
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
