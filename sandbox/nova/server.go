package nova

import (
	"context"
	"encoding/base64"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/ottavino/ottavino/sandbox/neutron"
	"github.com/ottavino/ottavino/sandbox/rest"
)

func (n *Nova) list(r *rest.Request) (int, any, error) {
	q := r.URL.Query()
	name, err := regexp.Compile(q.Get("name"))
	if err != nil {
		return 0, nil, rest.BadRequest("Invalid filter name: %v", err)
	}
	all := r.Admin() && (q.Get("all_tenants") == "1" || q.Get("all_tenants") == "true" || q.Get("all_tenants") == "True")
	docs := n.servers.List(rest.ParsePage(q, "name"), nil, func(s Server) bool {
		return name.MatchString(s.Name) && (all || s.TenantID == r.ProjectID)
	})
	return http.StatusOK, rest.Doc{"servers": docs}, nil
}

func (n *Nova) show(r *rest.Request) (int, any, error) {
	s, err := n.find(r)
	return http.StatusOK, rest.Doc{"server": s}, err
}

func (n *Nova) create(r *rest.Request) (int, any, error) {
	var body createBody
	if err := r.Decode(&body); err != nil {
		return 0, nil, err
	}
	files, err := n.check(r, body)
	if err != nil {
		return 0, nil, err
	}
	b := body.Server
	at := n.cfg.Now().UTC().Format(time.RFC3339)
	s := Server{
		ID: rest.NewID(), Name: b.Name, Status: "BUILD", TenantID: r.ProjectID, UserID: r.UserID, Created: at, Updated: at,
		Flavor: rest.Doc{"id": b.FlavorRef, "links": []any{}}, Image: "", Metadata: b.Metadata, ConfigDrive: "True",
		Addresses: rest.Doc{}, Groups: []rest.Doc{}, VMState: "building", Zone: Zone, HostID: hostName, Links: []any{}, VolumesBoots: []any{},
	}
	if b.ImageRef != "" {
		s.Image = rest.Doc{"id": b.ImageRef, "links": []any{}}
	}
	if b.KeyName != "" {
		s.KeyName = &b.KeyName
	}
	if s.Metadata == nil {
		s.Metadata = map[string]string{}
	}
	task := "spawning"
	s.TaskState = &task
	n.servers.Put(s.ID, s)
	if g, ok := n.groups.Get(body.Hints.Group); ok {
		g.Members = append(slices.Clone(g.Members), s.ID)
		n.groups.Put(g.ID, g)
	}
	n.later(n.cfg.BuildDelay, func() { n.alone(s.ID, func() { n.build(s, body, files) }) })
	return http.StatusAccepted, rest.Doc{"server": rest.Doc{
		"id": s.ID, "adminPass": "sandbox", "links": []any{}, "security_groups": []any{}, "OS-DCF:diskConfig": "MANUAL",
	}}, nil
}

// check refuses what Nova refuses at once, and decodes the files.
func (n *Nova) check(r *rest.Request, body createBody) (map[string][]byte, error) {
	b := body.Server
	if _, ok := n.flavors.Get(b.FlavorRef); !ok {
		return nil, rest.BadRequest("Flavor %s could not be found.", b.FlavorRef)
	}
	if _, ok := n.images.Image(b.ImageRef); !ok {
		return nil, rest.BadRequest("Image %s could not be found.", b.ImageRef)
	}
	if _, ok := n.keypairs.Get(keypairID(r.UserID, b.KeyName)); b.KeyName != "" && !ok {
		return nil, rest.BadRequest("Invalid key_name provided.")
	}
	for _, net := range b.Networks {
		if _, ok := n.network.Network(net.UUID); net.UUID != "" && !ok {
			return nil, rest.BadRequest("Network %s could not be found.", net.UUID)
		}
	}
	for _, g := range b.SecurityGroups {
		if _, ok := n.network.GroupNamed(g.Name); !ok {
			return nil, rest.BadRequest("Security group %s not found.", g.Name)
		}
	}
	if limit, full := n.quotas.Full(r.ProjectID, "instances"); full {
		return nil, rest.Forbidden("Quota exceeded for instances: Requested 1, but already used %d of %d instances",
			n.count(r.ProjectID, "instances"), limit)
	}
	return decodeFiles(body)
}

// personalityLimit is Nova's default quota of injected files.
const personalityLimit = 5

func decodeFiles(body createBody) (map[string][]byte, error) {
	files := map[string][]byte{}
	if len(body.Server.Personality) > personalityLimit {
		return nil, rest.Forbidden("Personality file limit exceeded")
	}
	if body.Server.UserData != "" {
		data, err := base64.StdEncoding.DecodeString(body.Server.UserData)
		if err != nil {
			return nil, rest.BadRequest("Userdata content cannot be decoded")
		}
		written, err := cloudConfigFiles(data)
		if err != nil {
			return nil, rest.BadRequest("user_data: %v", err)
		}
		files = written
	}
	for _, f := range body.Server.Personality {
		content, err := base64.StdEncoding.DecodeString(f.Contents)
		if err != nil {
			return nil, rest.BadRequest("Personality content for %s cannot be decoded", f.Path)
		}
		files[f.Path] = content
	}
	return files, nil
}

// build is what happens between BUILD and ACTIVE.
func (n *Nova) build(s Server, body createBody, files map[string][]byte) {
	if !n.wanted(s.ID) {
		return // what is made from here on, nobody would take away
	}
	fault := n.nextFault()
	var ports []neutron.Port
	if fault == "" {
		var err error
		if ports, err = n.wire(s, body); err != nil {
			fault = err.Error()
		}
	}
	if fault == "" && n.host != nil {
		m := Machine{ID: s.ID, Name: s.Name, ImageID: body.Server.ImageRef, Ports: ports, Files: files}
		if err := n.host.Boot(n.ctx, m); err != nil {
			fault = err.Error()
			n.cfg.Log.WarnContext(n.ctx, "sandbox: server does not boot", "server_id", s.ID, "error", err)
		}
	}
	n.Lock.Lock()
	defer n.Lock.Unlock()
	now, ok := n.servers.Get(s.ID)
	if !ok || now.deleting() {
		return // deleted meanwhile; the delete cleans up
	}
	now.TaskState = nil
	now.Updated = n.cfg.Now().UTC().Format(time.RFC3339)
	if fault != "" {
		now.Status, now.VMState = "ERROR", "error"
		now.Fault = &Fault{Code: http.StatusInternalServerError, Message: fault, Created: now.Updated}
	} else {
		now.Status, now.VMState, now.PowerState, now.Progress = "ACTIVE", "active", 1, 100
		now.Addresses = n.addresses(ports)
	}
	n.servers.Put(now.ID, now)
}

// wanted says whether a server is there and nobody has asked to delete it.
func (n *Nova) wanted(id string) bool {
	n.Lock.Lock()
	defer n.Lock.Unlock()
	s, ok := n.servers.Get(id)
	return ok && !s.deleting()
}

func (s Server) deleting() bool { return s.TaskState != nil && *s.TaskState == "deleting" }

func (n *Nova) nextFault() string {
	n.Lock.Lock()
	defer n.Lock.Unlock()
	if len(n.faulty) == 0 {
		return ""
	}
	fault := n.faulty[0]
	n.faulty = n.faulty[1:]
	return fault
}

// wire makes or binds the ports of a new server.
func (n *Nova) wire(s Server, body createBody) ([]neutron.Port, error) {
	var groups []string
	for _, g := range body.Server.SecurityGroups {
		if group, ok := n.network.GroupNamed(g.Name); ok {
			groups = append(groups, group.ID)
		}
	}
	var ports []neutron.Port
	for _, net := range body.Server.Networks {
		id := net.Port
		if id == "" {
			p, err := n.network.AddPort(neutron.Port{NetworkID: net.UUID, ProjectID: s.TenantID, SecurityGroups: groups})
			if err != nil {
				return nil, err
			}
			id = p.ID
			n.Lock.Lock()
			n.made[s.ID] = append(n.made[s.ID], id)
			n.Lock.Unlock()
		}
		p, err := n.network.Bind(id, s.ID, "compute:"+Zone, hostName)
		if err != nil {
			return nil, err
		}
		ports = append(ports, p)
	}
	return ports, nil
}

func (n *Nova) addresses(ports []neutron.Port) rest.Doc {
	out := rest.Doc{}
	for _, p := range ports {
		network, _ := n.network.Network(p.NetworkID)
		list, _ := out[network.Name].([]any)
		for _, ip := range p.FixedIPs {
			list = append(list, rest.Doc{
				"addr": ip.IPAddress, "version": 4, "OS-EXT-IPS:type": "fixed", "OS-EXT-IPS-MAC:mac_addr": p.MACAddress,
			})
		}
		out[network.Name] = list
	}
	return out
}

func (n *Nova) remove(r *rest.Request) (int, any, error) {
	s, err := n.find(r)
	if err != nil {
		return 0, nil, err
	}
	if !s.deleting() {
		task := "deleting"
		s.TaskState = &task
		n.servers.Put(s.ID, s)
		n.later(n.cfg.DeleteDelay, func() { n.alone(s.ID, func() { n.end(s.ID) }) })
	}
	return http.StatusNoContent, nil, nil
}

// end takes a server away: what runs, its ports (those it was given are let go), and its row.
func (n *Nova) end(id string) {
	if n.host != nil {
		n.host.Kill(id)
	}
	n.Lock.Lock()
	made := n.made[id]
	n.Lock.Unlock()
	for _, p := range n.network.PortsOf(id) {
		if contains(made, p.ID) {
			n.network.RemovePort(p.ID)
		} else {
			n.network.Unbind(p.ID, id)
		}
	}
	n.Lock.Lock()
	defer n.Lock.Unlock()
	n.servers.Delete(id)
	delete(n.made, id)
	for _, g := range n.groups.All() {
		g.Members = slices.DeleteFunc(slices.Clone(g.Members), func(m string) bool { return m == id })
		n.groups.Put(g.ID, g)
	}
}

// End takes a server away at once, as the operator of the cloud might.
func (n *Nova) End(id string) { n.alone(id, func() { n.end(id) }) }

// Reboot boots a server again, hard. Without a host that is nothing.
func (n *Nova) Reboot(ctx context.Context, id string) error {
	if n.host == nil {
		return nil
	}
	var err error
	n.alone(id, func() { err = n.host.Reboot(ctx, id, n.network.PortsOf(id)) })
	return err
}
