package sandbox

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ottavino/ottavino/amphora/certs"
	"github.com/ottavino/ottavino/sandbox/neutron"
)

// The networks of the sandbox. The first address of each is the sandbox's own: the controller's on the management
// network, the gateway's on the tenants' network.
const (
	managementCIDR    = "172.24.0.0/16"
	managementAddress = "172.24.0.1"
	tenantCIDR        = "10.10.10.0/24"
	tenantGateway     = "10.10.10.1"
)

// Passwords are all the same: this is a sandbox.
const password = "sandbox"

// Login is a user with a project.
type Login struct{ User, Password, Project, ProjectID string }

// Settings are what users, clients and the product need to know of the cloud.
type Settings struct {
	AuthURL string // of Keystone, with /v3
	Region  string
	Admin   Login
	Service Login // the product's own
	Tenant  Login // demo
	Other   Login // a second tenant

	NetworkID, SubnetID string // the tenants' network, shared
	ManagementNetworkID string
	FlavorID            string // of amphorae
	HealthManager       string // the address heartbeats are sent to

	imageOwner, imageTag, groupID string
	dir                           string
}

const keypair = "octavia_ssh_key"

func (s *Sandbox) populate() error {
	s.settings = Settings{
		AuthURL: s.identity.URL + "/v3", Region: "RegionOne", imageTag: "amphora", dir: s.cfg.Dir, HealthManager: "127.0.0.1",
	}
	st := &s.settings
	for _, role := range []string{
		"reader", "load-balancer_observer", "load-balancer_global_observer", "load-balancer_member",
		"load-balancer_admin", "load-balancer_quota_admin",
	} {
		s.identity.AddRole(role)
	}
	st.Admin = s.login("admin", "admin", "admin", "member", "reader")
	st.Service = s.login("octavia", "service", "admin", "service")
	st.Tenant = s.login("demo", "demo", "member", "reader", "load-balancer_member")
	st.Other = s.login("other", "other", "member", "reader", "load-balancer_member")
	if err := s.networks(); err != nil {
		return err
	}
	st.groupID = s.network.AddGroup("lb-mgmt-sec-grp", st.Service.ProjectID, opened("icmp", 0), opened("tcp", 22), opened("tcp", 9443)).ID
	s.backendGroup = s.network.AddGroup("backends", st.Tenant.ProjectID, opened("icmp", 0), opened("tcp", 80), opened("udp", 80)).ID
	st.FlavorID = s.compute.AddFlavor("m1.amphora", 1, 1024, 2).ID
	st.imageOwner = st.Service.ProjectID
	s.image.Add("amphora-x64-haproxy", st.imageOwner, st.imageTag)
	return s.certificates()
}

// opened lets everybody with IPv4 in; port 0 means that there are none.
func opened(protocol string, port int) neutron.Rule {
	r := neutron.Rule{Ethertype: "IPv4", Protocol: &protocol}
	if port != 0 {
		r.PortRangeMin, r.PortRangeMax = &port, &port
	}
	return r
}

func (s *Sandbox) login(user, project string, roles ...string) Login {
	p := s.identity.AddProject(project)
	u := s.identity.AddUser(user, password, p.ID, roles...)
	if user == "admin" {
		s.identity.Assign(u.ID, "", "", "admin")
	}
	if user == "octavia" {
		s.compute.AddKeypair(u.ID, keypair, "ssh-ed25519 AAAA sandbox")
	}
	return Login{user, password, project, p.ID}
}

func (s *Sandbox) networks() error {
	st := &s.settings
	mgmt, _, err := s.network.AddNetwork("lb-mgmt", st.Service.ProjectID, false, managementCIDR, "", "172.24.0.2", "172.24.255.254")
	if err != nil {
		return err
	}
	tenants := func() (neutron.Network, neutron.Subnet, error) {
		if s.cfg.TenantCIDR != "" && s.host == nil {
			return s.network.AddNetwork("tenant", st.Tenant.ProjectID, true, s.cfg.TenantCIDR, "", "", "")
		}
		return s.network.AddNetwork("tenant", st.Tenant.ProjectID, true, tenantCIDR, tenantGateway, "10.10.10.100", "10.10.10.254")
	}
	tenant, subnet, err := tenants()
	if err != nil {
		return err
	}
	st.ManagementNetworkID, st.NetworkID, st.SubnetID = mgmt.ID, tenant.ID, subnet.ID
	if s.host == nil {
		return nil
	}
	st.HealthManager = managementAddress
	if err := s.host.bridge(mgmt.ID, netip.MustParsePrefix(managementAddress+"/16")); err != nil {
		return err
	}
	return s.host.bridge(tenant.ID, netip.MustParsePrefix(tenantGateway+"/24"))
}

// installation is the same for all sandboxes of a process: making its keys is what would take longest to start one.
var installation = sync.OnceValues(func() (*certs.Installation, error) { return certs.NewInstallation(time.Now(), 10*365*24*time.Hour) })

// certificates writes the two CAs and the controller's certificate, as an installation has them.
func (s *Sandbox) certificates() error {
	i, err := installation()
	if err != nil {
		return err
	}
	tokenKey, err := s.identity.PublicKey()
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"jws.pub":            tokenKey,
		"server_ca.cert.pem": i.ServerCA.CertPEM, "server_ca.key.pem": i.ServerCA.KeyPEM,
		"client_ca.cert.pem": i.ClientCA.CertPEM, "client.cert-and-key.pem": i.Client.Bundle(),
	} {
		if err := os.WriteFile(filepath.Join(s.cfg.Dir, name), content, 0o600); err != nil {
			return fmt.Errorf("write certificates: %w", err)
		}
	}
	return nil
}

// Settings returns what there is to know.
func (s *Sandbox) Settings() Settings { return s.settings }

// Env returns the OS_* variables of a user.
func (st Settings) Env(l Login) []string {
	return []string{
		"OS_AUTH_URL=" + st.AuthURL, "OS_IDENTITY_API_VERSION=3", "OS_REGION_NAME=" + st.Region,
		"OS_USERNAME=" + l.User, "OS_PASSWORD=" + l.Password, "OS_PROJECT_NAME=" + l.Project,
		"OS_USER_DOMAIN_NAME=Default", "OS_PROJECT_DOMAIN_NAME=Default",
	}
}

// CloudsYAML returns a clouds.yaml with a cloud per user: sandbox (the tenant), sandbox-other, sandbox-admin.
func (st Settings) CloudsYAML() string {
	text := "clouds:\n"
	for _, c := range []struct {
		name string
		Login
	}{{"sandbox", st.Tenant}, {"sandbox-other", st.Other}, {"sandbox-admin", st.Admin}} {
		text += fmt.Sprintf(`  %s:
    region_name: %s
    auth:
      auth_url: %s
      username: %s
      password: %s
      project_name: %s
      user_domain_name: Default
      project_domain_name: Default
`, c.name, st.Region, st.AuthURL, c.User, c.Password, c.Project)
	}
	return text
}

// OctaviaConf returns an octavia.conf for this cloud, without [database] and [api_settings].
func (st Settings) OctaviaConf() string {
	file := func(name string) string { return filepath.Join(st.dir, name) }
	auth := fmt.Sprintf(`auth_type = password
auth_url = %s
username = %s
password = %s
project_name = %s
user_domain_name = Default
project_domain_name = Default
`, st.AuthURL, st.Service.User, st.Service.Password, st.Service.Project)
	return fmt.Sprintf(`[keystone_authtoken]
www_authenticate_uri = %s
jws_public_key_repository = %s
%s
[service_auth]
%s
[certificates]
ca_certificate = %s
ca_private_key = %s

[haproxy_amphora]
client_cert = %s
server_ca = %s
connection_retry_interval = 1

[controller_worker]
client_ca = %s
amp_image_tag = %s
amp_image_owner_id = %s
amp_flavor_id = %s
amp_ssh_key_name = %s
amp_boot_network_list = %s
amp_secgroup_list = %s
amp_active_wait_sec = 1

[health_manager]
bind_ip = %s
controller_ip_port_list = %s:5555
heartbeat_key = sandbox-heartbeat-key
heartbeat_interval = 1
heartbeat_timeout = 15
`, st.AuthURL, file("jws.pub"), auth, auth,
		file("server_ca.cert.pem"), file("server_ca.key.pem"), file("client.cert-and-key.pem"), file("server_ca.cert.pem"),
		file("client_ca.cert.pem"), st.imageTag, st.imageOwner, st.FlavorID, keypair, st.ManagementNetworkID, st.groupID,
		st.HealthManager, st.HealthManager)
}
