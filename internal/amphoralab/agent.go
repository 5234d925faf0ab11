package amphoralab

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	driver "github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/certs"
)

const port = 9443

// Agent is our agent, a process, and our driver.
type Agent struct {
	lab    *Lab
	driver *driver.Driver
	target driver.Target
	http   *http.Client
	cmd    *exec.Cmd
}

// StartAgent starts the agent and plugs the VIP.
func (l *Lab) StartAgent(ctx context.Context) (*Agent, error) {
	client, roots, err := l.certificates()
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`[haproxy_amphora]
base_path = %[1]s/octavia
base_cert_dir = %[1]s/certs
bind_host = 127.0.0.1
bind_port = %[2]d
[amphora_agent]
agent_server_ca = %[1]s/client_ca.pem
agent_server_cert = %[1]s/server.pem
agent_server_network_dir = %[1]s/interfaces
amphora_id = %[3]s
`, l.dir, port, AmphoraID)
	if err := os.WriteFile(filepath.Join(l.dir, "agent.conf"), []byte(text), 0o600); err != nil {
		return nil, err
	}
	a := &Agent{
		lab: l, target: driver.Target{AmphoraID: AmphoraID, Address: netip.MustParseAddr("127.0.0.1")},
		driver: driver.NewDriver(driver.DriverConfig{
			Port:     port,
			Client:   func() (tls.Certificate, error) { return client, nil },
			ServerCA: func() (*x509.CertPool, error) { return roots, nil },
		}),
		http: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
			ServerName: AmphoraID, RootCAs: roots, Certificates: []tls.Certificate{client}, MinVersion: tls.VersionTLS12,
		}}},
	}
	if err := a.start(ctx); err != nil {
		return nil, err
	}
	gateway := Outside
	err = a.driver.PlugVIP(ctx, a.target, netip.MustParseAddr(VIP), driver.VIPPlug{
		SubnetCIDR: "10.10.10.0/24", Gateway: &gateway, MAC: nicMAC, VRRPIP: "10.10.10.101", HostRoutes: []driver.HostRoute{},
	})
	return a, err
}

// certificates makes those of an installation, and returns what a controller has of them.
func (l *Lab) certificates() (client tls.Certificate, roots *x509.CertPool, err error) {
	now := time.Now()
	i, err := certs.NewInstallation(now, time.Hour)
	if err != nil {
		return client, nil, err
	}
	server, err := i.Servers.Server(AmphoraID, now, time.Hour)
	if err != nil {
		return client, nil, err
	}
	for name, content := range map[string][]byte{"server.pem": server.Bundle(), "client_ca.pem": i.ClientCA.CertPEM} {
		if err := os.WriteFile(filepath.Join(l.dir, name), content, 0o600); err != nil {
			return client, nil, err
		}
	}
	client, err = i.Client.Pair()
	return client, i.ServerCA.Pool(), err
}

func (a *Agent) start(ctx context.Context) error {
	a.cmd = exec.CommandContext(ctx, a.lab.program, "--config-file", filepath.Join(a.lab.dir, "agent.conf"))
	if err := a.cmd.Start(); err != nil {
		return err
	}
	return Until(ctx, "the agent answers", func() bool { _, err := a.driver.Info(ctx, a.target); return err == nil })
}

// Apply has haproxy run a configuration.
func (a *Agent) Apply(ctx context.Context, cfg []byte) error {
	return a.driver.Apply(ctx, a.target, LoadBalancerID, cfg)
}

// PutFile stores a file beside the certificates.
func (a *Agent) PutFile(ctx context.Context, name string, content []byte) error {
	url := fmt.Sprintf("https://127.0.0.1:%d/1.0/loadbalancer/%s/certificates/%s", port, LoadBalancerID, name)
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(content))
	if err != nil {
		return err
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s %s", name, resp.Status, text)
	}
	return nil
}

// RestartAgent ends the agent by SIGKILL and returns when another one answers.
func (a *Agent) RestartAgent(ctx context.Context) error {
	_ = a.cmd.Process.Kill()
	_ = a.cmd.Wait()
	a.driver.Close()
	a.http.CloseIdleConnections()
	return a.start(ctx)
}

// Stop removes the load balancer and ends the agent.
func (a *Agent) Stop(ctx context.Context) error {
	err := a.driver.Remove(ctx, a.target, LoadBalancerID)
	a.driver.Close()
	_ = a.cmd.Process.Kill()
	_ = a.cmd.Wait()
	return err
}
