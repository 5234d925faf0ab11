package agent_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// masters are the haproxies that lead sessions: workers do not.
func masters(t *testing.T) (pids []int) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ps", "-C", "haproxy", "-o", "pid=,sess=").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		var pid, session int
		if _, err := fmt.Sscan(line, &pid, &session); err != nil {
			t.Fatal(line, err)
		}
		if pid == session {
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestGarbageOnDisk: whichever file of the agent's is damaged, as a full disk or a hand may, an agent that starts adopts what runs,
// traffic goes on, and the next change is in effect for all of it.
func TestGarbageOnDisk(t *testing.T) {
	r := newRig(t).plugged()
	r.apply(r.config(r.web("at first")))
	master, serves := r.master(), "at first"
	for _, c := range []struct{ file, text string }{
		{r.path("running.json"), "{"},
		{r.path("servers-state"), "x y\n"},
		{r.path("agent.conf"), "\x00"},
		{filepath.Join(r.dir, "octavia", "stats_counters.json"), "{{"},
		{filepath.Join(r.dir, "octavia", "plugged_interfaces"), "garbage\n\x00\n" + nicMAC + " eth1\n"},
		{filepath.Join(r.dir, "interfaces", "eth1.json"), "{"},
		{r.path(lbID + ".pid"), ""},
		{r.path(lbID + ".pid"), "1\n"},
		{r.path(lbID + ".pid"), "none"}, // there is none
	} {
		name := filepath.Base(c.file)
		r.stop()
		err := os.WriteFile(c.file, []byte(c.text), 0o600)
		if c.text == "none" {
			err = errors.Join(err, os.Remove(c.file))
		}
		if err != nil {
			t.Fatal(err)
		}
		r.run()
		if got := r.words(8); got != serves {
			t.Errorf("%s: the agent has started, and got %s, want %s", name, got, serves)
		}
		if status, body := r.raw("GET", "/1.0/details", ""); status != 200 || !strings.Contains(body, `"haproxy_count":1`) {
			t.Errorf("%s: got %d %s, want one haproxy", name, status, body)
		}
		serves = "after " + name
		r.apply(r.config(r.web(serves)))
		if got := r.words(20); got != serves {
			t.Errorf("%s: got %s, want %s only", name, got, serves)
		}
		if now := masters(t); len(now) != 1 || now[0] != master {
			t.Errorf("%s: haproxy runs as %v, want %d, which ran all the time", name, now, master)
		}
	}
}

// TestAnotherProgram: haproxy_cmd may name anything.
func TestAnotherProgram(t *testing.T) {
	r := newRig(t, func(r *rig) {
		program := filepath.Join(r.dir, "load-balancer-of-ours")
		if err := os.Symlink("/usr/sbin/haproxy", program); err != nil {
			t.Fatal(err)
		}
		r.replace("agent.conf", "[haproxy_amphora]", "[haproxy_amphora]\nhaproxy_cmd = "+program)
	}).plugged()
	r.apply(r.config(r.web("one")))
	master := r.master()
	r.apply(r.config(r.web("two")))
	if got := r.words(4); got != "two" || r.master() != master {
		t.Errorf("got %s of haproxy %d, which was %d", got, r.master(), master)
	}
	r.stop()
	r.run()
	if status, body := r.raw("GET", "/1.0/details", ""); status != 200 || !strings.Contains(body, `"haproxy_count":1`) {
		t.Errorf("got %d %s, want one haproxy", status, body)
	}
}
