package agent_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/ottavino/ottavino/amphora/haproxy"
	"github.com/ottavino/ottavino/amphora/heartbeat"
)

// TestBadConfigurations: whatever is wrong with a configuration, traffic is as before, haproxy's words are the answer, the last good
// configuration is what the agent holds, and the next good one works.
func TestBadConfigurations(t *testing.T) {
	r := newRig(t).plugged()
	member := fmt.Sprintf("M1 %s:%d weight 1", outside, r.web("one"))
	good := r.site(site{members: []string{member}})
	r.occupy("10.10.10.101:81")
	another := func(bind string) []byte {
		return r.site(site{members: []string{member}, more: "frontend L2\n    bind " + bind + "\n    mode http\n    timeout client 1000\n"})
	}
	for _, c := range []struct {
		name   string
		cfg    []byte
		status int
		blamed string
		words  []string
	}{
		{"refused", r.site(site{members: []string{"M1 nonsense:x"}}), 400, "L1", []string{"haproxy.cfg.new:30]", "'server P1:L1/M1' : invalid character"}},
		{"port taken", another("10.10.10.101:81"), 500, "L2", []string{"frontend L2", "10.10.10.101:81", "address already in use"}},
		{"socket without directory", another("unix@/nowhere/x"), 500, "L2", []string{"frontend L2", "haproxy.cfg:32]", "No such file or directory"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := *r
			r.t = t
			r.apply(good)
			worker := r.worker()
			l := r.load()
			for range 2 {
				err := r.driver.Apply(t.Context(), r.target, lbID, c.cfg)
				if status(err) != c.status {
					t.Errorf("got %v, want status %d", err, c.status)
				}
				if got := haproxy.Culprits(c.cfg, fmt.Sprint(err)); !slices.Equal(got, []string{c.blamed}) {
					t.Errorf("listeners %q are to blame, want %s", got, c.blamed)
				}
				for _, w := range c.words {
					if err == nil || !strings.Contains(err.Error(), w) {
						t.Errorf("got %v, want %q in it", err, w)
					}
				}
			}
			l.end()
			if held, _, err := r.driver.Config(t.Context(), r.target, lbID); err != nil || string(held) != string(good) {
				t.Errorf("the agent holds %s, %v, want the last good configuration", held, err)
			}
			if _, err := os.Stat(r.path("haproxy.cfg.new-failed")); err != nil {
				t.Error(err)
			}
			if r.worker() != worker {
				t.Error("got another worker")
			}
			r.apply(another("10.10.10.101:82"))
			if got := r.words(2); got != "one" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// occupy listens in the namespace, as a program that somebody started there.
func (r *rig) occupy(address string) {
	r.t.Helper()
	opened := make(chan error)
	go func() {
		runtime.LockOSThread() // and is not given back: it is in another namespace
		ns, err := netns.GetFromName("amphora-haproxy")
		if err == nil {
			defer ns.Close()
			err = netns.Set(ns)
		}
		if err != nil {
			opened <- err
			return
		}
		l, err := net.Listen("tcp", address)
		if err == nil {
			r.t.Cleanup(func() { _ = l.Close() })
		}
		opened <- err
	}()
	if err := <-opened; err != nil {
		r.t.Fatal(err)
	}
}

// TestHAProxyIsKilled: it is there again at once, with the same configuration, and says so.
func TestHAProxyIsKilled(t *testing.T) {
	r := newRig(t).plugged()
	r.apply(r.site(site{members: []string{fmt.Sprintf("M1 %s:%d weight 1", outside, r.web("one"))}}))
	for _, victim := range []func() int{r.master, r.worker} {
		worker := r.worker()
		if err := syscall.Kill(victim(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		since := time.Now()
		r.until("haproxy serves again", func() bool { return r.servesAnew(worker, "one") })
		t.Logf("served again after %s", time.Since(since))
	}
	r.heartbeat(func(members map[string]string) bool { return members["M1"] != "" })
	r.apply(r.site(site{}))
	if got := r.words(1); got != "503 Service Unavailable" {
		t.Errorf("got %q after a change", got)
	}
}

// TestHAProxyDoesNotStart: heartbeats do not pretend that it runs, and it starts as soon as it can.
func TestHAProxyDoesNotStart(t *testing.T) {
	r := newRig(t).plugged()
	r.apply(r.site(site{members: []string{fmt.Sprintf("M1 %s:%d weight 1", outside, r.web("one"))}}))
	group := filepath.Join(r.dir, "octavia", "haproxy-default-user-group.conf")
	text, err := os.ReadFile(group)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(group, []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(r.master(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.beat(func(m heartbeat.Message) bool { return len(m.Listeners) == 0 })
	if err := os.WriteFile(group, text, 0o600); err != nil {
		t.Fatal(err)
	}
	r.beat(func(m heartbeat.Message) bool { return m.Listeners["L1"].Status == "OPEN" })
	if got := r.words(1); got != "one" {
		t.Errorf("got %q", got)
	}
}

// TestStoppedStaysStopped: nobody starts a haproxy that a controller stopped.
func TestStoppedStaysStopped(t *testing.T) {
	r := newRig(t).plugged()
	r.apply(r.site(site{members: []string{fmt.Sprintf("M1 %s:%d weight 1", outside, r.web("one"))}}))
	if code, body := r.raw("PUT", "/1.0/loadbalancer/"+lbID+"/stop", ""); code != http.StatusAccepted {
		t.Fatal(code, body)
	}
	for range 2 { // each is sent a round of the guard later
		r.beat(func(m heartbeat.Message) bool { return len(m.Listeners) == 0 })
	}
	if code, body := r.raw("PUT", "/1.0/loadbalancer/"+lbID+"/start", ""); code != http.StatusAccepted {
		t.Fatal(code, body)
	}
	if got := r.words(1); got != "one" {
		t.Errorf("got %q", got)
	}
}

// TestCandidateThatDoesNotStart: haproxy is killed between the upload of a configuration that it cannot run and the reload: it
// runs the last good one.
func TestCandidateThatDoesNotStart(t *testing.T) {
	r := newRig(t).plugged()
	member := fmt.Sprintf("M1 %s:%d weight 1", outside, r.web("one"))
	good := r.site(site{members: []string{member}})
	r.apply(good)
	bad := r.site(site{members: []string{member}, more: "frontend L2\n    bind unix@/nowhere/x\n    mode http\n    timeout client 1000\n"})
	if code, body := r.raw("PUT", "/1.0/loadbalancer/"+amphoraID+"/"+lbID+"/haproxy", string(bad)); code != http.StatusAccepted {
		t.Fatal(code, body)
	}
	worker := r.worker()
	if err := syscall.Kill(r.master(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.until("haproxy serves again", func() bool { return r.servesAnew(worker, "one") })
	if held, _, err := r.driver.Config(t.Context(), r.target, lbID); err != nil || string(held) != string(good) {
		t.Errorf("the agent holds %s, %v, want the last good configuration", held, err)
	}
}

// TestSessionCacheIsNotTested: a test does not fill it, however large; what haproxy cannot run for its size is refused by the
// reload, and what ran goes on.
func TestSessionCacheIsNotTested(t *testing.T) {
	r := newRig(t).plugged()
	r.certificate(r.selfSigned())
	cfg := r.site(site{frontend: r.secure(), members: []string{fmt.Sprintf("M1 %s:%d weight 1", outside, r.web("one"))}})
	r.apply(cfg)
	const blocks = "    tune.ssl.cachesize 2000000000\n" // of 200 bytes
	large := bytes.Replace(cfg, []byte("global\n"), []byte("global\n"+blocks), 1)
	if code, body := r.raw("PUT", "/1.0/loadbalancer/"+amphoraID+"/"+lbID+"/haproxy", string(large)); code != http.StatusAccepted {
		t.Fatal(code, body)
	}
	if code, body := r.raw("PUT", "/1.0/loadbalancer/"+lbID+"/reload", ""); code < http.StatusBadRequest || !strings.Contains(body, "session cache") {
		t.Errorf("got %d %s, want haproxy's words", code, body)
	}
	if got := r.words(1); got != "one" {
		t.Errorf("got %q", got)
	}
	wrong := bytes.Replace(large, []byte("    maxconn"), []byte("    maxcon"), 1)
	if code, body := r.raw("PUT", "/1.0/loadbalancer/"+amphoraID+"/"+lbID+"/haproxy", string(wrong)); code != http.StatusBadRequest {
		t.Errorf("got %d %s, want a wrong configuration refused all the same", code, body)
	}
}

// TestAgentIsKilled: between any two steps of a change another agent comes and is asked again. What haproxy runs then is
// what it should.
func TestAgentIsKilled(t *testing.T) {
	r := newRig(t).plugged()
	one, two := fmt.Sprintf("M1 %s:%d weight 1", outside, r.web("one")), fmt.Sprintf("M2 %s:%d weight 1", outside, r.web("two"))
	first, second := r.site(site{members: []string{one}}), r.site(site{members: []string{two}})
	for name, crash := range map[string]func(){
		"after the upload": func() { r.raw("PUT", "/1.0/loadbalancer/"+amphoraID+"/"+lbID+"/haproxy", string(second)) },
		"half way": func() {
			r.raw("PUT", "/1.0/loadbalancer/"+amphoraID+"/"+lbID+"/haproxy", string(second))
			r.haproxy("add server P1:L1/" + two + ";set server P1:L1/M2 state ready")
		},
		"before the note": func() {
			text, err := os.ReadFile(r.path("running.json"))
			if err != nil {
				t.Fatal(err)
			}
			r.apply(second)
			if err := os.WriteFile(r.path("running.json"), text, 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r.apply(first)
			l := r.load()
			crash()
			r.stop()
			r.run()
			r.apply(second)
			l.end()
			if got := r.words(4); got != "two" {
				t.Errorf("got %q, want only the second member's", got)
			}
		})
	}
}

// smallDisk has the agent keep its files on a disk of its own.
func smallDisk(r *rig) {
	r.t.Helper()
	at := filepath.Join(r.dir, "octavia")
	if err := os.Mkdir(at, 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, "size=256k"); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
}

// fillDisk leaves no space on it until free is called.
func (r *rig) fillDisk() (free func()) {
	r.t.Helper()
	full := filepath.Join(r.dir, "octavia", "full")
	f, err := os.Create(full)
	if err != nil {
		r.t.Fatal(err)
	}
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	_ = f.Close()
	return func() {
		if err := os.Remove(full); err != nil {
			r.t.Fatal(err)
		}
	}
}

// TestDiskIsFull: a change that cannot be written is refused with the reason and changes nothing; haproxy that is killed then is started
// all the same; and with space again all is well.
func TestDiskIsFull(t *testing.T) {
	r := newRig(t, smallDisk).plugged()
	one, two := fmt.Sprintf("M1 %s:%d weight 1", outside, r.web("one")), fmt.Sprintf("M2 %s:%d weight 1", outside, r.web("two"))
	r.apply(r.site(site{members: []string{one}}))
	free := r.fillDisk()
	err := r.driver.Apply(t.Context(), r.target, lbID, r.site(site{members: []string{one, two}}))
	if status(err) != http.StatusInternalServerError || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("got %v, want the reason", err)
	}
	worker, master := r.worker(), r.master()
	if got := r.words(2); got != "one" {
		t.Errorf("got %q, want traffic as before", got)
	}
	if err := syscall.Kill(master, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.until("haproxy serves again", func() bool { return r.servesAnew(worker, "one") })
	free()
	r.apply(r.site(site{members: []string{one, two}}))
	if got := r.words(4); got != "one two" {
		t.Errorf("got %q, want both members", got)
	}
}

// TestNamespaceIsDeleted: its name comes back, and with it all that is done inside.
func TestNamespaceIsDeleted(t *testing.T) {
	r := newRig(t).plugged()
	one, two := fmt.Sprintf("M1 %s:%d weight 1", outside, r.web("one")), fmt.Sprintf("M2 %s:%d weight 1", outside, r.web("two"))
	r.apply(r.site(site{members: []string{one}}))
	l := r.load()
	if out, err := exec.Command("ip", "netns", "delete", "amphora-haproxy").CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	r.until("the namespace is back", func() bool { _, err := os.Stat("/var/run/netns/amphora-haproxy"); return err == nil })
	r.apply(r.site(site{members: []string{two}, frontend: "    http-request deny if { path /x }\n"}))
	l.end()
	if got := r.words(2); got != "two" {
		t.Errorf("got %q", got)
	}
	if got := r.inside("ip", "-o", "addr", "show", "eth1"); !strings.Contains(got, vip+"/32") {
		t.Errorf("eth1 has %s, want the VIP", got)
	}
	if err := r.plug(); err != nil {
		t.Error(err)
	}
}
