package nova

import (
	"net/http"

	"github.com/ottavino/ottavino/sandbox/neutron"
	"github.com/ottavino/ottavino/sandbox/rest"
)

func attachment(p neutron.Port) rest.Doc {
	return rest.Doc{
		"port_id": p.ID, "net_id": p.NetworkID, "mac_addr": p.MACAddress, "port_state": p.Status, "fixed_ips": p.FixedIPs,
	}
}

func (n *Nova) interfaces(r *rest.Request) (int, any, error) {
	s, err := n.find(r)
	if err != nil {
		return 0, nil, err
	}
	docs := []any{}
	for _, p := range n.network.PortsOf(s.ID) {
		docs = append(docs, attachment(p))
	}
	return http.StatusOK, rest.Doc{"interfaceAttachments": docs}, nil
}

func (n *Nova) attach(r *rest.Request) (int, any, error) {
	s, err := n.find(r)
	if err != nil {
		return 0, nil, err
	}
	var body attachBody
	if err := r.Decode(&body); err != nil {
		return 0, nil, err
	}
	if s.Status != "ACTIVE" || s.deleting() {
		state := "vm_state " + s.VMState
		if s.deleting() {
			state = "task_state deleting"
		}
		return 0, nil, rest.Conflict("", "Cannot 'attach_interface' instance %s while it is in %s", s.ID, state)
	}
	id := body.Attachment.PortID
	if id == "" {
		if id, err = n.makePort(s, body); err != nil {
			return 0, nil, err
		}
	}
	p, err := n.plug(s, id)
	if err != nil {
		if body.Attachment.PortID == "" {
			n.network.RemovePort(id)
		}
		return 0, nil, err
	}
	return http.StatusOK, rest.Doc{"interfaceAttachment": attachment(p)}, nil
}

// attachBody is POST /servers/{id}/os-interface: a port, or a network on which one is made.
type attachBody struct {
	Attachment struct {
		PortID   string            `json:"port_id"`
		NetID    string            `json:"net_id"`
		FixedIPs []neutron.FixedIP `json:"fixed_ips"`
	} `json:"interfaceAttachment"`
}

// makePort makes a port for a server, which goes with it.
func (n *Nova) makePort(s Server, body attachBody) (string, error) {
	if _, ok := n.network.Network(body.Attachment.NetID); !ok {
		return "", rest.BadRequest("Network %s could not be found.", body.Attachment.NetID)
	}
	p, err := n.network.AddPort(neutron.Port{NetworkID: body.Attachment.NetID, ProjectID: s.TenantID, FixedIPs: body.Attachment.FixedIPs})
	if err != nil {
		return "", err
	}
	n.made[s.ID] = append(n.made[s.ID], p.ID)
	return p.ID, nil
}

// plug gives a port to a server.
func (n *Nova) plug(s Server, id string) (neutron.Port, error) {
	if p, ok := n.network.Port(id); !ok {
		return p, rest.NotFound("Port %s could not be found.", id)
	} else if p.DeviceID == s.ID {
		return p, &rest.Error{Status: http.StatusConflict, Message: "Port " + id + " is still in use."}
	}
	p, err := n.network.Bind(id, s.ID, "compute:"+Zone, hostName)
	if err != nil || n.host == nil {
		return p, err
	}
	if err := n.host.Plug(s.ID, p); err != nil {
		n.network.Unbind(id, s.ID)
		return p, &rest.Error{Status: http.StatusInternalServerError, Message: "PortBindingFailed: " + err.Error()}
	}
	return p, nil
}

func (n *Nova) detach(r *rest.Request) (int, any, error) {
	s, err := n.find(r)
	if err != nil {
		return 0, nil, err
	}
	id := r.PathValue("port")
	p, ok := n.network.Port(id)
	if !ok || p.DeviceID != s.ID {
		return 0, nil, rest.NotFound("No port with id %s on instance %s.", id, s.ID)
	}
	n.later(n.cfg.DeleteDelay, func() {
		n.alone(s.ID, func() {
			if n.host != nil {
				if err := n.host.Unplug(s.ID, id); err != nil {
					n.cfg.Log.WarnContext(n.ctx, "sandbox: port not unplugged", "port_id", id, "error", err)
				}
			}
			if n.wasMade(s.ID, id) {
				n.network.RemovePort(id)
			} else {
				n.network.Unbind(id, s.ID)
			}
		})
	})
	return http.StatusAccepted, nil, nil
}

func (n *Nova) wasMade(serverID, portID string) bool {
	n.Lock.Lock()
	defer n.Lock.Unlock()
	return contains(n.made[serverID], portID)
}

// PortGone takes a port that Neutron deleted from the server it was plugged into.
func (n *Nova) PortGone(p neutron.Port) {
	if n.host == nil || p.DeviceID == "" {
		return
	}
	n.alone(p.DeviceID, func() { _ = n.host.Unplug(p.DeviceID, p.ID) })
}
