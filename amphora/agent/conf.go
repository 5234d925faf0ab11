package agent

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Config is amphora-agent.conf. The names in brackets are its options; those without effect here are not read.
type Config struct {
	Debug             bool          // [DEFAULT] debug
	UseSyslog         bool          // use_syslog
	SyslogFacility    string        // syslog_log_facility
	CertDir           string        // [haproxy_amphora] base_cert_dir
	BasePath          string        // base_path
	BindHost          string        // bind_host
	BindPort          int           // bind_port
	HAProxy           string        // haproxy_cmd
	ClientCA          string        // [amphora_agent] agent_server_ca
	ServerCert        string        // agent_server_cert
	InterfaceDir      string        // agent_server_network_dir
	ReadTimeout       time.Duration // agent_request_read_timeout
	MinTLS            uint16        // agent_tls_protocol, at least TLS 1.2
	AmphoraID         string        // amphora_id
	Controllers       []string      // [health_manager] controller_ip_port_list
	HeartbeatInterval time.Duration // heartbeat_interval
	HeartbeatKey      string        // heartbeat_key
	Topology          string        // [controller_worker] loadbalancer_topology
}

// LoadConfig reads amphora-agent.conf; what it does not say has upstream's defaults.
func LoadConfig(path string) (Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	c, err := parseConfig(text)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func parseConfig(text []byte) (Config, error) {
	values := parseINI(text)
	get := func(group, key, fallback string) string { return cmp.Or(values[group+"."+key], fallback) }
	var errs []error
	number := func(group, key string, fallback int) int {
		n, err := strconv.Atoi(get(group, key, strconv.Itoa(fallback)))
		if err != nil || n < 0 {
			errs = append(errs, fmt.Errorf("[%s] %s is not a number", group, key))
		}
		return n
	}
	minTLS := uint16(tls.VersionTLS12)
	if get("amphora_agent", "agent_tls_protocol", "") == "TLSv1.3" {
		minTLS = tls.VersionTLS13
	}
	c := Config{
		MinTLS:            minTLS,
		Debug:             strings.EqualFold(get("DEFAULT", "debug", ""), "true"),
		UseSyslog:         strings.EqualFold(get("DEFAULT", "use_syslog", ""), "true"),
		SyslogFacility:    get("DEFAULT", "syslog_log_facility", "LOG_USER"),
		CertDir:           get("haproxy_amphora", "base_cert_dir", "/var/lib/octavia/certs"),
		BasePath:          get("haproxy_amphora", "base_path", "/var/lib/octavia"),
		BindHost:          get("haproxy_amphora", "bind_host", "::"),
		BindPort:          number("haproxy_amphora", "bind_port", 9443),
		HAProxy:           get("haproxy_amphora", "haproxy_cmd", "/usr/sbin/haproxy"),
		ClientCA:          get("amphora_agent", "agent_server_ca", "/etc/octavia/certs/client_ca.pem"),
		ServerCert:        get("amphora_agent", "agent_server_cert", "/etc/octavia/certs/server.pem"),
		InterfaceDir:      get("amphora_agent", "agent_server_network_dir", "/etc/octavia/interfaces"),
		ReadTimeout:       time.Duration(number("amphora_agent", "agent_request_read_timeout", 180)) * time.Second,
		AmphoraID:         get("amphora_agent", "amphora_id", ""),
		HeartbeatInterval: time.Duration(max(1, number("health_manager", "heartbeat_interval", 10))) * time.Second,
		HeartbeatKey:      get("health_manager", "heartbeat_key", ""),
		Topology:          get("controller_worker", "loadbalancer_topology", "SINGLE"),
	}
	for c1 := range strings.SplitSeq(get("health_manager", "controller_ip_port_list", ""), ",") {
		if c1 = strings.TrimSpace(c1); c1 != "" {
			c.Controllers = append(c.Controllers, c1)
		}
	}
	if c.AmphoraID == "" {
		errs = append(errs, errors.New("[amphora_agent] amphora_id is not set"))
	}
	return c, errors.Join(errs...)
}

// parseINI returns "group.key" → value. Of a repeated key the last counts.
func parseINI(text []byte) map[string]string {
	out := map[string]string{}
	group := "DEFAULT"
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' && line[len(line)-1] == ']' {
			group = line[1 : len(line)-1]
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok {
			out[group+"."+strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return out
}
