package agent_test

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ottavino/ottavino/amphora"
)

// TestFirewall: a VIP on an SR-IOV port lets in what the rules say, from the first moment and after a reboot, and bad rules
// change nothing.
func TestFirewall(t *testing.T) {
	r := newRig(t)
	r.nic6()
	plug := func() {
		t.Helper()
		err := r.driver.PlugVIP(t.Context(), r.target, netip.MustParseAddr(vip), amphora.VIPPlug{
			SubnetCIDR: "10.10.10.0/24", MAC: nicMAC, VRRPIP: base, SRIOV: true,
			AdditionalVIPs: []amphora.AdditionalVIP{{SubnetCIDR: "2001:db8::/64", IPAddress: vip6}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	plug()
	cfg := strings.Replace(string(r.config(r.web("one"))), "    bind "+vip+":80\n", "    bind "+vip+":80\n    bind "+vip6+":80\n", 1)
	r.apply([]byte(cfg))
	rules := func(address, body string, want int, words string) {
		t.Helper()
		status, got := r.raw("PUT", "/1.0/interface/"+address+"/rules", body)
		if status != want || !strings.Contains(got, words) {
			t.Errorf("rules %s: got %d %s, want %d with %s", body, status, got, want, words)
		}
	}
	open := func(address string) {
		t.Helper()
		// haproxy's word is enough: members are reached when the first rules are there
		if got, err := askVIPAt(address); err != nil {
			t.Errorf("%s: got %q, %v, want an answer", address, got, err)
		}
	}
	closed := func(address string) {
		t.Helper()
		if conn, err := net.DialTimeout("tcp", net.JoinHostPort(address, "80"), time.Second); err == nil {
			_ = conn.Close()
			t.Errorf("%s: got a connection, want no answer", address)
		}
	}
	ruleset := func() string { return r.inside("nft", "-n", "list", "table", "inet", "amphora_table") }

	closed(vip)
	rules(base, `[]`, 200, `"OK"`)
	closed(vip)
	rules(base, `[{"protocol":"TCP","cidr":null,"port":80}]`, 200, `"OK"`)
	open(vip)
	open(vip6)

	before := ruleset()
	for _, bad := range []string{
		`[{"protocol":"ICMP","cidr":null,"port":80}]`, `[{"protocol":"TCP","cidr":null,"port":443},{"protocol":"tcp","cidr":null,"port":80}]`,
		`[{"protocol":"TCP","cidr":null,"port":0}]`, `[{"protocol":"TCP","cidr":null,"port":65536}]`, `[{"protocol":"TCP","port":80}]`,
		`[{"protocol":"TCP","cidr":null,"port":80,"more":1}]`, `[{"protocol":"TCP","cidr":"nonsense; accept","port":80}]`,
		`[{"protocol":"TCP","cidr":"fe80::1%eth1","port":80}]`, `{}`, `null`, `x`, ``,
	} {
		rules(base, bad, 400, `"error":"400 Bad Request: Invalid rules information"`)
	}
	rules("nonsense", `[]`, 400, `"message":"Invalid IP address"`)
	rules("192.0.2.1", `[]`, 404, `"message":"Error interface not found for IP address"`)
	rules(base, `[]`, 200, `"OK"`) // leaves them
	if after := ruleset(); after != before {
		t.Errorf("the rules changed from\n%s\nto\n%s", before, after)
	}

	rules(base, `[{"protocol":"TCP","cidr":"`+outside+`/32","port":80},{"protocol":"UDP","cidr":"2001:db8::/32","port":53},{"protocol":"SCTP","cidr":"::/0","port":9},
		{"protocol":"vrrp","cidr":"10.10.10.102/32","port":112},{"protocol":"vrrp","cidr":"2001:db8::102/128","port":112},{"protocol":"TCP","cidr":"0.0.0.0/0","port":81}]`, 200, `"OK"`)
	open(vip)
	closed(vip6)
	for _, want := range []string{
		"ip saddr " + outside + " tcp dport 80 accept", "ip6 saddr 2001:db8::/32 udp dport 53 accept", "sctp dport 9 accept",
		"ip saddr 10.10.10.102 meta l4proto 112 accept", "ip6 saddr 2001:db8::102 meta l4proto 112 accept", "tcp dport 81 accept",
	} {
		if got := ruleset(); !r.says(got, want) {
			t.Errorf("got\n%s\nwant a line with %q", got, want)
		}
	}
	file := filepath.Join(r.dir, "octavia", "nftables-vip.rules")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", file, info, err)
	}

	// A member on the VIP's network is no reason to open it.
	err := r.driver.PlugNetwork(t.Context(), r.target, amphora.NetworkPlug{
		MAC: nicMAC, FixedIPs: []amphora.PlugIP{{IPAddress: base, SubnetCIDR: "10.10.10.0/24"}},
		VIPNetInfo: &amphora.VIPNetInfo{VIP: vip, VIPPlug: amphora.VIPPlug{SubnetCIDR: "10.10.10.0/24", MAC: nicMAC, VRRPIP: base}},
	})
	if err != nil {
		t.Fatal(err)
	}
	before = ruleset()
	r.reboot(r.nic6)
	r.until("the VIP answers", func() bool { got, err := askVIPAt(vip); return err == nil && got == "one" })
	closed(vip6)
	if after := ruleset(); after != before {
		t.Errorf("after a reboot: got\n%s\nwant\n%s", after, before)
	}
}

// TestFirewallThatDoesNotLoad: the rules that are there stay, in the kernel and in the file.
func TestFirewallThatDoesNotLoad(t *testing.T) {
	r := newRig(t)
	r.nic()
	if err := r.plug(); err != nil {
		t.Fatal(err)
	}
	if status, body := r.raw("PUT", "/1.0/interface/"+base+"/rules", `[{"protocol":"TCP","cidr":null,"port":80}]`); status != http.StatusOK {
		t.Fatal(status, body)
	}
	before := r.inside("nft", "list", "ruleset")
	nft := t.TempDir()
	if err := os.WriteFile(filepath.Join(nft, "nft"), []byte("#!/bin/sh\necho no memory >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := os.Getenv("PATH")
	t.Setenv("PATH", nft+":"+path)
	status, body := r.raw("PUT", "/1.0/interface/"+base+"/rules", `[{"protocol":"TCP","cidr":null,"port":81}]`)
	if status != http.StatusInternalServerError || !strings.Contains(body, "no memory") || !strings.Contains(body, `"http_code":500`) {
		t.Errorf("got %d %s, want 500 with nft's words", status, body)
	}
	t.Setenv("PATH", path)
	if after := r.inside("nft", "list", "ruleset"); after != before {
		t.Errorf("the rules changed to\n%s", after)
	}
	text, err := os.ReadFile(filepath.Join(r.dir, "octavia", "nftables-vip.rules"))
	if err != nil || !strings.Contains(string(text), "dport 80 ") || strings.Contains(string(text), fmt.Sprint(81)) {
		t.Errorf("the file says %s, %v", text, err)
	}
}

// TestMemberOnSRIOV: a member's SR-IOV port lets in answers and nothing else, and is no reason to close the VIPs' port. It is so after
// a reboot.
func TestMemberOnSRIOV(t *testing.T) {
	r := newRig(t).plugged()
	const mac = "fa:16:3e:00:00:77"
	nics := func() {
		r.veth("third", "eth9", mac)
		run(t, "ip", "addr", "add", "10.77.0.1/24", "dev", "third")
	}
	nics()
	plug := func(sriov bool) {
		t.Helper()
		err := r.driver.PlugNetwork(t.Context(), r.target, amphora.NetworkPlug{
			MAC: mac, SRIOV: sriov, FixedIPs: []amphora.PlugIP{{IPAddress: "10.77.0.5", SubnetCIDR: "10.77.0.0/24"}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	plug(true)
	l, err := net.Listen("tcp", "10.77.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "over there") })}
	go func() { _ = server.Serve(l) }()
	defer func() { _ = server.Close() }()
	port := l.Addr().(*net.TCPAddr).Port
	r.apply([]byte(strings.ReplaceAll(string(r.config(port)), fmt.Sprintf("%s:%d", outside, port), l.Addr().String())))
	shielded := func(when string) {
		t.Helper()
		r.until("the member is reached "+when, func() bool { got, err := ask(); return err == nil && got == "over there" })
		if out, err := exec.Command("ping", "-c", "1", "-W", "1", "10.77.0.5").CombinedOutput(); err == nil {
			t.Errorf("%s the amphora answers on the member's network: %s", when, out)
		}
		if out, err := exec.Command("ping", "-c", "1", "-W", "5", base).CombinedOutput(); err != nil {
			t.Errorf("%s the amphora does not answer on the VIP's: %s", when, out)
		}
	}
	shielded("at first")
	r.reboot(func() { r.nic(); nics() })
	shielded("after a reboot")
	plug(false) // as a port that gets the interface's name later is
	if out, err := exec.Command("ping", "-c", "1", "-W", "5", "10.77.0.5").CombinedOutput(); err != nil {
		t.Errorf("on a port that is not SR-IOV the amphora does not answer: %s", out)
	}
}
