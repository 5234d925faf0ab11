package agent_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

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
