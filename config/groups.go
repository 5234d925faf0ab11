package config

import (
	"net/netip"
	"time"
)

// Default is [DEFAULT].
type Default struct {
	Host                    string        `opt:"host"`                                   // Name this node announces. Not set: the host's name.
	Debug                   bool          `opt:"debug"`                                  // Log at debug level; also written into the agents' files.
	LogFile                 string        `opt:"log_file" old:"logfile"`                 // File to log to. Not set: standard error.
	LogDir                  string        `opt:"log_dir" old:"logdir"`                   // Directory of log_file; alone, the file is named after the process.
	UseStderr               bool          `opt:"use_stderr"`                             // Log to standard error too when there is a log file.
	UseJSON                 bool          `opt:"use_json"`                               // Log lines as JSON objects.
	GracefulShutdownTimeout time.Duration `opt:"graceful_shutdown_timeout" default:"60"` // How long a stopping process waits for what it is doing.
}

// APISettings is [api_settings].
type APISettings struct {
	BindHost                    netip.Addr        `opt:"bind_host" default:"127.0.0.1"`                                                                                                                                                                                                                                                                                                                                             // Listen address of the API.
	BindPort                    int               `opt:"bind_port" default:"9876" form:"port"`                                                                                                                                                                                                                                                                                                                                      // Listen port of the API.
	AuthStrategy                string            `opt:"auth_strategy" default:"keystone" choices:"noauth|keystone|testing"`                                                                                                                                                                                                                                                                                                        // keystone in production; noauth turns off policy and quota checks.
	AllowPagination             bool              `opt:"allow_pagination" default:"true"`                                                                                                                                                                                                                                                                                                                                           // Whether limit, marker and page_reverse are honoured.
	AllowSorting                bool              `opt:"allow_sorting" default:"true"`                                                                                                                                                                                                                                                                                                                                              // Whether sort is honoured.
	AllowFiltering              bool              `opt:"allow_filtering" default:"true"`                                                                                                                                                                                                                                                                                                                                            // Whether attribute filters are honoured.
	AllowFieldSelection         bool              `opt:"allow_field_selection" default:"true"`                                                                                                                                                                                                                                                                                                                                      // Whether fields is honoured.
	PaginationMaxLimit          int               `opt:"pagination_max_limit" default:"1000" form:"limit"`                                                                                                                                                                                                                                                                                                                          // Most rows of one page; infinite or a negative number (-1 in Go) for no limit.
	APIBaseURI                  string            `opt:"api_base_uri"`                                                                                                                                                                                                                                                                                                                                                              // Public base URL of links. Not set: taken from the request.
	AllowTLSTerminatedListeners bool              `opt:"allow_tls_terminated_listeners" default:"true"`                                                                                                                                                                                                                                                                                                                             // Whether TERMINATED_HTTPS listeners may be made.
	AllowPingHealthMonitors     bool              `opt:"allow_ping_health_monitors" default:"true"`                                                                                                                                                                                                                                                                                                                                 // Whether PING monitors may be made.
	AllowPrometheusListeners    bool              `opt:"allow_prometheus_listeners" default:"true"`                                                                                                                                                                                                                                                                                                                                 // Whether PROMETHEUS listeners may be made.
	EnabledProviderDrivers      map[string]string `opt:"enabled_provider_drivers" default:"amphora: The Octavia Amphora driver., octavia: Deprecated alias of the Octavia Amphora driver."`                                                                                                                                                                                                                                         // Providers that users may name, each with its description.
	DefaultProviderDriver       string            `opt:"default_provider_driver" default:"amphora"`                                                                                                                                                                                                                                                                                                                                 // Provider of a load balancer that names none.
	UDPConnectMinInterval       int               `opt:"udp_connect_min_interval_health_monitor" default:"3"`                                                                                                                                                                                                                                                                                                                       // Shortest delay (s) of a UDP-CONNECT monitor; negative = none.
	HealthcheckEnabled          bool              `opt:"healthcheck_enabled"`                                                                                                                                                                                                                                                                                                                                                       // Serve /healthcheck, without a token.
	HealthcheckRefreshInterval  time.Duration     `opt:"healthcheck_refresh_interval" default:"5"`                                                                                                                                                                                                                                                                                                                                  // How long a health check's result is reused.
	DefaultListenerCiphers      string            `opt:"default_listener_ciphers" default:"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305"` // Ciphers of a TLS listener that names none.
	DefaultPoolCiphers          string            `opt:"default_pool_ciphers" default:"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305"`     // Ciphers of a TLS pool that names none.
	TLSCipherProhibitList       string            `opt:"tls_cipher_prohibit_list" old:"tls_cipher_blacklist"`                                                                                                                                                                                                                                                                                                                       // Ciphers nobody may ask for, separated by colons.
	DefaultListenerTLSVersions  []string          `opt:"default_listener_tls_versions" default:"TLSv1.2, TLSv1.3" choices:"SSLv3|TLSv1|TLSv1.1|TLSv1.2|TLSv1.3"`                                                                                                                                                                                                                                                                    // TLS versions of a TLS listener that names none.
	DefaultPoolTLSVersions      []string          `opt:"default_pool_tls_versions" default:"TLSv1.2, TLSv1.3" choices:"SSLv3|TLSv1|TLSv1.1|TLSv1.2|TLSv1.3"`                                                                                                                                                                                                                                                                        // TLS versions of a TLS pool that names none.
	MinimumTLSVersion           string            `opt:"minimum_tls_version" choices:"SSLv3|TLSv1|TLSv1.1|TLSv1.2|TLSv1.3"`                                                                                                                                                                                                                                                                                                         // Oldest TLS version anybody may ask for.
	DefaultListenerALPN         []string          `opt:"default_listener_alpn_protocols" default:"h2, http/1.1, http/1.0" choices:"h2|http/1.1|http/1.0"`                                                                                                                                                                                                                                                                           // ALPN protocols of a TLS listener that names none.
	DefaultPoolALPN             []string          `opt:"default_pool_alpn_protocols" default:"h2, http/1.1, http/1.0" choices:"h2|http/1.1|http/1.0"`                                                                                                                                                                                                                                                                               // ALPN protocols of a TLS pool that names none.
	PendingChanges              string            `opt:"pending_changes" default:"accept" choices:"accept|reject"`                                                                                                                                                                                                                                                                                                                  // Ottavino's own: whether a load balancer takes changes while it is PENDING_*; reject answers 409 as Octavia does.
}

// Database is [database].
type Database struct {
	Connection            Secret        `opt:"connection"`                             // SQLAlchemy URL: mysql+pymysql://…, postgresql://…, sqlite:////path.
	MaxPoolSize           int           `opt:"max_pool_size" default:"10"`             // Connections kept; with max_overflow, the most that are open.
	MaxOverflow           int           `opt:"max_overflow" default:"20"`              // Connections opened on top of max_pool_size.
	PoolTimeout           time.Duration `opt:"pool_timeout" default:"10"`              // How long to wait for a connection.
	ConnectionRecycleTime time.Duration `opt:"connection_recycle_time" default:"3600"` // Age at which a connection is replaced.
	MaxRetries            int           `opt:"max_retries" default:"10" min:"-1"`      // Attempts to connect at start; -1 = for ever.
	RetryInterval         time.Duration `opt:"retry_interval" default:"10"`            // Wait between those.
}

// Networking is [networking].
type Networking struct {
	MaxRetries                  int           `opt:"max_retries" default:"15"`               // Attempts at one call of Neutron.
	RetryInterval               time.Duration `opt:"retry_interval" default:"1"`             // First wait between those.
	RetryBackoff                int           `opt:"retry_backoff" default:"1"`              // Multiplier of each further wait.
	RetryMax                    time.Duration `opt:"retry_max" default:"10"`                 // Longest wait.
	PortDetachTimeout           time.Duration `opt:"port_detach_timeout" default:"300"`      // How long a port may take to leave its server.
	AllowVIPNetworkID           bool          `opt:"allow_vip_network_id" default:"true"`    // Whether users may give vip_network_id.
	AllowVIPSubnetID            bool          `opt:"allow_vip_subnet_id" default:"true"`     // Whether users may give vip_subnet_id.
	AllowVIPPortID              bool          `opt:"allow_vip_port_id" default:"true"`       // Whether users may give vip_port_id.
	ValidVIPNetworks            []string      `opt:"valid_vip_networks"`                     // Networks a VIP may be on. Not set: any.
	DenylistVIPNetworks         []string      `opt:"denylist_vip_networks"`                  // Networks a VIP may not be on.
	ReservedIPs                 []string      `opt:"reserved_ips" default:"169.254.169.254"` // Addresses that no member may have.
	AllowInvisibleResourceUsage bool          `opt:"allow_invisible_resource_usage"`         // Whether users may name networks they cannot see.
}

// Compute is [compute].
type Compute struct {
	MaxRetries    int           `opt:"max_retries" default:"15"`   // Attempts at one call of Nova.
	RetryInterval time.Duration `opt:"retry_interval" default:"1"` // First wait between those.
	RetryBackoff  int           `opt:"retry_backoff" default:"1"`  // Multiplier of each further wait.
	RetryMax      time.Duration `opt:"retry_max" default:"10"`     // Longest wait.
}

// Quotas is [quotas]. -1 is unlimited.
type Quotas struct {
	DefaultLoadBalancerQuota  int `opt:"default_load_balancer_quota" default:"-1" min:"-1"`  // Load balancers of a project; -1 = unlimited.
	DefaultListenerQuota      int `opt:"default_listener_quota" default:"-1" min:"-1"`       // Listeners of a project.
	DefaultMemberQuota        int `opt:"default_member_quota" default:"-1" min:"-1"`         // Members of a project.
	DefaultPoolQuota          int `opt:"default_pool_quota" default:"-1" min:"-1"`           // Pools of a project.
	DefaultHealthMonitorQuota int `opt:"default_health_monitor_quota" default:"-1" min:"-1"` // Health monitors of a project.
	DefaultL7PolicyQuota      int `opt:"default_l7policy_quota" default:"-1" min:"-1"`       // L7 policies of a project.
	DefaultL7RuleQuota        int `opt:"default_l7rule_quota" default:"-1" min:"-1"`         // L7 rules of a project.
}

// OsloPolicy is [oslo_policy].
type OsloPolicy struct {
	PolicyFile         string   `opt:"policy_file" default:"policy.yaml"`           // Rules that replace the built-in ones; relative to the directory of octavia.conf.
	PolicyDirs         []string `opt:"policy_dirs" default:"policy.d" multi:"true"` // Directories with more such files; the key may be repeated.
	PolicyDefaultRule  string   `opt:"policy_default_rule" default:"default"`       // Rule that stands in for those that other rules name and that are not there.
	EnforceScope       bool     `opt:"enforce_scope" default:"true"`                // Whether a token's scope must be one the rule is for.
	EnforceNewDefaults bool     `opt:"enforce_new_defaults" default:"true"`         // Whether deprecated rules are no longer tried too.
}

// CORS is [cors]: which web pages may call the API from a browser.
type CORS struct {
	AllowedOrigin    []string      `opt:"allowed_origin"`                                                // Origins that may, such as https://horizon.example.com; * = all. Not set: none.
	AllowCredentials bool          `opt:"allow_credentials" default:"true"`                              // Whether browsers may send cookies and the like.
	ExposeHeaders    []string      `opt:"expose_headers" default:"X-Auth-Token, X-Openstack-Request-Id"` // Headers of answers that pages may read.
	MaxAge           time.Duration `opt:"max_age" default:"3600"`                                        // How long browsers may remember what is allowed; 0 = as they like.
	AllowMethods     []string      `opt:"allow_methods" default:"GET, PUT, POST, DELETE"`                // Methods that pages may use.
	AllowHeaders     []string      `opt:"allow_headers" default:"X-Auth-Token, X-Openstack-Request-Id"`  // Headers that pages may send.
}

// OsloMiddleware is [oslo_middleware].
type OsloMiddleware struct {
	MaxRequestBodySize        int  `opt:"max_request_body_size" default:"114688" min:"0"` // Longest request body (bytes); more is 413.
	EnableProxyHeadersParsing bool `opt:"enable_proxy_headers_parsing"`                   // Whether Forwarded and X-Forwarded-* are believed, for links.
}
