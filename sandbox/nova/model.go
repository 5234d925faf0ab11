package nova

import "github.com/ottavino/ottavino/sandbox/rest"

// Server is a server as the API shows it, with what the sandbox remembers beside.
type Server struct {
	ID           string            `json:"id"`
	Name         string            `json:"name"`
	Status       string            `json:"status"`
	TenantID     string            `json:"tenant_id"`
	UserID       string            `json:"user_id"`
	Created      string            `json:"created"`
	Updated      string            `json:"updated"`
	Flavor       rest.Doc          `json:"flavor"`
	Image        any               `json:"image"` // "" when booted from a volume
	Metadata     map[string]string `json:"metadata"`
	KeyName      *string           `json:"key_name"`
	ConfigDrive  string            `json:"config_drive"`
	Addresses    rest.Doc          `json:"addresses"`
	Groups       []rest.Doc        `json:"security_groups"`
	TaskState    *string           `json:"OS-EXT-STS:task_state"`
	VMState      string            `json:"OS-EXT-STS:vm_state"`
	PowerState   int               `json:"OS-EXT-STS:power_state"`
	Zone         string            `json:"OS-EXT-AZ:availability_zone"`
	Fault        *Fault            `json:"fault,omitempty"`
	Progress     int               `json:"progress"`
	HostID       string            `json:"hostId"`
	Links        []any             `json:"links"`
	VolumesBoots []any             `json:"os-extended-volumes:volumes_attached"`
}

// Fault is why a server is in ERROR.
type Fault struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Created string `json:"created"`
}

// Flavor is a flavor.
type Flavor struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	VCPUs int    `json:"vcpus"`
	RAM   int    `json:"ram"`  // MB
	Disk  int    `json:"disk"` // GB
}

// Keypair is a keypair.
type Keypair struct {
	Name        string `json:"name"`
	PublicKey   string `json:"public_key"`
	Fingerprint string `json:"fingerprint"`
	userID      string
}

// Group is a server group.
type Group struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Policies  []string `json:"policies"`
	Members   []string `json:"members"`
	Metadata  rest.Doc `json:"metadata"`
	ProjectID string   `json:"project_id"`
	UserID    string   `json:"user_id"`
}

// createBody is POST /servers.
type createBody struct {
	Server struct {
		Name             string            `json:"name"`
		ImageRef         string            `json:"imageRef"`
		FlavorRef        string            `json:"flavorRef"`
		KeyName          string            `json:"key_name"`
		AvailabilityZone string            `json:"availability_zone"`
		ConfigDrive      bool              `json:"config_drive"`
		UserData         string            `json:"user_data"` // base64
		Metadata         map[string]string `json:"metadata"`
		Networks         []struct {
			UUID string `json:"uuid"`
			Port string `json:"port"`
		} `json:"networks"`
		SecurityGroups []struct {
			Name string `json:"name"`
		} `json:"security_groups"`
		Personality []struct {
			Path     string `json:"path"`
			Contents string `json:"contents"` // base64
		} `json:"personality"`
	} `json:"server"`
	Hints struct {
		Group string `json:"group"`
	} `json:"os:scheduler_hints"`
}
