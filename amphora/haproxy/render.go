// Package haproxy turns the document of a load balancer into haproxy.cfg. It is pure: the same
// document gives the same bytes. Names, order and meaning are those of upstream's template.
package haproxy

import (
	"cmp"
	"crypto/sha1" //nolint:gosec // upstream's way to name peers; nothing depends on its strength
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ottavino/ottavino/amphora"
)

// Options is what the amphora and octavia.conf add to the document.
type Options struct {
	AmphoraID                  string // the local peer's name derives from it
	HAProxyMajor, HAProxyMinor int    // from Info.HAProxyVersion; gates directives
	BasePath                   string // "" = /var/lib/octavia
	DefaultConnectionLimit     int    // 0 = 50000
	StickSize                  string // "" = 10k
	// Timeouts of listeners that have none, in milliseconds; 0 = 50000, 5000, 50000 and none.
	TimeoutClientData, TimeoutMemberConnect, TimeoutMemberData, TimeoutTCPInspect int

	ConnectionLogging         bool
	UserLogFormat             string // "" = upstream's default
	UserLogFacility           int
	AdministrativeLogFacility int
	CPUCount                  int    // of the amphora; with PinCPUs sets nbthread
	PinCPUs                   bool   // tuned profile "amphora" is active
	BaseCertDir               string // in the amphora; "" = BasePath and /certs
	DefaultListenerCiphers    string // for a list that cannot be written; "" = upstream's default
	DefaultPoolCiphers        string
	MemoryKiB                 int64 // of the amphora, all of it; sizes the TLS session cache. 0 = haproxy's own size
}

const (
	defaultConnectionLimit = 50000
	maxConnections         = 1_000_000 // of all listeners together
	defaultLogFormat       = "{{ project_id }} {{ lb_id }} %f %ci %cp %t %{+Q}r %ST %B %U %[ssl_c_verify] %{+Q}[ssl_c_s_dn] %b %s %Tt %tsc"
	peersPort              = 1025
	activeStandby          = "ACTIVE_STANDBY"
)

// Render returns haproxy.cfg, or an *amphora.ObjectError that names the object that cannot be rendered.
// ok is false when there is nothing for haproxy to run (no HTTP or TCP listener left).
func Render(lb amphora.LoadBalancer, o Options) (cfg []byte, ok bool, err error) {
	o.BasePath = cmp.Or(o.BasePath, "/var/lib/octavia")
	o.DefaultConnectionLimit = cmp.Or(o.DefaultConnectionLimit, defaultConnectionLimit)
	o.StickSize = cmp.Or(o.StickSize, "10k")
	o.TimeoutClientData = cmp.Or(o.TimeoutClientData, 50000)
	o.TimeoutMemberConnect = cmp.Or(o.TimeoutMemberConnect, 5000)
	o.TimeoutMemberData = cmp.Or(o.TimeoutMemberData, 50000)
	o.UserLogFormat = cmp.Or(o.UserLogFormat, defaultLogFormat)
	o.BaseCertDir = cmp.Or(o.BaseCertDir, o.BasePath+"/certs")
	o.DefaultListenerCiphers = cmp.Or(o.DefaultListenerCiphers, defaultCiphers)
	o.DefaultPoolCiphers = cmp.Or(o.DefaultPoolCiphers, defaultCiphers)
	r := &renderer{lb: lb, o: o, pools: map[string]amphora.Pool{}}
	for _, p := range lb.Pools {
		r.pools[p.ID] = p
	}
	if r.listeners, err = haproxyListeners(lb.Listeners); err != nil || len(r.listeners) == 0 {
		return nil, false, err
	}
	r.global()
	r.defaults()
	r.peers()
	r.exporter()
	if lb.Enabled {
		for _, l := range r.listeners {
			if l.Enabled {
				if err := r.listener(l); err != nil {
					return nil, false, err
				}
			}
		}
	}
	return []byte(r.out.String()), true, nil
}

// modes are the listener protocols that haproxy serves here.
var modes = map[string]string{
	"HTTP": "http", protocolTerminated: "http", protocolPrometheus: "http", "TCP": "tcp", "HTTPS": "tcp",
}

const (
	protocolTerminated = "TERMINATED_HTTPS"
	protocolPrometheus = "PROMETHEUS"
)

// haproxyListeners leaves out what keepalived serves.
func haproxyListeners(all []amphora.Listener) ([]amphora.Listener, error) {
	var out []amphora.Listener
	for _, l := range all {
		switch {
		case l.Protocol == "UDP" || l.Protocol == "SCTP":
		case modes[l.Protocol] == "":
			return nil, amphora.Unrenderable("listener", l.ID, "protocol "+l.Protocol+" is not known")
		default:
			out = append(out, l)
		}
	}
	return out, nil
}

type renderer struct {
	lb        amphora.LoadBalancer
	o         Options
	listeners []amphora.Listener
	pools     map[string]amphora.Pool
	out       strings.Builder
}

// section begins a section; line adds a directive to it.
func (r *renderer) section(format string, args ...any) {
	fmt.Fprintf(&r.out, "\n"+format+"\n", args...)
}

func (r *renderer) line(format string, args ...any) { fmt.Fprintf(&r.out, "    "+format+"\n", args...) }

func (r *renderer) atLeast(major, minor int) bool {
	return r.o.HAProxyMajor > major || r.o.HAProxyMajor == major && r.o.HAProxyMinor >= minor
}

func (r *renderer) global() {
	fmt.Fprintf(&r.out, "# Configuration for loadbalancer %s\n", r.lb.ID)
	fmt.Fprintln(&r.out, "global")
	r.line("daemon")
	r.line("user nobody")
	r.line("log /run/rsyslog/octavia/log local%d", r.o.UserLogFacility)
	r.line("log /run/rsyslog/octavia/log local%d notice", r.o.AdministrativeLogFacility)
	r.line("stats socket %s/%s.sock mode 0666 level user", r.o.BasePath, r.lb.ID)
	if r.atLeast(1, 6) {
		r.line("server-state-file %s/%s/servers-state", r.o.BasePath, r.lb.ID)
	}
	r.line("maxconn %d", r.totalConnections())
	if blocks := r.sessionCache(); blocks > 0 {
		r.line("tune.ssl.cachesize %d", blocks)
	}
	if r.o.PinCPUs && r.o.CPUCount > 1 {
		r.line("nbthread %d", r.o.CPUCount-1)
		r.line("cpu-map auto:1/1-%d 1-%d", r.o.CPUCount-1, r.o.CPUCount-1)
	}
	if r.pings() {
		r.line("external-check")
		if r.atLeast(2, 2) {
			r.line("insecure-fork-wanted")
		}
	}
}

func (r *renderer) limit(l amphora.Listener) int {
	if l.ConnectionLimit <= 0 {
		return r.o.DefaultConnectionLimit
	}
	return l.ConnectionLimit
}

func (r *renderer) totalConnections() int {
	sum := 0
	for _, l := range r.listeners {
		if l.Enabled {
			sum += r.limit(l)
		}
	}
	if sum <= 0 || sum >= maxConnections {
		return maxConnections
	}
	return sum
}

func (r *renderer) pings() bool {
	for _, l := range r.listeners {
		for _, p := range r.poolsOf(l) {
			if l.Enabled && p.Enabled && p.Monitor != nil && p.Monitor.Enabled && p.Monitor.Type == "PING" {
				return true
			}
		}
	}
	return false
}

func (r *renderer) defaults() {
	r.section("defaults")
	if r.o.ConnectionLogging {
		r.line("log global")
	} else {
		r.line("no log")
	}
	r.line("retries 3")
	r.line("option redispatch")
	r.line("option splice-request")
	r.line("option splice-response")
	r.line("option http-keep-alive")
}

func (r *renderer) peersName() string { return strings.ReplaceAll(r.lb.ID, "-", "") + "_peers" }

func (r *renderer) peers() {
	if r.lb.Topology != activeStandby {
		return
	}
	r.section("peers %s", r.peersName())
	for _, p := range r.lb.Peers {
		r.line("peer %s %s:%d", PeerName(p.AmphoraID), p.Address, peersPort)
	}
}

// poolsOf are the pools of a listener: the default one, then those its policies redirect to.
func (r *renderer) poolsOf(l amphora.Listener) []amphora.Pool {
	ids := []string{l.DefaultPoolID}
	for _, p := range l.Policies {
		if p.Enabled && len(p.Rules) > 0 && p.Action == "REDIRECT_TO_POOL" && !slices.Contains(ids, p.RedirectPoolID) {
			ids = append(ids, p.RedirectPoolID)
		}
	}
	var out []amphora.Pool
	for _, id := range ids {
		if p, ok := r.pools[id]; ok {
			out = append(out, p)
		}
	}
	return out
}

func (r *renderer) listener(l amphora.Listener) error {
	if err := r.frontend(l); err != nil {
		return err
	}
	for _, p := range r.poolsOf(l) {
		if p.Enabled {
			if err := r.backend(l, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *renderer) frontend(l amphora.Listener) error {
	r.section("frontend %s", l.ID)
	r.line("maxconn %d", r.limit(l))
	if l.Protocol == protocolTerminated {
		r.line("redirect scheme https if !{ ssl_fc }")
		r.hsts(l.TLS)
	}
	options, err := r.bindTLS(l)
	if err != nil {
		return err
	}
	r.line("bind %s:%d%s", r.lb.VIP, l.Port, options)
	for _, vip := range r.lb.AdditionalVIPs {
		r.line("bind %s:%d%s", vip, l.Port, options)
	}
	r.line("mode %s", modes[l.Protocol])
	for _, p := range l.Policies {
		if err := r.policy(l, p); err != nil {
			return err
		}
	}
	if p, ok := r.pools[l.DefaultPoolID]; ok && p.Enabled {
		r.line("default_backend %s:%s", p.ID, l.ID)
	}
	r.line("timeout client %d", cmp.Or(l.TimeoutClientData, r.o.TimeoutClientData))
	if delay := cmp.Or(l.TimeoutTCPInspect, r.o.TimeoutTCPInspect); delay != 0 {
		r.line("tcp-request inspect-delay %d", delay)
	}
	if l.Protocol == protocolPrometheus && r.exports() {
		r.line("default_backend %s", exporterBackend)
	}
	if r.o.ConnectionLogging {
		format, err := r.logFormat(l)
		if err != nil {
			return err
		}
		r.line("log-format %s", format)
	}
	return nil
}

// logFormat completes the template and escapes its spaces; what only HTTP has becomes "-" elsewhere.
func (r *renderer) logFormat(l amphora.Listener) (string, error) {
	if strings.ContainsFunc(r.o.UserLogFormat, control) {
		return "", errors.New("user_log_format holds control characters")
	}
	project, err := logFormatWord(r.lb.ProjectID)
	if err != nil {
		return "", amphora.Unrenderable("loadbalancer", r.lb.ID, "project_id "+err.Error())
	}
	format := r.o.UserLogFormat
	if l.Protocol != "HTTP" && l.Protocol != protocolTerminated {
		format = strings.NewReplacer("%{+Q}r", "-", "%r", "-", "%{+Q}ST", "-", "%ST", "-").Replace(format)
	}
	return strings.NewReplacer("{{ project_id }}", project, "{{ lb_id }}", r.lb.ID, " ", `\ `).Replace(format), nil
}

// PeerName is upstream's hash of an amphora id.
func PeerName(amphoraID string) string {
	sum := sha1.Sum([]byte(amphoraID)) //nolint:gosec // see the import
	name := strings.NewReplacer("+", "_", "/", "-", "=", "").Replace(base64.StdEncoding.EncodeToString(sum[:]))
	if rest, ok := strings.CutPrefix(name, "-"); ok {
		return "x" + rest
	}
	return name
}

// ParseVersion reads the first two numbers of a package version such as 2.6.12-1+deb12u1; an
// epoch (1:2.8.5) is skipped. What cannot be read is 0, 0.
func ParseVersion(version string) (major, minor int) {
	if _, rest, ok := strings.Cut(version, ":"); ok {
		version = rest
	}
	first, rest, _ := strings.Cut(version, ".")
	second := rest
	if end := strings.IndexFunc(rest, func(c rune) bool { return c < '0' || c > '9' }); end >= 0 {
		second = rest[:end]
	}
	major, err := strconv.Atoi(first)
	if err != nil {
		return 0, 0
	}
	minor, err = strconv.Atoi(second)
	if err != nil {
		return 0, 0
	}
	return major, minor
}
