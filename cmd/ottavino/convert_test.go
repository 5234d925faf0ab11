package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ottavino/ottavino/amphora/haproxy"
	"github.com/ottavino/ottavino/config"
)

// TestHAProxyOptions: each option of octavia.conf that is about haproxy.cfg reaches the renderer.
func TestHAProxyOptions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "octavia.conf")
	err := os.WriteFile(path, []byte(`[haproxy_amphora]
base_path = /base
base_cert_dir = /certs
connection_logging = false
haproxy_stick_size = 20k
user_log_format = %f
timeout_client_data = 1000
timeout_member_connect = 2000
timeout_member_data = 3000
timeout_tcp_inspect = 4
default_connection_limit = 5
[amphora_agent]
user_log_facility = 6
administrative_log_facility = 7
[api_settings]
default_listener_ciphers = A
default_pool_ciphers = B
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load([]string{path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := haproxy.Options{
		BasePath: "/base", BaseCertDir: "/certs", StickSize: "20k", UserLogFormat: "%f", DefaultConnectionLimit: 5,
		TimeoutClientData: 1000, TimeoutMemberConnect: 2000, TimeoutMemberData: 3000, TimeoutTCPInspect: 4,
		UserLogFacility: 6, AdministrativeLogFacility: 7, DefaultListenerCiphers: "A", DefaultPoolCiphers: "B",
	}
	if diff := cmp.Diff(want, workerConfig(cfg).HAProxy); diff != "" {
		t.Error(diff)
	}
}

// TestWorkerOptions that say how much a process does at once, and how long it takes to end.
func TestWorkerOptions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "octavia.conf")
	if err := os.WriteFile(path, []byte("[DEFAULT]\ngraceful_shutdown_timeout = 7\n[controller_worker]\nworkers = 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load([]string{path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := workerConfig(cfg); got.Concurrency != 96 || got.Graceful != 7*time.Second {
		t.Errorf("got %d load balancers at once and %s to end, want 96 and 7s", got.Concurrency, got.Graceful)
	}
}
