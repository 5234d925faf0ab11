package agent_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ottavino/ottavino/amphora/certs"
)

// dial is a connection of a controller.
func (r *rig) dial() *tls.Conn {
	r.t.Helper()
	conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.port), &tls.Config{
		ServerName: amphoraID, RootCAs: r.roots, Certificates: []tls.Certificate{r.client}, MinVersion: tls.VersionTLS12,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		r.t.Fatal(err)
	}
	return conn
}

// answer reads the answer to what was written on a connection.
func answer(t *testing.T, conn io.Reader) (status int, body string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestUnfinishedUpload: a controller that dies in the middle of a request keeps nobody else waiting, and nothing is changed.
func TestUnfinishedUpload(t *testing.T) {
	r := newRig(t).plugged()
	r.apply(r.config(r.web("one")))
	stuck := r.dial()
	fmt.Fprintf(stuck, "PUT /1.0/loadbalancer/%s/%s/haproxy HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nglobal\n", amphoraID, lbID)
	conn := r.dial()
	fmt.Fprintf(conn, "PUT /1.0/loadbalancer/%s/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", lbID)
	if status, body := answer(t, conn); status != http.StatusAccepted {
		t.Errorf("a reload meanwhile: got %d %s", status, body)
	}
	if err := stuck.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if status, body := answer(t, stuck); status != http.StatusBadRequest || !strings.Contains(body, `"http_code":400`) {
		t.Errorf("half a request: got %d %s, want 400", status, body)
	}
	if got := r.words(1); got != "one" {
		t.Errorf("got %s", got)
	}
}

// TestRefusedRequests: what would take something away from the agent or from traffic is refused, and changes nothing.
func TestRefusedRequests(t *testing.T) {
	r := newRig(t).plugged()
	r.apply(r.config(r.web("one")))
	r.upload("x.pem", "pem")
	for _, c := range []struct{ method, path, body, want string }{
		{"PUT", "/1.0/certificate", "nonsense", "no certificate with its key"},
		{"PUT", "/1.0/certificate", "", "no certificate with its key"},
		{"PUT", "/1.0/loadbalancer/" + amphoraID + "/" + lbID + "/haproxy", "", "the configuration is empty"},
		{"PUT", "/1.0/loadbalancer/" + amphoraID + "/" + lbID + "/haproxy", "\x00\xff", `"message":"Invalid request"`},
		{"PUT", "/1.0/loadbalancer/" + amphoraID + "/certs/haproxy", "global\n", "not an id: certs"},
		{"PUT", "/1.0/loadbalancer/" + amphoraID + "/lvs/haproxy", "global\n", "not an id: lvs"},
		{"DELETE", "/1.0/listeners/certs", "", "not an id: certs"},
		{"DELETE", "/1.0/listeners/vrrp", "", "not an id: vrrp"},
		{"PUT", "/1.0/loadbalancer/" + lbID + "/certificates/pem", "x", "Filename has wrong format"},
		{"PUT", "/1.0/loadbalancer/" + lbID + "/certificates/xpem", "x", "Filename has wrong format"},
		{"PUT", "/1.0/loadbalancer/" + lbID + "/certificates/..%2fx.pem", "x", "not an id: ../x.pem"},
		{"PUT", "/1.0/loadbalancer/x%0Ay/start", "", "not an id"},
		{"PUT", "/1.0/loadbalancer/" + lbID + "/haproxy", "x", "Unknown action: haproxy"},
		{"PUT", "/1.0/vrrp/Explode", "", "Unknown action: explode"},
	} {
		if status, body := r.raw(c.method, c.path, c.body); status != http.StatusBadRequest || !strings.Contains(body, c.want) {
			t.Errorf("%s %s: got %d %s, want 400 with %s", c.method, c.path, status, body, c.want)
		}
	}
	r.driver.Close() // the next connection is a new one
	if _, err := r.driver.Info(t.Context(), r.target); err != nil {
		t.Errorf("the agent does not answer any more: %v", err)
	}
	if _, err := os.Stat(r.certPath("x.pem")); err != nil {
		t.Error(err)
	}
	if got := r.words(1); got != "one" {
		t.Errorf("got %s", got)
	}
}

// TestSelfDescription: the documents have the keys and types that upstream's has. Its controllers take the first two numbers of
// haproxy's version, and reckon with processors and memory.
func TestSelfDescription(t *testing.T) {
	r := newRig(t).plugged()
	r.apply(r.config(r.web("one")))
	who := map[string]any{"hostname": "", "haproxy_version": "", "api_version": "", "keepalived_version": "", "ipvsadm_version": ""}
	load := map[string]any{
		"networks": map[string]any{"eth1": map[string]any{"network_tx": 0., "network_rx": 0.}}, "active": true, "haproxy_count": 0.,
		"lvs_listener_process_count": 0., "cpu_count": 0., "cpu": map[string]any{"total": 0., "user": "", "system": "", "soft_irq": ""},
		"memory": map[string]any{"total": 0., "free": 0., "buffers": 0., "cached": 0., "swap_used": 0., "shared": 0., "slab": 0.},
		"disk":   map[string]any{"used": 0., "available": 0.}, "load": []any{"", "", ""}, "active_tuned_profiles": "",
		"topology": "", "topology_status": "", "listeners": []any{""}, "packages": map[string]any{},
	}
	maps.Copy(load, who)
	for path, want := range map[string]map[string]any{"/1.0/info": who, "/1.0/details": load} {
		status, body := r.raw("GET", path, "")
		var got map[string]any
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != http.StatusOK {
			t.Fatalf("%s: got %d %s, %v", path, status, body, err)
		}
		if diff := cmp.Diff(typesOf(want), typesOf(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		if v := got["haproxy_version"].(string); !regexp.MustCompile(`^\d+\.\d+`).MatchString(v) {
			t.Errorf("%s: haproxy's version is %q", path, v)
		}
	}
}

// typesOf is a JSON document with the names of types for values.
func typesOf(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, inner := range v {
			out[k] = typesOf(inner)
		}
		return out
	case []any:
		out := []any{}
		for _, inner := range v {
			out = append(out, typesOf(inner))
		}
		return out
	}
	return fmt.Sprintf("%T", v)
}

// TestOldestTLS: agent_tls_protocol is the oldest version that the agent speaks; older ones than 1.2 are never.
func TestOldestTLS(t *testing.T) {
	for option, oldest := range map[string]uint16{"TLSv1.3": tls.VersionTLS13, "TLSv1.2": tls.VersionTLS12, "TLSv1": tls.VersionTLS12} {
		r := newRig(t, func(r *rig) {
			text, err := os.ReadFile(filepath.Join(r.dir, "agent.conf"))
			if err != nil {
				t.Fatal(err)
			}
			r.write("agent.conf", append(text, "agent_tls_protocol = "+option+"\n"...))
		})
		for version := uint16(tls.VersionTLS10); version <= tls.VersionTLS13; version++ {
			conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.port), &tls.Config{
				ServerName: amphoraID, RootCAs: r.roots, Certificates: []tls.Certificate{r.client}, MinVersion: version, MaxVersion: version,
			})
			if err == nil {
				_ = conn.Close()
			}
			if (err == nil) != (version >= oldest) {
				t.Errorf("%s: with %s got %v", option, tls.VersionName(version), err)
			}
		}
	}
}

// TestOddPlugs: a NIC that members are reached by is no NIC for VIPs, and a gateway that is none makes no route.
func TestOddPlugs(t *testing.T) {
	r := newRig(t).plugged()
	const memberMAC = "fa:16:3e:00:00:77"
	r.veth("third", "eth9", memberMAC)
	member := fmt.Sprintf(`{"mac_address":%q,"fixed_ips":[{"ip_address":"10.77.0.5","subnet_cidr":"10.77.0.0/24","host_routes":[{"destination":"10.78.0.0/24","nexthop":"nowhere"}]}]}`, memberMAC)
	if status, body := r.raw("POST", "/1.0/plug/network", member); status != http.StatusAccepted || !strings.Contains(body, "Plugged on interface eth2") {
		t.Fatalf("got %d %s", status, body)
	}
	if routes := r.inside("ip", "route"); strings.Contains(routes, "10.78.0.0") {
		t.Errorf("a route to a gateway that is no address: %s", routes)
	}
	plug := fmt.Sprintf(`{"subnet_cidr":"10.77.0.0/24","gateway":null,"mac_address":%q}`, memberMAC)
	if status, body := r.raw("POST", "/1.0/plug/vip/10.77.0.9", plug); status != http.StatusConflict || !strings.Contains(body, `"message":"Interface already exists"`) {
		t.Errorf("got %d %s, want 409", status, body)
	}
	if addresses := r.inside("ip", "address", "show", "eth1"); !strings.Contains(addresses, vip+"/32") {
		t.Errorf("the VIP has left: %s", addresses)
	}
}

// TestCertificateOfAnotherCA is no controller's, whatever that CA is called.
func TestCertificateOfAnotherCA(t *testing.T) {
	r := newRig(t)
	ca, err := certs.NewCA("client CA", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := certs.LoadCA(ca.CertPEM, ca.KeyPEM, "")
	if err != nil {
		t.Fatal(err)
	}
	issued, err := loaded.Client("controller", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	good := r.client
	if r.client, err = tls.X509KeyPair(issued.CertPEM, issued.KeyPEM); err != nil {
		t.Fatal(err)
	}
	r.driver.Close()
	if info, err := r.driver.Info(t.Context(), r.target); err == nil {
		t.Errorf("a stranger is told %+v", info)
	}
	r.client = good
	if _, err := r.driver.Info(t.Context(), r.target); err != nil {
		t.Errorf("the controller: %v", err)
	}
}
