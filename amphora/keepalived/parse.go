package keepalived

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// Config is what a configuration says, as far as statuses need it.
type Config struct {
	ListenerID string
	Enabled    bool
	Protocol   string           // UDP or SCTP; "" when nothing is served
	Services   []netip.AddrPort // every VIP with the port; empty when nothing is served
	PoolID     string           // "" = no pool, or a disabled one
	Checked    bool             // members are monitored
	Members    []Member
}

// Member is a real server. A disabled one has no address.
type Member struct {
	ID      string
	Address netip.AddrPort
	Enabled bool
	Weight  int
	Limit   int // of connections; 0 = none
}

var (
	comment = regexp.MustCompile(`^# Configuration for (\w+) (\S+)$`)
	off     = regexp.MustCompile(`^# (\w+) (\S+) is disabled$`)
)

// Parse reads a configuration as Render or upstream's controller writes it; controllers up to release 10 name the VIP in the
// virtual server itself. What it does not know it skips.
func Parse(text []byte) Config {
	p := parser{}
	for line := range strings.Lines(string(text)) {
		p.line(strings.TrimSpace(line))
	}
	return p.Config
}

type parser struct {
	Config
	inGroup bool
	member  string // of the comment before its real server
}

func (p *parser) line(line string) {
	if m := comment.FindStringSubmatch(line); m != nil {
		p.configured(m[1], m[2])
		return
	}
	if m := off.FindStringSubmatch(line); m != nil {
		p.disabled(m[1], m[2])
		return
	}
	if words := strings.Fields(line); len(words) > 0 {
		p.directive(words)
	}
}

func (p *parser) configured(kind, id string) {
	switch kind {
	case "Listener":
		p.ListenerID, p.Enabled = id, true
	case "Pool":
		p.PoolID = id
	case "Member":
		p.member = id
	}
}

func (p *parser) disabled(kind, id string) {
	switch kind {
	case "Listener":
		p.ListenerID, p.Enabled = id, false
	case "Member":
		p.Members = append(p.Members, Member{ID: id})
	}
}

func (p *parser) directive(words []string) {
	switch {
	case words[0] == "virtual_server_group":
		p.inGroup = true
	case words[0] == "}":
		p.inGroup = false
	case p.inGroup:
		p.service(words)
	case words[0] == "virtual_server" && len(words) > 2:
		p.service(words[1:])
	case words[0] == "protocol" && len(words) > 1:
		p.Protocol = words[1]
	case words[0] == "real_server" && len(words) > 2:
		if a, ok := addrPort(words[1], words[2]); ok {
			p.Members = append(p.Members, Member{ID: p.member, Address: a, Enabled: true, Weight: 1})
		}
	case words[0] == "MISC_CHECK", words[0] == "HTTP_GET", words[0] == "TCP_CHECK":
		p.Checked = true
	case len(words) > 1 && len(p.Members) > 0:
		p.Members[len(p.Members)-1].set(words[0], words[1])
	}
}

// set takes a number of a real server.
func (m *Member) set(name, value string) {
	switch name {
	case "weight":
		m.Weight, _ = strconv.Atoi(value)
	case "uthreshold":
		m.Limit, _ = strconv.Atoi(value)
	}
}

func (p *parser) service(words []string) {
	if len(words) < 2 {
		return
	}
	if a, ok := addrPort(words[0], words[1]); ok {
		p.Services = append(p.Services, a)
	}
}

func addrPort(address, port string) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.AddrPort{}, false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return netip.AddrPortFrom(a, uint16(n)), err == nil
}

// Balances says that keepalived has something to serve with: it leaves out a virtual server without real ones.
func (c Config) Balances() bool {
	for _, s := range c.Services {
		for _, m := range c.Members {
			if m.Enabled && m.Address.Addr().Is4() == s.Addr().Is4() {
				return true
			}
		}
	}
	return false
}
