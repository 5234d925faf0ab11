package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// firewall is that of VIPs on SR-IOV ports, for which Neutron's security groups do nothing. Its file is upstream's.
type firewall struct{ file string }

func (a *Agent) firewall() firewall {
	return firewall{filepath.Join(a.config().BasePath, "nftables-vip.rules")}
}

// rule admits traffic to the VIPs.
type rule struct {
	protocol string
	from     netip.Prefix // zero = from everywhere
	port     int
}

// vrrpProtocol is what controllers call VRRP in a rule; the other protocols are in capitals.
const vrrpProtocol = "vrrp"

// ensure loads the rules, before there are any those that let in nothing but what addresses and paths need.
func (w firewall) ensure(ctx context.Context) error {
	text, err := os.ReadFile(w.file)
	if errors.Is(err, os.ErrNotExist) {
		return w.replace(ctx, table(essentials, ""))
	}
	if err != nil {
		return err
	}
	return loadRules(ctx, text)
}

// admit replaces the rules. None leave them as they are, as upstream's agent does.
func (w firewall) admit(ctx context.Context, rules []rule) error {
	if len(rules) == 0 {
		return w.ensure(ctx)
	}
	return w.replace(ctx, table(tracked+essentials+toVIPs, vipChain(rules)))
}

// replace has the kernel take the rules, all of them or none, before the file has them.
func (w firewall) replace(ctx context.Context, text []byte) error {
	if err := loadRules(ctx, text); err != nil {
		return err
	}
	return replaceFile(w.file, text, 0o600)
}

func loadRules(ctx context.Context, text []byte) error {
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", namespace, "nft", "-f", "-")
	cmd.Stdin = bytes.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("load firewall rules: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

const (
	tracked = `		ct state vmap { established : accept, related : accept, invalid : drop }
		iif lo accept
		ip saddr 127.0.0.0/8 drop
		ip6 saddr ::1 drop
`
	essentials = `		icmp type destination-unreachable accept
		icmpv6 type { nd-neighbor-solicit, nd-router-advert, nd-neighbor-advert, packet-too-big, destination-unreachable } accept
		udp sport 67 udp dport 68 accept
		udp sport 547 udp dport 546 accept
`
	toVIPs = "		iifname eth1 goto amphora_vip_chain\n"
)

// table replaces what was there, in one transaction.
func table(input, more string) []byte {
	return []byte("table inet amphora_table {}\ndelete table inet amphora_table\ntable inet amphora_table {\n" + more +
		"\tchain amphora_chain {\n\t\ttype filter hook input priority filter; policy drop;\n" + input + "\t}\n}\n")
}

func vipChain(rules []rule) string {
	var out strings.Builder
	out.WriteString("\tchain amphora_vip_chain {\n")
	for _, r := range rules {
		out.WriteString("\t\t")
		switch {
		case !r.from.IsValid():
		case r.from.Addr().Is4():
			fmt.Fprintf(&out, "ip saddr %s ", r.from)
		default:
			fmt.Fprintf(&out, "ip6 saddr %s ", r.from)
		}
		if r.protocol == vrrpProtocol {
			out.WriteString("meta l4proto 112 accept\n") // "ip protocol", as upstream has it, is not for IPv6
			continue
		}
		fmt.Fprintf(&out, "%s dport %d accept\n", strings.ToLower(r.protocol), r.port)
	}
	out.WriteString("\t}\n")
	return out.String()
}

// shield lets nothing in on a member's SR-IOV port but answers. It is a table for each interface: what comes to VIPs on another is
// not its business, and where those are on an SR-IOV port, too, both have to accept.
func shield(ctx context.Context, name string) error {
	t := shieldOf(name)
	return loadRules(ctx, []byte("table "+t+" {}\ndelete table "+t+"\ntable "+t+" {\n"+
		"\tchain input {\n\t\ttype filter hook input priority filter; policy accept;\n\t\tiifname != "+name+" accept\n"+
		tracked+essentials+"\t\tdrop\n\t}\n}\n"))
}

// unshield takes away what shield made for an interface that had this name before.
func unshield(ctx context.Context, name string) {
	_ = loadRules(ctx, []byte("delete table "+shieldOf(name)+"\n")) // mostly there is none
}

func shieldOf(name string) string { return "inet amphora_" + name }

// parseRules reads a list of rules, all of which have to be in order.
func parseRules(body []byte) ([]rule, error) {
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(body, &list); err != nil || list == nil {
		return nil, errors.New("not a list of rules")
	}
	out := make([]rule, 0, len(list))
	for _, fields := range list {
		r, err := parseRule(fields)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func parseRule(fields map[string]json.RawMessage) (r rule, err error) {
	var cidr *string
	if len(fields) != 3 || json.Unmarshal(fields["protocol"], &r.protocol) != nil || json.Unmarshal(fields["cidr"], &cidr) != nil ||
		json.Unmarshal(fields["port"], &r.port) != nil {
		return r, errors.New("a rule has protocol, cidr and port")
	}
	switch r.protocol {
	case "TCP", "UDP", "SCTP", vrrpProtocol:
	default:
		return r, fmt.Errorf("unknown protocol %q", r.protocol)
	}
	if r.port < 1 || r.port > 65535 {
		return r, fmt.Errorf("%d is not a port", r.port)
	}
	if cidr == nil || *cidr == "" || *cidr == "0.0.0.0/0" {
		return r, nil
	}
	if r.from, err = netip.ParsePrefix(*cidr); err == nil {
		r.from = r.from.Masked()
		return r, nil
	}
	ip, err := netip.ParseAddr(*cidr)
	if err != nil || ip.Zone() != "" {
		return r, fmt.Errorf("%q is not a CIDR", *cidr)
	}
	r.from = netip.PrefixFrom(ip, ip.BitLen())
	return r, nil
}

func (a *Agent) putRules(r *http.Request, body []byte) reply {
	if found := a.findInterface(r, nil); found.status != http.StatusOK {
		return found
	}
	rules, err := parseRules(body)
	if err != nil {
		a.log.WarnContext(r.Context(), "rules refused", "error", err)
		return refused(http.StatusBadRequest, "Invalid rules information")
	}
	if err := a.firewall().admit(r.Context(), rules); err != nil {
		return refused(http.StatusInternalServerError, err.Error())
	}
	return ok(http.StatusOK)
}
