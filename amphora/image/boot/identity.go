package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/certs"
	"github.com/ottavino/ottavino/worker/agentconf"
)

const (
	amphoraID = "7e57ed00-0000-4000-8000-000000000001"
	key       = "heartbeat-key"
	validity  = 24 * time.Hour
)

// identity is what the worker makes for a new amphora.
type identity struct {
	*certs.Installation
	files map[string][]byte
}

// newIdentity makes one whose heartbeats and logs, of tenants and of operators, go to ports of this machine.
func newIdentity(heartbeats, tenants, operators int) (*identity, error) {
	now := time.Now()
	made, err := certs.NewInstallation(now, validity)
	if err != nil {
		return nil, err
	}
	server, err := made.Servers.Server(amphoraID, now, validity)
	if err != nil {
		return nil, err
	}
	here := func(port int) []string { return []string{fmt.Sprintf("10.0.2.2:%d", port)} }
	rsyslog, err := agentconf.Rsyslog(agentconf.Logging{
		TenantTargets: here(tenants), AdminTargets: here(operators), UserFacility: 0, AdministrativeFacility: 1, RetryCount: 5,
	})
	if err != nil {
		return nil, err
	}
	return &identity{made, map[string][]byte{
		agentconf.ServerCertPath: server.Bundle(), agentconf.ClientCAPath: made.ClientCA.CertPEM, agentconf.RsyslogPath: rsyslog,
		agentconf.AgentPath: agentconf.Agent(agentconf.Config{
			AmphoraID: amphoraID, HeartbeatKey: key, HeartbeatInterval: time.Second,
			Controllers: here(heartbeats), AdministrativeLogFacility: 1,
		}),
	}}, nil
}

// driver speaks to the agent at a port of this machine.
func (i *identity) driver(port int) *amphora.Driver {
	return amphora.NewDriver(amphora.DriverConfig{
		Port:           port,
		ConnectTimeout: 2 * time.Second, ReadTimeout: time.Minute,
		Client:   i.Client.Pair,
		ServerCA: func() (*x509.CertPool, error) { return i.ServerCA.Pool(), nil },
	})
}

// drive makes a config drive as Nova does.
func (i *identity) drive(ctx context.Context, dir string) (string, error) {
	tree := filepath.Join(dir, "drive")
	latest := filepath.Join(tree, "openstack", "latest")
	content := filepath.Join(tree, "openstack", "content")
	for _, d := range []string{latest, content} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return "", err
		}
	}
	var files []map[string]string
	for path, text := range i.files {
		name := fmt.Sprintf("%04d", len(files))
		if err := os.WriteFile(filepath.Join(content, name), text, 0o600); err != nil {
			return "", err
		}
		files = append(files, map[string]string{"path": path, "content_path": "/content/" + name})
	}
	for name, document := range map[string]any{
		"meta_data.json": map[string]any{"uuid": amphoraID, "hostname": "amphora-" + amphoraID, "files": files},
		"network_data.json": map[string]any{
			"links":    []map[string]any{{"id": "tap0", "ethernet_mac_address": mgmtMAC, "mtu": 1450, "type": "bridge"}},
			"networks": []map[string]any{{"id": "network0", "link": "tap0", "type": "ipv4_dhcp"}},
		},
	} {
		text, err := json.Marshal(document)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(latest, name), text, 0o600); err != nil {
			return "", err
		}
	}
	iso := filepath.Join(dir, "drive.iso")
	out, err := exec.CommandContext(ctx, "genisoimage", "-quiet", "-ldots", "-allow-lowercase", "-allow-multidot", "-l", "-J", "-r",
		"-V", "config-2", "-o", iso, tree).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("make config drive: %w: %s", err, out)
	}
	return iso, nil
}
