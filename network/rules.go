package network

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/ottavino/ottavino/cloud"
)

// wireRule is a rule as Neutron writes it.
type wireRule struct {
	ID            string `json:"id,omitempty"`
	GroupID       string `json:"security_group_id"`
	Direction     string `json:"direction"`
	Protocol      string `json:"protocol"`
	PortMin       *int   `json:"port_range_min,omitempty"`
	PortMax       *int   `json:"port_range_max,omitempty"`
	Prefix        string `json:"remote_ip_prefix,omitempty"`
	EtherType     string `json:"ethertype"`
	RemoteGroup   string `json:"remote_group_id,omitempty"`
	RemoteAddress string `json:"remote_address_group_id,omitempty"`
}

// protocols are those of our rules, by every name that Neutron may give them.
var protocols = map[string]string{
	"tcp": "tcp", "6": "tcp", "udp": "udp", "17": "udp", "sctp": "sctp", "132": "sctp",
	"112": "112", "vrrp": "112", "51": "51", "ah": "51",
}

// SyncRules makes the ingress tcp/udp/sctp/112/51 rules of a group exactly these; others are
// left alone, and so are rules with a remote group, which are not ours. A rule that is
// already there is no error. Surplus rules go first: closing must not wait for quota.
func (n *Neutron) SyncRules(ctx context.Context, groupID string, want []Rule) error {
	have, err := cloud.List[wireRule](ctx, n.service, cloud.Call{
		Op: "list rules", Path: "security-group-rules",
		Query: filter("security_group_id", groupID, "direction", "ingress"),
	}, "security_group_rules")
	if err != nil {
		return err
	}
	surplus, missing := compareRules(have, want)
	for _, id := range surplus {
		if err := n.delete(ctx, "delete rule", "security-group-rules/"+cloud.ID(id)); err != nil {
			return err
		}
	}
	for _, r := range missing {
		if err := n.createRule(ctx, groupID, r); err != nil {
			return err
		}
	}
	return nil
}

// compareRules returns the ids to delete and the rules to make, in the order of want.
func compareRules(have []wireRule, want []Rule) (surplus []string, missing []Rule) {
	var wanted []Rule
	for _, r := range want {
		if r = r.normal(); !slices.Contains(wanted, r) {
			wanted = append(wanted, r)
		}
	}
	seen := map[Rule]bool{}
	for _, w := range have {
		if protocols[w.Protocol] == "" || w.Direction != "ingress" || w.RemoteGroup != "" || w.RemoteAddress != "" {
			continue
		}
		r, exact := w.rule()
		if !exact || seen[r] || !slices.Contains(wanted, r) {
			surplus = append(surplus, w.ID)
			continue
		}
		seen[r] = true
	}
	for _, r := range wanted {
		if !seen[r] {
			missing = append(missing, r)
		}
	}
	return surplus, missing
}

// rule reads one of our rules; exact is false for a range of ports, which we never make.
func (w wireRule) rule() (r Rule, exact bool) {
	r = Rule{Protocol: w.Protocol, Remote: w.Prefix, EtherType: w.EtherType}
	if w.PortMin != nil {
		r.Port = *w.PortMin
	}
	return r.normal(), (w.PortMin == nil) == (w.PortMax == nil) && (w.PortMin == nil || *w.PortMin == *w.PortMax)
}

// normal words equal rules equally: Neutron takes no prefix and the one of all addresses
// for the same, and masks the bits of hosts.
func (r Rule) normal() Rule {
	r.Protocol = cmp.Or(protocols[strings.ToLower(r.Protocol)], r.Protocol)
	r.EtherType = cmp.Or(r.EtherType, "IPv4")
	if p, err := netip.ParsePrefix(r.Remote); err == nil {
		r.Remote = p.Masked().String()
		if p.Bits() == 0 {
			r.Remote = ""
		}
	} else if a, err := netip.ParseAddr(r.Remote); err == nil {
		r.Remote = netip.PrefixFrom(a, a.BitLen()).String()
	}
	return r
}

func (n *Neutron) createRule(ctx context.Context, groupID string, r Rule) error {
	w := wireRule{
		GroupID: groupID, Direction: "ingress", Protocol: r.Protocol, Prefix: r.Remote, EtherType: r.EtherType,
	}
	if r.Port != 0 {
		w.PortMin, w.PortMax = &r.Port, &r.Port
	}
	var out struct{} // read, to see garbage
	err := n.service.Do(ctx, cloud.Call{
		Op: "create rule", Method: http.MethodPost, Path: "security-group-rules",
		In: map[string]any{"security_group_rule": w}, Out: &out,
	})
	if alreadyThere(err) {
		return nil
	}
	return err
}

// alreadyThere knows Neutron's answer to a rule that exists from other conflicts, which say
// that the rule was not made.
func alreadyThere(err error) bool {
	var e *cloud.Error
	return errors.As(err, &e) && e.Class == cloud.Conflict &&
		(e.Type == "SecurityGroupRuleExists" || strings.Contains(e.Message, "already exists"))
}
