package main

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
	"strings"
	"time"

	driver "github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/certs"
)

const port = 9443

// ours is our agent, a process, and our driver.
type ours struct {
	lab    *lab
	driver *driver.Driver
	target driver.Target
	http   *http.Client
	cmd    *exec.Cmd
}

// ours starts the agent and plugs the VIP.
func (l *lab) ours(ctx context.Context) (amphora, error) {
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
`, l.dir, port, amphoraID)
	if err := os.WriteFile(filepath.Join(l.dir, "agent.conf"), []byte(text), 0o600); err != nil {
		return nil, err
	}
	o := &ours{
		lab: l, target: driver.Target{AmphoraID: amphoraID, Address: netip.MustParseAddr("127.0.0.1")},
		driver: driver.NewDriver(driver.DriverConfig{
			Port:     port,
			Client:   func() (tls.Certificate, error) { return client, nil },
			ServerCA: func() (*x509.CertPool, error) { return roots, nil },
		}),
		http: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
			ServerName: amphoraID, RootCAs: roots, Certificates: []tls.Certificate{client}, MinVersion: tls.VersionTLS12,
		}}},
	}
	if err := o.start(ctx); err != nil {
		return nil, err
	}
	gateway := outside
	err = o.driver.PlugVIP(ctx, o.target, netip.MustParseAddr(vip), driver.VIPPlug{
		SubnetCIDR: "10.10.10.0/24", Gateway: &gateway, MAC: nicMAC, VRRPIP: "10.10.10.101", HostRoutes: []driver.HostRoute{},
	})
	return o, err
}

// certificates makes the two CAs of an installation, and what both ends have of them.
func (l *lab) certificates() (client tls.Certificate, roots *x509.CertPool, err error) {
	now := time.Now()
	issue := func(name string) (ca certs.Issued, loaded *certs.CA, err error) {
		if ca, err = certs.NewCA(name, now, time.Hour); err != nil {
			return ca, nil, err
		}
		loaded, err = certs.LoadCA(ca.CertPEM, ca.KeyPEM, "")
		return ca, loaded, err
	}
	serverCA, servers, err := issue("servers")
	if err != nil {
		return client, nil, err
	}
	clientCA, clients, err := issue("clients")
	if err != nil {
		return client, nil, err
	}
	server, err := servers.Server(amphoraID, now, time.Hour)
	if err != nil {
		return client, nil, err
	}
	controller, err := clients.Client("controller", now, time.Hour)
	if err != nil {
		return client, nil, err
	}
	for name, content := range map[string][]byte{"server.pem": server.Bundle(), "client_ca.pem": clientCA.CertPEM} {
		if err := os.WriteFile(filepath.Join(l.dir, name), content, 0o600); err != nil {
			return client, nil, err
		}
	}
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(serverCA.CertPEM)
	client, err = tls.X509KeyPair(controller.CertPEM, controller.KeyPEM)
	return client, roots, err
}

func (o *ours) start(ctx context.Context) error {
	o.cmd = exec.CommandContext(ctx, o.lab.agent, "--config-file", filepath.Join(o.lab.dir, "agent.conf"))
	if err := o.cmd.Start(); err != nil {
		return err
	}
	return until(ctx, "the agent answers", func() bool { _, err := o.driver.Info(ctx, o.target); return err == nil })
}

func (o *ours) Apply(ctx context.Context, cfg []byte) error {
	return o.driver.Apply(ctx, o.target, lbID, cfg)
}

func (o *ours) PutFile(ctx context.Context, name string, content []byte) error {
	url := fmt.Sprintf("https://127.0.0.1:%d/1.0/loadbalancer/%s/certificates/%s", port, lbID, name)
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(content))
	if err != nil {
		return err
	}
	resp, err := o.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s %s", name, resp.Status, text)
	}
	return nil
}

func (o *ours) RestartAgent(ctx context.Context) error {
	_ = o.cmd.Process.Kill()
	_ = o.cmd.Wait()
	o.driver.Close()
	o.http.CloseIdleConnections()
	return o.start(ctx)
}

func (o *ours) workers() int { return childrenOf(filepath.Join(o.lab.base(), lbID, lbID+".pid")) }

func (o *ours) stop(ctx context.Context) error {
	err := o.driver.Remove(ctx, o.target, lbID)
	o.driver.Close()
	_ = o.cmd.Process.Kill()
	_ = o.cmd.Wait()
	return err
}

// childrenOf counts the children of the process that a pid file names.
func childrenOf(pidFile string) int {
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		return 0
	}
	p := strings.TrimSpace(string(pid))
	text, err := os.ReadFile("/proc/" + p + "/task/" + p + "/children")
	if err != nil {
		return 0
	}
	return len(strings.Fields(string(text)))
}
