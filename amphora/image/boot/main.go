// Command boot starts an amphora image under qemu and uses it as a controller does: agent, plugging, traffic through the VIP, an
// agent that dies, a machine that is reset. It says how long the boot took and how much memory is used.
//
//	boot [-memory MiB] IMAGE.qcow2
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/haproxy"
	"github.com/ottavino/ottavino/amphora/heartbeat"
)

func main() {
	memory := flag.Int("memory", 512, "memory of the machine in MiB")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, flag.Arg(0), *memory)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "boot:", err)
		os.Exit(1)
	}
}

const (
	// bootPatience is for software emulation on a busy machine.
	bootPatience = 10 * time.Minute
	patience     = 90 * time.Second
	lbID         = "7e57ed00-0000-4000-8000-000000000002"
	haproxyUnit  = "haproxy-" + lbID + ".service"
)

// greetings are what the members say.
var greetings = [2]string{"hello from a member\n", "hello from another member\n"}

var listener net.ListenConfig

// trial is one image being tried.
type trial struct {
	ctx     context.Context //nolint:containedctx // the whole program is this one trial
	machine *machine
	driver  *amphora.Driver
	target  amphora.Target
	beats   net.PacketConn
	logs    [2]net.PacketConn // where those of tenants and of operators go
	web     int               // port that leads to the VIP's
	dns     int               // the same, for UDP
	members [2]int            // ports of the members, on loopback
	echoes  int               // port of the one for UDP
}

func run(ctx context.Context, image string, memory int) (err error) {
	info, err := os.Stat(image)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "amphora-boot-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	t := &trial{ctx: ctx, target: amphora.Target{AmphoraID: amphoraID, Address: netip.MustParseAddr("127.0.0.1")}}
	if t.beats, err = listener.ListenPacket(ctx, "udp", "127.0.0.1:0"); err != nil {
		return err
	}
	defer func() { _ = t.beats.Close() }()
	for i := range t.logs {
		if t.logs[i], err = listener.ListenPacket(ctx, "udp", "127.0.0.1:0"); err != nil {
			return err
		}
		defer func() { _ = t.logs[i].Close() }()
	}
	for _, serve := range []func() (func(), error){t.serveMember(0), t.serveMember(1), t.serveEcho} {
		stop, err := serve()
		if err != nil {
			return err
		}
		defer stop()
	}
	id, err := newIdentity(portOf(t.beats.LocalAddr()), portOf(t.logs[0].LocalAddr()), portOf(t.logs[1].LocalAddr()))
	if err != nil {
		return err
	}
	drive, err := id.drive(ctx, dir)
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	t.driver = id.driver(port)
	defer t.driver.Close()
	started := time.Now()
	if t.machine, err = boot(ctx, dir, image, drive, port, memory); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			journal, _ := t.machine.shell.run("journalctl --no-pager --lines=80; systemctl --no-pager status 'haproxy-*' 'octavia-*' 'amphora-*'; ip netns exec amphora-haproxy ip address")
			err = fmt.Errorf("%w\nthe console:\n%s\nthe journal:\n%s", err, t.machine.console(), journal)
		}
		t.machine.stop()
	}()
	fmt.Printf("image          %s, %d MiB\n", filepath.Base(image), info.Size()>>20)
	return t.story(started)
}

// story is what is tried, in order.
func (t *trial) story(started time.Time) error {
	agent, err := t.answers(bootPatience)
	if err != nil {
		return fmt.Errorf("agent does not answer: %w", err)
	}
	fmt.Printf("agent answers  %.1f s after power on; haproxy %s, keepalived %s\n", time.Since(started).Seconds(), agent.HAProxyVersion, agent.KeepalivedVersion)
	if err := t.machine.shell.await(bootPatience); err != nil {
		return fmt.Errorf("reach the shell: %w", err)
	}
	if err := t.heartbeat(); err != nil {
		return err
	}
	if err := t.plug(); err != nil {
		return fmt.Errorf("plug VIP: %w", err)
	}
	if err := t.configure(0, 1000); err != nil {
		return fmt.Errorf("configure haproxy: %w", err)
	}
	if err := t.traffic("through the VIP", 0); err != nil {
		return err
	}
	details, err := t.driver.Details(t.ctx, t.target)
	if err != nil {
		return err
	}
	fmt.Printf("memory         %d MiB free or cache\n", (details.MemoryFreeKiB+details.MemoryBuffersKiB+details.MemoryCachedKiB)>>10)
	for _, chapter := range []func() error{t.grown, t.offload, t.bounded, t.outlives, t.datagrams, t.revived, t.standsBy, t.reset, t.noDatagrams} {
		if err := chapter(); err != nil {
			return err
		}
	}
	if err := t.driver.Remove(t.ctx, t.target, lbID); err != nil {
		return fmt.Errorf("remove load balancer: %w", err)
	}
	if failed, err := t.machine.shell.run("systemctl --failed --no-legend --plain"); err != nil || failed != "" {
		return fmt.Errorf("units have failed: %s, %w", failed, errors.Join(err, errors.New("see above")))
	}
	if strings.Contains(t.machine.console(), "FAILED") {
		return errors.New("something in the image does not start")
	}
	fmt.Println("all of it held")
	return nil
}

func (t *trial) answers(d time.Duration) (info amphora.Info, err error) {
	return info, until(t.ctx, d, func() (err error) {
		info, err = t.driver.Info(t.ctx, t.target)
		return err
	})
}

// heartbeat waits for one that is signed with our key.
func (t *trial) heartbeat() error {
	if err := t.beats.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	buffer := make([]byte, 1<<16)
	n, _, err := t.beats.ReadFrom(buffer)
	if err != nil {
		return fmt.Errorf("no heartbeat: %w", err)
	}
	m, err := heartbeat.Decode(buffer[:n], []byte(key))
	if err != nil || m.ID != amphoraID {
		return fmt.Errorf("heartbeat of %q: %w", m.ID, errors.Join(err, errors.New("not ours")))
	}
	return nil
}

func (t *trial) plug() error {
	web, err := freePort()
	if err != nil {
		return err
	}
	dns, err := freePort()
	if err != nil {
		return err
	}
	t.web, t.dns = web, dns
	if err := t.machine.plug(web, dns); err != nil {
		return err
	}
	// The agent says that it does not know the interface until the kernel has found it.
	return until(t.ctx, patience, func() error {
		return t.driver.PlugVIP(t.ctx, t.target, netip.MustParseAddr(vip), amphora.VIPPlug{
			SubnetCIDR: trafficNet, MAC: vipMAC, VRRPIP: base, MTU: 1450,
		})
	})
}

// configure has haproxy run one listener with one of the members.
func (t *trial) configure(member, limit int) error {
	info, err := t.driver.Info(t.ctx, t.target)
	if err != nil {
		return err
	}
	major, minor := haproxy.ParseVersion(info.HAProxyVersion)
	cfg, _, err := haproxy.Render(amphora.LoadBalancer{
		ID: lbID, Enabled: true, Topology: "SINGLE", VIP: netip.MustParseAddr(vip),
		Listeners: []amphora.Listener{{
			ID: "7e57ed00-0000-4000-8000-000000000003", Protocol: "HTTP", Port: 80, Enabled: true, ConnectionLimit: limit, DefaultPoolID: "pool",
			TimeoutClientData: 50000, TimeoutMemberConnect: 5000, TimeoutMemberData: 50000,
		}},
		Pools: []amphora.Pool{{
			ID: "pool", Protocol: "HTTP", Algorithm: "ROUND_ROBIN", Enabled: true,
			Monitor: &amphora.Monitor{ID: "monitor", Type: "PING", Enabled: true, Delay: 1, Timeout: 1, RiseThreshold: 1, FallThreshold: 3},
			Members: []amphora.Member{{ID: "member", Address: netip.MustParseAddr(host), Port: t.members[member], Weight: 1, Enabled: true}},
		}},
	}, haproxy.Options{AmphoraID: amphoraID, HAProxyMajor: major, HAProxyMinor: minor, ConnectionLogging: true})
	if err != nil {
		return err
	}
	return t.driver.Apply(t.ctx, t.target, lbID, cfg)
}

var client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// ask asks the VIP once.
func (t *trial) ask() (string, error) {
	r, err := http.NewRequestWithContext(t.ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/", t.web), http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return string(text), err
}

// traffic asks the VIP until a member answers.
func (t *trial) traffic(when string, member int) error {
	err := until(t.ctx, patience, func() error {
		text, err := t.ask()
		if err == nil && text != greetings[member] {
			err = fmt.Errorf("got %q, want the member's greeting", text)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("no traffic %s: %w", when, err)
	}
	fmt.Printf("traffic        %s\n", when)
	return nil
}

// serveMember is a web server on this machine's loopback, which the amphora sees as a member.
func (t *trial) serveMember(i int) func() (stop func(), err error) {
	return func() (func(), error) {
		l, err := listener.Listen(t.ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		t.members[i] = portOf(l.Addr())
		server := &http.Server{
			ReadHeaderTimeout: time.Minute,
			Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, greetings[i]) }),
		}
		go func() { _ = server.Serve(l) }()
		return func() { _ = server.Close() }, nil
	}
}

func portOf(a net.Addr) int {
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return 0
	}
	return int(p.Port())
}

// freePort is a TCP port of loopback that nobody uses at the moment.
func freePort() (int, error) {
	l, err := listener.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return portOf(l.Addr()), nil
}
