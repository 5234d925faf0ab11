package agent_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/heartbeat"
	"github.com/ottavino/ottavino/amphora/keepalived"
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
	pool := amphora.Pool{Protocol: "UDP", Algorithm: "ROUND_ROBIN", Members: members}
	if change != nil {
		change(&pool)
	}
	return r.lvsConfig(pool)
}

// lvsConfig is what a worker renders for a listener with this pool.
func (r *rig) lvsConfig(pool amphora.Pool, additional ...netip.Addr) []byte {
	r.t.Helper()
	pool.ID, pool.Enabled = udpPool, true
	cfg, err := keepalived.Render(amphora.LoadBalancer{
		ID: lbID, Enabled: true, VIP: netip.MustParseAddr(vip), AdditionalVIPs: additional, Pools: []amphora.Pool{pool},
		Listeners: []amphora.Listener{{ID: udpListener, Protocol: pool.Protocol, Port: udpPort, Enabled: true, ConnectionLimit: -1, DefaultPoolID: udpPool}},
	}, udpListener, keepalived.Options{BasePath: filepath.Join(r.dir, "octavia")})
	if err != nil {
		r.t.Fatal(err)
	}
	return cfg
}

// serves applies a configuration, until the test ends.
func (r *rig) serves(cfg []byte) {
	r.t.Helper()
	r.t.Cleanup(func() { _ = r.driver.RemoveListener(context.Background(), r.target, udpListener) })
	if err := r.driver.ApplyListener(r.t.Context(), r.target, udpListener, cfg); err != nil {
		r.t.Fatal(err)
	}
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
