package agent_test

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
)

// TestNamespaceWithoutHAProxy: the name comes back to the namespace that keepalived is in, with the interface and the VIPs. A new
// one of that name would have nothing, and nothing could be changed any more where traffic is.
func TestNamespaceWithoutHAProxy(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.replace("agent.conf", "[amphora_agent]", "[controller_worker]\nloadbalancer_topology = ACTIVE_STANDBY\n[amphora_agent]")
	}).plugged()
	r.put("/1.0/vrrp/upload", fmt.Sprintf(keepalivedConf, r.dir), 200, `"OK"`)
	r.put("/1.0/vrrp/start", "", 202, `"details":"keepalived started"`)
	keepalived := r.vrrpKeepalived()
	t.Cleanup(func() { _ = syscall.Kill(keepalived, syscall.SIGTERM) })
	remove := func() { run(t, "ip", "netns", "delete", "amphora-haproxy") }
	for when, what := range map[string]func(){
		"alone": remove,
		"before the next request": func() {
			remove()
			if err := r.plug(); err != nil {
				t.Error(err)
			}
		},
		"before the agent is started": func() { r.stop(); remove(); r.run() },
	} {
		what()
		r.until("the namespace is back, deleted "+when, func() bool {
			out, err := exec.Command("ip", "netns", "exec", "amphora-haproxy", "ip", "-o", "addr", "show", "eth1").CombinedOutput()
			return err == nil && strings.Contains(string(out), base+"/24")
		})
		if now := r.vrrpKeepalived(); now != keepalived {
			t.Errorf("keepalived was %d and is %d", keepalived, now)
		}
	}
}

// TestEmptyNamespaceIsDeleted: with nothing in it the kernel gives the interface back, if it is hardware's, and it is plugged again.
func TestEmptyNamespaceIsDeleted(t *testing.T) {
	r := newRig(t).plugged()
	run(t, "ip", "netns", "delete", "amphora-haproxy")
	r.until("the kernel has taken the interface away", func() bool { _, err := netlink.LinkByName("other"); return err != nil })
	r.nic()
	r.until("the interface is plugged again", func() bool {
		out, err := exec.Command("ip", "netns", "exec", "amphora-haproxy", "ip", "-o", "addr", "show", "eth1").CombinedOutput()
		return err == nil && strings.Contains(string(out), vip+"/32")
	})
	r.apply(r.config(r.web("one")))
	if got := r.words(2); got != "one" {
		t.Errorf("got %s", got)
	}
}
