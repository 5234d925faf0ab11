package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/ottavino/ottavino/db/dbtest"
)

// TestNoop: with upstream's noop drivers and noauth, and nothing else configured, the same code needs no cloud.
func TestNoop(t *testing.T) {
	t.Parallel()
	l := &lab{t: t, url: "http://" + freeAddress(t), log: newLog(t)}
	l.conf = noopConf(t, l.url)
	startServer(t, l.url, l.conf, l.log)
	l.tenant = &gophercloud.ServiceClient{
		ProviderClient: &gophercloud.ProviderClient{TokenID: "any"}, Endpoint: l.url + "/", ResourceBase: l.url + "/v2.0/",
		MoreHeaders: map[string]string{"X-Project-Id": "somebody"},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	a := &actor{api: l.tenant, name: "noop", subnet: "8e9d1c4e-7b8e-4a5a-9d8e-111111111111"}
	if err := l.lifeDespite(ctx, a); err != nil {
		t.Fatal(err)
	}
}

// noopConf makes an octavia.conf for a server at url that needs no cloud.
func noopConf(t *testing.T, url string) string {
	t.Helper()
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	text := fmt.Sprintf(`[DEFAULT]
debug = true
[api_settings]
auth_strategy = noauth
bind_port = %s
[controller_worker]
amphora_driver = amphora_noop_driver
compute_driver = compute_noop_driver
network_driver = network_noop_driver
image_driver = image_noop_driver
[certificates]
cert_manager = noop_cert_manager
[health_manager]
bind_port = 0
[database]
connection = %s
`, port, dbtest.Server(t, dbtest.SQLite))
	path := filepath.Join(t.TempDir(), "octavia.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestNoopTakesEverything: without amphorae nothing is beyond them: every protocol and certificate is ACTIVE in the end.
func TestNoopTakesEverything(t *testing.T) {
	t.Parallel()
	url, log := "http://"+freeAddress(t), newLog(t)
	startServer(t, url, noopConf(t, url), log)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	made, err := ask(ctx, http.MethodPost, url+"/v2/lbaas/loadbalancers", "", `{"loadbalancer": {
		"project_id": "somebody", "vip_subnet_id": "8e9d1c4e-7b8e-4a5a-9d8e-111111111111", "listeners": [
			{"protocol": "UDP", "protocol_port": 53, "default_pool": {"name": "u", "protocol": "UDP", "lb_algorithm": "ROUND_ROBIN",
				"healthmonitor": {"type": "UDP-CONNECT", "delay": 5, "timeout": 4, "max_retries": 2}}},
			{"protocol": "SCTP", "protocol_port": 54}, {"protocol": "PROMETHEUS", "protocol_port": 55},
			{"protocol": "TERMINATED_HTTPS", "protocol_port": 443, "default_tls_container_ref": "http://barbican.example/v1/secrets/1"}
		]}}`)
	if err != nil || made.ID == "" {
		t.Fatalf("got %v %v, want a load balancer", made, err)
	}
	lb, err := ask(ctx, http.MethodGet, url+"/v2/lbaas/loadbalancers/"+made.ID+"?wait=50", "", "")
	if err != nil || lb.Status != "ACTIVE" {
		t.Fatalf("got %v, %v, want an ACTIVE load balancer", lb, err)
	}
	for _, l := range lb.Listeners {
		listener, err := get(ctx, url+"/v2/lbaas/listeners/"+l.ID)
		if err != nil || !strings.Contains(listener, `"provisioning_status":"ACTIVE"`) {
			t.Errorf("got %s, %v, want an ACTIVE listener", listener, err)
		}
	}
	if len(lb.Listeners) != 4 {
		t.Errorf("got %d listeners, want 4", len(lb.Listeners))
	}
}

// get reads what is at a URL.
func get(ctx context.Context, url string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// TestEndAnswersWhoWaits: a process that is asked to end answers the requests that wait for a load balancer.
func TestEndAnswersWhoWaits(t *testing.T) {
	t.Parallel()
	url, log := "http://"+freeAddress(t), newLog(t)
	s := &server{t: t, url: url, argv: []string{binaries.ottavino, "api", "--config-file", noopConf(t, url)}, log: log} // no worker
	s.start()
	t.Cleanup(s.stop)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	made, err := ask(ctx, http.MethodPost, url+"/v2/lbaas/loadbalancers", "",
		`{"loadbalancer": {"project_id": "somebody", "vip_subnet_id": "8e9d1c4e-7b8e-4a5a-9d8e-111111111111"}}`)
	if err != nil || made.ID == "" {
		t.Fatalf("got %v %v, want a load balancer", made, err)
	}
	type answer struct {
		lb  balancer
		err error
	}
	const id = "req-6a2b0c1e-0000-4000-8000-000000000001"
	waits := make(chan answer, 1)
	go func() {
		lb, err := ask(ctx, http.MethodGet, url+"/v2/lbaas/loadbalancers/"+made.ID+"?wait=300", id, "")
		waits <- answer{lb, err}
	}()
	for !log.has(t, id) { // then the request has come
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			t.Fatal("the request did not come")
		}
	}
	s.stop()
	if a := <-waits; a.err != nil || a.lb.Status != "PENDING_CREATE" {
		t.Errorf("got %v, %v, want the load balancer in PENDING_CREATE", a.lb, a.err)
	}
}

// balancer is what the API says of a load balancer.
type balancer struct {
	ID     string `json:"id"`
	Status string `json:"provisioning_status"`

	Listeners []struct {
		ID string `json:"id"`
	} `json:"listeners"`
}

// ask sends a request, with a global request id, about a load balancer.
func ask(ctx context.Context, method, url, id, body string) (balancer, error) {
	var out struct {
		LB balancer `json:"loadbalancer"`
	}
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return out.LB, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Openstack-Request-Id", id)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return out.LB, err
	}
	defer resp.Body.Close()
	return out.LB, json.NewDecoder(resp.Body).Decode(&out)
}

// has says that servers wrote a text.
func (l *logFile) has(t *testing.T, text string) bool {
	t.Helper()
	all, err := os.ReadFile(l.Name())
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(all), text)
}
