package compute

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// wireServer is a server as Nova writes it; its nulls become empty.
type wireServer struct {
	ID        string       `json:"id"`
	Name      string       `json:"name"`
	Status    ServerStatus `json:"status"`
	TaskState string       `json:"OS-EXT-STS:task_state"`
	Fault     struct{ Message string }
	Flavor    struct{ ID string }
	Image     json.RawMessage   `json:"image"` // an object, or "" when booted from volume
	Zone      string            `json:"OS-EXT-AZ:availability_zone"`
	Metadata  map[string]string `json:"metadata"`
	Created   time.Time         `json:"created"`
}

func (w wireServer) read() Server {
	s := Server{
		ID: w.ID, Name: w.Name, Status: w.Status, TaskState: w.TaskState, FlavorID: w.Flavor.ID, Zone: w.Zone,
		Metadata: w.Metadata, Created: w.Created,
	}
	if w.Status == ServerError {
		s.Fault = w.Fault.Message
	}
	var image struct{ ID string }
	if json.Unmarshal(w.Image, &image) == nil {
		s.ImageID = image.ID
	}
	return s
}

// wireCreate is the body that makes a server.
type wireCreate struct {
	Server wireSpec   `json:"server"`
	Hints  *wireHints `json:"os:scheduler_hints,omitempty"`
}

type wireHints struct {
	Group string `json:"group"`
}

type wireSpec struct {
	Name           string            `json:"name"`
	ImageRef       string            `json:"imageRef"`
	FlavorRef      string            `json:"flavorRef"`
	Networks       []wireNetwork     `json:"networks,omitempty"`
	SecurityGroups []wireName        `json:"security_groups,omitempty"`
	KeyName        string            `json:"key_name,omitempty"`
	ConfigDrive    bool              `json:"config_drive"`
	UserData       []byte            `json:"user_data,omitempty"`
	Personality    []wireFile        `json:"personality,omitempty"`
	Zone           string            `json:"availability_zone,omitempty"`
	Metadata       map[string]string `json:"metadata,omitempty"`
	MinCount       int               `json:"min_count"`
	MaxCount       int               `json:"max_count"`
}

type wireNetwork struct {
	UUID string `json:"uuid,omitempty"`
	Port string `json:"port,omitempty"`
}

type wireName struct {
	Name string `json:"name"`
}

// wireFile is an injected file. Bytes are base64 in JSON, as Nova wants them.
type wireFile struct {
	Path     string `json:"path"`
	Contents []byte `json:"contents"`
}

func (s ServerSpec) wire() wireCreate {
	w := wireSpec{
		Name: s.Name, ImageRef: s.ImageID, FlavorRef: s.FlavorID, KeyName: s.KeyName, ConfigDrive: true,
		UserData: s.UserData, Zone: s.Zone, Metadata: s.Metadata, MinCount: 1, MaxCount: 1,
	}
	for _, id := range s.Networks {
		w.Networks = append(w.Networks, wireNetwork{UUID: id})
	}
	for _, id := range s.Ports {
		w.Networks = append(w.Networks, wireNetwork{Port: id})
	}
	for _, g := range s.SecurityGroups {
		w.SecurityGroups = append(w.SecurityGroups, wireName{g})
	}
	for _, path := range slices.Sorted(maps.Keys(s.Files)) {
		content := s.Files[path]
		if content == nil {
			content = []byte{} // nil would be null on the wire
		}
		w.Personality = append(w.Personality, wireFile{Path: path, Contents: content})
	}
	body := wireCreate{Server: w}
	if s.ServerGroupID != "" {
		body.Hints = &wireHints{Group: s.ServerGroupID}
	}
	return body
}

type wireInterface struct {
	PortID    string `json:"port_id"`
	NetworkID string `json:"net_id"`
	MAC       string `json:"mac_addr"`
	State     string `json:"port_state"`
	FixedIPs  []struct {
		SubnetID string `json:"subnet_id"`
		Address  string `json:"ip_address"`
	} `json:"fixed_ips"`
}

func (w wireInterface) read() Interface {
	i := Interface{PortID: w.PortID, NetworkID: w.NetworkID, MAC: w.MAC, State: w.State}
	for _, ip := range w.FixedIPs {
		i.FixedIPs = append(i.FixedIPs, FixedIP(ip))
	}
	return i
}
