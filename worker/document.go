package worker

import (
	"net/netip"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/db"
)

// objects counts what can be blamed.
func objects(t *db.Tree) int {
	n := len(t.Listeners)
	for _, l := range t.Listeners {
		n += len(l.Policies)
	}
	for _, p := range t.Pools {
		n += 2 + len(p.Members)
	}
	return n
}

// wanted says that an object is to be applied.
func (p *pass) wanted(kind db.Kind, id string, status db.ProvisioningStatus) bool {
	return status != db.PendingDelete && !p.isBlamed(kind, id)
}

// document is what an amphora shall run, without what goes away and what cannot be applied.
func (p *pass) document() amphora.LoadBalancer {
	lb := p.tree.LoadBalancer
	doc := amphora.LoadBalancer{
		ID: lb.ID, Name: deref(lb.Name), ProjectID: deref(lb.ProjectID), Enabled: lb.Enabled, Topology: topologySingle,
		VIP: parseAddr(p.tree.VIP.IPAddress),
	}
	for _, v := range p.tree.AdditionalVIPs {
		doc.AdditionalVIPs = append(doc.AdditionalVIPs, parseAddr(v.IPAddress))
	}
	for _, l := range p.tree.Listeners {
		if p.wanted(db.KindListener, l.ID, l.ProvisioningStatus) {
			doc.Listeners = append(doc.Listeners, p.listener(l))
		}
	}
	for _, pool := range p.tree.Pools {
		if p.wanted(db.KindPool, pool.ID, pool.ProvisioningStatus) {
			doc.Pools = append(doc.Pools, p.pool(pool))
		}
	}
	return doc
}

func parseAddr(s *string) netip.Addr {
	a, err := netip.ParseAddr(deref(s))
	if err != nil {
		return netip.Addr{}
	}
	return a
}

func (p *pass) listener(l db.ListenerTree) amphora.Listener {
	limit := -1
	if l.ConnectionLimit != nil {
		limit = *l.ConnectionLimit
	}
	out := amphora.Listener{
		ID: l.ID, Name: deref(l.Name), Protocol: l.Protocol, Port: l.ProtocolPort, Enabled: l.Enabled, ConnectionLimit: limit,
		DefaultPoolID: deref(l.DefaultPoolID), InsertHeaders: l.InsertHeaders,
		TimeoutClientData: deref(l.TimeoutClientData), TimeoutMemberConnect: deref(l.TimeoutMemberConnect),
		TimeoutMemberData: deref(l.TimeoutMemberData), TimeoutTCPInspect: deref(l.TimeoutTCPInspect), PeerPort: deref(l.PeerPort),
	}
	out.TLS = p.listenerTLS(l)
	for _, cidr := range l.CIDRs {
		if prefix, err := netip.ParsePrefix(cidr); err == nil {
			out.AllowedCIDRs = append(out.AllowedCIDRs, prefix)
		}
	}
	for _, policy := range l.Policies {
		if p.wanted(db.KindL7Policy, policy.ID, policy.ProvisioningStatus) {
			out.Policies = append(out.Policies, policyDocument(policy))
		}
	}
	return out
}

func policyDocument(t db.L7PolicyTree) amphora.L7Policy {
	out := amphora.L7Policy{
		ID: t.ID, Action: t.Action, Enabled: t.Enabled, Position: t.Position, RedirectPoolID: deref(t.RedirectPoolID),
		RedirectURL: deref(t.RedirectURL), RedirectPrefix: deref(t.RedirectPrefix), RedirectHTTPCode: deref(t.RedirectHTTPCode),
	}
	for _, r := range t.Rules {
		if r.ProvisioningStatus != db.PendingDelete {
			out.Rules = append(out.Rules, amphora.L7Rule{
				ID: r.ID, Type: r.Type, CompareType: r.CompareType, Key: deref(r.Key), Value: r.Value, Invert: r.Invert, Enabled: r.Enabled,
			})
		}
	}
	return out
}

func (p *pass) pool(t db.PoolTree) amphora.Pool {
	out := amphora.Pool{ID: t.ID, Name: deref(t.Name), Protocol: t.Protocol, Algorithm: t.LBAlgorithm, Enabled: t.Enabled, TLS: p.poolTLS(t)}
	if s := t.Persistence; s != nil {
		out.Persistence = &amphora.Persistence{
			Type: s.Type, CookieName: deref(s.CookieName), Timeout: deref(s.PersistenceTimeout), Granularity: deref(s.PersistenceGranularity),
		}
	}
	if m := t.Monitor; m != nil && p.wanted(db.KindHealthMonitor, m.ID, m.ProvisioningStatus) {
		out.Monitor = &amphora.Monitor{
			ID: m.ID, Type: m.Type, Enabled: m.Enabled, Delay: m.Delay, Timeout: m.Timeout,
			RiseThreshold: m.RiseThreshold, FallThreshold: m.FallThreshold, HTTPMethod: deref(m.HTTPMethod),
			URLPath: deref(m.URLPath), ExpectedCodes: deref(m.ExpectedCodes), HTTPVersion: deref(m.HTTPVersion), DomainName: deref(m.DomainName),
		}
	}
	for _, m := range t.Members {
		if p.wanted(db.KindMember, m.ID, m.ProvisioningStatus) {
			out.Members = append(out.Members, memberDocument(m))
		}
	}
	return out
}

func memberDocument(m db.Member) amphora.Member {
	weight := 1
	if m.Weight != nil {
		weight = *m.Weight
	}
	return amphora.Member{
		ID: m.ID, Name: deref(m.Name), Address: parseAddr(m.IPAddress), Port: m.ProtocolPort, Weight: weight, Enabled: m.Enabled,
		Backup: m.Backup, MonitorAddress: parseAddr(m.MonitorAddress), MonitorPort: deref(m.MonitorPort),
	}
}

// settled says that every row is ACTIVE.
func settled(t *db.Tree) bool {
	ok := t.LoadBalancer.ProvisioningStatus == db.Active
	for _, l := range t.Listeners {
		ok = ok && l.ProvisioningStatus == db.Active
		for _, policy := range l.Policies {
			ok = ok && policy.ProvisioningStatus == db.Active
			for _, r := range policy.Rules {
				ok = ok && r.ProvisioningStatus == db.Active
			}
		}
	}
	for _, p := range t.Pools {
		ok = ok && p.ProvisioningStatus == db.Active && (p.Monitor == nil || p.Monitor.ProvisioningStatus == db.Active)
		for _, m := range p.Members {
			ok = ok && m.ProvisioningStatus == db.Active
		}
	}
	return ok
}
