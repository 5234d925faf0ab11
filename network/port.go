package network

import (
	"context"
	"net/http"

	"github.com/ottavino/ottavino/cloud"
)

type portDoc struct {
	Port wirePort `json:"port"`
}

// Port reads one port. Absent: class Gone.
func (n *Neutron) Port(ctx context.Context, id string) (Port, error) {
	var out portDoc
	err := n.get(ctx, "show port", "ports/"+cloud.ID(id), &out)
	return out.Port.read(), err
}

// Ports lists ports; an error is never mistaken for an empty list.
func (n *Neutron) Ports(ctx context.Context, f PortFilter) ([]Port, error) {
	found, err := cloud.List[wirePort](ctx, n.service, cloud.Call{
		Op: "list ports", Path: "ports",
		Query: filter("name", f.Name, "device_id", f.DeviceID, "device_owner", f.DeviceOwner, "network_id", f.NetworkID),
	}, "ports")
	if err != nil {
		return nil, err
	}
	ports := make([]Port, 0, len(found))
	for _, w := range found {
		ports = append(ports, w.read())
	}
	return ports, nil
}

// CreatePort makes a port. An address already in use: class Conflict with Neutron's message.
func (n *Neutron) CreatePort(ctx context.Context, s PortSpec) (Port, error) {
	var out portDoc
	err := n.service.Do(ctx, cloud.Call{
		Op: "create port", Method: http.MethodPost, Path: "ports", In: map[string]any{"port": s.wire()}, Out: &out,
	})
	return out.Port.read(), err
}

// UpdatePort changes a port. Absent: class Gone. A change of nothing reads the port.
func (n *Neutron) UpdatePort(ctx context.Context, id string, c PortChange) (Port, error) {
	body := c.wire()
	if len(body) == 0 {
		return n.Port(ctx, id)
	}
	var out portDoc
	err := n.service.Do(ctx, cloud.Call{
		Op: "update port", Method: http.MethodPut, Path: "ports/" + cloud.ID(id),
		In: map[string]any{"port": body}, Out: &out,
	})
	return out.Port.read(), err
}

// DeletePort deletes a port; absent is no error.
func (n *Neutron) DeletePort(ctx context.Context, id string) error {
	return n.delete(ctx, "delete port", "ports/"+cloud.ID(id))
}
