package configdrive_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ottavino/ottavino/amphora/image/configdrive"
	"github.com/ottavino/ottavino/worker/agentconf"
)

const meta = `{"uuid": "one", "hostname": "amphora-1.novalocal", "public_keys": {"ops": "ssh-ed25519 AAAA ops"},
"files": [{"path": "/etc/octavia/certs/server.pem", "content_path": "/content/0000"}]}`

// drive makes a config drive of files below openstack.
func drive(t *testing.T, files map[string]string) *configdrive.Drive {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, "openstack", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := configdrive.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func content(t *testing.T, root, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestInjectedFiles: what Nova injects is there, once: a file that was replaced since stays.
func TestInjectedFiles(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	files := map[string]string{"latest/meta_data.json": meta, "content/0000": "certificate"}
	if err := drive(t, files).Apply(root); err != nil {
		t.Fatal(err)
	}
	const server = "/etc/octavia/certs/server.pem"
	got := []string{content(t, root, server), content(t, root, "/etc/hostname"), content(t, root, "/root/.ssh/authorized_keys")}
	if diff := cmp.Diff([]string{"certificate", "amphora-1\n", "ssh-ed25519 AAAA ops\n"}, got); diff != "" {
		t.Error(diff)
	}
	if info, err := os.Stat(filepath.Join(root, server)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("server.pem: got %v, %v, want mode 0600", info, err)
	}
	if err := os.WriteFile(filepath.Join(root, server), []byte("rotated"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := drive(t, files).Apply(root); err != nil {
		t.Fatal(err)
	}
	if got := content(t, root, server); got != "rotated" {
		t.Errorf("after a reboot: got %q, want the rotated certificate", got)
	}
	files["latest/meta_data.json"] = strings.Replace(meta, `"one"`, `"two"`, 1)
	if err := drive(t, files).Apply(root); err != nil {
		t.Fatal(err)
	}
	if got := content(t, root, server); got != "certificate" {
		t.Errorf("as another instance (rebuilt): got %q, want its own certificate", got)
	}
}

// TestUserData: what our worker and upstream's send as user data is understood.
func TestUserData(t *testing.T) {
	t.Parallel()
	want := map[string][]byte{
		agentconf.ServerCertPath: []byte("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"),
		agentconf.ClientCAPath:   []byte("ca\n"), agentconf.AgentPath: []byte("[DEFAULT]\ndebug = False\n"), agentconf.RsyslogPath: {},
	}
	root := t.TempDir()
	d := drive(t, map[string]string{
		"latest/meta_data.json": `{"uuid": "one"}`, "latest/user_data": string(agentconf.UserData("UTC", want)),
	})
	if err := d.Apply(root); err != nil {
		t.Fatal(err)
	}
	for path, text := range want {
		if got := content(t, root, path); got != string(text) {
			t.Errorf("%s: got %q, want %q", path, got, text)
		}
	}
}

func TestTrickyDrives(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "outside")
	for name, files := range map[string]map[string]string{
		"file out of the drive": {"latest/meta_data.json": `{"uuid": "1", "files": [{"path": "/f", "content_path": "../../../` + outside + `"}]}`},
		"no YAML":               {"latest/meta_data.json": `{"uuid": "1"}`, "latest/user_data": "#cloud-config\nsecret: [key\n"},
		"no base64":             {"latest/meta_data.json": `{"uuid": "1"}`, "latest/user_data": "#cloud-config\nwrite_files: [{path: /f, encoding: b64, content: '%'}]\n"},
	} {
		root := t.TempDir()
		err := drive(t, files).Apply(root)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want an error without what was in the file", name, err)
		}
		if _, err := os.Stat(filepath.Join(root, "/var/lib/octavia/instance-id")); err == nil {
			t.Errorf("%s: it counts as done", name)
		}
	}
	if _, err := configdrive.Open(t.TempDir()); err == nil {
		t.Error("an empty directory counts as a config drive")
	}
	root := t.TempDir()
	d := drive(t, map[string]string{
		"latest/meta_data.json": `{"uuid": "1"}`, "latest/user_data": "#cloud-config\nwrite_files: [{path: ../../up, content: a}]\n",
	})
	if err := d.Apply(root); err != nil || content(t, root, "/up") != "a" {
		t.Errorf("path above the root: got %v", err)
	}
}

// TestStrangeNetwork: the files of an instance do not depend on what is said of its network.
func TestStrangeNetwork(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"no address": `{"links": [{"id": "a"}], "networks": [{"link": "a", "type": "ipv4", "ip_address": "x"}]}`,
		"no JSON":    "{",
	} {
		root := t.TempDir()
		files := map[string]string{
			"latest/meta_data.json":    `{"uuid": "1", "files": [{"path": "/f", "content_path": "content/0000"}]}`,
			"latest/network_data.json": data, "content/0000": "text",
		}
		if err := drive(t, files).Apply(root); err == nil {
			t.Errorf("%s: got no error", name)
		}
		if got := content(t, root, "/f") + content(t, root, "/var/lib/octavia/instance-id"); got != "text1" {
			t.Errorf("%s: got %q, want the file and the instance's id", name, got)
		}
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ data, want string }{
		"DHCP, the second link is not ours": {
			`{"links": [{"id": "a", "ethernet_mac_address": "fa:16:3e:00:00:01", "mtu": 1450}, {"id": "b", "ethernet_mac_address": "fa:16:3e:00:00:02"}],
			"networks": [{"link": "a", "type": "ipv4_dhcp"}, {"link": "b", "type": "ipv4", "ip_address": "10.0.0.1", "netmask": "255.0.0.0"}]}`,
			"[Match]\nMACAddress=fa:16:3e:00:00:01\n\n[Link]\nMTUBytes=1450\n\n[Network]\nDHCP=ipv4\n",
		},
		"static": {
			`{"links": [{"id": "a", "ethernet_mac_address": "fa:16:3e:00:00:01"}],
			"networks": [{"link": "a", "type": "ipv4", "ip_address": "10.0.0.5", "netmask": "255.255.252.0",
			"routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"}]},
			{"link": "a", "type": "ipv6", "ip_address": "fd00::5", "netmask": "ffff:ffff:ffff:ffff::"}]}`,
			"[Match]\nMACAddress=fa:16:3e:00:00:01\n\n[Network]\nAddress=10.0.0.5/22\nAddress=fd00::5/64\n" +
				"\n[Route]\nDestination=0.0.0.0/0\nGateway=10.0.0.1\n",
		},
		"IPv6 by router advertisements": {
			`{"links": [{"id": "a", "ethernet_mac_address": "fa:16:3e:00:00:01"}], "networks": [{"link": "a", "type": "ipv6_slaac"}]}`,
			"[Match]\nMACAddress=fa:16:3e:00:00:01\n\n[Network]\nIPv6AcceptRA=yes\n",
		},
		"nothing said": {
			`{"links": [{"id": "a", "ethernet_mac_address": "fa:16:3e:00:00:01\n[Service]"}], "networks": []}`,
			"[Match]\nMACAddress=fa:16:3e:00:00:01\n\n[Network]\nDHCP=ipv4\n",
		},
	} {
		root := t.TempDir()
		d := drive(t, map[string]string{"latest/meta_data.json": `{"uuid": "1"}`, "latest/network_data.json": c.data})
		if err := d.Apply(root); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(c.want, content(t, root, "/run/systemd/network/10-management.network")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
