package instance

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
)

// Guard is what a NIC lets through: to the instance what Ingress says, from it what Egress says, answers, and what finding
// neighbours and addresses takes.
type Guard struct {
	PortID          string // the NIC's
	Sources         []Source
	Ingress, Egress []Rule
}

// Source is an address that an instance may speak from.
type Source struct {
	MAC     string
	Address netip.Prefix
}

// Rule lets packets through.
type Rule struct {
	Six      bool // IPv6
	Protocol int  // its number; negative = any
	// Low and High bound the port of the destination, or are the type and the code of ICMP; negative = any.
	Low, High int
	Remotes   []netip.Prefix // the other side is one of these; nil = anybody
}

// Firewall guards NICs where they meet their bridges. What is plugged into a bridge without a guard is not filtered.
type Firewall struct {
	table   string
	replies string // matches answers

	mu     sync.Mutex
	guards map[string]string // the outer end of a NIC → its chains, as the kernel has them
}

// Tracking connections through a bridge is a part of kernels that some leave out. They have the older way, which shows packets
// to the tables of IP; what those know is handed on as a mark.
const (
	tracked     = "ct direction reply ct state established,related"
	marked      = "meta mark 0x5347"
	markReplies = `table inet %[1]s {
	chain prerouting { type filter hook prerouting priority -100; ` + tracked + ` meta mark set 0x5347; }
	chain output { type filter hook output priority -100; ` + tracked + ` meta mark set 0x5347; }
}
`
	bridgeTable = `table bridge %[1]s {
	map from { type ifname : verdict; }
	map to { type ifname : verdict; }
	chain prerouting { type filter hook prerouting priority 10; iifname vmap @from; }
	chain postrouting { type filter hook postrouting priority 0; %[2]s accept; oifname vmap @to; }
}
`
)

// NewFirewall makes a firewall without guards, or says what the kernel lacks.
func NewFirewall(ctx context.Context) (*Firewall, error) {
	var id [4]byte
	_, _ = rand.Read(id[:])
	f := &Firewall{table: "sandbox_" + hex.EncodeToString(id[:]), replies: tracked, guards: map[string]string{}}
	err := load(ctx, fmt.Sprintf(bridgeTable, f.table, tracked))
	if err == nil {
		return f, nil
	}
	f.replies = marked
	older := callTables(ctx)
	if older == nil {
		older = load(ctx, fmt.Sprintf(markReplies+bridgeTable, f.table, marked))
	}
	if older != nil {
		return nil, fmt.Errorf("no firewall on bridges: with nf_conntrack_bridge: %w; with br_netfilter: %w", err, older)
	}
	return f, nil
}

// callTables has the kernel show bridges' packets to the tables of IP.
func callTables(ctx context.Context) error {
	const switches = "/proc/sys/net/bridge/bridge-nf-call-"
	if _, err := os.Stat(switches + "iptables"); err != nil {
		_ = exec.CommandContext(ctx, "modprobe", "br_netfilter").Run()
	}
	for _, tables := range []string{"iptables", "ip6tables"} {
		if err := os.WriteFile(switches+tables, []byte("1"), 0); err != nil {
			return err
		}
	}
	return nil
}

func load(ctx context.Context, text string) error {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// Set replaces all guards, in one step. Those that stay as they are cost nothing.
func (f *Firewall) Set(ctx context.Context, guards []Guard) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	wanted := map[string]string{}
	for _, g := range guards {
		wanted[g.outer()] = f.chains(g)
	}
	var change strings.Builder
	for _, nic := range slices.Sorted(maps.Keys(f.guards)) {
		if _, ok := wanted[nic]; !ok {
			fmt.Fprintf(&change, dropGuard, f.table, nic, chain(nic))
		}
	}
	for _, nic := range slices.Sorted(maps.Keys(wanted)) {
		if old, ok := f.guards[nic]; !ok || old != wanted[nic] {
			fmt.Fprintf(&change, setGuard, f.table, nic, chain(nic))
			change.WriteString(wanted[nic])
		}
	}
	if change.Len() == 0 {
		return nil
	}
	if err := load(ctx, change.String()); err != nil {
		return err
	}
	f.guards = wanted
	return nil
}

// Close takes the firewall away: everything passes.
func (f *Firewall) Close() error {
	text := "delete table bridge " + f.table + "\n"
	if f.replies == marked {
		text += "delete table inet " + f.table + "\n"
	}
	return load(context.Background(), text)
}

func (g Guard) outer() string { return NIC{PortID: g.PortID}.Outer() }

// chain is a NIC's part of the names of its chains.
func chain(nic string) string { return strings.ReplaceAll(nic, "-", "_") }

// Each NIC has three chains: what comes from the instance goes through "from", which knows the addresses that it may
// speak from, and "out"; what goes to it, through "in".
const (
	setGuard = `add chain bridge %[1]s in_%[3]s
add chain bridge %[1]s out_%[3]s
add chain bridge %[1]s from_%[3]s
flush chain bridge %[1]s in_%[3]s
flush chain bridge %[1]s out_%[3]s
flush chain bridge %[1]s from_%[3]s
add element bridge %[1]s to { "%[2]s" : goto in_%[3]s }
add element bridge %[1]s from { "%[2]s" : goto from_%[3]s }
`
	dropGuard = `delete element bridge %[1]s to { "%[2]s" }
delete element bridge %[1]s from { "%[2]s" }
delete chain bridge %[1]s from_%[3]s
delete chain bridge %[1]s in_%[3]s
delete chain bridge %[1]s out_%[3]s
`
)

// later are fragments of a packet after the first, which say nothing about ports, and are nothing without the first.
var later = []string{"ip frag-off & 0x1fff != 0 accept", "frag frag-off != 0 accept"}

const (
	neighbours = "nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report"
	linkLocal  = "fe80::/10"
)

func (f *Firewall) chains(g Guard) string {
	var out strings.Builder
	add := func(kind, rule string) {
		fmt.Fprintf(&out, "add rule bridge %s %s_%s %s\n", f.table, kind, chain(g.outer()), rule)
	}
	rules := func(kind, remote string, list []Rule, more ...string) {
		for _, text := range slices.Concat(later, more) {
			add(kind, text)
		}
		for _, r := range list {
			for _, match := range r.matches(remote) {
				add(kind, match+" accept")
			}
		}
		add(kind, "drop")
	}
	rules("in", "saddr", g.Ingress, "ether type arp accept", "icmpv6 type { "+neighbours+", nd-router-advert } accept",
		"udp sport 67 udp dport 68 accept", "udp sport 547 udp dport 546 accept")
	rules("out", "daddr", g.Egress, f.replies+" accept", "icmpv6 type { "+neighbours+", nd-router-solicit } accept",
		"udp sport 68 udp dport 67 accept", "udp sport 546 udp dport 547 accept")

	add("from", "ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept")
	add("from", "ip6 saddr :: icmpv6 type { "+neighbours+", nd-router-solicit } accept")
	for _, s := range g.Sources {
		from := "ether saddr " + s.MAC + " "
		if s.Address.Addr().Is4() {
			add("from", from+"arp saddr ip "+s.Address.String()+" accept")
			add("from", from+"ip saddr "+s.Address.String()+" goto out_"+chain(g.outer()))
			continue
		}
		for _, address := range []string{linkLocal, s.Address.String()} {
			add("from", from+"ip6 saddr "+address+" goto out_"+chain(g.outer()))
		}
	}
	add("from", "drop")
	return out.String()
}

// The protocols whose rules have more than a number.
const (
	icmp    = 1
	tcp     = 6
	udp     = 17
	dccp    = 33
	icmpv6  = 58
	sctp    = 132
	udplite = 136
)

// matches are the rule in nftables' words, without a verdict: one for each of the other sides.
func (r Rule) matches(remote string) []string {
	family, match := "ip", "ether type ip"
	if r.Six {
		family, match = "ip6", "ether type ip6"
	}
	if r.Protocol >= 0 {
		match += fmt.Sprintf(" meta l4proto %d", r.Protocol)
	}
	switch r.Protocol {
	case icmp, icmpv6:
		name := map[int]string{icmp: "icmp", icmpv6: "icmpv6"}[r.Protocol]
		if r.Low >= 0 {
			match += fmt.Sprintf(" %s type %d", name, r.Low)
		}
		if r.High >= 0 {
			match += fmt.Sprintf(" %s code %d", name, r.High)
		}
	case tcp, udp, dccp, sctp, udplite:
		if r.Low >= 0 {
			match += fmt.Sprintf(" th dport %d-%d", r.Low, max(r.Low, r.High))
		}
	}
	if r.Remotes == nil {
		return []string{match}
	}
	var out []string
	for _, p := range r.Remotes {
		if p.Addr().Is6() == r.Six {
			out = append(out, fmt.Sprintf("%s %s %s %s", match, family, remote, p))
		}
	}
	return out
}
