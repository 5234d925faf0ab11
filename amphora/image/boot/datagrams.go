package main

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/keepalived"
)

const (
	udpListener = "7e57ed00-0000-4000-8000-000000000004"
	lvsUnit     = "octavia-keepalivedlvs-" + udpListener + ".service"
)

// serveEcho is a member on this machine that sends back what it gets.
func (t *trial) serveEcho() (stop func(), err error) {
	member, err := listener.ListenPacket(t.ctx, "udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t.echoes = portOf(member.LocalAddr())
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := member.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = member.WriteTo(buffer[:n], from)
		}
	}()
	return func() { _ = member.Close() }, nil
}

// datagrams has the image's kernel balance UDP: IPVS, masquerading and the check, by a keepalived that is a unit.
func (t *trial) datagrams() error {
	cfg, err := keepalived.Render(amphora.LoadBalancer{
		ID: lbID, Enabled: true, Topology: "SINGLE", VIP: netip.MustParseAddr(vip),
		Listeners: []amphora.Listener{{ID: udpListener, Protocol: "UDP", Port: 53, Enabled: true, ConnectionLimit: -1, DefaultPoolID: "udp"}},
		Pools: []amphora.Pool{{
			ID: "udp", Protocol: "UDP", Algorithm: "ROUND_ROBIN", Enabled: true,
			Monitor: &amphora.Monitor{ID: "udp-monitor", Type: "UDP-CONNECT", Enabled: true, Delay: 3, Timeout: 2, RiseThreshold: 1, FallThreshold: 2},
			Members: []amphora.Member{{ID: "udp-member", Address: netip.MustParseAddr(host), Port: t.echoes, Weight: 1, Enabled: true}},
		}},
	}, udpListener, keepalived.Options{})
	if err != nil {
		return err
	}
	if err := t.driver.ApplyListener(t.ctx, t.target, udpListener, cfg); err != nil {
		return fmt.Errorf("apply UDP listener: %w", err)
	}
	if err := t.echoed("through the VIP, and back"); err != nil {
		return err
	}
	if _, err := t.machine.shell.run("systemctl is-active " + lvsUnit + " && systemctl is-enabled " + lvsUnit); err != nil {
		return fmt.Errorf("keepalived of UDP is no unit: %w", err)
	}
	// The kernel forgets what to balance, and what to masquerade: nothing but the unit brings it back.
	_, err = t.machine.shell.run("systemctl stop amphora-agent; systemctl kill --kill-who=all --signal=KILL " + lvsUnit +
		"; ip netns exec amphora-haproxy nft flush ruleset")
	if err != nil {
		return err
	}
	if err := t.echoed("after keepalived was killed without the agent"); err != nil {
		return err
	}
	_, err = t.machine.shell.run("systemctl start amphora-agent")
	return err
}

// noDatagrams: what is removed leaves nothing.
func (t *trial) noDatagrams() error {
	if err := t.driver.RemoveListener(t.ctx, t.target, udpListener); err != nil {
		return fmt.Errorf("remove UDP listener: %w", err)
	}
	if left, err := t.machine.shell.run("systemctl list-units --all --plain --no-legend " + lvsUnit); err != nil || left != "" {
		return fmt.Errorf("a removed UDP listener has left %q, %w", left, err)
	}
	return nil
}

// echoed sends datagrams until one comes back.
func (t *trial) echoed(when string) error {
	if err := until(t.ctx, patience, t.echo); err != nil {
		return fmt.Errorf("no datagram comes back %s: %w", when, err)
	}
	fmt.Println("datagrams      " + when)
	return nil
}

// echo sends a datagram to the VIP and wants it back.
func (t *trial) echo() error {
	var d net.Dialer
	conn, err := d.DialContext(t.ctx, "udp", fmt.Sprintf("127.0.0.1:%d", t.dns))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("ping")); err != nil {
		return err
	}
	buffer := make([]byte, 16)
	n, err := conn.Read(buffer)
	if err == nil && string(buffer[:n]) != "ping" {
		err = fmt.Errorf("got %q", buffer[:n])
	}
	return err
}
