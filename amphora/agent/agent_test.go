package agent_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/agent"
	"github.com/ottavino/ottavino/amphora/certs"
	"github.com/ottavino/ottavino/amphora/checker"
	"github.com/ottavino/ottavino/amphora/heartbeat"
	"github.com/ottavino/ottavino/amphora/vrrpcheck"
	"github.com/ottavino/ottavino/internal/await"
	"github.com/ottavino/ottavino/sandbox/world"
)

// TestMain is also the commands that keepalived runs: the agent provides its own program under their names.
func TestMain(m *testing.M) {
	if args, ok := checker.Called(os.Args); ok {
		os.Exit(checker.Main(args, os.Stderr))
	}
	if filepath.Base(os.Args[0]) == vrrpcheck.Name {
		os.Exit(vrrpcheck.Main(context.Background(), os.Args[1:]))
	}
	world.Main(m)
}

const (
	amphoraID = "aaaaaaaa-0000-4000-8000-000000000001"
	lbID      = "10000000-0000-4000-8000-000000000001"
	nicMAC    = "fa:16:3e:00:00:01"
	vip       = "10.10.10.100"
	base      = "10.10.10.101"
	outside   = "10.10.10.1" // on the other end of the NIC: clients and members
	beatKey   = "insecure"
)

// rig is an agent, its machine, and a controller.
type rig struct {
	t      *testing.T
	dir    string
	port   int
	beats  net.PacketConn
	driver *amphora.Driver
	target amphora.Target
	client tls.Certificate
	roots  *x509.CertPool
	stop   func()
	agent  *agent.Agent

	workers map[int]bool // that served when something was applied
}

// newRig starts an agent, after what prepare does.
func newRig(t *testing.T, prepare ...func(*rig)) *rig {
	t.Helper()
	r := &rig{t: t, dir: shortDir(t), port: freePort(t), workers: map[int]bool{}}
	var err error
	if r.beats, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	r.certificates()
	text := fmt.Sprintf(`[haproxy_amphora]
base_path = %[1]s/octavia
base_cert_dir = %[1]s/certs
bind_host = 127.0.0.1
bind_port = %[2]d
[health_manager]
controller_ip_port_list = %[3]s
heartbeat_interval = 1
heartbeat_key = %[4]s
[amphora_agent]
agent_server_ca = %[1]s/client_ca.pem
agent_server_cert = %[1]s/server.pem
agent_server_network_dir = %[1]s/interfaces
amphora_id = %[5]s
`, r.dir, r.port, r.beats.LocalAddr(), beatKey, amphoraID)
	r.write("agent.conf", []byte(text))
	r.target = amphora.Target{AmphoraID: amphoraID, Address: netip.MustParseAddr("127.0.0.1")}
	r.driver = amphora.NewDriver(amphora.DriverConfig{
		Port:     r.port,
		Client:   func() (tls.Certificate, error) { return r.client, nil },
		ServerCA: func() (*x509.CertPool, error) { return r.roots, nil },
	})
	for _, p := range prepare {
		p(r)
	}
	r.run()
	t.Cleanup(func() {
		_ = r.driver.Remove(context.Background(), r.target, lbID)
		r.driver.Close()
		r.stop()
		_ = r.beats.Close()
		_ = unix.Unmount(filepath.Join(r.dir, "certs"), unix.MNT_DETACH)
		_ = exec.Command("ip", "netns", "delete", "amphora-haproxy").Run()
	})
	return r
}

// shortDir is a t.TempDir whose sockets haproxy can bind: their paths may have 97 characters.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent-") //nolint:usetesting // t.TempDir's is as long as the test's name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (r *rig) write(name string, text []byte) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), text, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// installation and serverCertificate are made once: RSA keys take their time.
var (
	installation      = sync.OnceValues(func() (*certs.Installation, error) { return certs.NewInstallation(time.Now(), time.Hour) })
	serverCertificate = sync.OnceValues(func() (certs.Issued, error) {
		i, err := installation()
		if err != nil {
			return certs.Issued{}, err
		}
		return i.Servers.Server(amphoraID, time.Now(), time.Hour)
	})
)

// certificates writes the agent's, and keeps the controller's.
func (r *rig) certificates() {
	r.t.Helper()
	server, err := serverCertificate()
	if err != nil {
		r.t.Fatal(err)
	}
	i, err := installation()
	if err != nil {
		r.t.Fatal(err)
	}
	r.write("server.pem", server.Bundle())
	r.write("client_ca.pem", i.ClientCA.CertPEM)
	r.roots = i.ServerCA.Pool()
	if r.client, err = i.Client.Pair(); err != nil {
		r.t.Fatal(err)
	}
}

// run starts the agent and waits until it answers.
func (r *rig) run() {
	r.t.Helper()
	a, err := agent.New(filepath.Join(r.dir, "agent.conf"), slog.New(slog.NewTextHandler(r.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		r.t.Fatal(err)
	}
	r.agent = a
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
	})
	r.until("the agent answers", func() bool {
		_, err := r.driver.Info(r.t.Context(), r.target)
		return err == nil
	})
}

func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	await.Until(r.t, 10*time.Second, what, ok)
}

// nic makes an interface as Nova plugs one; the other end has the address of clients and members.
func (r *rig) nic() {
	r.t.Helper()
	mac, err := net.ParseMAC(nicMAC)
	if err != nil {
		r.t.Fatal(err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "other"
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth1", PeerHardwareAddr: mac}); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = exec.Command("ip", "link", "delete", "other").Run() })
	for _, argv := range [][]string{{"addr", "add", outside + "/24", "dev", "other"}, {"link", "set", "other", "up"}} {
		if out, err := exec.Command("ip", argv...).CombinedOutput(); err != nil {
			r.t.Fatalf("ip %v: %v %s", argv, err, out)
		}
	}
}

func (r *rig) plug() error {
	gateway := outside
	return r.driver.PlugVIP(r.t.Context(), r.target, netip.MustParseAddr(vip), amphora.VIPPlug{
		SubnetCIDR: "10.10.10.0/24", Gateway: &gateway, MAC: nicMAC, VRRPIP: base, MTU: 1450, HostRoutes: []amphora.HostRoute{},
	})
}

func (r *rig) inside(argv ...string) string {
	r.t.Helper()
	out, err := exec.Command("ip", append([]string{"netns", "exec", "amphora-haproxy"}, argv...)...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("%v: %v %s", argv, err, out)
	}
	return string(out)
}

// web is a member that answers with a word.
func (r *rig) web(word string) (port int) {
	r.t.Helper()
	return r.serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, word) }))
}

// config is a haproxy.cfg with one member.
func (r *rig) config(port int) []byte {
	return fmt.Appendf(nil, `global
    daemon
    user nobody
    stats socket %[1]s/octavia/%[2]s.sock mode 0666 level user
    server-state-file %[1]s/octavia/%[2]s/servers-state
    maxconn 1000
defaults
    timeout connect 1000
    timeout client 1000
    timeout server 1000
frontend L1
    bind %[3]s:80
    mode http
    default_backend P1:L1
backend P1:L1
    mode http
    server M1 %[4]s:%[5]d weight 1 check inter 1s
`, r.dir, lbID, vip, outside, port)
}

var visitor = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 3 * time.Second}

func ask() (string, error) {
	resp, err := visitor.Get("http://" + vip + "/")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s", resp.Status)
	}
	return string(text), err
}

// TestTraffic plugs a VIP, runs a configuration, changes it, restarts the agent under traffic and removes it all.
func TestTraffic(t *testing.T) {
	r := newRig(t)
	r.nic()
	for range 2 { // the second time the interface is there already
		if err := r.plug(); err != nil {
			t.Fatal(err)
		}
	}
	addresses := r.inside("ip", "-o", "addr", "show", "eth1")
	for _, want := range []string{base + "/24", vip + "/32"} {
		if !strings.Contains(addresses, want) {
			t.Errorf("eth1 has %s, want %s", addresses, want)
		}
	}
	if got := r.inside("ip", "rule"); !strings.Contains(got, "32000:\tfrom "+vip+" lookup 1") {
		t.Errorf("got rules %s, want one from the VIP", got)
	}
	if got := r.inside("ip", "route", "show", "table", "1"); !strings.Contains(got, "default via "+outside) || !strings.Contains(got, "src "+vip) {
		t.Errorf("got table 1 %s, want a default route and one with the VIP as source", got)
	}
	if got := r.inside("cat", "/sys/class/net/eth1/mtu"); got != "1450\n" {
		t.Errorf("got MTU %s, want 1450", got)
	}
	if err := r.driver.Apply(t.Context(), r.target, lbID, r.config(r.web("one"))); err != nil {
		t.Fatal(err)
	}
	r.until("member one answers", func() bool { word, err := ask(); return err == nil && word == "one" })

	failed := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			if _, err := ask(); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	}()
	r.stop()
	r.run()
	if err := r.driver.Apply(t.Context(), r.target, lbID, r.config(r.web("two"))); err != nil {
		t.Error(err)
	}
	r.until("member two answers", func() bool { word, err := ask(); return err == nil && word == "two" })
	cancel()
	if err := <-failed; err != nil {
		t.Errorf("a request failed while the agent was restarted and haproxy reloaded: %v", err)
	}

	if err := r.driver.Remove(t.Context(), r.target, lbID); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := r.driver.Config(t.Context(), r.target, lbID); ok || err != nil {
		t.Errorf("after removal: got a configuration %t, %v", ok, err)
	}
	if word, err := ask(); err == nil {
		t.Errorf("after removal: got %s, want no answer", word)
	}
}

// TestHeartbeats: statuses and statistics arrive, signed.
func TestHeartbeats(t *testing.T) {
	r := newRig(t)
	r.nic()
	if err := r.plug(); err != nil {
		t.Fatal(err)
	}
	if err := r.driver.Apply(t.Context(), r.target, lbID, r.config(r.web("one"))); err != nil {
		t.Fatal(err)
	}
	r.until("the member answers", func() bool { _, err := ask(); return err == nil })
	if err := r.beats.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 65536)
	for {
		n, _, err := r.beats.ReadFrom(buffer)
		if err != nil {
			t.Fatal(err)
		}
		m, err := heartbeat.Decode(buffer[:n], []byte(beatKey))
		if err != nil {
			t.Fatal(err)
		}
		l := m.Listeners["L1"]
		if m.ID == amphoraID && l.Status == "OPEN" && l.Stats.TotConns > 0 && m.Pools["P1:L1"].Members["M1"] == "UP" {
			return
		}
	}
}

// TestAnswers checks statuses and bodies that controllers depend on.
func TestAnswers(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/", "", 200, `"api_version":"1.0"`},
		{"GET", "//", "", 200, `"api_version":"1.0"`},
		{"GET", "/1.0/info", "", 200, `"haproxy_version":"2.`},
		{"GET", "/1.0/details", "", 200, `"cpu_count":`},
		{"GET", "/1.0/listeners", "", 200, `[]`},
		{"GET", "/1.0/nowhere", "", 404, `"http_code":404`},
		{"POST", "/1.0/info", "", 405, `"http_code":405`},
		{"GET", "/1.0/listeners/", "", 404, `"http_code":404`},
		{"GET", "/1.0/../1.0/info", "", 404, `"http_code":404`},
		{"GET", "/1.0//info", "", 404, `"http_code":404`},
		{"PUT", "/1.0/loadbalancer/../start", "", 404, `"http_code":404`},
		{"PUT", "/1.0/loadbalancer/%2e%2e/start", "", 400, `not an id: ..`},
		{"DELETE", "/1.0/listeners/%2e%2e", "", 400, `not an id: ..`},
		{"GET", "/1.0/loadbalancer/" + lbID + "/haproxy", "", 404, `"message":"Loadbalancer Not Found"`},
		{"PUT", "/1.0/loadbalancer/" + lbID + "/start", "", 404, `No loadbalancer with UUID`},
		{"PUT", "/1.0/loadbalancer/" + lbID + "/Explode", "", 400, `Unknown action: explode`},
		{"PUT", "/1.0/loadbalancer/" + amphoraID + "/" + lbID + "/haproxy", "nonsense\n", 400, `"message":"Invalid request"`},
		{"PUT", "/1.0/loadbalancer/" + amphoraID + "/..%2f..%2fetc/haproxy", "x", 400, `not an id`},
		{"DELETE", "/1.0/listeners/" + lbID, "", 200, `"message":"OK"`},
		{"PUT", "/1.0/loadbalancer/" + lbID + "/certificates/x.pem", "pem", 200, `"message":"OK"`},
		{"GET", "/1.0/loadbalancer/" + lbID + "/certificates/x.pem", "", 200, `"md5sum":"`},
		{"PUT", "/1.0/loadbalancer/" + lbID + "/certificates/bad.crt", "pem", 400, `Filename has wrong format`},
		{"DELETE", "/1.0/loadbalancer/" + lbID + "/certificates/x.pem", "", 200, `"message":"OK"`},
		{"GET", "/1.0/loadbalancer/" + lbID + "/certificates/x.pem", "", 404, `Certificate Not Found`},
		{"POST", "/1.0/plug/vip/" + vip, `{}`, 400, `Invalid subnet information`},
		{"POST", "/1.0/plug/vip/nonsense", `{"subnet_cidr":"10.10.10.0/24","gateway":"","mac_address":"fa:16:3e:00:00:09"}`, 400, `Invalid VIP`},
		{"POST", "/1.0/plug/vip/" + vip, `{"subnet_cidr":"10.10.10.0/24","gateway":"10.10.10.1","mac_address":"fa:16:3e:00:00:09"}`, 404, `No suitable network interface found`},
		{"POST", "/1.0/plug/network", `{}`, 400, `Invalid port information`},
		{"POST", "/1.0/plug/network", `{"mac_address":"fa:16:3e:00:00:09","fixed_ips":[{"ip_address":"x","subnet_cidr":"10.0.0.0/8"}]}`, 400, `Invalid network port`},
		{"GET", "/1.0/interface/nonsense", "", 400, `Invalid IP address`},
		{"GET", "/1.0/interface/192.0.2.1", "", 404, `Error interface not found for IP address`},
		{"PUT", "/1.0/config", "[amphora_agent]\n", 500, `Unable to update amphora-agent configuration.`},
	} {
		status, body := r.raw(c.method, c.path, c.body)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s: got %d %s, want %d with %s", c.method, c.path, status, body, c.status, c.want)
		}
	}
}

func (r *rig) raw(method, path, body string) (int, string) {
	r.t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		ServerName: amphoraID, RootCAs: r.roots, Certificates: []tls.Certificate{r.client}, MinVersion: tls.VersionTLS12,
	}}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(r.t.Context(), method, fmt.Sprintf("https://127.0.0.1:%d%s", r.port, path), bytes.NewReader([]byte(body)))
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestStrangersAreRefused: without a certificate of the client CA nobody gets an answer, and the driver talks to no other amphora.
func TestStrangersAreRefused(t *testing.T) {
	r := newRig(t)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		ServerName: amphoraID, RootCAs: r.roots, MinVersion: tls.VersionTLS12,
	}}}
	if resp, err := client.Get(fmt.Sprintf("https://127.0.0.1:%d/", r.port)); err == nil {
		_ = resp.Body.Close()
		t.Errorf("got %s without a certificate", resp.Status)
	}
	other := r.target
	other.AmphoraID = "bbbbbbbb-0000-4000-8000-000000000002"
	if _, err := r.driver.Info(t.Context(), other); err == nil {
		t.Error("the driver believed a certificate of another amphora")
	}
}

// TestCertificateRotates: the next connection sees the new certificate.
func TestCertificateRotates(t *testing.T) {
	r := newRig(t)
	r.roots = x509.NewCertPool() // of a CA that has not signed the agent's certificate yet
	ca, err := certs.NewCA("new CA", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := certs.LoadCA(ca.CertPEM, ca.KeyPEM, "")
	if err != nil {
		t.Fatal(err)
	}
	issued, err := loaded.Server(amphoraID, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.driver.UploadCertificate(t.Context(), r.target, issued.Bundle()); err != nil {
		t.Fatal(err) // over the connection that is open
	}
	r.driver.Close()
	r.roots.AppendCertsFromPEM(ca.CertPEM)
	if _, err := r.driver.Info(t.Context(), r.target); err != nil {
		t.Errorf("with the new CA: %v", err)
	}
}

// TestConfigIsMutable: where heartbeats go and how they are signed changes at once; where files are does not.
func TestConfigIsMutable(t *testing.T) {
	r := newRig(t)
	elsewhere, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = elsewhere.Close() }()
	text, err := os.ReadFile(filepath.Join(r.dir, "agent.conf"))
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer(r.beats.LocalAddr().String(), elsewhere.LocalAddr().String(), "= "+beatKey, "= another",
		r.dir+"/certs", r.dir+"/nowhere").Replace(string(text))
	if status, body := r.raw("PUT", "/1.0/config", changed); status != http.StatusAccepted {
		t.Fatal(status, body)
	}
	if err := elsewhere.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 65536)
	n, _, err := elsewhere.ReadFrom(buffer)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := heartbeat.Decode(buffer[:n], []byte("another")); err != nil || m.ID != amphoraID {
		t.Errorf("got a heartbeat of %q, %v", m.ID, err)
	}
	r.upload("x.pem", "pem")
	if _, err := os.Stat(r.certPath("x.pem")); err != nil {
		t.Error(err)
	}
}
