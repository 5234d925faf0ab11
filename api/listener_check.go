package api

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/ottavino/ottavino/db"
)

// Protocols of listeners and pools.
const (
	protocolTCP             = "TCP"
	protocolHTTP            = "HTTP"
	protocolHTTPS           = "HTTPS"
	protocolTerminatedHTTPS = "TERMINATED_HTTPS"
	protocolProxy           = "PROXY"
	protocolProxyV2         = "PROXYV2"
	protocolUDP             = "UDP"
	protocolSCTP            = "SCTP"
	protocolPrometheus      = "PROMETHEUS"
)

var listenerProtocols = []string{
	protocolTCP, protocolHTTP, protocolHTTPS, protocolTerminatedHTTPS, protocolUDP, protocolSCTP, protocolPrometheus,
}

// poolProtocolsFor says which pools a listener's protocol can use.
var poolProtocolsFor = map[string][]string{
	protocolTCP:             {protocolTCP, protocolHTTP, protocolHTTPS, protocolProxy, protocolProxyV2},
	protocolHTTP:            {protocolHTTP, protocolProxy, protocolProxyV2},
	protocolHTTPS:           {protocolTCP, protocolHTTPS, protocolProxy, protocolProxyV2},
	protocolTerminatedHTTPS: {protocolHTTP, protocolProxy, protocolProxyV2},
	protocolUDP:             {protocolUDP},
	protocolSCTP:            {protocolSCTP},
}

var plainHeaders = []string{
	"X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-IP", "X-Client-IP", "X-Real-IP",
}

var tlsHeaders = []string{
	"X-SSL-Client-Verify", "X-SSL-Client-Has-Cert", "X-SSL-Client-DN", "X-SSL-Client-CN", "X-SSL-Issuer",
	"X-SSL-Client-SHA1", "X-SSL-Client-Not-Before", "X-SSL-Client-Not-After",
}

const prometheusChildren = "Protocol PROMETHEUS listeners cannot have child objects."

func datagram(protocol string) bool { return protocol == protocolUDP || protocol == protocolSCTP }

// layer4 is the protocol whose port a listener takes.
func layer4(protocol string) string {
	if datagram(protocol) {
		return protocol
	}
	return protocolTCP
}

// isTLS says that a listener terminates TLS.
func isTLS(protocol string, certificates int) bool {
	return protocol == protocolTerminatedHTTPS || (protocol == protocolPrometheus && certificates > 0)
}

// certificates counts the certificate references of a body; "" is none.
func (in *listenerIn) certificates() int {
	n := len(in.sniRefs.value)
	if in.tlsRef.or("") != "" {
		n++
	}
	return n
}

// checkDefaultPool tests that a pool can be the default of a listener of this protocol.
func (c *change) checkDefaultPool(ctx context.Context, protocol string, poolID field[string]) error {
	if !poolID.given() {
		return nil
	}
	if protocol == protocolPrometheus {
		return BadRequest(prometheusChildren)
	}
	pool, err := db.Live[db.Pool](ctx, c.tx, poolID.value)
	if err != nil {
		return err
	}
	if deref(pool.LoadBalancerID) != c.lb.ID {
		return notFound("Pool", poolID.value)
	}
	return matchProtocols(protocol, pool.Protocol)
}

func matchProtocols(listener, pool string) error {
	if listener == protocolPrometheus {
		return BadRequest(prometheusChildren)
	}
	if !slices.Contains(poolProtocolsFor[listener], pool) {
		return Invalid(fmt.Sprintf("The pool protocol '%s' is invalid while the listener protocol is '%s'.", pool, listener))
	}
	return nil
}

// checkListener tests a new listener, in upstream's order.
func (c *change) checkListener(ctx context.Context, l *db.Listener, in *listenerIn) error {
	if err := c.s.cfg.checkListenerTLS(in); err != nil {
		return err
	}
	if err := c.s.cfg.checkCiphers(in.ciphers); err != nil {
		return err
	}
	if err := in.material.checkBundles(in.certificateRefs()); err != nil {
		return err
	}
	if err := in.material.checkCA(in.caRefs(nil)); err != nil {
		return err
	}
	if err := c.checkPortFree(ctx, l); err != nil {
		return err
	}
	if err := c.checkCIDRs(ctx, in.cidrs.value); err != nil {
		return err
	}
	if isTLS(l.Protocol, in.certificates()) {
		if err := c.s.cfg.checkTLSOptions(in.versions, in.alpn); err != nil {
			return err
		}
	}
	return checkNewHSTS(in)
}

// checkListenerTLS is the part of checkListener on protocol, headers and certificates.
//
//nolint:cyclop // one list of checks, in upstream's order
func (c Config) checkListenerTLS(in *listenerIn) error {
	protocol, certs := in.protocol.value, in.certificates()
	if err := checkHeaders(protocol, in.headers.value, "dict_keys(%s)"); err != nil {
		return err
	}
	hasCA := in.clientCA.or("") != ""
	switch auth := in.clientAuth.absentOr("NONE"); {
	case datagram(protocol) && (certs > 0 || len(in.headers.value) > 0):
		return Invalid(protocol + " protocol listener does not support TLS.")
	case isTLS(protocol, certs) && !c.AllowTLSTerminated:
		name := protocol
		if protocol == protocolPrometheus {
			name = "PROMETHEUS with TLS"
		}
		return disabled("protocol", name)
	case protocol == protocolPrometheus && !c.AllowPrometheus:
		return disabled("protocol", protocol)
	case certs > 0 && !isTLS(protocol, certs):
		return Invalid("Certificate container references are not allowed on " + protocol + " protocol listeners.")
	case hasCA && certs == 0:
		return Invalid("An SNI or default certificate container reference must be provided with a client CA container reference.")
	case isTLS(protocol, certs) && certs == 0:
		return Invalid("An SNI or default certificate container reference must be provided for " + protocol + " protocol listeners.")
	case auth != "NONE" && !hasCA:
		return needsCA(in.clientAuth)
	case in.clientCRL.or("") != "" && !hasCA:
		return Invalid("A client authentication CA reference is required to specify a client authentication revocation list.")
	}
	return nil
}

func needsCA(auth field[string]) error {
	return Invalid("Client authentication setting " + auth.or("None") + " requires a client CA container reference.")
}

// checkHeaders tests insert_headers; whole words the complaint about unknown keys.
func checkHeaders(protocol string, headers map[string]string, whole string) error {
	if len(headers) == 0 || datagram(protocol) {
		return nil // datagram listeners have a complaint of their own
	}
	if protocol != protocolHTTP && protocol != protocolTerminatedHTTPS {
		return notAnOption("insert-headers", "a "+protocol+" protocol listener.")
	}
	keys := slices.Sorted(maps.Keys(headers))
	var tls []string
	for _, k := range keys {
		switch {
		case slices.Contains(tlsHeaders, k):
			tls = append(tls, k)
		case !slices.Contains(plainHeaders, k):
			return notAnOption(fmt.Sprintf(whole, pyList(keys)), "insert_headers")
		}
	}
	if len(tls) > 0 && protocol == protocolHTTP {
		return notAnOption(pyList(tls), "HTTP protocol listener.")
	}
	return nil
}

// checkPortFree tests that no listener of the load balancer has the port.
func (c *change) checkPortFree(ctx context.Context, l *db.Listener) error {
	others, err := db.Where[db.Listener](ctx, c.tx,
		"load_balancer_id = ? AND protocol_port = ? AND provisioning_status <> ?", c.lb.ID, l.ProtocolPort, db.Deleted)
	if err != nil {
		return err
	}
	for i := range others {
		if layer4(others[i].Protocol) == layer4(l.Protocol) {
			return conflict(portTaken(others[i].Protocol, l.ProtocolPort))
		}
	}
	return nil
}

func portTaken(protocol string, port int) string {
	return fmt.Sprintf("Another Listener on this Load Balancer is already using protocol %s and protocol_port %d", protocol, port)
}

// checkCIDRs tests that allowed networks make sense for the load balancer's VIPs.
func (c *change) checkCIDRs(ctx context.Context, cidrs []string) error {
	if len(cidrs) == 0 {
		return nil
	}
	sgs, err := c.tx.Lists(ctx, []string{c.lb.ID}, db.ListSecurityGroups)
	if err != nil {
		return err
	}
	if len(sgs) > 0 {
		return Invalid("Allowed CIDRs are not allowed when using custom VIP Security Groups.")
	}
	addresses, err := c.vipAddresses(ctx)
	if err != nil {
		return err
	}
	for _, cidr := range cidrs {
		if !slices.ContainsFunc(addresses, func(a string) bool { return isIPv6(a) == strings.Contains(cidr, ":") }) {
			return Invalid(fmt.Sprintf("CIDR %s IP version incompatible with all VIPs %s IP version.", cidr, pyList(addresses)))
		}
	}
	return nil
}

// vipAddresses are the addresses of the load balancer, the primary one first.
func (c *change) vipAddresses(ctx context.Context) ([]string, error) {
	all, err := c.tx.VIPs(ctx, []string{c.lb.ID})
	vips := all[c.lb.ID]
	addresses := []string{deref(vips.IPAddress)}
	for _, v := range vips.Additional {
		addresses = append(addresses, deref(v.IPAddress))
	}
	return addresses, err
}

func isIPv6(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && a.Is6()
}

func checkNewHSTS(in *listenerIn) error {
	age := in.hstsMaxAge.given()
	switch {
	case !age && (in.hstsSubdomains.value || in.hstsPreload.value):
		return Invalid("HSTS configuration options hsts_include_subdomains and hsts_preload only make sense if hsts_max_age is set as well.")
	case age && in.protocol.value != protocolTerminatedHTTPS:
		return Invalid(hstsProtocol)
	}
	return nil
}

const hstsProtocol = "The HSTS feature can only be used for listeners using the TERMINATED_HTTPS protocol."

// checkListenerTLSChange is the part of checkListenerChange on protocol, headers and certificates.
func checkListenerTLSChange(l *db.Listener, in *listenerIn) error {
	certs := in.certificates()
	ca, _ := in.caRefs(l)
	switch {
	case datagram(l.Protocol) && (certs > 0 || len(in.headers.value) > 0):
		return Invalid(l.Protocol + " protocol listener does not support TLS or header insertion.")
	case certs > 0 && !isTLS(l.Protocol, certs):
		return Invalid("Certificate container references are not allowed on " + l.Protocol + " protocol listeners.")
	case in.clientAuth.set && in.clientAuth.value != "NONE" && ca == "":
		return needsCA(in.clientAuth)
	}
	return checkHeaders(l.Protocol, in.headers.value, "%s")
}

// checkListenerChange tests a PUT, in upstream's order.
func (c *change) checkListenerChange(ctx context.Context, l *db.Listener, in *listenerIn) error {
	if err := checkListenerTLSChange(l, in); err != nil {
		return err
	}
	if err := in.material.checkBundles(in.certificateRefs()); err != nil {
		return err
	}
	ca, crl := in.caRefs(l)
	if crl != "" && ca == "" {
		return Invalid("A client authentication CA reference is required to specify a client authentication revocation list.")
	}
	if err := in.material.checkCA(in.caRefsToRead(l)); err != nil {
		return err
	}
	if err := c.checkCIDRs(ctx, in.cidrs.value); err != nil {
		return err
	}
	if err := c.s.cfg.checkCiphers(in.ciphers); err != nil {
		return err
	}
	if err := c.s.cfg.checkTLSOptions(in.versions, in.alpn); err != nil {
		return err
	}
	return checkHSTSChange(l, in)
}

func checkHSTSChange(l *db.Listener, in *listenerIn) error {
	age := in.hstsMaxAge.given()
	switch {
	case !age && l.HSTSMaxAge == nil && (in.hstsSubdomains.value || in.hstsPreload.value):
		return Invalid("Cannot enable hsts_include_subdomains or hsts_preload if hsts_max_age was not set as well.")
	case age && l.Protocol != protocolTerminatedHTTPS:
		return Invalid(hstsProtocol)
	}
	return nil
}
