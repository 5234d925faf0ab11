package compute

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/ottavino/ottavino/cloud"
)

// Interfaces lists a server's NICs. Gone when Nova has no such server.
func (n *Nova) Interfaces(ctx context.Context, serverID string) ([]Interface, error) {
	found, err := cloud.List[wireInterface](ctx, n.service, cloud.Call{
		Op: "list interfaces", Path: "servers/" + cloud.ID(serverID) + "/os-interface",
	}, "interfaceAttachments")
	if err != nil {
		return nil, err
	}
	interfaces := make([]Interface, 0, len(found))
	for _, w := range found {
		interfaces = append(interfaces, w.read())
	}
	return interfaces, nil
}

// AttachPort plugs a port; already plugged into this server is no error. Plugged into
// another one: class Conflict.
func (n *Nova) AttachPort(ctx context.Context, serverID, portID string) error {
	var out struct{} // read, to see garbage
	err := n.service.Do(ctx, cloud.Call{
		Op: "attach port", Method: http.MethodPost, Path: "servers/" + cloud.ID(serverID) + "/os-interface",
		In: map[string]any{"interfaceAttachment": map[string]string{"port_id": portID}}, Out: &out,
		OK: []int{http.StatusOK},
	})
	refusal := inUse(err)
	if refusal == nil {
		return err
	}
	attached, err := n.Interfaces(ctx, serverID)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(attached, func(i Interface) bool { return i.PortID == portID }) {
		return nil
	}
	return refusal
}

// inUse returns err as a conflict when it may say that the port is plugged already, which
// Nova says with 409 or with 400.
func inUse(err error) *cloud.Error {
	var e *cloud.Error
	if !errors.As(err, &e) {
		return nil
	}
	if e.Class == cloud.Conflict || e.Status == http.StatusBadRequest && strings.Contains(e.Message, "in use") {
		refusal := *e
		refusal.Class = cloud.Conflict
		return &refusal
	}
	return nil
}

// DetachPort unplugs a port; not plugged, or no such server, is no error.
func (n *Nova) DetachPort(ctx context.Context, serverID, portID string) error {
	return n.delete(ctx, "detach port", "servers/"+cloud.ID(serverID)+"/os-interface/"+cloud.ID(portID))
}
