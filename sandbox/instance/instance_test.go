package instance_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ottavino/ottavino/sandbox/instance"
	"github.com/ottavino/ottavino/sandbox/world"
)

func TestMain(m *testing.M) { world.Main(m, world.After(func() error { return goleak.Find() })) }

func boot(t *testing.T, s instance.Spec) *instance.Instance {
	t.Helper()
	i, err := instance.Boot(t.Context(), t.TempDir(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Remove(); err != nil {
			t.Error(err)
		}
	})
	return i
}

func nic(port, mac, address string) instance.NIC {
	n := instance.NIC{PortID: port, MAC: mac, Bridge: "br0"}
	if address != "" {
		n.Addresses = []netip.Prefix{netip.MustParsePrefix(address)}
	}
	return n
}

func TestWebInstanceAnswersOnItsNetwork(t *testing.T) {
	if err := instance.MakeBridge("br0", netip.MustParsePrefix("10.10.10.1/24")); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = instance.RemoveBridge("br0") }()
	i := boot(t, instance.Spec{
		ID: "web", Name: "backend-1", Web: "hello",
		NICs:  []instance.NIC{nic("11111111-aaaa", "fa:16:3e:00:00:01", "10.10.10.11/24")},
		Files: map[string][]byte{"/etc/octavia/x.conf": []byte("content")},
	})
	defer http.DefaultClient.CloseIdleConnections()
	resp, err := http.Get("http://10.10.10.11/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "hello\n" {
		t.Errorf("got %q, want hello", body)
	}
	datagrams, err := net.Dial("udp", "10.10.10.11:80")
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	if _, err := datagrams.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := datagrams.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 100)
	if n, err := datagrams.Read(buffer); err != nil || string(buffer[:n]) != "hello\n" {
		t.Errorf("got datagram %q, %v, want hello", buffer[:n], err)
	}
	for argv, want := range map[string]string{
		"hostname":                        "backend-1",
		"cat /etc/octavia/x.conf":         "content",
		"cat /sys/class/net/eth0/address": "fa:16:3e:00:00:01",
	} {
		out, err := i.Exec(t.Context(), strings.Fields(argv)...)
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", argv, got, err, want)
		}
	}
	i.Kill()
	if taps, err := instance.Taps(); err != nil || len(taps) != 0 {
		t.Errorf("after Kill: got taps %v, %v, want none", taps, err)
	}
}

func TestProgramIsKeptRunningAndPortsComeAndGo(t *testing.T) {
	if err := instance.MakeBridge("br0", netip.Prefix{}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = instance.RemoveBridge("br0") }()
	i := boot(t, instance.Spec{ID: "amp", Name: "amphora", Command: []string{"/bin/sleep", "1000"}})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := i.KillCommand(ctx); err != nil {
		t.Fatal(err)
	}
	ps, err := i.Exec(ctx, "ps", "-eo", "args")
	if err != nil || !strings.Contains(string(ps), "/bin/sleep 1000") {
		t.Errorf("got processes %s, %v, want the program again", ps, err)
	}
	late := nic("22222222-bbbb", "fa:16:3e:00:00:02", "")
	if err := i.Plug(late); err != nil {
		t.Fatal(err)
	}
	// The agent moves the interface into a namespace of its own; it has to go all the same.
	if _, err := i.Exec(ctx, "sh", "-c", "ip netns add inner && ip link set eth0 netns inner"); err != nil {
		t.Fatal(err)
	}
	if err := i.Unplug(late.PortID); err != nil {
		t.Fatal(err)
	}
	links, err := i.Exec(ctx, "ip", "netns", "exec", "inner", "ip", "-o", "link")
	if err != nil || strings.Contains(string(links), "eth0") {
		t.Errorf("got links %s, %v, want eth0 gone", links, err)
	}
}

func TestBootFailsWithTheReason(t *testing.T) {
	_, err := instance.Boot(t.Context(), t.TempDir(), instance.Spec{ID: "x", Name: "x", Command: []string{"/nowhere/agent"}})
	if err == nil || !strings.Contains(err.Error(), "/nowhere/agent") {
		t.Errorf("got %v, want an error that names the program", err)
	}
}
