package amphora_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/ottavino/ottavino/amphora"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	amphoraID = "aaaaaaaa-0000-4000-8000-000000000001"
	lbID      = "10000000-0000-4000-8000-000000000001"
)

func TestInfoAndDetails(t *testing.T) {
	t.Parallel()
	a := newAgent(t, amphoraID, map[string]answer{
		"GET /":         ok(`{"api_version":"1.0","capabilities":["runtime"]}`),
		"GET /1.0/info": ok(`{"hostname":"amphora-1","haproxy_version":"2.6.12-1","api_version":"1.0","keepalived_version":"2.2","ipvsadm_version":"1.31"}`),
		"GET /1.0/details": ok(`{"cpu_count":2,"active_tuned_profiles":"amphora","haproxy_count":1,"listeners":["l"],
			"memory":{"free":1,"buffers":2,"cached":3,"total":9},"load":["0","0","0"]}`),
	})
	d := driver(t, a, nil)
	info, err := d.Info(t.Context(), a.target())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(amphora.Info{
		APIVersion: "1.0", Hostname: "amphora-1", HAProxyVersion: "2.6.12-1", KeepalivedVersion: "2.2", IPVSAdmVersion: "1.31",
		Capabilities: []string{"runtime"},
	}, info); diff != "" {
		t.Error(diff)
	}
	details, err := d.Details(t.Context(), a.target())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(amphora.Details{
		CPUCount: 2, TunedProfiles: "amphora", MemoryKiB: 9, MemoryFreeKiB: 1, MemoryBuffersKiB: 2, MemoryCachedKiB: 3, HAProxyCount: 1,
		Listeners: []string{"l"},
	}, details); diff != "" {
		t.Error(diff)
	}
}

// TestWhoIsTrusted: neither end talks to somebody else.
func TestWhoIsTrusted(t *testing.T) {
	t.Parallel()
	answers := map[string]answer{"GET /1.0/details": ok(`{}`)}
	right, other := newAgent(t, amphoraID, answers), newAgent(t, "bbbbbbbb-0000-4000-8000-000000000002", answers)
	i, err := installation()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := i.Servers.Client("a server's certificate", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	strange, err := stranger.Pair()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		agent *agent
		tweak func(*amphora.DriverConfig)
	}{
		{"another amphora answers", other, nil},
		{"another CA signed the server", right, func(cfg *amphora.DriverConfig) {
			cfg.ServerCA = func() (*x509.CertPool, error) { return i.ClientCA.Pool(), nil }
		}},
		{"another CA signed the client", right, func(cfg *amphora.DriverConfig) {
			cfg.Client = func() (tls.Certificate, error) { return strange, nil }
		}},
		{"no client certificate", right, func(cfg *amphora.DriverConfig) {
			cfg.Client = func() (tls.Certificate, error) { return tls.Certificate{}, errors.New("no file") }
		}},
		{"the CA's file is gone", right, func(cfg *amphora.DriverConfig) {
			cfg.ServerCA = func() (*x509.CertPool, error) { return nil, errors.New("no file") }
		}},
	} {
		_, err := driver(t, c.agent, c.tweak).Details(t.Context(), c.agent.target())
		if e := agentError(t, err); !e.NotReady || e.Status != 0 {
			t.Errorf("%s: got %+v, want no answer, worth asking again", c.name, e)
		}
	}
	if len(right.asked)+len(other.asked) > 0 {
		t.Errorf("asked nevertheless: %v %v", right.asked, other.asked)
	}
	if _, err := driver(t, right, nil).Details(t.Context(), right.target()); err != nil {
		t.Error(err)
	}
}

func agentError(t *testing.T, err error) *amphora.AgentError {
	t.Helper()
	var e *amphora.AgentError
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want an AgentError", err)
	}
	return e
}

func TestRotatedClientCertificateNeedsNoRestart(t *testing.T) {
	t.Parallel()
	a := newAgent(t, amphoraID, map[string]answer{"GET /1.0/details": ok(`{}`)})
	i, err := installation()
	if err != nil {
		t.Fatal(err)
	}
	var current tls.Certificate
	d := driver(t, a, func(cfg *amphora.DriverConfig) {
		cfg.Client = func() (tls.Certificate, error) { return current, nil }
	})
	if _, err := d.Details(t.Context(), a.target()); err == nil {
		t.Fatal("an agent accepted a client without a certificate")
	}
	if current, err = i.Client.Pair(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Details(t.Context(), a.target()); err != nil {
		t.Error(err)
	}
}

// TestRefusals tells what is worth asking again from what is not.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		answer   answer
		notReady bool
		message  string
	}{
		{"haproxy refuses", answer{400, "application/json", `{"message":"Invalid request","details":"[ALERT] unknown keyword"}`}, false, "Invalid request: [ALERT] unknown keyword"},
		{"framework", answer{405, "application/json; charset=utf-8", `{"error":"405 Method Not Allowed: no","http_code":405}`}, false, "405 Method Not Allowed: no"},
		{"no object", answer{404, "application/json", `{"message":"Not Found"}`}, false, "Not Found"},
		{"no NIC yet", answer{404, "application/json", `{"message":"Not Found","details":"No suitable network interface found"}`}, true, "Not Found: No suitable network interface found"},
		{"booting", answer{404, "text/html", "<html>"}, true, "<html>"},
		{"overloaded", answer{503, "application/json", `{"message":"later"}`}, true, "later"},
		{"failed", answer{500, "application/json", `{"message":"oops","details":"x"}`}, false, "oops: x"},
		{"moved", answer{302, "text/plain", ""}, false, ""},
		{"binary", answer{500, "text/plain", "a\x00b\xff"}, false, "a?b?"},
	} {
		a := newAgent(t, amphoraID, map[string]answer{"POST /1.0/plug/network": c.answer})
		err := driver(t, a, nil).PlugNetwork(t.Context(), a.target(), amphora.NetworkPlug{MAC: "fa:16:3e:00:00:01"})
		e := agentError(t, err)
		if e.Status != c.answer.status || e.NotReady != c.notReady || e.Message != c.message || e.Op != "plug network" {
			t.Errorf("%s: got %+v", c.name, e)
		}
	}
}

func TestLongRefusalsAreCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	a := newAgent(t, amphoraID, map[string]answer{"PUT /1.0/config": {500, "text/plain", "x" + strings.Repeat("é", 5000)}})
	e := agentError(t, driver(t, a, nil).UploadConfig(t.Context(), a.target(), nil))
	if len(e.Message) > 2000 || !utf8.ValidString(e.Message) {
		t.Errorf("got %d bytes, valid %t", len(e.Message), utf8.ValidString(e.Message))
	}
}

// TestAlertsAreKept: what haproxy refuses is behind all that it warns of. It is the same each time.
func TestAlertsAreKept(t *testing.T) {
	said := strings.Repeat("[WARNING] (1) : hm\\n", 300) + `[ALERT]    (4711) : config : [haproxy.cfg.new:7] : no\n`
	a := newAgent(t, amphoraID, map[string]answer{"POST /1.0/plug/network": {http.StatusBadRequest, "application/json", `{"message":"Invalid request","details":"` + said + `"}`}})
	err := driver(t, a, nil).PlugNetwork(t.Context(), a.target(), amphora.NetworkPlug{})
	var e *amphora.AgentError
	if !errors.As(err, &e) || e.Message != "[ALERT] config : [haproxy.cfg.new:7] : no\n" {
		t.Errorf("got %v, want the alert", err)
	}
}

func TestNoAnswer(t *testing.T) {
	t.Parallel()
	a := newAgent(t, amphoraID, nil)
	d, target := driver(t, a, nil), a.target()
	a.Close()
	_, err := d.Info(t.Context(), target)
	if e := agentError(t, err); !e.NotReady || e.Status != 0 {
		t.Errorf("got %+v, want no answer, worth asking again", e)
	}
}

func TestASlowAgentIsNotWaitedForForever(t *testing.T) {
	t.Parallel()
	a := newAgent(t, amphoraID, nil)
	release := make(chan struct{})
	a.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	d := driver(t, a, func(cfg *amphora.DriverConfig) { cfg.ReadTimeout = 50 * time.Millisecond })
	_, err := d.Info(t.Context(), a.target())
	if e := agentError(t, err); !e.NotReady || e.Status != 0 {
		t.Errorf("got %+v, want no answer", e)
	}
}

func TestUnknownVersion(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"api_version":"0.5"}`, `{}`, `no JSON`} {
		a := newAgent(t, amphoraID, map[string]answer{"GET /": ok(body), "GET /1.0/info": ok(`{}`)})
		if _, err := driver(t, a, nil).Info(t.Context(), a.target()); err == nil {
			t.Errorf("%s: accepted", body)
		}
	}
}

const configURL = "/1.0/loadbalancer/" + lbID + "/haproxy"

// TestApply uploads only what the agent does not have, and always asks for the reload.
func TestApply(t *testing.T) {
	t.Parallel()
	const upload = "PUT /1.0/loadbalancer/" + amphoraID + "/" + lbID + "/haproxy"
	const reload = "PUT /1.0/loadbalancer/" + lbID + "/reload"
	accepted := answer{http.StatusAccepted, "application/json", `{"message":"OK"}`}
	for _, c := range []struct {
		name string
		held answer
		want []string
	}{
		{"none", answer{404, "application/json", `{"message":"Loadbalancer Not Found"}`}, []string{"GET " + configURL, upload, reload}},
		{"another", answer{200, "text/plain", "global\n"}, []string{"GET " + configURL, upload, reload}},
		{"the same", answer{200, "text/plain", "new"}, []string{"GET " + configURL, reload}},
	} {
		a := newAgent(t, amphoraID, map[string]answer{"GET " + configURL: c.held, upload: accepted, reload: accepted})
		if err := driver(t, a, nil).Apply(t.Context(), a.target(), lbID, []byte("new")); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.want, a.asked); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if slices.Contains(a.asked, upload) && a.bodies[upload] != "new" {
			t.Errorf("%s: uploaded %q", c.name, a.bodies[upload])
		}
	}
}

// TestApplyStopsWhereItFails: a configuration that was not taken is not loaded.
func TestApplyStopsWhereItFails(t *testing.T) {
	t.Parallel()
	const upload = "PUT /1.0/loadbalancer/" + amphoraID + "/" + lbID + "/haproxy"
	for _, c := range []struct {
		status   int
		notReady bool
	}{{400, false}, {500, false}, {503, true}} {
		a := newAgent(t, amphoraID, map[string]answer{
			"GET " + configURL: {200, "text/plain", "old"},
			upload:             {c.status, "application/json", `{"message":"no","details":"because"}`},
		})
		e := agentError(t, driver(t, a, nil).Apply(t.Context(), a.target(), lbID, []byte("new")))
		if e.Status != c.status || e.NotReady != c.notReady || e.Message != "no: because" {
			t.Errorf("%d: got %+v", c.status, e)
		}
		if len(a.asked) != 2 {
			t.Errorf("%d: asked %v", c.status, a.asked)
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	a := newAgent(t, amphoraID, map[string]answer{"GET " + configURL: {200, "text/plain", "global\n"}})
	d := driver(t, a, nil)
	if cfg, ok, err := d.Config(t.Context(), a.target(), lbID); string(cfg) != "global\n" || !ok || err != nil {
		t.Errorf("got %q, %t, %v", cfg, ok, err)
	}
	if cfg, ok, err := d.Config(t.Context(), a.target(), "another"); cfg != nil || ok || err != nil {
		t.Errorf("got %q, %t, %v, want none", cfg, ok, err)
	}
}

// TestBodies compares what is sent with what agents expect.
func TestBodies(t *testing.T) {
	t.Parallel()
	gateway := "10.0.0.1"
	conflict := answer{http.StatusConflict, "application/json", `{"message":"Invalid VIP: already plugged"}`}
	a := newAgent(t, amphoraID, map[string]answer{
		"POST /1.0/plug/vip/10.0.0.9":    conflict,
		"POST /1.0/plug/vip/2001:db8::9": ok(`{}`),
		"POST /1.0/plug/network":         conflict,
		"PUT /1.0/certificate":           ok(`{}`),
		"PUT /1.0/config":                ok(`{}`),
		"DELETE /1.0/listeners/" + lbID:  ok(`{}`),
	})
	d := driver(t, a, nil)
	vip := amphora.VIPPlug{
		SubnetCIDR: "10.0.0.0/24", Gateway: &gateway, MAC: "fa:16:3e:00:00:01", VRRPIP: "10.0.0.5", MTU: 1450,
		HostRoutes: []amphora.HostRoute{{Destination: "10.9.0.0/16", NextHop: "10.0.0.2"}}, AdditionalVIPs: []amphora.AdditionalVIP{},
	}
	for what, err := range map[string]error{
		"VIP":         d.PlugVIP(t.Context(), a.target(), netip.MustParseAddr("10.0.0.9"), vip),
		"IPv6 VIP":    d.PlugVIP(t.Context(), a.target(), netip.MustParseAddr("2001:db8::9"), vip),
		"network":     d.PlugNetwork(t.Context(), a.target(), amphora.NetworkPlug{MAC: "fa:16:3e:00:00:02", FixedIPs: []amphora.PlugIP{{IPAddress: "10.1.0.5", SubnetCIDR: "10.1.0.0/24"}}}),
		"certificate": d.UploadCertificate(t.Context(), a.target(), []byte("PEM")),
		"config":      d.UploadConfig(t.Context(), a.target(), []byte("[DEFAULT]\n")),
		"remove":      d.Remove(t.Context(), a.target(), lbID),
		"remove none": d.Remove(t.Context(), a.target(), "another"),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for call, want := range map[string]string{
		"POST /1.0/plug/vip/10.0.0.9": `{"subnet_cidr":"10.0.0.0/24","gateway":"10.0.0.1","mac_address":"fa:16:3e:00:00:01","vrrp_ip":"10.0.0.5","mtu":1450,
			"host_routes":[{"destination":"10.9.0.0/16","nexthop":"10.0.0.2"}],"additional_vips":[],"is_sriov":false}`,
		"POST /1.0/plug/network": `{"mac_address":"fa:16:3e:00:00:02","fixed_ips":[{"ip_address":"10.1.0.5","subnet_cidr":"10.1.0.0/24","gateway":null,"host_routes":null}]}`,
	} {
		if diff := cmp.Diff(decoded(t, want), decoded(t, a.bodies[call])); diff != "" {
			t.Errorf("%s: %s", call, diff)
		}
	}
	if a.bodies["PUT /1.0/certificate"] != "PEM" || a.bodies["PUT /1.0/config"] != "[DEFAULT]\n" {
		t.Errorf("got %v", slices.Collect(maps.Values(a.bodies)))
	}
}

func decoded(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

func TestNoopRemembers(t *testing.T) {
	t.Parallel()
	n, target := amphora.NewNoop(), amphora.Target{AmphoraID: amphoraID}
	if _, ok, err := n.Config(t.Context(), target, lbID); ok || err != nil {
		t.Errorf("got ok %t, %v before anything was applied", ok, err)
	}
	if err := n.Apply(t.Context(), target, lbID, []byte("cfg")); err != nil {
		t.Fatal(err)
	}
	if cfg, ok, _ := n.Config(t.Context(), target, lbID); string(cfg) != "cfg" || !ok {
		t.Errorf("got %q, %t", cfg, ok)
	}
	if err := n.Remove(t.Context(), target, lbID); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := n.Config(t.Context(), target, lbID); ok {
		t.Error("it remembers what was removed")
	}
}
