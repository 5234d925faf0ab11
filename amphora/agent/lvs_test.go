package agent_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/heartbeat"
	"github.com/ottavino/ottavino/sandbox/uml"
)

// TestUDPWithoutIPVS: where the kernel has no IPVS the agent says so, keeps nothing, and goes on with all else. Where it
// has, TestIPVS shows the contrary.
func TestUDPWithoutIPVS(t *testing.T) {
	if uml.HasIPVS() {
		t.Log("this kernel has IPVS")
		return
	}
	r := newRig(t)
	r.nic()
	if err := r.plug(); err != nil {
		t.Fatal(err)
	}
	err := r.driver.ApplyListener(t.Context(), r.target, udpListener, r.udpConfig(nil, r.udpEcho("one").member()))
	var refusal *amphora.AgentError
	if !errors.As(err, &refusal) || refusal.Status != http.StatusConflict || !strings.Contains(refusal.Message, "the amphora's kernel has no IPVS") {
		t.Errorf("got %v, want a 409 that says that there is no IPVS", err)
	}
	if _, ok, err := r.driver.ListenerConfig(t.Context(), r.target, udpListener); ok || err != nil {
		t.Errorf("after a refusal: got a configuration %t, %v", ok, err)
	}
	if err := r.driver.RemoveListener(t.Context(), r.target, udpListener); err != nil {
		t.Error(err)
	}
	if err := r.driver.Apply(t.Context(), r.target, lbID, r.config(r.web("one"))); err != nil {
		t.Fatal(err)
	}
	r.until("the sibling answers", func() bool { word, err := ask(); return err == nil && word == "one" })

	// One that was stored on another kernel cannot be started, and can be removed.
	r.stop()
	if err := errors.Join(os.MkdirAll(filepath.Dir(r.udpFile("")), 0o755), os.WriteFile(r.udpFile(".conf"), r.udpConfig(nil), 0o644)); err != nil {
		t.Fatal(err)
	}
	r.run()
	status, body := r.raw("PUT", "/1.0/loadbalancer/"+udpListener+"/start", "")
	if status != 500 || !strings.Contains(body, "Failed to start keepalivedlvs listener "+udpListener) || !strings.Contains(body, "no IPVS") {
		t.Errorf("start: got %d %s", status, body)
	}
	if status, body = r.raw("GET", "/1.0/listeners", ""); !strings.Contains(body, `{"status":"OFFLINE","uuid":"`+udpListener+`","type":"UDP"}`) {
		t.Errorf("listeners: got %d %s", status, body)
	}
	if status, body = r.raw("DELETE", "/1.0/listeners/"+udpListener, ""); status != 200 {
		t.Errorf("delete: got %d %s", status, body)
	}
	if _, err := os.Stat(r.udpFile(".conf")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after removal: got %v, want no configuration", err)
	}
	if word, err := ask(); err != nil || word != "one" {
		t.Errorf("the sibling: got %s, %v", word, err)
	}
}

// TestIPVS is all that takes a kernel with IPVS. Where the machine's has not, one is booted once for all.
func TestIPVS(t *testing.T) {
	if !uml.WithIPVS(t) {
		return
	}
	t.Run("UDP", testUDP)
	t.Run("SCTP", testSCTP)
	t.Run("IPv6", testUDPOverIPv6)
	t.Run("rows", testUDPRows)
	t.Run("trouble", testUDPTrouble)
}

// testUDP serves datagrams through the VIP: it changes members under traffic, loses the agent and keepalived, follows
// what members say, and removes it all.
func testUDP(t *testing.T) {
	r := newRig(t)
	r.nic()
	if err := r.plug(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.driver.RemoveListener(context.Background(), r.target, udpListener) })
	one, two := r.udpEcho("one"), r.udpEcho("two")
	apply := func(cfg []byte) {
		t.Helper()
		if err := r.driver.ApplyListener(t.Context(), r.target, udpListener, cfg); err != nil {
			t.Fatal(err)
		}
	}
	r.uploadOnly(r.udpConfig(monitored, one.member()))
	apply(r.udpConfig(monitored, one.member()))
	r.untilAnswered("one")
	r.untilBeat("the member is up and bytes flow", func(m heartbeat.Message) bool {
		l := m.Listeners[udpListener]
		return l.Status == "OPEN" && l.Stats.RX > 0 && l.Stats.TX > 0 && l.Stats.TotConns > 0 && m.Pools[udpPool].Status == "UP" &&
			m.Pools[udpPool].Members["one"] == "UP"
	})
	status, body := r.raw("GET", "/1.0/listeners", "")
	if want := fmt.Sprintf(`[{"status":"ACTIVE","uuid":"%s","type":"UDP"}]`, udpListener); status != 200 || body != want {
		t.Errorf("listeners: got %d %s, want %s", status, body, want)
	}
	if _, body = r.raw("GET", "/1.0/details", ""); !strings.Contains(body, `"lvs_listener_process_count":1`) || !strings.Contains(body, udpListener) {
		t.Errorf("details: got %s", body)
	}
	t.Run("changes lose nothing", func(t *testing.T) { r.changeUnderTraffic(one, two) })
	t.Run("the agent comes back", func(t *testing.T) {
		pid := r.keepalived()
		r.stop()
		r.untilAnswered("one", "two")
		r.run()
		if got := r.keepalived(); got != pid {
			t.Errorf("got keepalived %d after a restart of the agent, want %d still", got, pid)
		}
	})
	t.Run("its pid file is lost", func(t *testing.T) {
		pid := r.keepalived()
		for _, damage := range []func(string) error{os.Remove, func(path string) error { return os.Truncate(path, 0) }} {
			r.stop()
			if err := damage(r.udpFile(".pid")); err != nil {
				t.Fatal(err)
			}
			r.run()
			apply(r.udpConfig(monitored, one.member()))
			apply(r.udpConfig(monitored, one.member(), two.member()))
			r.untilAnswered("one", "two")
			if got := r.keepalived(); got != pid {
				t.Errorf("got keepalived %d, want %d still", got, pid)
			}
		}
	})
	t.Run("keepalived comes back", func(t *testing.T) {
		old := r.keepalived()
		r.killKeepalived()
		r.until("another keepalived runs", func() bool { pid := r.keepalived(); return pid != 0 && pid != old })
		r.untilAnswered("one", "two")
	})
	t.Run("a killed keepalived leaves nothing behind", func(t *testing.T) {
		r.stop()
		r.killKeepalived()
		if err := os.WriteFile(r.udpFile(".conf"), r.udpConfig(monitored, one.member()), 0o644); err != nil {
			t.Fatal(err)
		}
		r.run()
		if got := r.inside("cat", "/proc/net/ip_vs"); strings.Count(got, "->") != 2 { // one in the table's head
			t.Errorf("with one member the kernel has %s", got)
		}
		apply(r.udpConfig(monitored, one.member(), two.member()))
		r.untilAnswered("one", "two")
	})
	t.Run("a member dies", func(t *testing.T) {
		_ = two.conn.Close()
		r.untilBeat("a member is down", func(m heartbeat.Message) bool {
			return m.Pools[udpPool].Status == "UP" && m.Pools[udpPool].Members["two"] == "DOWN" && m.Pools[udpPool].Members["one"] == "UP"
		})
		for range 5 {
			if word, err := askUDP(); word != "one" {
				t.Errorf("got %s, %v, want one", word, err)
			}
		}
	})
	t.Run("a member goes", func(t *testing.T) {
		apply(r.udpConfig(monitored, one.member()))
		if got := r.inside("cat", "/proc/net/ip_vs"); strings.Count(got, "->") != 2 { // one in the table's head
			t.Errorf("with one member the kernel has %s", got)
		}
	})
	t.Run("weight and state", func(t *testing.T) {
		drained, off := one.member(), two.member()
		drained.Weight, off.Enabled = 0, false
		apply(r.udpConfig(nil, drained, off))
		r.untilBeat("a member drains and one is off", func(m heartbeat.Message) bool {
			return m.Pools[udpPool].Members["one"] == "DRAIN" && m.Pools[udpPool].Members["two"] == "MAINT"
		})
		apply(r.udpConfig(nil))
		r.untilBeat("the pool is empty", func(m heartbeat.Message) bool {
			return m.Pools[udpPool].Status == "UP" && len(m.Pools[udpPool].Members) == 0
		})
		apply(r.udpConfig(nil, one.member()))
		r.untilAnswered("one")
		r.untilBeat("nobody checks", func(m heartbeat.Message) bool { return m.Pools[udpPool].Members["one"] == "no check" })
	})
	t.Run("a partner is told", func(t *testing.T) { r.tellPartner(apply, one) })
	t.Run("stop and start", func(t *testing.T) {
		for action, word := range map[string]string{"stop": "stoped", "STOP": "stoped"} {
			status, body := r.raw("PUT", "/1.0/loadbalancer/"+udpListener+"/"+action, "")
			if want := `"details":"keepalivedlvs listener ` + udpListener + " " + word; status != 202 || !strings.Contains(body, want) {
				t.Errorf("%s: got %d %s, want %s", action, status, body, want)
			}
		}
		if word, err := askUDP(); err == nil {
			t.Errorf("stopped, it answers %s", word)
		}
		status, body := r.raw("PUT", "/1.0/loadbalancer/"+udpListener+"/start", "")
		if status != 202 || !strings.Contains(body, "started") {
			t.Errorf("start: got %d %s", status, body)
		}
		r.untilAnswered("one")
	})
	if err := r.driver.RemoveListener(t.Context(), r.target, udpListener); err != nil {
		t.Fatal(err)
	}
	if word, err := askUDP(); err == nil {
		t.Errorf("after removal: got %s, want no answer", word)
	}
	if got := r.inside("cat", "/proc/net/ip_vs"); strings.Contains(got, "UDP ") {
		t.Errorf("after removal the kernel has %s", got)
	}
	if left, err := filepath.Glob(r.udpFile("*")); len(left) > 0 || err != nil {
		t.Errorf("after removal: got %v %v, want no file", left, err)
	}
}

// changeUnderTraffic adds a member and changes its weight again and again, while clients ask without a pause.
func (r *rig) changeUnderTraffic(one, two *udpEcho) {
	r.t.Helper()
	pid := r.keepalived()
	ctx, cancel := context.WithCancel(r.t.Context())
	type outcome struct {
		asked int
		err   error
	}
	ended := make(chan outcome, 1)
	go func() {
		n := 0
		for ctx.Err() == nil {
			if _, err := askUDP(); err != nil {
				ended <- outcome{n, err}
				return
			}
			n++
		}
		ended <- outcome{n, nil}
	}()
	for i := range 10 {
		second := two.member()
		second.Weight = i%3 + 1
		if err := r.driver.ApplyListener(r.t.Context(), r.target, udpListener, r.udpConfig(monitored, one.member(), second)); err != nil {
			r.t.Fatal(err)
		}
	}
	r.untilAnswered("one", "two")
	cancel()
	if o := <-ended; o.err != nil || o.asked < 10 {
		r.t.Errorf("after %d answers: %v", o.asked, o.err)
	}
	if got := r.keepalived(); got != pid {
		r.t.Errorf("got keepalived %d after changes, want %d still", got, pid)
	}
}

// uploadOnly uploads what nobody asks to be started.
func (r *rig) uploadOnly(cfg []byte) {
	r.t.Helper()
	path := "/1.0/listeners/" + udpListener + "/udp_listener"
	if status, body := r.raw("PUT", strings.Replace(path, udpListener, amphoraID+"/"+udpListener, 1), string(cfg)); status != 200 || body != `{"message":"OK"}` {
		r.t.Errorf("upload: got %d %s", status, body)
	}
	if status, body := r.raw("GET", path, ""); status != 200 || body != string(cfg) {
		r.t.Errorf("get: got %d %s", status, body)
	}
	for range 3 { // the agent looks for dead ones as often as it beats
		r.untilBeat("the listener does not run", func(m heartbeat.Message) bool { return len(m.Listeners) == 0 })
	}
	if pid := r.keepalived(); pid != 0 {
		r.t.Errorf("keepalived %d runs, and nobody started it", pid)
	}
}

// tellPartner has the amphora be one of two: what VRRP asks says whether keepalived runs.
func (r *rig) tellPartner(apply func([]byte), one *udpEcho) {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, "agent.conf"))
	if err != nil {
		r.t.Fatal(err)
	}
	both := string(text) + "[controller_worker]\nloadbalancer_topology = ACTIVE_STANDBY\n"
	if err := r.driver.UploadConfig(r.t.Context(), r.target, []byte(both)); err != nil {
		r.t.Fatal(err)
	}
	r.put("/1.0/vrrp/upload", "vrrp_instance x {\n}\n", 200, `"OK"`)
	haproxys := filepath.Join(r.dir, "octavia", "vrrp", "check_scripts", "haproxy_check_script.sh")
	if err := os.WriteFile(haproxys, []byte("exit 1"), 0o600); err != nil { // as before the first listener
		r.t.Fatal(err)
	}
	apply(r.udpConfig(monitored, one.member()))
	r.put("/1.0/listeners/"+amphoraID+"/"+udpListener+"/udp_listener", string(r.udpConfig(monitored, one.member())), 200, `"OK"`)
	if _, err := os.Stat(haproxys); !os.IsNotExist(err) {
		r.t.Errorf("haproxy is asked for, which does not run: %v", err)
	}
	check := func() int {
		cmd := exec.Command("bash", filepath.Join(r.dir, "octavia", "vrrp", "check_scripts", "lvs_udp_check.sh"))
		_ = cmd.Run() // the status says it
		return cmd.ProcessState.ExitCode()
	}
	if got := check(); got != 0 {
		r.t.Errorf("while keepalived runs the check says %d, want 0", got)
	}
	pid := r.keepalived()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		r.t.Fatal(err)
	}
	r.until("the check fails", func() bool { return check() == 1 })
	r.until("keepalived runs again", func() bool { return check() == 0 && r.keepalived() != pid })
}

// TestUDPAnswers checks statuses and bodies that controllers depend on.
func TestUDPAnswers(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/1.0/listeners/" + udpListener + "/udp_listener", "", 404, `{"details":"No UDP listener with UUID: ` + udpListener + `","message":"UDP Listener Not Found"}`},
		{"PUT", "/1.0/listeners/" + amphoraID + "/..%2f..%2fetc/udp_listener", "x", 400, `not an id`},
		{"PUT", "/1.0/loadbalancer/" + udpListener + "/reload", "", 404, `"message":"Loadbalancer Not Found"`},
		{"DELETE", "/1.0/listeners/" + udpListener, "", 200, `{"message":"OK"}`},
		{"POST", "/1.0/listeners/" + udpListener + "/udp_listener", "", 405, `"http_code":405`},
	} {
		status, body := r.raw(c.method, c.path, c.body)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s: got %d %s, want %d with %s", c.method, c.path, status, body, c.status, c.want)
		}
	}
}
