package agent_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/heartbeat"
	"github.com/ottavino/ottavino/amphora/keepalived"
	"github.com/ottavino/ottavino/sandbox/uml"
)

const (
	udpListener = "20000000-0000-4000-8000-000000000053"
	udpPool     = "30000000-0000-4000-8000-000000000053"
	udpPort     = 5300
)

// udpEcho is a member that answers every datagram with a word.
type udpEcho struct {
	conn net.PacketConn
	word string
}

func (r *rig) udpEcho(word string) *udpEcho {
	r.t.Helper()
	conn, err := net.ListenPacket("udp", outside+":0")
	if err != nil {
		r.t.Fatal(err)
	}
	return r.answer(conn, word)
}

func (r *rig) answer(conn net.PacketConn, word string) *udpEcho {
	r.t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buffer := make([]byte, 2048)
		for {
			_, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo([]byte(word), from)
		}
	}()
	return &udpEcho{conn, word}
}

func (e *udpEcho) member() amphora.Member {
	return amphora.Member{
		ID: e.word, Address: netip.MustParseAddr(outside), Port: e.conn.LocalAddr().(*net.UDPAddr).Port, Weight: 1, Enabled: true,
	}
}

// udpConfig is what a worker renders for these members.
func (r *rig) udpConfig(change func(*amphora.Pool), members ...amphora.Member) []byte {
	r.t.Helper()
	pool := amphora.Pool{ID: udpPool, Protocol: "UDP", Algorithm: "ROUND_ROBIN", Enabled: true, Members: members}
	if change != nil {
		change(&pool)
	}
	cfg, err := keepalived.Render(amphora.LoadBalancer{
		ID: lbID, Enabled: true, VIP: netip.MustParseAddr(vip), Pools: []amphora.Pool{pool},
		Listeners: []amphora.Listener{{ID: udpListener, Protocol: "UDP", Port: udpPort, Enabled: true, ConnectionLimit: -1, DefaultPoolID: udpPool}},
	}, udpListener, keepalived.Options{BasePath: filepath.Join(r.dir, "octavia")})
	if err != nil {
		r.t.Fatal(err)
	}
	return cfg
}

func monitored(p *amphora.Pool) {
	p.Monitor = &amphora.Monitor{ID: "m", Type: "UDP-CONNECT", Enabled: true, Delay: 1, Timeout: 2, FallThreshold: 1}
}

// clientPort makes every request one of a client of its own: IPVS sends a client that it knows to the same member, and drops
// what it sends to one that went.
var clientPort atomic.Int32

// askUDP sends a datagram from a new port to the VIP.
func askUDP() (string, error) { return askAt(vip) }

func askAt(vip string) (string, error) {
	d := net.Dialer{LocalAddr: &net.UDPAddr{Port: 10000 + int(clientPort.Add(1))}}
	conn, err := d.Dial("udp", net.JoinHostPort(vip, strconv.Itoa(udpPort)))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hello")); err != nil {
		return "", err
	}
	if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return "", err
	}
	buffer := make([]byte, 100)
	n, err := conn.Read(buffer)
	return string(buffer[:n]), err
}

func (r *rig) untilAnswered(words ...string) {
	r.t.Helper()
	for _, want := range words {
		r.until(want+" answers", func() bool { word, err := askUDP(); return err == nil && word == want })
	}
}

// untilBeat waits for a heartbeat that is as wanted.
func (r *rig) untilBeat(what string, ok func(heartbeat.Message) bool) {
	r.t.Helper()
	if err := r.beats.SetReadDeadline(time.Now().Add(15 * time.Second)); err != nil {
		r.t.Fatal(err)
	}
	buffer := make([]byte, 65536)
	var m heartbeat.Message
	for {
		n, _, err := r.beats.ReadFrom(buffer)
		if err != nil {
			r.t.Fatalf("no heartbeat says that %s, the last says %+v", what, m)
		}
		if m, err = heartbeat.Decode(buffer[:n], []byte(beatKey)); err != nil {
			r.t.Fatal(err)
		}
		if ok(m) {
			return
		}
	}
}

func (r *rig) udpFile(suffix string) string {
	return filepath.Join(r.dir, "octavia", "lvs", "octavia-keepalivedlvs-"+udpListener+suffix)
}

func (r *rig) keepalived() int {
	text, err := os.ReadFile(r.udpFile(".pid"))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

// TestUDPWithoutIPVS: where the kernel has no IPVS the agent says so, keeps nothing, and goes on with all else. Where it
// has, TestUDP shows the contrary.
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

// TestUDP serves datagrams through the VIP: it changes members under traffic, loses the agent and keepalived, follows
// what members say, and removes it all.
func TestUDP(t *testing.T) {
	if !uml.WithIPVS(t) {
		return
	}
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

// killKeepalived kills both its processes, so that neither can take its services out of the kernel.
func (r *rig) killKeepalived() {
	r.t.Helper()
	text, err := os.ReadFile(r.udpFile(".check.pid"))
	if err != nil {
		r.t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, pid := range []int{child, r.keepalived()} {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			r.t.Fatal(err)
		}
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

// TestMasquerade: with a listener stored, what an interface needs is there once, however often it is plugged; without, nothing is.
func TestMasquerade(t *testing.T) {
	r := newRig(t)
	r.nic()
	if err := r.plug(); err != nil {
		t.Fatal(err)
	}
	if got := r.inside("nft", "list", "ruleset"); got != "" {
		t.Errorf("without a UDP listener the kernel has %s", got)
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(r.udpFile("")), 0o755), os.WriteFile(r.udpFile(".conf"), r.udpConfig(nil), 0o644)); err != nil {
		t.Fatal(err)
	}
	first := ""
	for range 2 {
		if err := r.plug(); err != nil {
			t.Fatal(err)
		}
		rules := r.inside("nft", "list", "ruleset")
		for _, want := range []string{
			"table ip octavia-ipv4", "chain ip-udp-masq", "chain ip-sctp-masq", `oifname "eth1" meta l4proto udp masquerade`,
			`oifname "eth1" meta l4proto sctp masquerade`, `iifname "eth1" meta l4proto tcp notrack`, `oifname "eth1" meta l4proto tcp notrack`,
			"type nat hook postrouting priority srcnat", "type filter hook prerouting priority raw", "type filter hook output priority raw",
		} {
			if n := strings.Count(rules, want); n == 0 || n > 1 && !strings.HasPrefix(want, "type nat") {
				t.Errorf("the rules have %q %d times:\n%s", want, n, rules)
			}
		}
		if first != "" && rules != first {
			t.Errorf("plugged again, the rules are\n%s, were\n%s", rules, first)
		}
		first = rules
	}
	if out, err := exec.Command("nft", "list", "ruleset").CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("outside of the namespace: got rules %s %v", out, err)
	}
	if err := r.driver.RemoveListener(t.Context(), r.target, udpListener); err != nil {
		t.Fatal(err)
	}
	if got := r.inside("nft", "list", "ruleset"); got != "" {
		t.Errorf("after removal the kernel has %s", got)
	}
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

// sctpMember accepts associations and answers with a word.
func (r *rig) sctpMember(word string) amphora.Member {
	r.t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if err != nil {
		r.t.Fatal(err)
	}
	address := &unix.SockaddrInet4{Port: 2905, Addr: netip.MustParseAddr(outside).As4()}
	if err := errors.Join(unix.Bind(fd, address), unix.Listen(fd, 10)); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = unix.Shutdown(fd, unix.SHUT_RDWR); _ = unix.Close(fd) })
	go func() {
		for {
			client, _, err := unix.Accept(fd)
			if err != nil {
				return
			}
			_, _ = unix.Write(client, []byte(word))
			_ = unix.Close(client)
		}
	}()
	return amphora.Member{ID: word, Address: netip.MustParseAddr(outside), Port: address.Port, Weight: 1, Enabled: true}
}

// askSCTP associates with the VIP and reads what it is told.
func askSCTP() (string, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	second := unix.Timeval{Sec: 1}
	if err := errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &second), unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &second)); err != nil {
		return "", err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: udpPort, Addr: netip.MustParseAddr(vip).As4()}); err != nil {
		return "", err
	}
	buffer := make([]byte, 100)
	n, err := unix.Read(fd, buffer)
	return string(buffer[:max(n, 0)]), err
}

// TestSCTP carries associations through the VIP to a member that is checked with INITs.
func TestSCTP(t *testing.T) {
	if !uml.WithIPVS(t) {
		return
	}
	r := newRig(t)
	r.nic()
	if err := r.plug(); err != nil {
		t.Fatal(err)
	}
	member := r.sctpMember("one")
	gone := member
	gone.ID, gone.Port = "gone", 2906
	cfg, err := keepalived.Render(amphora.LoadBalancer{
		ID: lbID, Enabled: true, VIP: netip.MustParseAddr(vip),
		Listeners: []amphora.Listener{{ID: udpListener, Protocol: "SCTP", Port: udpPort, Enabled: true, ConnectionLimit: -1, DefaultPoolID: udpPool}},
		Pools: []amphora.Pool{{
			ID: udpPool, Protocol: "SCTP", Enabled: true, Members: []amphora.Member{member, gone},
			Monitor: &amphora.Monitor{ID: "m", Type: "SCTP", Enabled: true, Delay: 1, Timeout: 1, FallThreshold: 1},
		}},
	}, udpListener, keepalived.Options{BasePath: filepath.Join(r.dir, "octavia")})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.driver.ApplyListener(t.Context(), r.target, udpListener, cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.driver.RemoveListener(context.Background(), r.target, udpListener) })
	r.untilBeat("a member is up and one is down", func(m heartbeat.Message) bool {
		return m.Pools[udpPool].Members["one"] == "UP" && m.Pools[udpPool].Members["gone"] == "DOWN"
	})
	r.until("the member answers", func() bool { word, err := askSCTP(); return err == nil && word == "one" })
	r.untilBeat("associations are counted", func(m heartbeat.Message) bool {
		l := m.Listeners[udpListener]
		return l.Status == "OPEN" && l.Stats.TotConns > 0 && l.Stats.RX > 0 && l.Stats.TX > 0
	})
}

// TestUDPOverIPv6 serves both versions of IP with one listener.
func TestUDPOverIPv6(t *testing.T) {
	if !uml.WithIPVS(t) {
		return
	}
	const vip6, outside6 = "2001:db8::100", "2001:db8::1"
	r := newRig(t)
	r.nic()
	if out, err := exec.Command("ip", "addr", "add", outside6+"/64", "dev", "other", "nodad").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	gateway, gateway6 := outside, outside6
	err := r.driver.PlugVIP(t.Context(), r.target, netip.MustParseAddr(vip), amphora.VIPPlug{
		SubnetCIDR: "10.10.10.0/24", Gateway: &gateway, MAC: nicMAC, VRRPIP: base, HostRoutes: []amphora.HostRoute{},
		AdditionalVIPs: []amphora.AdditionalVIP{{SubnetCIDR: "2001:db8::/64", IPAddress: vip6, Gateway: &gateway6, HostRoutes: []amphora.HostRoute{}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenPacket("udp", net.JoinHostPort(outside6, "0"))
	if err != nil {
		t.Fatal(err)
	}
	six := r.answer(conn, "six").member()
	six.Address = netip.MustParseAddr(outside6)
	cfg, err := keepalived.Render(amphora.LoadBalancer{
		ID: lbID, Enabled: true, VIP: netip.MustParseAddr(vip), AdditionalVIPs: []netip.Addr{netip.MustParseAddr(vip6)},
		Listeners: []amphora.Listener{{ID: udpListener, Protocol: "UDP", Port: udpPort, Enabled: true, ConnectionLimit: -1, DefaultPoolID: udpPool}},
		Pools: []amphora.Pool{{
			ID: udpPool, Protocol: "UDP", Enabled: true, Members: []amphora.Member{r.udpEcho("four").member(), six},
			Monitor: &amphora.Monitor{ID: "m", Type: "UDP-CONNECT", Enabled: true, Delay: 1, Timeout: 2, FallThreshold: 1},
		}},
	}, udpListener, keepalived.Options{BasePath: filepath.Join(r.dir, "octavia")})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.driver.ApplyListener(t.Context(), r.target, udpListener, cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.driver.RemoveListener(context.Background(), r.target, udpListener) })
	r.untilAnswered("four")
	r.until("six answers", func() bool { word, err := askAt(vip6); return err == nil && word == "six" })
	r.untilBeat("both members are up", func(m heartbeat.Message) bool {
		members := m.Pools[udpPool].Members
		return m.Listeners[udpListener].Stats.TotConns > 0 && members["four"] == "UP" && members["six"] == "UP"
	})
}
