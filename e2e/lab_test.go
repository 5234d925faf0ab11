package e2e_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"

	"github.com/ottavino/ottavino/db/dbtest"
	"github.com/ottavino/ottavino/demo"
	"github.com/ottavino/ottavino/sandbox"
	"github.com/ottavino/ottavino/sandbox/world"
)

// binaries are the programs under test, built once.
var binaries struct{ ottavino, agent string }

func TestMain(m *testing.M) {
	if _, err := world.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "ottavino-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if built := os.Getenv(binariesEnv); built != "" {
		dir = built
	} else if err := buildPrograms(dir, "-race"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binaries.ottavino, binaries.agent = filepath.Join(dir, "ottavino"), filepath.Join(dir, "amphora-agent")
	// Tests of this package wait more than they work.
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	status := m.Run()
	if err := dbtest.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

// binariesEnv names the directory of programs that need not be built.
const binariesEnv = "OTTAVINO_E2E_BINARIES"

// buildPrograms builds the programs under test, the server with these flags.
func buildPrograms(dir string, flags ...string) error {
	for _, b := range []struct {
		cgo, name string
		flags     []string
	}{{"1", "ottavino", flags}, {"0", "amphora-agent", nil}} {
		cmd := exec.Command("go", append(append([]string{"build", "-o", filepath.Join(dir, b.name)}, b.flags...), "./cmd/"+b.name)...)
		cmd.Dir, cmd.Env = "..", append(os.Environ(), "CGO_ENABLED="+b.cgo)
		if err := asUser(cmd, dir); err != nil {
			return err
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", b.name, err, out)
		}
	}
	return nil
}

// asUser has a command run as who called sudo, so that root leaves nothing in the user's build cache.
func asUser(cmd *exec.Cmd, dir string) error {
	uid, err := strconv.ParseUint(os.Getenv("SUDO_UID"), 10, 32)
	if err != nil || uid == 0 {
		return nil
	}
	gid, err := strconv.ParseUint(os.Getenv("SUDO_GID"), 10, 32)
	if err != nil {
		return err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return os.Chown(dir, int(uid), int(gid))
}

// labOptions say what a test needs.
type labOptions struct {
	engine    dbtest.Engine // "" = SQLite
	instances bool          // servers run, with agents and haproxy; otherwise they are rows, and the amphora driver is noop
	agent     string        // path of the program that they run; "" = ours
	conf      string        // added to octavia.conf
}

// lab is a cloud with ottavino in it.
type lab struct {
	t       *testing.T
	sandbox *sandbox.Sandbox
	tenant  *gophercloud.ServiceClient
	conf    string // path of octavia.conf
	db      string // URL of the database
	url     string
	log     *logFile
}

func newLab(t *testing.T, o labOptions) *lab {
	t.Helper()
	cfg := sandbox.Config{TenantCIDR: "10.10.0.0/16", BuildDelay: 50 * time.Millisecond, DeleteDelay: 20 * time.Millisecond}
	if o.instances {
		cfg.Agent = cmp.Or(o.agent, binaries.agent)
	}
	cloud, err := sandbox.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, sandbox: cloud, log: newLog(t), url: "http://" + freeAddress(t)}
	t.Cleanup(func() {
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	cloud.RegisterLoadBalancer(l.url)
	l.conf = l.write(o, l.url)
	return l
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// write makes an octavia.conf for a server at url.
func (l *lab) write(o labOptions, url string) string {
	l.t.Helper()
	host, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	engine := o.engine
	if engine == "" {
		engine = dbtest.SQLite
	}
	l.db = dbtest.Server(l.t, engine)
	text := l.sandbox.Settings().OctaviaConf() + fmt.Sprintf(`
[DEFAULT]
debug = true
use_json = true
graceful_shutdown_timeout = 15
[api_settings]
bind_host = %s
bind_port = %s
[database]
connection = %s
`, host, port, l.db)
	if !o.instances {
		text += "[controller_worker]\namphora_driver = amphora_noop_driver\n[health_manager]\nbind_port = 0\n"
	}
	path := filepath.Join(l.t.TempDir(), "octavia.conf")
	if err := os.WriteFile(path, []byte(text+o.conf), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return path
}

// serve starts the server and logs the tenant in.
func (l *lab) serve() *server {
	l.t.Helper()
	s := startServer(l.t, l.url, l.conf, l.log)
	l.tenant = l.login(l.sandbox.Settings().Tenant)
	return s
}

// serveAnother starts one more server on the same database and cloud, at another address.
func (l *lab) serveAnother() *server {
	l.t.Helper()
	url := "http://" + freeAddress(l.t)
	text, err := os.ReadFile(l.conf)
	if err != nil {
		l.t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	path := filepath.Join(l.t.TempDir(), "octavia.conf")
	more := fmt.Sprintf("\n[api_settings]\nbind_port = %s\n[health_manager]\nbind_port = 0\n", port)
	if err := os.WriteFile(path, append(text, more...), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return startServer(l.t, url, path, l.log)
}

func (l *lab) login(who sandbox.Login) *gophercloud.ServiceClient {
	l.t.Helper()
	st := l.sandbox.Settings()
	provider, err := openstack.AuthenticatedClient(l.t.Context(), gophercloud.AuthOptions{
		IdentityEndpoint: st.AuthURL, Username: who.User, Password: who.Password, TenantName: who.Project,
		DomainName: "Default", AllowReauth: true,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	provider.HTTPClient = http.Client{Timeout: 30 * time.Second}
	api, err := openstack.NewLoadBalancerV2(provider, gophercloud.EndpointOpts{Region: st.Region})
	if err != nil {
		l.t.Fatal(err)
	}
	return api
}

func (l *lab) subnetID() string { return l.sandbox.Settings().SubnetID }

func (l *lab) actor(name string) *actor {
	return &actor{api: l.tenant, subnet: l.subnetID(), name: name}
}

// awaitActive waits until the load balancer and everything below it is ACTIVE.
func (l *lab) awaitActive(ctx context.Context, a *actor) error {
	for {
		last, broken := l.unsettled(ctx, a.lb)
		if broken == nil && last == "" {
			return nil
		}
		if pause(ctx, 50*time.Millisecond) != nil {
			return fmt.Errorf("%s (%s): still %s; %w", a.name, a.lb, last, broken)
		}
	}
}

// unsettled names an object that is not ACTIVE; "" when all are.
func (l *lab) unsettled(ctx context.Context, id string) (string, error) {
	lb, err := loadbalancers.Get(ctx, l.tenant, id).Extract()
	if err != nil {
		return "unknown", err
	}
	if lb.ProvisioningStatus != "ACTIVE" {
		return "load balancer " + lb.ProvisioningStatus, nil
	}
	tree, err := loadbalancers.GetStatuses(ctx, l.tenant, id).Extract()
	if err != nil {
		return "unknown", err
	}
	for _, li := range tree.Loadbalancer.Listeners {
		if li.ProvisioningStatus != "ACTIVE" {
			return "listener " + li.ProvisioningStatus, nil
		}
		for _, p := range li.Pools {
			if p.ProvisioningStatus != "ACTIVE" {
				return "pool " + p.ProvisioningStatus, nil
			}
			if p.Monitor.ID != "" && p.Monitor.ProvisioningStatus != "ACTIVE" {
				return "monitor " + p.Monitor.ProvisioningStatus, nil
			}
			for _, m := range p.Members {
				if m.ProvisioningStatus != "ACTIVE" {
					return "member " + m.ProvisioningStatus, nil
				}
			}
		}
	}
	return "", nil
}

// awaitGone waits until the API knows the load balancer no more.
func (l *lab) awaitGone(ctx context.Context, a *actor) error {
	for {
		lb, err := loadbalancers.Get(ctx, l.tenant, a.lb).Extract()
		if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			return nil
		}
		if pause(ctx, 50*time.Millisecond) != nil {
			return fmt.Errorf("%s (%s): not gone: %+v, %w", a.name, a.lb, lb, err)
		}
	}
}

// orphanPatience covers the API's record of a create that died before its rows: two minutes.
const orphanPatience = 150 * time.Second

func (l *lab) assertNoLeaks() {
	l.t.Helper()
	var left []string
	ctx, cancel := context.WithTimeout(l.t.Context(), orphanPatience)
	defer cancel()
	for {
		var err error
		if left, err = l.sandbox.Leaks(ctx); err != nil {
			l.t.Fatal(err)
		}
		if len(left) == 0 {
			return
		}
		if pause(ctx, 100*time.Millisecond) != nil {
			l.t.Fatalf("left in the cloud: %s", strings.Join(left, ", "))
		}
	}
}

func within(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	for !ok() {
		if pause(ctx, 50*time.Millisecond) != nil {
			t.Fatalf("waited %s in vain until %s", d, what)
		}
	}
}

// demoLab is the sandbox as the demo's story wants it.
type demoLab struct{ *sandbox.Sandbox }

// StartBackend starts a web server on the tenants' network.
func (d demoLab) StartBackend(ctx context.Context, name string) (demo.Backend, error) {
	return d.Sandbox.StartBackend(ctx, name)
}

func (l *lab) demoLab() demo.Lab { return demoLab{l.sandbox} }

// site is a load balancer with web servers behind it.
type site struct {
	*lab
	actor    *actor
	vip      string
	backends int
}

// site makes a load balancer with n web servers that answers.
func (l *lab) site(n int) *site {
	l.t.Helper()
	ctx := l.t.Context()
	s := &site{lab: l, actor: l.actor("site")}
	lb, err := loadbalancers.Create(ctx, l.tenant, loadbalancers.CreateOpts{Name: "site", VipSubnetID: l.subnetID()}).Extract()
	if err != nil {
		l.t.Fatal(err)
	}
	s.actor.lb, s.vip = lb.ID, lb.VipAddress
	listener, err := listeners.Create(ctx, l.tenant, listeners.CreateOpts{Protocol: "HTTP", ProtocolPort: 80, LoadbalancerID: lb.ID}).Extract()
	if err != nil {
		l.t.Fatal(err)
	}
	pool, err := pools.Create(ctx, l.tenant, pools.CreateOpts{Protocol: "HTTP", LBMethod: "ROUND_ROBIN", ListenerID: listener.ID}).Extract()
	if err != nil {
		l.t.Fatal(err)
	}
	s.actor.pool = pool.ID
	for range n {
		s.addMember()
	}
	return s
}

// addMember starts a web server, makes it a member and waits until it answers through the VIP.
func (s *site) addMember() {
	s.t.Helper()
	s.backends++
	name := fmt.Sprintf("backend-%d", s.backends)
	b, err := s.sandbox.StartBackend(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = pools.CreateMember(s.t.Context(), s.tenant, s.actor.pool, pools.CreateMemberOpts{
		Name: name, Address: b.Address().String(), ProtocolPort: b.Port(), SubnetID: s.subnetID(),
	}).Extract()
	if err != nil {
		s.t.Fatal(err)
	}
	within(s.t, 30*time.Second, name+" answers", func() bool { who, err := s.ask(); return err == nil && who == name })
}

var visitor = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}

// ask makes one request through the VIP and returns who answered.
func (s *site) ask() (string, error) {
	resp, err := visitor.Get("http://" + s.vip + "/")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	return strings.TrimSpace(string(text)), err
}

// traffic is what requests got.
type traffic struct {
	total, failed int
	first         error
	by            map[string]int
}

func (t *traffic) add(who string, err error) {
	t.total++
	if err == nil {
		t.by[who]++
		return
	}
	t.failed++
	if t.first == nil {
		t.first = err
	}
}

// keepAsking sends requests one after the other until stop is called.
func (s *site) keepAsking() (stop func() traffic) {
	ended, result := make(chan struct{}), make(chan traffic)
	go func() {
		got := traffic{by: map[string]int{}}
		for {
			select {
			case <-ended:
				for range s.backends { // one round more, so that who came last is in it
					got.add(s.ask())
				}
				result <- got
				return
			default:
				got.add(s.ask())
			}
		}
	}()
	return func() traffic { close(ended); return <-result }
}

// amphora is the server of the load balancer's amphora.
func (s *site) amphora() string {
	ids := s.sandbox.Servers("amphora-")
	if len(ids) == 0 {
		return ""
	}
	return ids[len(ids)-1]
}

func (s *site) remove() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 60*time.Second)
	defer cancel()
	if err := s.actor.delete(ctx); err != nil {
		s.t.Fatal(err)
	}
	if err := s.awaitGone(ctx, s.actor); err != nil {
		s.t.Fatal(err)
	}
}
