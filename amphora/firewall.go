package amphora

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
)

// FirewallRule admits traffic to VIPs on an SR-IOV port, where security groups do nothing.
type FirewallRule struct {
	Protocol string  `json:"protocol"` // TCP, UDP, SCTP or vrrp
	CIDR     *string `json:"cidr"`     // nil = from everywhere
	Port     int     `json:"port"`
}

// SetRules replaces the rules of the interface that has an address (PUT /interface/<ip>/rules). Without any, the agent leaves those
// that it has.
func (d *Driver) SetRules(ctx context.Context, t Target, ip netip.Addr, rules []FirewallRule) error {
	const op = "set firewall rules"
	if rules == nil {
		rules = []FirewallRule{}
	}
	body, err := json.Marshal(rules)
	if err != nil {
		return &AgentError{Op: op, Err: err}
	}
	_, err = d.do(ctx, t, call{
		op: op, method: http.MethodPut, path: "/1.0/interface/" + url.PathEscape(ip.String()) + "/rules", body: body, json: true,
	})
	return err
}

// SetRules does nothing.
func (n *Noop) SetRules(context.Context, Target, netip.Addr, []FirewallRule) error { return nil }
