package agent_test

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/haproxy"
)

// TestTrafficLog: what is logged of a request reaches rsyslog's socket in upstream's format, for its facility: of HTTP all of it,
// of TCP what there is. Without connection_logging nothing is.
func TestTrafficLog(t *testing.T) {
	r := newRig(t).plugged()
	const socket = "/run/rsyslog/octavia/log"
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(socket)
	log, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	member := r.web("one")
	doc := amphora.LoadBalancer{
		ID: lbID, ProjectID: "my-project", Enabled: true, Topology: "SINGLE", VIP: netip.MustParseAddr(vip),
		Listeners: []amphora.Listener{{ID: "L1", Port: 80, Enabled: true, ConnectionLimit: -1, DefaultPoolID: "P1"}},
		Pools: []amphora.Pool{{ID: "P1", Algorithm: "ROUND_ROBIN", Enabled: true, Members: []amphora.Member{
			{ID: "M1", Address: netip.MustParseAddr(outside), Port: member, Weight: 1, Enabled: true},
		}}},
	}
	apply := func(protocol string, logging bool) {
		t.Helper()
		doc.Listeners[0].Protocol, doc.Pools[0].Protocol = protocol, protocol
		cfg, _, err := haproxy.Render(doc, haproxy.Options{
			AmphoraID: amphoraID, HAProxyMajor: 2, HAProxyMinor: 6, BasePath: filepath.Join(r.dir, "octavia"), ConnectionLogging: logging,
			UserLogFacility: 3, AdministrativeLogFacility: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		r.apply(cfg)
	}
	// traffic is the next line for the facility local3, severity info; "" = none came.
	traffic := func() string {
		t.Helper()
		buffer := make([]byte, 4096)
		for {
			if err := log.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
				t.Fatal(err)
			}
			n, err := log.Read(buffer)
			if err != nil {
				return ""
			}
			if line := string(buffer[:n]); regexp.MustCompile(`^<` + strconv.Itoa(19<<3|6) + `>`).MatchString(line) {
				return line
			}
		}
	}
	head := `my-project ` + lbID + ` L1 ` + regexp.QuoteMeta(outside) + ` \d+ \d\d/\w{3}/\d{4}:[\d:.]+ `
	for protocol, want := range map[string]string{
		"HTTP": head + `"GET / HTTP/1\.1" 200 \d+ \d+ - "" P1:L1 M1 \d+ -{4}`,
		"TCP":  head + `- - \d+ \d+ - "" P1:L1 M1 \d+ -{2}`,
	} {
		apply(protocol, true)
		if got := r.words(1); got != "one" {
			t.Fatalf("%s: got %s", protocol, got)
		}
		if got := traffic(); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s: got the line %q, want %s", protocol, got, want)
		}
		apply(protocol, false)
		if got := r.words(1); got != "one" {
			t.Fatalf("%s: got %s", protocol, got)
		}
		if got := traffic(); got != "" {
			t.Errorf("%s: got the line %q although nothing shall be logged", protocol, got)
		}
	}
}
