package haproxy

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ottavino/ottavino/amphora"
)

var balance = map[string]string{
	"ROUND_ROBIN": "roundrobin", "LEAST_CONNECTIONS": "leastconn", "SOURCE_IP": "source",
}

var poolModes = map[string]string{"HTTP": "http", "TCP": "tcp", "HTTPS": "tcp"}

func (r *renderer) backend(l amphora.Listener, p amphora.Pool) error {
	proxy := p.Protocol == "PROXY" || p.Protocol == "PROXYV2"
	mode := poolModes[p.Protocol]
	if proxy {
		mode = modes[l.Protocol]
	}
	if mode == "" {
		return amphora.Unrenderable("pool", p.ID, "protocol "+p.Protocol+" is not for haproxy")
	}
	r.section("backend %s:%s", p.ID, l.ID)
	r.line("mode %s", mode)
	if mode == "http" && r.atLeast(1, 6) {
		r.line("http-reuse safe")
	}
	r.line("balance %s", cmp.Or(balance[p.Algorithm], "roundrobin"))
	if err := r.persistence(p); err != nil {
		return err
	}
	if err := r.monitor(p); err != nil {
		return err
	}
	r.insertHeaders(l, p)
	r.line("fullconn %d", r.limit(l))
	r.line("option allbackups")
	r.line("timeout connect %d", cmp.Or(l.TimeoutMemberConnect, r.o.TimeoutMemberConnect))
	r.line("timeout server %d", cmp.Or(l.TimeoutMemberData, r.o.TimeoutMemberData))
	secure, err := r.serverTLS(p)
	if err != nil {
		return err
	}
	for _, m := range p.Members {
		if !m.Address.IsValid() || m.Address.Zone() != "" {
			return amphora.Unrenderable("member", m.ID, "it has no address")
		}
		r.line("%s%s", r.server(l, p, m), secure)
	}
	return nil
}

func (r *renderer) persistence(p amphora.Pool) error {
	if p.Persistence == nil {
		return nil
	}
	peers := ""
	if r.lb.Topology == activeStandby {
		peers = " peers " + r.peersName()
	}
	switch p.Persistence.Type {
	case "SOURCE_IP":
		r.line("stick-table type ipv6 size %s%s", r.o.StickSize, peers)
		r.line("stick on src")
	case "APP_COOKIE":
		name, err := argument(p.Persistence.CookieName)
		if err != nil {
			return amphora.Unrenderable("pool", p.ID, "cookie_name "+err.Error())
		}
		r.line("stick-table type string len 64 size %s%s", r.o.StickSize, peers)
		r.line("stick store-response res.cook(%s)", name)
		r.line("stick match req.cook(%s)", name)
	case "HTTP_COOKIE":
		r.line("cookie SRV insert indirect nocache")
	}
	return nil
}

// insertHeaders writes what Octavia adds to requests. Only names that are known here are written.
func (r *renderer) insertHeaders(l amphora.Listener, p amphora.Pool) {
	wanted := func(name string) bool { return strings.EqualFold(l.InsertHeaders[name], "true") }
	if p.Protocol == "HTTP" && wanted("X-Forwarded-For") {
		r.line("option forwardfor")
	}
	if p.Protocol == "HTTP" && wanted("X-Forwarded-Port") {
		r.line("http-request set-header X-Forwarded-Port %%[dst_port]")
	}
	if scheme := schemes[l.Protocol]; scheme != "" && wanted("X-Forwarded-Proto") {
		r.line("http-request set-header X-Forwarded-Proto %s", scheme)
	}
	if l.Protocol != protocolTerminated {
		return
	}
	for _, h := range clientHeaders {
		if wanted(h.name) {
			r.line("http-request set-header %s %s", h.name, h.value)
		}
	}
}

// schemes are what X-Forwarded-Proto says.
var schemes = map[string]string{"HTTP": "http", protocolTerminated: "https"}

// methods are those of a health monitor's http_method.
var methods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "OPTIONS", "PATCH", "CONNECT"}

// longest are the seconds that haproxy counts to. The API takes more.
const longest = math.MaxInt32 / 1000

func (r *renderer) monitor(p amphora.Pool) error {
	m := p.Monitor
	if m == nil || !m.Enabled {
		return nil
	}
	if r.atLeast(1, 6) {
		r.line("load-server-state-from-file global")
	}
	r.line("timeout check %ds", min(m.Timeout, longest))
	switch m.Type {
	case "HTTP", "HTTPS":
		return r.httpCheck(m)
	case "PING":
		r.line("option external-check")
		r.line("external-check command /var/lib/octavia/ping-wrapper.sh")
	case "TCP", "TLS-HELLO":
	default:
		return amphora.Unrenderable("healthmonitor", m.ID, "type "+m.Type+" is not for haproxy")
	}
	return nil
}

func (r *renderer) httpCheck(m *amphora.Monitor) error {
	refuse := func(reason string) error { return amphora.Unrenderable("healthmonitor", m.ID, reason) }
	method := cmp.Or(m.HTTPMethod, "GET")
	if !slices.Contains(methods, method) {
		return refuse("http_method is none that HTTP has")
	}
	path, err := word(cmp.Or(m.URLPath, "/"))
	if err != nil {
		return refuse("url_path " + err.Error())
	}
	host, err := logFormatWord(m.DomainName)
	if err != nil {
		return refuse("domain_name " + err.Error())
	}
	codes, err := statusCodes(cmp.Or(m.ExpectedCodes, "200"))
	if err != nil {
		return refuse("expected_codes " + err.Error())
	}
	if m.HTTPVersion == 0 {
		r.line("option httpchk %s %s", method, path)
	} else {
		r.line("option httpchk %s %s HTTP/%s", method, path, strconv.FormatFloat(m.HTTPVersion, 'f', 1, 64))
		if m.HTTPVersion == 1.1 && m.DomainName != "" {
			r.line("http-check send hdr Host %s", host)
		}
	}
	r.line("http-check expect rstatus %s", codes)
	return nil
}

// statusCodes expands "200,202-204" into 200|202|203|204, sorted.
func statusCodes(text string) (string, error) {
	var codes []int
	for part := range strings.SplitSeq(text, ",") {
		low, high, ranged := strings.Cut(strings.TrimSpace(part), "-")
		from, err := strconv.Atoi(low)
		to := from
		if ranged && err == nil {
			to, err = strconv.Atoi(high)
		}
		if err != nil || from < 100 || to > 599 || to < from {
			return "", fmt.Errorf("are not a list of codes and ranges")
		}
		for code := from; code <= to; code++ {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	words := make([]string, 0, len(codes))
	for _, code := range slices.Compact(codes) {
		words = append(words, strconv.Itoa(code))
	}
	return strings.Join(words, "|"), nil
}

// check is how a member is monitored.
func (r *renderer) check(p amphora.Pool, m amphora.Member) string {
	c, s := p.Monitor, " check"
	if c.Type == "HTTPS" {
		s += " check-ssl verify none"
	}
	if p.TLS != nil && len(p.TLS.ALPN) > 0 && r.atLeast(1, 9) {
		s += " check-alpn " + strings.Join(p.TLS.ALPN, ",")
	}
	delay := min(max(c.Delay, 1), longest) // haproxy refuses 0, which the API takes
	s += fmt.Sprintf(" inter %ds fall %d rise %d", delay, c.FallThreshold, c.RiseThreshold)
	if m.MonitorAddress.IsValid() {
		s += " addr " + m.MonitorAddress.WithZone("").String()
	}
	if m.MonitorPort != 0 {
		s += fmt.Sprintf(" port %d", m.MonitorPort)
	}
	return s
}

func (r *renderer) server(l amphora.Listener, p amphora.Pool, m amphora.Member) string {
	s := fmt.Sprintf("server %s %s:%d weight %d", m.ID, m.Address, m.Port, m.Weight)
	if p.Monitor != nil && p.Monitor.Enabled {
		s += r.check(p, m)
	}
	if p.Persistence != nil && p.Persistence.Type == "HTTP_COOKIE" {
		s += " cookie " + m.ID
	}
	switch p.Protocol {
	case "PROXY":
		s += " send-proxy"
	case "PROXYV2":
		s += " send-proxy-v2"
		if l.Protocol == protocolTerminated || l.Protocol == protocolPrometheus {
			s += "-ssl-cn"
		}
	}
	if m.Backup {
		s += " backup"
	}
	if !m.Enabled {
		s += " disabled"
	}
	return s
}
