package agent_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ottavino/ottavino/amphora/heartbeat"
)

// keepalivedConf is as controllers render it, but for its haste; a program with the race detector takes a second to end.
const keepalivedConf = `vrrp_script check_script {
  script %[1]s/octavia/vrrp/check_script.sh
  interval 2
  fall 2
  rise 1
}
vrrp_instance 1000000000004000800000000000001 {
  interface eth1
  virtual_router_id 1
  priority 100
  nopreempt
  accept
  garp_master_refresh 5
  garp_master_refresh_repeat 2
  advert_int 1
  authentication {
    auth_type PASS
    auth_pass 0123456
  }
  unicast_src_ip ` + base + `
  unicast_peer {
    10.10.10.102
  }
  virtual_ipaddress {
    ` + vip + `
  }
  virtual_routes {
    10.10.10.0/24 dev eth1 src ` + vip + ` scope link table 1
    default via ` + outside + ` dev eth1 onlink table 1
  }
  virtual_rules {
    from ` + vip + `/32 table 1 priority 100
  }
  track_script {
    check_script
  }
}
`

func (r *rig) vrrpFile(name string) string { return filepath.Join(r.dir, "octavia", "vrrp", name) }

func (r *rig) vrrpKeepalived() int {
	text, err := os.ReadFile(r.vrrpFile("octavia-keepalived.pid"))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err != nil || !strings.HasPrefix(string(name), "keepalived") {
		return 0
	}
	return pid
}

func (r *rig) put(path, body string, want int, words string) {
	r.t.Helper()
	if status, got := r.raw("PUT", path, body); status != want || !strings.Contains(got, words) {
		r.t.Errorf("PUT %s: got %d %s, want %d with %s", path, status, got, want, words)
	}
}

func (r *rig) hasVIP() bool {
	return strings.Contains(r.inside("ip", "-o", "addr", "show", "eth1"), vip+"/32")
}

// TestVRRP: the VIP is where keepalived has it, which asks haproxy; keepalived outlives the agent, and comes back when it dies.
func TestVRRP(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.replace("agent.conf", "[amphora_agent]", "[controller_worker]\nloadbalancer_topology = ACTIVE_STANDBY\n[amphora_agent]")
	})
	r.nic()
	if err := r.plug(); err != nil {
		t.Fatal(err)
	}
	if r.hasVIP() {
		t.Error("the agent has added a VIP that is keepalived's")
	}
	r.put("/1.0/vrrp/start", "", 500, `"message":"Failed to start octavia-keepalived service"`)
	r.put("/1.0/vrrp/explode", "", 400, `Unknown action: explode`)
	conf := fmt.Sprintf(keepalivedConf, r.dir)
	r.put("/1.0/vrrp/upload", conf, 200, `"OK"`)
	if r.vrrpKeepalived() != 0 {
		t.Error("an upload has started keepalived")
	}
	check := func(want string) {
		t.Helper()
		text, err := os.ReadFile(r.vrrpFile("check_scripts/haproxy_check_script.sh"))
		if err != nil || string(text) != want {
			t.Errorf("the check is %q, %v, want %q", text, err, want)
		}
	}
	check("exit 1")
	t.Cleanup(func() {
		if pid := r.vrrpKeepalived(); pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGTERM)
		}
	})
	r.put("/1.0/vrrp/start", "", 202, `"details":"keepalived started"`)
	first := r.vrrpKeepalived()
	r.put("/1.0/vrrp/START", "", 202, `"details":"keepalived reloaded"`)
	r.put("/1.0/vrrp/reload", "", 202, `"details":"keepalived reloaded"`)
	if now := r.vrrpKeepalived(); first == 0 || now != first {
		t.Errorf("keepalived was %d and is %d", first, now)
	}

	r.apply(r.config(r.web("one")))
	check(r.vrrpFile("haproxy-vrrp-check") + " " + filepath.Join(r.dir, "octavia", lbID+".sock") + "; exit $?")
	r.until("keepalived has the VIP", r.hasVIP)
	r.until("the VIP answers", func() bool { got, err := ask(); return err == nil && got == "one" })
	r.shows("ip rule", "100: from "+vip+" lookup 1")
	if err := r.plug(); err != nil { // what is keepalived's stays
		t.Fatal(err)
	}
	if !r.hasVIP() {
		t.Error("a repeated plug took the VIP from keepalived")
	}
	r.shows("ip rule", "100: from "+vip+" lookup 1")
	r.shows("ip route show table 1", "default via "+outside)

	r.stop()
	r.run()
	if now := r.vrrpKeepalived(); now != first {
		t.Errorf("after a restart of the agent keepalived is %d, was %d", now, first)
	}
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.until("keepalived runs again", func() bool { now := r.vrrpKeepalived(); return now != 0 && now != first })
	r.until("keepalived has the VIP again", r.hasVIP)
	r.until("the VIP answers", func() bool { got, err := ask(); return err == nil && got == "one" })

	r.put("/1.0/vrrp/stop", "", 202, `"details":"keepalived stoped"`)
	if r.hasVIP() {
		t.Error("keepalived was stopped and left the VIP")
	}
	// An amphora without keepalived is as good as dead to the controllers.
	r.silence()
	r.put("/1.0/vrrp/start", "", 202, `"details":"keepalived started"`)
	r.beat(func(heartbeat.Message) bool { return true })
	if err := r.driver.Remove(t.Context(), r.target, lbID); err != nil {
		t.Fatal(err)
	}
	check(r.vrrpFile("haproxy-vrrp-check") + "; exit $?")
}

// silence wants no heartbeats, for longer than their interval, once those under way have come.
func (r *rig) silence() {
	r.t.Helper()
	buffer := make([]byte, 65536)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); { // what has come before is read first
		if err := r.beats.SetReadDeadline(time.Now().Add(2500 * time.Millisecond)); err != nil {
			r.t.Fatal(err)
		}
		if _, _, err := r.beats.ReadFrom(buffer); err != nil {
			return
		}
	}
	r.t.Error("heartbeats go on")
}

// TestChecksOfUDPListeners: keepalived also asks for those of listeners.
func TestChecksOfUDPListeners(t *testing.T) {
	r := newRig(t)
	lvs := filepath.Join(r.dir, "octavia", "lvs")
	if err := os.MkdirAll(lvs, 0o755); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(lvs, "octavia-keepalivedlvs-"+lbID)
	if err := os.WriteFile(name+".conf", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.put("/1.0/vrrp/upload", "x", 200, `"OK"`)
	if _, err := os.Stat(r.vrrpFile("check_scripts/haproxy_check_script.sh")); !os.IsNotExist(err) {
		t.Errorf("haproxy is asked for, which does not run: %v", err)
	}
	for pid, want := range map[int]bool{os.Getpid(): true, 1 << 30: false} {
		for _, suffix := range []string{".pid", ".vrrp.pid"} { // the second is nobody's business
			if err := os.WriteFile(name+suffix, fmt.Append(nil, pid), 0o600); err != nil {
				t.Fatal(err)
			}
			pid = 1 << 30
		}
		if got := r.succeeds(r.vrrpFile("check_script.sh")); got != want {
			t.Errorf("listener's process %d: got %t, want %t", pid, got, want)
		}
	}
	if status, body := r.raw("GET", "/1.0/listeners", ""); status != http.StatusOK {
		t.Error(status, body)
	}
}

func (*rig) succeeds(program string) bool { return exec.Command(program).Run() == nil }
