package config

import (
	"net/netip"
	"time"
)

// ControllerWorker is [controller_worker].
type ControllerWorker struct {
	Workers                    int           `opt:"workers" default:"1" min:"1"`                                                                                      // Load balancers that are worked on at once, in units of 32.
	AmpActiveRetries           int           `opt:"amp_active_retries" default:"30"`                                                                                  // How often amp_active_wait_sec may pass before a server must be ACTIVE.
	AmpActiveWait              time.Duration `opt:"amp_active_wait_sec" default:"10"`                                                                                 // Longest wait between two looks at a server that builds.
	AmpFlavorID                string        `opt:"amp_flavor_id"`                                                                                                    // Nova flavor of amphorae.
	AmpImageTag                string        `opt:"amp_image_tag"`                                                                                                    // Glance tag of the amphora image.
	AmpImageOwnerID            string        `opt:"amp_image_owner_id"`                                                                                               // Project whose images alone are used.
	AmpSSHKeyName              string        `opt:"amp_ssh_key_name"`                                                                                                 // Nova key pair of amphorae. Not set: none.
	AmpTimezone                string        `opt:"amp_timezone" default:"UTC"`                                                                                       // Time zone of amphorae.
	AmpBootNetworkList         []string      `opt:"amp_boot_network_list"`                                                                                            // Networks of an amphora at boot, the management network first.
	AmpSecgroupList            []string      `opt:"amp_secgroup_list"`                                                                                                // Security groups of its ports on those.
	ClientCA                   string        `opt:"client_ca" default:"/etc/octavia/certs/ca_01.pem"`                                                                 // CA that amphorae check controllers with.
	AmphoraDriver              string        `opt:"amphora_driver" default:"amphora_haproxy_rest_driver" choices:"amphora_haproxy_rest_driver|amphora_noop_driver"`   // How amphorae are driven.
	ComputeDriver              string        `opt:"compute_driver" default:"compute_nova_driver" choices:"compute_nova_driver|compute_noop_driver"`                   // How servers are made.
	NetworkDriver              string        `opt:"network_driver" default:"allowed_address_pairs_driver" choices:"allowed_address_pairs_driver|network_noop_driver"` // How ports are made.
	VolumeDriver               string        `opt:"volume_driver" default:"volume_noop_driver" choices:"volume_noop_driver|volume_cinder_driver"`                     // Not supported: booting from volumes. Setting volume_cinder_driver is refused.
	ImageDriver                string        `opt:"image_driver" default:"image_glance_driver" choices:"image_glance_driver|image_noop_driver"`                       // How images are found.
	StatisticsDrivers          []string      `opt:"statistics_drivers" default:"stats_db" choices:"stats_db|stats_logger" old:"health_manager.stats_update_driver"`   // Who gets listeners' statistics.
	LoadbalancerTopology       string        `opt:"loadbalancer_topology" default:"SINGLE" choices:"SINGLE|ACTIVE_STANDBY"`                                           // Topology of a load balancer whose flavor names none.
	UserDataConfigDrive        bool          `opt:"user_data_config_drive"`                                                                                           // Deprecated: put the agent's files into the user data.
	AmphoraDeleteRetries       int           `opt:"amphora_delete_retries" default:"5"`                                                                               // How often the deletion of an amphora is tried.
	AmphoraDeleteRetryInterval time.Duration `opt:"amphora_delete_retry_interval" default:"5"`                                                                        // Wait between those.
	EventNotifications         bool          `opt:"event_notifications" default:"true"`                                                                               // Tell about load balancers that were created, updated, deleted.
	DBCommitRetryAttempts      int           `opt:"db_commit_retry_attempts" default:"2000"`                                                                          // How often a last status write is tried while the database is away.
	DBCommitRetryInitialDelay  time.Duration `opt:"db_commit_retry_initial_delay" default:"1"`                                                                        // First wait between those.
	DBCommitRetryBackoff       time.Duration `opt:"db_commit_retry_backoff" default:"1"`                                                                              // Added to each further wait.
	DBCommitRetryMax           time.Duration `opt:"db_commit_retry_max" default:"5"`                                                                                  // Longest wait.
}

// HAProxyAmphora is [haproxy_amphora].
type HAProxyAmphora struct {
	BasePath                        string        `opt:"base_path" default:"/var/lib/octavia"`                                                                                                   // Base directory in the amphora.
	BaseCertDir                     string        `opt:"base_cert_dir" default:"/var/lib/octavia/certs"`                                                                                         // Directory of certificates in the amphora.
	HAProxyTemplate                 string        `opt:"haproxy_template"`                                                                                                                       // Not supported: a Jinja2 template of haproxy.cfg. Setting it is refused.
	ConnectionLogging               bool          `opt:"connection_logging" default:"true"`                                                                                                      // Whether traffic is logged.
	ConnectionMaxRetries            int           `opt:"connection_max_retries" default:"120"`                                                                                                   // How often connection_retry_interval may pass before a booting agent must answer.
	ConnectionRetryInterval         time.Duration `opt:"connection_retry_interval" default:"5"`                                                                                                  // Longest wait between two calls to it.
	ActiveConnectionMaxRetries      int           `opt:"active_connection_max_retries" default:"15"`                                                                                             // Attempts at an agent that should be up.
	ActiveConnectionRetryInterval   time.Duration `opt:"active_connection_retry_interval" default:"2" old:"active_connection_rety_interval"`                                                     // Wait between those.
	FailoverConnectionMaxRetries    int           `opt:"failover_connection_max_retries" default:"2"`                                                                                            // Attempts at an agent before its load balancer fails over.
	FailoverConnectionRetryInterval time.Duration `opt:"failover_connection_retry_interval" default:"5"`                                                                                         // Wait between those.
	BuildRateLimit                  int           `opt:"build_rate_limit" default:"-1" min:"-1"`                                                                                                 // Amphorae that may build at once in the cloud; -1 = any number.
	BuildActiveRetries              int           `opt:"build_active_retries" default:"120"`                                                                                                     // Looks at the build limit before giving up.
	BuildRetryInterval              time.Duration `opt:"build_retry_interval" default:"5"`                                                                                                       // Wait between those.
	HAProxyStickSize                string        `opt:"haproxy_stick_size" default:"10k"`                                                                                                       // Size of stick tables.
	UserLogFormat                   string        `opt:"user_log_format" default:"{{ project_id }} {{ lb_id }} %f %ci %cp %t %{+Q}r %ST %B %U %[ssl_c_verify] %{+Q}[ssl_c_s_dn] %b %s %Tt %tsc"` // Format of haproxy's traffic log.
	BindHost                        netip.Addr    `opt:"bind_host" default:"::"`                                                                                                                 // Address the agent listens on.
	BindPort                        int           `opt:"bind_port" default:"9443" form:"port"`                                                                                                   // Its port.
	LBNetworkInterface              string        `opt:"lb_network_interface" default:"o-hm0"`                                                                                                   // Interface to amphorae with IPv6 link-local addresses.
	HAProxyCmd                      string        `opt:"haproxy_cmd" default:"/usr/sbin/haproxy"`                                                                                                // haproxy in the amphora.
	RESTRequestConnTimeout          time.Duration `opt:"rest_request_conn_timeout" default:"10"`                                                                                                 // Longest wait for a connection to an agent.
	RESTRequestReadTimeout          time.Duration `opt:"rest_request_read_timeout" default:"60"`                                                                                                 // Longest wait for its answer.
	TimeoutClientData               time.Duration `opt:"timeout_client_data" default:"50000" unit:"ms"`                                                                                          // timeout_client_data of a listener that names none.
	TimeoutMemberConnect            time.Duration `opt:"timeout_member_connect" default:"5000" unit:"ms"`                                                                                        // timeout_member_connect likewise.
	TimeoutMemberData               time.Duration `opt:"timeout_member_data" default:"50000" unit:"ms"`                                                                                          // timeout_member_data likewise.
	TimeoutTCPInspect               time.Duration `opt:"timeout_tcp_inspect" default:"0" unit:"ms"`                                                                                              // timeout_tcp_inspect likewise.
	ClientCert                      string        `opt:"client_cert" default:"/etc/octavia/certs/client.pem"`                                                                                    // Certificate and key that controllers show to agents.
	ServerCA                        string        `opt:"server_ca" default:"/etc/octavia/certs/server_ca.pem"`                                                                                   // CAs that controllers check agents with.
	APIDBCommitRetryAttempts        int           `opt:"api_db_commit_retry_attempts" default:"15"`                                                                                              // Attempts at a row that is not there yet.
	APIDBCommitRetryInitialDelay    time.Duration `opt:"api_db_commit_retry_initial_delay" default:"1"`                                                                                          // First wait between those.
	APIDBCommitRetryBackoff         time.Duration `opt:"api_db_commit_retry_backoff" default:"1"`                                                                                                // Added to each further wait.
	APIDBCommitRetryMax             time.Duration `opt:"api_db_commit_retry_max" default:"5"`                                                                                                    // Longest wait.
	DefaultConnectionLimit          int           `opt:"default_connection_limit" default:"50000" min:"1"`                                                                                       // maxconn of a listener whose connection_limit is -1.
}

// AmphoraAgent is [amphora_agent].
type AmphoraAgent struct {
	AgentServerCA             string        `opt:"agent_server_ca" default:"/etc/octavia/certs/client_ca.pem"`                         // In the amphora: CA of controllers.
	AgentServerCert           string        `opt:"agent_server_cert" default:"/etc/octavia/certs/server.pem"`                          // In the amphora: the agent's certificate and key.
	AgentServerNetworkDir     string        `opt:"agent_server_network_dir"`                                                           // In the amphora: directory of interface files.
	AgentRequestReadTimeout   time.Duration `opt:"agent_request_read_timeout" default:"180"`                                           // Longest time an agent gives a request.
	AgentTLSProtocol          string        `opt:"agent_tls_protocol" default:"TLSv1.2" choices:"SSLv3|TLSv1|TLSv1.1|TLSv1.2|TLSv1.3"` // Oldest TLS version between controller and agent.
	AdminLogTargets           []string      `opt:"admin_log_targets" form:"hostport"`                                                  // Syslog targets of administrative logs, the first is primary.
	TenantLogTargets          []string      `opt:"tenant_log_targets" form:"hostport"`                                                 // Syslog targets of traffic logs.
	UserLogFacility           int           `opt:"user_log_facility" default:"0" min:"0" max:"7"`                                      // LOCALn facility of traffic logs.
	AdministrativeLogFacility int           `opt:"administrative_log_facility" default:"1" min:"0" max:"7"`                            // LOCALn facility of everything else of ours.
	LogProtocol               string        `opt:"log_protocol" default:"UDP" choices:"TCP|UDP"`                                       // Protocol to the targets.
	LogRetryCount             int           `opt:"log_retry_count" default:"5"`                                                        // rsyslog's retries.
	LogRetryInterval          time.Duration `opt:"log_retry_interval" default:"2"`                                                     // Wait between those.
	LogQueueSize              int           `opt:"log_queue_size" default:"10000"`                                                     // Messages rsyslog keeps meanwhile.
	LoggingTemplateOverride   string        `opt:"logging_template_override"`                                                          // Not supported: a Jinja2 template of rsyslog's file. Setting it is refused.
	ForwardAllLogs            bool          `opt:"forward_all_logs"`                                                                   // Send the system's logs to the admin targets too.
	DisableLocalLogStorage    bool          `opt:"disable_local_log_storage"`                                                          // Keep no log in the amphora.
	AmphoraUDPDriver          string        `opt:"amphora_udp_driver" default:"keepalived_lvs"`                                        // Deprecated: copied into the agent's file.
	AmphoraID                 string        `opt:"amphora_id"`                                                                         // Only in the agent's own file.
}

// KeepalivedVRRP is [keepalived_vrrp].
type KeepalivedVRRP struct {
	AdvertInt           time.Duration `opt:"vrrp_advert_int" default:"1"`            // Interval of VRRP advertisements.
	CheckInterval       time.Duration `opt:"vrrp_check_interval" default:"5"`        // Interval of the check script.
	FailCount           int           `opt:"vrrp_fail_count" default:"2"`            // Failures in a row before FAULT.
	SuccessCount        int           `opt:"vrrp_success_count" default:"2"`         // Successes in a row before recovery.
	GARPRefreshInterval time.Duration `opt:"vrrp_garp_refresh_interval" default:"5"` // Interval of gratuitous ARPs.
	GARPRefreshCount    int           `opt:"vrrp_garp_refresh_count" default:"2"`    // Gratuitous ARPs each time.
}

// HealthManager is [health_manager].
type HealthManager struct {
	BindIP               netip.Addr    `opt:"bind_ip" default:"127.0.0.1"`                       // UDP address for heartbeats, on the management network.
	BindPort             int           `opt:"bind_port" default:"5555" form:"port"`              // Its port.
	FailoverThreads      int           `opt:"failover_threads" default:"10" min:"1"`             // Amphorae that are examined at once.
	HealthUpdateThreads  int           `opt:"health_update_threads" old:"status_update_threads"` // Heartbeats that are handled at once. Not set: a few.
	StatsUpdateThreads   int           `opt:"stats_update_threads" old:"status_update_threads"`  // Statistics that are handled at once.
	HeartbeatKey         Secret        `opt:"heartbeat_key"`                                     // Key that authenticates heartbeats; the same on all controllers and amphorae.
	HeartbeatTimeout     time.Duration `opt:"heartbeat_timeout" default:"60"`                    // Silence that makes an amphora stale.
	HealthCheckInterval  time.Duration `opt:"health_check_interval" default:"3"`                 // Time between looks for stale amphorae.
	SockRlimit           int           `opt:"sock_rlimit" min:"0"`                               // Receive buffer of the socket (bytes); 0 = the system's default.
	FailoverThreshold    int           `opt:"failover_threshold" min:"0"`                        // With so many stale amphorae none is replaced. Not set: a quarter of all, at least 5.
	ControllerIPPortList []string      `opt:"controller_ip_port_list" form:"hostport"`           // Where amphorae send heartbeats: address:port, [address]:port.
	HeartbeatInterval    time.Duration `opt:"heartbeat_interval" default:"10"`                   // Time between heartbeats of an amphora.
}

// HouseKeeping is [house_keeping].
type HouseKeeping struct {
	CleanupInterval       time.Duration `opt:"cleanup_interval" default:"30"`             // Time between purges of DELETED rows.
	AmphoraExpiryAge      time.Duration `opt:"amphora_expiry_age" default:"604800"`       // Age at which DELETED amphorae go.
	LoadBalancerExpiryAge time.Duration `opt:"load_balancer_expiry_age" default:"604800"` // Age at which DELETED load balancers go.
	CertInterval          time.Duration `opt:"cert_interval" default:"3600"`              // Time between looks at amphorae's certificates.
	CertExpiryBuffer      time.Duration `opt:"cert_expiry_buffer" default:"1209600"`      // A certificate with less left is replaced.
	CertRotateThreads     int           `opt:"cert_rotate_threads" default:"10" min:"1"`  // Certificates that are replaced at once.
}
