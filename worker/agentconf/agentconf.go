package agentconf

import (
	"bytes"
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Paths of the files in the amphora.
const (
	AgentPath      = "/etc/octavia/amphora-agent.conf"
	ServerCertPath = "/etc/octavia/certs/server.pem"
	ClientCAPath   = "/etc/octavia/certs/client_ca.pem"
	RsyslogPath    = "/etc/rsyslog.d/10-rsyslog.conf"
)

// Agent renders amphora-agent.conf. Values are written as they are: upstream escapes them for
// HTML, which breaks heartbeat keys with & < > ' or ". A line break in a value ends the value there.
func Agent(c Config) []byte {
	var w ini
	w.section("DEFAULT")
	w.key("debug", pyBool(c.Debug))
	w.key("use_syslog", "True")
	w.key("syslog_log_facility", "LOG_LOCAL"+strconv.Itoa(c.AdministrativeLogFacility))
	w.section("haproxy_amphora")
	w.key("base_cert_dir", cmp.Or(c.BaseCertDir, "/var/lib/octavia/certs"))
	w.key("base_path", cmp.Or(c.BasePath, "/var/lib/octavia"))
	w.key("bind_host", cmp.Or(c.BindHost, "::"))
	w.key("bind_port", strconv.Itoa(cmp.Or(c.BindPort, 9443)))
	w.key("haproxy_cmd", cmp.Or(c.HAProxyCmd, "/usr/sbin/haproxy"))
	w.key("user_log_facility", strconv.Itoa(c.UserLogFacility))
	w.key("administrative_log_facility", strconv.Itoa(c.AdministrativeLogFacility))
	w.section("health_manager")
	w.key("controller_ip_port_list", strings.Join(c.Controllers, ", "))
	w.key("heartbeat_interval", seconds(cmp.Or(c.HeartbeatInterval, 10*time.Second)))
	w.key("heartbeat_key", c.HeartbeatKey)
	w.section("amphora_agent")
	w.key("agent_server_ca", cmp.Or(c.AgentServerCA, ClientCAPath))
	w.key("agent_server_cert", cmp.Or(c.AgentServerCert, ServerCertPath))
	if c.AgentServerNetworkDir != "" {
		w.key("agent_server_network_dir", c.AgentServerNetworkDir)
	}
	w.key("agent_request_read_timeout", seconds(cmp.Or(c.RequestReadTimeout, 3*time.Minute)))
	w.key("amphora_id", c.AmphoraID)
	w.key("amphora_udp_driver", cmp.Or(c.UDPDriver, "keepalived_lvs"))
	w.key("agent_tls_protocol", cmp.Or(c.TLSProtocol, "TLSv1.2"))
	w.section("controller_worker")
	w.key("loadbalancer_topology", cmp.Or(c.Topology, "SINGLE"))
	return w.Bytes()
}

// UserData renders cloud-init's user data. With files they are written by cloud-init, and the
// agent is restarted afterwards; without, Nova injects them.
func UserData(timezone string, files map[string][]byte) []byte {
	var b bytes.Buffer
	b.WriteString("#cloud-config\n# vim: syntax=yaml\n")
	if len(files) > 0 {
		writeFiles(&b, files)
	}
	b.WriteString("runcmd:\n  - systemctl restart rsyslog\n")
	if len(files) > 0 {
		b.WriteString("  - service amphora-agent restart\n")
	}
	fmt.Fprintf(&b, "timezone: %s\n", firstLine(cmp.Or(timezone, "UTC")))
	return b.Bytes()
}

// writeFiles writes the files in the order of upstream; an empty one as an empty string,
// because a block scalar cannot be empty.
func writeFiles(b *bytes.Buffer, files map[string][]byte) {
	b.WriteString("write_files:\n")
	for _, path := range []string{ServerCertPath, ClientCAPath, AgentPath, RsyslogPath} {
		content, ok := files[path]
		if !ok {
			continue
		}
		fmt.Fprintf(b, "  - path: %s\n", path)
		if len(bytes.TrimSpace(content)) == 0 {
			b.WriteString("    content: \"\"\n")
			continue
		}
		b.WriteString("    content: |\n")
		for line := range strings.Lines(string(content)) {
			b.WriteString("        " + strings.TrimRight(line, "\n") + "\n")
		}
	}
}

// ini writes sections and keys. The agent's certs-ramfs unit reads the file with a plain text
// match, so the spaces around "=" matter.
type ini struct{ bytes.Buffer }

func (w *ini) section(name string) {
	if w.Len() > 0 {
		w.WriteByte('\n')
	}
	fmt.Fprintf(w, "[%s]\n", name)
}

func (w *ini) key(name, value string) { fmt.Fprintf(w, "%s = %s\n", name, firstLine(value)) }

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimRight(line, "\r")
}

func pyBool(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
