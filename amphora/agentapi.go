package amphora

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"time"
)

// Target is one amphora's agent.
type Target struct {
	AmphoraID string // also the name in its certificate
	Address   netip.Addr
}

// DriverConfig is [haproxy_amphora] as far as it concerns talking to agents.
type DriverConfig struct {
	Port           int           // 0 = 9443
	Zone           string        // appended to IPv6 link-local addresses (lb_network_interface)
	ConnectTimeout time.Duration // 0 = 10s
	ReadTimeout    time.Duration // 0 = 60s
	// Client is read for every connection, so that a rotated file needs no restart.
	Client   func() (tls.Certificate, error)
	ServerCA func() (*x509.CertPool, error)
	MinTLS   uint16 // 0 = TLS 1.2
}

// AgentError is an answer of the agent that is not success.
type AgentError struct {
	Op       string
	Status   int    // HTTP status; 0 = no answer (connection, TLS, timeout)
	Message  string // the agent's words, bounded
	NotReady bool   // worth asking again: no answer, or an agent that does not know its NIC yet
	Err      error
}

func (e *AgentError) Error() string {
	switch {
	case e.Status == 0:
		return fmt.Sprintf("agent: %s: %v", e.Op, e.Err)
	case e.Message == "":
		return fmt.Sprintf("agent: %s: HTTP %d", e.Op, e.Status)
	}
	return fmt.Sprintf("agent: %s: HTTP %d: %s", e.Op, e.Status, e.Message)
}

// Unwrap returns the cause.
func (e *AgentError) Unwrap() error { return e.Err }

// Info is GET /info and the version document.
type Info struct {
	APIVersion, Hostname, HAProxyVersion, KeepalivedVersion, IPVSAdmVersion string
	// Capabilities are our agent's extras in the version document; empty with upstream's.
	Capabilities []string
}

// Details is GET /details, as far as used.
type Details struct {
	CPUCount                                         int
	TunedProfiles                                    string
	MemoryKiB                                        int64 // all of it
	MemoryFreeKiB, MemoryBuffersKiB, MemoryCachedKiB int64
	HAProxyCount                                     int
	Listeners                                        []string
}

// HostRoute is a static route.
type HostRoute struct {
	Destination string `json:"destination"`
	NextHop     string `json:"nexthop"`
}

// VIPPlug is the body of POST /plug/vip/<vip>. Gateway nil = none.
type VIPPlug struct {
	SubnetCIDR     string          `json:"subnet_cidr"`
	Gateway        *string         `json:"gateway"`
	MAC            string          `json:"mac_address"`
	VRRPIP         string          `json:"vrrp_ip,omitempty"`
	MTU            int             `json:"mtu,omitempty"`
	HostRoutes     []HostRoute     `json:"host_routes"`
	AdditionalVIPs []AdditionalVIP `json:"additional_vips"`
	SRIOV          bool            `json:"is_sriov"`
}

// AdditionalVIP is one more VIP of a VIPPlug.
type AdditionalVIP struct {
	SubnetCIDR string      `json:"subnet_cidr"`
	IPAddress  string      `json:"ip_address"`
	Gateway    *string     `json:"gateway"`
	HostRoutes []HostRoute `json:"host_routes"`
}

// NetworkPlug is the body of POST /plug/network.
type NetworkPlug struct {
	MAC      string   `json:"mac_address"`
	FixedIPs []PlugIP `json:"fixed_ips"`
	MTU      int      `json:"mtu,omitempty"`
	SRIOV    bool     `json:"is_sriov,omitempty"`
	// VIPNetInfo is set when the port is the VRRP port (a member lives on the VIP network).
	VIPNetInfo *VIPNetInfo `json:"vip_net_info,omitempty"`
}

// VIPNetInfo is a VIPPlug with the VIP itself.
type VIPNetInfo struct {
	VIPPlug
	VIP string `json:"vip"`
}

// PlugIP is one fixed address of a member port.
type PlugIP struct {
	IPAddress  string      `json:"ip_address"`
	SubnetCIDR string      `json:"subnet_cidr"`
	Gateway    *string     `json:"gateway"`
	HostRoutes []HostRoute `json:"host_routes"`
}
