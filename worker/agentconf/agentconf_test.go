package agentconf_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ottavino/ottavino/worker/agentconf"
)

func TestAgent(t *testing.T) {
	got := string(agentconf.Agent(agentconf.Config{
		AmphoraID: "a", Controllers: []string{"172.24.0.1:5555", "172.24.0.2:5555"}, HeartbeatKey: `a<b&"c`, AdministrativeLogFacility: 1,
	}))
	want := `[DEFAULT]
debug = False
use_syslog = True
syslog_log_facility = LOG_LOCAL1

[haproxy_amphora]
base_cert_dir = /var/lib/octavia/certs
base_path = /var/lib/octavia
bind_host = ::
bind_port = 9443
haproxy_cmd = /usr/sbin/haproxy
user_log_facility = 0
administrative_log_facility = 1

[health_manager]
controller_ip_port_list = 172.24.0.1:5555, 172.24.0.2:5555
heartbeat_interval = 10
heartbeat_key = a<b&"c

[amphora_agent]
agent_server_ca = /etc/octavia/certs/client_ca.pem
agent_server_cert = /etc/octavia/certs/server.pem
agent_request_read_timeout = 180
amphora_id = a
amphora_udp_driver = keepalived_lvs
agent_tls_protocol = TLSv1.2

[controller_worker]
loadbalancer_topology = SINGLE
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestNoSectionGetsIn: a line feed in a value ends the value, and nothing else.
func TestNoSectionGetsIn(t *testing.T) {
	got := string(agentconf.Agent(agentconf.Config{AmphoraID: "a", HeartbeatKey: "k\n[evil]\nx = y"}))
	if strings.Contains(got, "evil") {
		t.Errorf("got %s", got)
	}
}

func TestRsyslog(t *testing.T) {
	if got, err := agentconf.Rsyslog(agentconf.Logging{}); err != nil || len(got) != 0 {
		t.Errorf("without targets: got %q, %v, want an empty file", got, err)
	}
	got, err := agentconf.Rsyslog(agentconf.Logging{
		AdminTargets: []string{"192.0.2.1:10514", "192.0.2.2:10514"}, TenantTargets: []string{"192.0.2.3:20514"},
		AdministrativeFacility: 1, DisableLocal: true, RetryCount: 0,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "local0.=info", "local1.*", "\n*.* stop", `action.resumeRetryCount="0"`} {
		if !strings.Contains(string(got), want) {
			t.Errorf("got %s, want %q in it", got, want)
		}
	}
	if _, err := agentconf.Rsyslog(agentconf.Logging{AdminTargets: []string{"nonsense"}}); err == nil {
		t.Error("took a target without a port")
	}
}

func TestUserData(t *testing.T) {
	got := string(agentconf.UserData("Asia/Seoul", map[string][]byte{agentconf.AgentPath: []byte("text\n")}))
	for _, want := range []string{"#cloud-config\n", "Asia/Seoul", agentconf.AgentPath, "write_files"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %q in it", got, want)
		}
	}
}
