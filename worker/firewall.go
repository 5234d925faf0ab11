package worker

import (
	"context"
	"net/netip"
	"slices"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/db"
)

// direct is the VNIC type of SR-IOV ports. Security groups do nothing there.
const direct = "direct"

// sriovVIP says that the VIP is on an SR-IOV port.
func (p *pass) sriovVIP() bool { return p.tree.VIP.VNICType == direct }

// admit has the amphora let clients of the listeners in, where Neutron does not keep out others.
func (p *pass) admit(ctx context.Context, a *db.Amphora) error {
	if !p.sriovVIP() {
		return nil
	}
	t, err := target(a)
	if err != nil {
		return err
	}
	ip, err := netip.ParseAddr(deref(a.VRRPIP))
	if err != nil {
		return &failure{"AmphoraWithoutAddress", db.KindAmphora, a.ID, err}
	}
	return p.Agent.SetRules(ctx, t, ip, p.firewallRules())
}

// firewallRules are what security groups have elsewhere.
func (p *pass) firewallRules() []amphora.FirewallRule {
	var out []amphora.FirewallRule
	for _, l := range p.tree.Listeners {
		if l.ProvisioningStatus == db.PendingDelete {
			continue
		}
		rule := amphora.FirewallRule{Protocol: "TCP", Port: l.ProtocolPort}
		if l.Protocol == "UDP" || l.Protocol == "SCTP" {
			rule.Protocol = l.Protocol
		}
		for _, cidr := range l.CIDRs {
			rule.CIDR = &cidr
			out = append(out, rule)
		}
		if len(l.CIDRs) == 0 && !slices.Contains(out, rule) {
			out = append(out, rule)
		}
	}
	return out
}
