package checker_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ottavino/ottavino/amphora/checker"
	"github.com/ottavino/ottavino/sandbox/world"
)

func TestMain(m *testing.M) { world.Main(m) }

func run(args ...string) (int, string) {
	var stderr bytes.Buffer
	status := checker.Main(args, &stderr)
	return status, stderr.String()
}

func TestUDP(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		member, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(member.LocalAddr().String())
		started := time.Now()
		if got, words := run("udp", "-t", "1", host, port); got != 0 {
			t.Errorf("%s: of a silent member: got %d %s, want 0", host, got, words)
		}
		if took := time.Since(started); took >= time.Second {
			t.Errorf("%s: it took %s to find a silent member up, which is too long for keepalived", host, took)
		}
		if err := member.Close(); err != nil {
			t.Fatal(err)
		}
		if got, words := run("udp", "-t", "1", host, port); got != 1 {
			t.Errorf("%s: of a closed port: got %d %s, want 1", host, got, words)
		}
	}
	if got, _ := run("udp", "-t", "1", "192.0.2.1", "1"); got != 1 {
		t.Errorf("without a route: got %d, want 1", got)
	}
}

// peer answers INITs to a port with a chunk of the given type, and returns what it received on packets.
func peer(t *testing.T, host netip.Addr, port uint16, kind byte, tagged bool) (packets chan []byte) {
	t.Helper()
	network := "ip4:132"
	if host.Is6() {
		network = "ip6:132"
	}
	conn, err := net.ListenPacket(network, host.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	packets = make(chan []byte, 10)
	go func() {
		buffer := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			p := bytes.Clone(buffer[:n])
			if len(p) < 16 || binary.BigEndian.Uint16(p[2:]) != port {
				continue
			}
			packets <- p
			if p[12] != 1 || kind == 0 {
				continue
			}
			tag := binary.BigEndian.Uint32(p[16:])
			if !tagged {
				tag++
			}
			out := binary.BigEndian.AppendUint16(nil, port)
			out = append(out, p[0], p[1])
			out = binary.BigEndian.AppendUint32(out, tag)
			out = append(out, 0, 0, 0, 0, kind, 0, 0, 20, 0xca, 0xfe, 0xca, 0xfe, 0, 0, 0x20, 0, 0, 1, 0, 1, 0, 0, 0, 1)
			binary.LittleEndian.PutUint32(out[8:], crc32.Checksum(out, crc32.MakeTable(crc32.Castagnoli)))
			_, _ = conn.WriteTo(out, from)
		}
	}()
	return packets
}

func TestSCTP(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		for i, c := range []struct {
			name   string
			kind   byte
			tagged bool
			want   int
		}{{"INIT ACK", 2, true, 0}, {"ABORT", 6, true, 1}, {"nothing", 0, true, 2}, {"another's tag", 2, false, 2}, {"HEARTBEAT", 4, true, 3}} {
			port := uint16(1000 + i)
			packets := peer(t, netip.MustParseAddr(host), port, c.kind, c.tagged)
			if got, words := run("sctp", "-t", "1", host, strconv.Itoa(int(port))); got != c.want {
				t.Errorf("%s: %s: got %d %s, want %d", host, c.name, got, words, c.want)
			}
			first := <-packets
			sum := binary.LittleEndian.Uint32(first[8:])
			copy(first[8:], make([]byte, 4))
			if sum != crc32.Checksum(first, crc32.MakeTable(crc32.Castagnoli)) {
				t.Errorf("%s: the INIT's checksum is wrong", host)
			}
			want := fmt.Sprintf("%x", []byte{1, 0, 0, 20})
			if got := fmt.Sprintf("%x", first[12:16]); got != want || binary.BigEndian.Uint32(first[4:]) != 0 ||
				binary.BigEndian.Uint32(first[20:]) != 106496 || binary.BigEndian.Uint16(first[24:]) != 10 || binary.BigEndian.Uint16(first[26:]) != 65535 {
				t.Errorf("%s: got INIT %x", host, first)
			}
			if c.kind != 2 || !c.tagged || sctpInKernel() {
				continue
			}
			if abort := <-packets; abort[12] != 6 || binary.BigEndian.Uint32(abort[4:]) != 0xcafecafe {
				t.Errorf("%s: after the INIT ACK: got %x, want an ABORT with the member's tag", host, abort)
			}
		}
	}
}

// sctpInKernel says that the kernel aborts by itself.
func sctpInKernel() bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP)
	if err == nil {
		_ = unix.Close(fd)
	}
	return err == nil
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"tcp", "127.0.0.1", "1"}, {"udp", "127.0.0.1"}, {"udp", "host", "1"}, {"udp", "127.0.0.1", "65536"}, {"sctp", "-t", "x", "127.0.0.1", "1"}} {
		if got, words := run(args...); got != 1 || words == "" {
			t.Errorf("%v: got %d %q, want 1 and words", args, got, words)
		}
	}
}

func TestCalled(t *testing.T) {
	for line, want := range map[string]string{
		"/usr/local/bin/amphora-health-checker udp ::1 1": "udp ::1 1", "amphora-agent amphora-health-checker udp ::1 1": "udp ::1 1",
		"amphora-agent": "no", "amphora-agent --config-file amphora-health-checker": "no",
	} {
		args, ok := checker.Called(strings.Fields(line))
		got := strings.Join(args, " ")
		if !ok {
			got = "no"
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", line, got, want)
		}
	}
}
