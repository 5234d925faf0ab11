// Package agentconf writes the files an amphora is born with: amphora-agent.conf,
// 10-rsyslog.conf and cloud-init's user data. It is pure.
package agentconf

import "time"

// Config is what amphora-agent.conf says. Zero fields take upstream's defaults.
type Config struct {
	Debug                     bool
	BaseCertDir               string   // [haproxy_amphora] base_cert_dir; "" = /var/lib/octavia/certs
	BasePath                  string   // base_path; "" = /var/lib/octavia
	BindHost                  string   // bind_host; "" = ::
	BindPort                  int      // bind_port; 0 = 9443
	HAProxyCmd                string   // haproxy_cmd; "" = /usr/sbin/haproxy
	UserLogFacility           int      // [amphora_agent] user_log_facility, 0 to 7
	AdministrativeLogFacility int      // administrative_log_facility, 0 to 7; upstream's default is 1
	Controllers               []string // [health_manager] controller_ip_port_list
	HeartbeatInterval         time.Duration
	HeartbeatKey              string
	AgentServerCA             string        // path in the amphora; "" = /etc/octavia/certs/client_ca.pem
	AgentServerCert           string        // path in the amphora; "" = /etc/octavia/certs/server.pem
	AgentServerNetworkDir     string        // "" = not written
	RequestReadTimeout        time.Duration // 0 = 180s
	UDPDriver                 string        // "" = keepalived_lvs
	TLSProtocol               string        // "" = TLSv1.2
	AmphoraID                 string        // of this amphora
	Topology                  string        // of its load balancer
}

// Logging is what 10-rsyslog.conf says. Without targets and with local storage the file is empty.
type Logging struct {
	AdminTargets, TenantTargets []string // "ip:port", the first is primary
	UserFacility                int      // LOCALn of traffic logs
	AdministrativeFacility      int      // LOCALn of everything of ours
	Protocol                    string   // TCP or UDP; "" = UDP
	RetryCount                  int      // 0 = none, negative = for ever
	RetryInterval               time.Duration
	QueueSize                   int  // messages; 0 = 10000
	ForwardAll                  bool // admin targets get every other log too
	DisableLocal                bool // keep no log on the amphora's disk
}
