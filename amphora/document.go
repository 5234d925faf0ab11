// Package amphora is the contract between worker and amphora: the document that says what
// one amphora shall run, and the driver that talks to the agent inside (agent API 1.0).
// It is plain standard library, because the agent links it too.
package amphora

import "net/netip"

// LoadBalancer is what an amphora shall run. Objects that are PENDING_DELETE are already left out;
// disabled ones are in, flagged. Renderers (amphora/haproxy) are pure functions of it.
type LoadBalancer struct {
	ID, Name, ProjectID string
	Enabled             bool
	Topology            string // SINGLE or ACTIVE_STANDBY
	VIP                 netip.Addr
	AdditionalVIPs      []netip.Addr
	Listeners           []Listener
	Pools               []Pool // each once; listeners refer by id
	// Peers are all amphorae of the load balancer, for stick-table sync.
	Peers []Peer
}

// Peer is an amphora as its partner sees it.
type Peer struct {
	AmphoraID string
	Address   netip.Addr // base (VRRP) address
}

// Listener is one frontend. Times are milliseconds.
type Listener struct {
	ID, Name             string
	Protocol             string // HTTP, HTTPS, TCP, TERMINATED_HTTPS, PROMETHEUS, UDP, SCTP
	Port                 int
	Enabled              bool
	ConnectionLimit      int // -1 = Options.DefaultConnectionLimit
	DefaultPoolID        string
	InsertHeaders        map[string]string
	AllowedCIDRs         []netip.Prefix
	TimeoutClientData    int
	TimeoutMemberConnect int
	TimeoutMemberData    int
	TimeoutTCPInspect    int
	PeerPort             int
	Policies             []L7Policy // by position
	// TLS is how TERMINATED_HTTPS (and PROMETHEUS, which may) speaks TLS; nil = it does not.
	TLS *ListenerTLS
}

// ListenerTLS is a frontend's TLS. Files are names in the load balancer's certificate directory;
// the list of its certificates is <listener id>.pem there.
type ListenerTLS struct {
	Certificate  bool   // it has a default certificate, and so a list
	ClientCAFile string // "" = clients are not asked for certificates
	ClientCRL    string // file; "" = none
	ClientAuth   string // NONE, OPTIONAL, MANDATORY
	Ciphers      string // OpenSSL's notation, those of TLS 1.3 among them; "" = haproxy's
	Versions     []string
	ALPN         []string
	HSTS         *HSTS // nil = not sent
}

// HSTS is the header Strict-Transport-Security.
type HSTS struct {
	MaxAge                     int // seconds
	IncludeSubdomains, Preload bool
}

// L7Policy is an L7 policy with its rules.
type L7Policy struct {
	ID, Action                  string
	Enabled                     bool
	Position                    int
	RedirectPoolID, RedirectURL string
	RedirectPrefix              string
	RedirectHTTPCode            int // 0 = not given
	Rules                       []L7Rule
}

// L7Rule is one condition of a policy.
type L7Rule struct {
	ID, Type, CompareType, Key, Value string
	Invert, Enabled                   bool
}

// Pool is one set of members.
type Pool struct {
	ID, Name    string
	Protocol    string // HTTP, HTTPS, TCP, PROXY, PROXYV2, UDP, SCTP
	Algorithm   string // ROUND_ROBIN, LEAST_CONNECTIONS, SOURCE_IP, SOURCE_IP_PORT
	Enabled     bool
	Persistence *Persistence
	Monitor     *Monitor
	Members     []Member
	TLS         *PoolTLS // nil = members are spoken to in the clear
}

// PoolTLS is how members are spoken to. Files are as in ListenerTLS.
type PoolTLS struct {
	CertificateFile string // our certificate, if members ask for one; "" = none
	CAFile          string // "" = members' certificates are not verified
	CRLFile         string // needs CAFile
	Ciphers         string
	Versions        []string
	ALPN            []string
}

// Persistence is session persistence.
type Persistence struct {
	Type        string // SOURCE_IP, HTTP_COOKIE, APP_COOKIE
	CookieName  string
	Timeout     int    // seconds, UDP/SCTP; 0 = default
	Granularity string // netmask, UDP/SCTP
}

// Monitor is a health monitor. Times are seconds.
type Monitor struct {
	ID, Type            string // HTTP, HTTPS, TCP, PING, TLS-HELLO, UDP-CONNECT, SCTP
	Enabled             bool
	Delay, Timeout      int
	RiseThreshold       int
	FallThreshold       int
	HTTPMethod, URLPath string
	ExpectedCodes       string
	HTTPVersion         float64 // 0 = not given
	DomainName          string
}

// Member is one backend server.
type Member struct {
	ID, Name       string
	Address        netip.Addr
	Port           int
	Weight         int
	Enabled        bool
	Backup         bool
	MonitorAddress netip.Addr // zero = Address
	MonitorPort    int        // 0 = Port
}

// ObjectError says which object of a document cannot be rendered, so that its siblings can without it.
type ObjectError struct {
	Kind   string // loadbalancer, listener, pool, member, healthmonitor, l7policy
	ID     string
	Reason string
}

func (e *ObjectError) Error() string { return e.Kind + " " + e.ID + ": " + e.Reason }

// Unrenderable returns an *ObjectError.
func Unrenderable(kind, id, reason string) error {
	return &ObjectError{Kind: kind, ID: id, Reason: reason}
}
