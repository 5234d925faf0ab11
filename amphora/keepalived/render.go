// Package keepalived turns the document of a load balancer into keepalived's configuration of one UDP or SCTP listener, and
// reads it back: the agent finds in its comments whose virtual and real servers the kernel's are. It is pure: the same document
// gives the same bytes. Names, order and meaning are those of upstream's template.
package keepalived

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ottavino/ottavino/amphora"
)

// Options is what octavia.conf adds to the document.
type Options struct {
	BasePath string // "" = /var/lib/octavia
}

// Serves says that a listener of this protocol is keepalived's.
func Serves(protocol string) bool { return protocol == "UDP" || protocol == "SCTP" }

// Namespace is where an amphora's traffic is.
const Namespace = "amphora-haproxy"

const defaultPersistence = 360 // seconds

// Seconds that keepalived takes. The API takes others, too, which keepalived would ignore: clients would not be kept at their
// members at all, and members be checked once a minute.
const (
	longestPersistence = 31 * 24 * 60 * 60
	longestTimeout     = 4200 // and a bit
)

// timeout is a monitor's.
func timeout(c *amphora.Monitor) int { return min(max(c.Timeout, 1), longestTimeout) }

// Render returns the configuration of one listener of lb, or an *amphora.ObjectError that names the object that cannot be rendered.
func Render(lb amphora.LoadBalancer, listenerID string, o Options) ([]byte, error) {
	i := slices.IndexFunc(lb.Listeners, func(l amphora.Listener) bool { return l.ID == listenerID })
	if i < 0 {
		return nil, errors.New("the load balancer has no listener " + listenerID)
	}
	r := &renderer{lb: lb, listener: lb.Listeners[i], base: cmp.Or(o.BasePath, "/var/lib/octavia")}
	if !Serves(r.listener.Protocol) {
		return nil, amphora.Unrenderable("listener", listenerID, "protocol "+r.listener.Protocol+" is not for keepalived")
	}
	if strings.ContainsFunc(r.base, func(c rune) bool { return c <= ' ' || strings.ContainsRune(special, c) }) {
		return nil, errors.New("base_path cannot be written into keepalived's configuration")
	}
	return r.render()
}

type renderer struct {
	lb       amphora.LoadBalancer
	listener amphora.Listener
	pool     amphora.Pool
	base     string
	out      strings.Builder
	depth    int
}

func (r *renderer) line(format string, args ...any) {
	r.out.WriteString(strings.Repeat("    ", r.depth))
	fmt.Fprintf(&r.out, format+"\n", args...)
}

// block writes a block whose content fn writes.
func (r *renderer) block(head string, fn func() error) error {
	r.line("%s {", head)
	r.depth++
	err := fn()
	r.depth--
	r.line("}")
	return err
}

func (r *renderer) space() { r.out.WriteByte('\n') }

func (r *renderer) render() ([]byte, error) {
	r.line("# Configuration for Loadbalancer %s", r.lb.ID)
	if r.listener.Enabled {
		r.line("# Configuration for Listener %s", r.listener.ID)
	} else {
		r.line("# Listener %s is disabled", r.listener.ID)
	}
	r.space()
	r.line("net_namespace %s", Namespace)
	i := slices.IndexFunc(r.lb.Pools, func(p amphora.Pool) bool { return p.ID == r.listener.DefaultPoolID })
	if i >= 0 && r.lb.Enabled && r.listener.Enabled {
		r.pool = r.lb.Pools[i]
		for _, f := range []family{four, six} {
			if err := r.family(f); err != nil {
				return nil, err
			}
		}
	}
	return []byte(r.out.String()), nil
}

// family is a version of IP.
type family struct {
	name        string
	granularity string // of persistence, by default
}

var (
	four = family{"ipv4", "255.255.255.255"}
	six  = family{"ipv6", "128"}
)

func (f family) is(a netip.Addr) bool { return a.IsValid() && a.Unmap().Is4() == (f == four) }

// family writes the virtual server of one version of IP, if a VIP has it.
func (r *renderer) family(f family) error {
	var vips []netip.Addr
	for _, vip := range append([]netip.Addr{r.lb.VIP}, r.lb.AdditionalVIPs...) {
		if f.is(vip) {
			vips = append(vips, vip.Unmap().WithZone(""))
		}
	}
	if len(vips) == 0 {
		return nil
	}
	group := f.name + "-group"
	r.space()
	err := r.block("virtual_server_group "+group, func() error {
		for _, vip := range vips {
			r.line("%s %d", vip, r.listener.Port)
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.space()
	return r.block("virtual_server group "+group, func() error { return r.virtualServer(f) })
}

// schedulers are IPVS's, by our algorithm.
var schedulers = map[string]string{"ROUND_ROBIN": "wrr", "LEAST_CONNECTIONS": "lc", "SOURCE_IP": "sh"}

func (r *renderer) virtualServer(f family) error {
	r.line("lb_algo %s", cmp.Or(schedulers[r.pool.Algorithm], "wrr"))
	r.line("lb_kind NAT")
	r.line("protocol %s", r.listener.Protocol)
	if err := r.persistence(f); err != nil {
		return err
	}
	m := r.monitor()
	if m != nil {
		delay := max(m.Delay, 1)
		r.line("delay_loop %d", delay)
		r.line("delay_before_retry %d", delay)
		if m.FallThreshold != 0 {
			r.line("retry %d", m.FallThreshold)
		}
	}
	r.space()
	if r.pool.Enabled {
		r.line("# Configuration for Pool %s", r.pool.ID)
	} else {
		r.line("# Pool %s is disabled", r.pool.ID)
	}
	if m != nil {
		r.line("# Configuration for HealthMonitor %s", m.ID)
	}
	if !r.pool.Enabled {
		return nil
	}
	first := true
	for _, member := range r.pool.Members {
		if !member.Address.IsValid() {
			return amphora.Unrenderable("member", member.ID, "it has no address")
		}
		if !f.is(member.Address) {
			continue
		}
		if !first {
			r.space()
		}
		first = false
		if err := r.member(member); err != nil {
			return err
		}
	}
	return nil
}

// monitor is nil when nothing is checked.
func (r *renderer) monitor() *amphora.Monitor {
	if r.pool.Monitor == nil || !r.pool.Monitor.Enabled {
		return nil
	}
	return r.pool.Monitor
}

func (r *renderer) persistence(f family) error {
	p := r.pool.Persistence
	if p == nil || p.Type != "SOURCE_IP" {
		return nil
	}
	granularity, err := f.mask(p.Granularity)
	if err != nil {
		return amphora.Unrenderable("pool", r.pool.ID, err.Error())
	}
	seconds := defaultPersistence
	if p.Timeout > 0 {
		seconds = min(p.Timeout, longestPersistence)
	}
	r.line("persistence_timeout %d", seconds)
	r.line("persistence_granularity %s", granularity)
	return nil
}

// mask takes a netmask of IPv4, or one of IPv6, whose length keepalived wants, or that length. One of the other version
// means nothing here: unlike upstream, which writes it all the same and so makes keepalived drop the members, the default is taken.
func (f family) mask(s string) (string, error) {
	if s == "" {
		return f.granularity, nil
	}
	bad := errors.New("persistence_granularity is neither a netmask nor the length of a prefix")
	length, err := strconv.Atoi(s)
	if err != nil {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return "", bad
		}
		if a.Is4() && f == four {
			return a.String(), nil
		}
		if a.Is4() {
			return f.granularity, nil
		}
		length, _ = net.IPMask(a.AsSlice()).Size()
	}
	if length < 1 || length > 128 {
		return "", bad
	}
	if f == four {
		return f.granularity, nil
	}
	return strconv.Itoa(length), nil
}

func (r *renderer) member(m amphora.Member) error {
	if !m.Enabled {
		r.line("# Member %s is disabled", m.ID)
		return nil
	}
	r.line("# Configuration for Member %s", m.ID)
	return r.block(fmt.Sprintf("real_server %s %d", m.Address.Unmap().WithZone(""), m.Port), func() error {
		r.line("weight %d", m.Weight)
		if r.listener.ConnectionLimit > 0 {
			r.line("uthreshold %d", r.listener.ConnectionLimit)
		}
		if c := r.monitor(); c != nil {
			return r.check(c, m)
		}
		return nil
	})
}

func (r *renderer) check(c *amphora.Monitor, m amphora.Member) error {
	address, port := m.Address.Unmap().WithZone(""), cmp.Or(m.MonitorPort, m.Port)
	if m.MonitorAddress.IsValid() {
		address = m.MonitorAddress.Unmap().WithZone("")
	}
	connect := func() {
		r.line("connect_ip %s", address)
		r.line("connect_port %d", port)
		r.line("connect_timeout %d", timeout(c))
	}
	switch {
	case c.Type == "UDP-CONNECT":
		return r.block("MISC_CHECK", func() error {
			r.line(`misc_path "%s/lvs/check/udp_check.sh %s %d"`, r.base, address, port)
			r.line("misc_timeout %d", timeout(c))
			return nil
		})
	case c.Type == "SCTP":
		return r.block("MISC_CHECK", func() error {
			r.line(`misc_path "amphora-health-checker sctp -t %d %s %d"`, timeout(c), address, port)
			r.line("misc_timeout %d", timeout(c)+1)
			return nil
		})
	case c.Type == "TCP":
		return r.block("TCP_CHECK", func() error { connect(); return nil })
	case c.Type == "HTTP" && cmp.Or(c.HTTPMethod, "GET") == "GET":
		return r.block("HTTP_GET", func() error {
			if err := r.urls(c); err != nil {
				return err
			}
			connect()
			return nil
		})
	case c.Type == "HTTP": // upstream checks nothing with other methods
		return nil
	}
	return amphora.Unrenderable("healthmonitor", c.ID, "type "+c.Type+" is not for keepalived")
}

func (r *renderer) urls(c *amphora.Monitor) error {
	path, err := path(cmp.Or(c.URLPath, "/"))
	if err != nil {
		return amphora.Unrenderable("healthmonitor", c.ID, "url_path "+err.Error())
	}
	codes, err := statusCodes(cmp.Or(c.ExpectedCodes, "200"))
	if err != nil {
		return amphora.Unrenderable("healthmonitor", c.ID, "expected_codes "+err.Error())
	}
	for _, code := range codes {
		_ = r.block("url", func() error {
			r.line("path %s", path)
			r.line("status_code %d", code)
			return nil
		})
	}
	return nil
}

// special is what keepalived's parser takes for something else than text: comments, quotes, escapes, definitions, blocks and
// generated lists.
const special = "!#\"'\\${}~"

// path writes a user's URL path as one word. What keepalived's parser would take for something else is written as HTTP writes any
// octet; control characters, line feeds above all, are refused.
func path(s string) (string, error) {
	if !strings.HasPrefix(s, "/") {
		return "", errors.New("does not begin with /")
	}
	if strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return "", errors.New("holds control characters")
	}
	var out strings.Builder
	for _, c := range []byte(s) {
		if c == ' ' || c >= 0x80 || strings.IndexByte(special, c) >= 0 {
			fmt.Fprintf(&out, "%%%02X", c)
			continue
		}
		out.WriteByte(c)
	}
	return out.String(), nil
}

// statusCodes expands "200,202-204" into all of its codes, sorted.
func statusCodes(text string) ([]int, error) {
	var codes []int
	for part := range strings.SplitSeq(text, ",") {
		low, high, ranged := strings.Cut(strings.TrimSpace(part), "-")
		from, err := strconv.Atoi(low)
		to := from
		if ranged && err == nil {
			to, err = strconv.Atoi(high)
		}
		if err != nil || from < 100 || to > 599 || to < from {
			return nil, errors.New("are not a list of codes and ranges")
		}
		for code := from; code <= to; code++ {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes), nil
}
