package haproxy

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/ottavino/ottavino/amphora"
)

// defaultCiphers is upstream's default of default_listener_ciphers and default_pool_ciphers.
const defaultCiphers = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:" +
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:" +
	"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:" +
	"DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305"

// sessionCache is tune.ssl.cachesize in blocks of 200 bytes or so: four for each KiB of two fifths
// of what connections leave free. Upstream takes what is free at the moment; then every look at an
// amphora would give another file and a reload, so here it is three quarters of all there is.
//
// It is bounded, because haproxy touches all of it whenever it starts, also to take over from workers that keep theirs until
// their last clients go. A session lives five minutes and takes a block, unless it holds a client's certificate: the most are
// 400 new sessions a second of clients without tickets, in 32 MiB, which haproxy fills in 25 ms.
func (r *renderer) sessionCache() int64 {
	terminated := slices.ContainsFunc(r.listeners, func(l amphora.Listener) bool { return l.Protocol == protocolTerminated })
	const (
		perConnection, worthIt = 32, 5000 // KiB
		most                   = 1 << 17
	)
	free := (r.o.MemoryKiB*3/4 - perConnection*int64(r.totalConnections())) * 2 / 5
	if !terminated || free <= worthIt {
		return 0
	}
	return min(4*free, most)
}

func (r *renderer) hsts(t *amphora.ListenerTLS) {
	if t == nil || t.HSTS == nil {
		return
	}
	value := fmt.Sprintf("max-age=%d;", t.HSTS.MaxAge)
	if t.HSTS.IncludeSubdomains {
		value += " includeSubDomains;"
	}
	if t.HSTS.Preload {
		value += " preload;"
	}
	r.line("http-response set-header Strict-Transport-Security %q", value)
}

// certFile is where a file of the load balancer's certificate directory is.
func (r *renderer) certFile(name string) (string, error) {
	if name == "" || strings.ContainsFunc(name, func(c rune) bool { return !plain(c) }) {
		return "", fmt.Errorf("%q is no name of a certificate file", name)
	}
	return word(path.Join(r.o.BaseCertDir, r.lb.ID, name))
}

// plain are the characters of the names we give to files.
func plain(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.'
}

var clientAuth = map[string]string{"NONE": "none", "OPTIONAL": "optional", "MANDATORY": "required"}

// bindTLS is what follows the address of a bind; "" = in the clear.
func (r *renderer) bindTLS(l amphora.Listener) (string, error) {
	t := l.TLS
	if t == nil {
		if l.Protocol == protocolTerminated {
			return "", amphora.Unrenderable("listener", l.ID, "it has no certificate")
		}
		return "", nil
	}
	var o options
	if t.Certificate {
		o.file("ssl crt-list", r, l.ID+".pem")
	} else if l.Protocol == protocolTerminated {
		return "", amphora.Unrenderable("listener", l.ID, "it has no certificate")
	}
	if t.ClientCAFile != "" {
		o.file("ca-file", r, t.ClientCAFile)
		verify, ok := clientAuth[t.ClientAuth]
		if !ok {
			return "", amphora.Unrenderable("listener", l.ID, "client_authentication "+t.ClientAuth+" is not known")
		}
		o.add("verify", verify)
		if t.ClientCRL != "" {
			o.file("crl-file", r, t.ClientCRL)
		}
	}
	o.session(r, t.Ciphers, r.o.DefaultListenerCiphers, t.Versions)
	o.protocols("alpn", t.ALPN)
	if o.err != nil {
		return "", amphora.Unrenderable("listener", l.ID, o.err.Error())
	}
	return o.text, nil
}

// serverTLS is what a server line ends with in a pool that speaks TLS.
func (r *renderer) serverTLS(p amphora.Pool) (string, error) {
	t := p.TLS
	if t == nil {
		return "", nil
	}
	var o options
	o.add("ssl")
	if t.CertificateFile != "" {
		o.file("crt", r, t.CertificateFile)
	}
	if t.CAFile == "" {
		o.add("verify", "none")
	} else {
		o.file("ca-file", r, t.CAFile)
		if t.CRLFile != "" {
			o.file("crl-file", r, t.CRLFile)
		}
		// Said at the end and in words: a check over TLS has its own verify, the last one counts for
		// both, and who gives a CA wants members to be verified.
		o.add("verify", "required")
	}
	o.add("sni", "ssl_fc_sni")
	o.session(r, t.Ciphers, r.o.DefaultPoolCiphers, t.Versions)
	if r.atLeast(1, 9) {
		o.protocols("alpn", t.ALPN)
	}
	if o.err != nil {
		return "", amphora.Unrenderable("pool", p.ID, o.err.Error())
	}
	return o.text, nil
}

// options are words at the end of a line; the first error is kept.
type options struct {
	text string
	err  error
}

func (o *options) add(words ...string) { o.text += " " + strings.Join(words, " ") }

func (o *options) file(option string, r *renderer, name string) {
	at, err := r.certFile(name)
	if err != nil && o.err == nil {
		o.err = err
	}
	o.add(option, at)
}

// cipherCharacters are what a list of ciphers is made of.
const cipherCharacters = "-+!:@=_."

// session writes ciphers and versions.
func (o *options) session(r *renderer, ciphers, def string, versions []string) {
	o.ciphers(r, ciphers, def, len(versions) == 1 && versions[0] == "TLSv1.3")
	o.versions(versions)
}

// ciphers writes a list of ciphers. One that holds anything else than names of ciphers is replaced, as upstream does.
func (o *options) ciphers(r *renderer, ciphers, def string, only13 bool) {
	if strings.ContainsFunc(ciphers, func(c rune) bool { return !plain(c) && !strings.ContainsRune(cipherCharacters, c) }) {
		ciphers = def
	}
	suites, others := splitCiphers(ciphers)
	if !r.atLeast(2, 2) {
		suites = nil
	}
	// Without a cipher of older versions OpenSSL takes no list; where those are not spoken it needs none.
	if ciphers != "" && (len(suites) == 0 || others || !only13) {
		o.add("ciphers", ciphers)
	}
	if len(suites) > 0 && !slices.Equal(slices.Sorted(slices.Values(suites)), usualSuites) {
		o.add("ciphersuites", strings.Join(suites, ":"))
	}
}

func (o *options) versions(versions []string) {
	if len(versions) == 0 {
		return
	}
	if lowest, highest := versionRange(versions); lowest < firstByDefault && highest >= 0 {
		o.add("ssl-min-ver", tlsVersions[lowest].haproxy, "ssl-max-ver", tlsVersions[highest].haproxy)
		return
	}
	for _, v := range tlsVersions {
		if !slices.Contains(versions, v.name) {
			o.add(v.off)
		}
	}
}

// usualSuites are the ciphers of TLS 1.3 that are used unless others are named, sorted.
var usualSuites = []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}

// splitCiphers finds those of TLS 1.3 in a list, which OpenSSL wants apart, and says whether there are others. Upstream does not
// tell haproxy of the former, so that all of them are spoken, and a list of them alone is refused.
func splitCiphers(ciphers string) (suites []string, others bool) {
	for c := range strings.SplitSeq(ciphers, ":") {
		if strings.HasPrefix(c, "TLS_") {
			suites = append(suites, c)
		} else if c != "" {
			others = true
		}
	}
	return suites, others
}

var tlsVersions = []struct{ name, off, haproxy string }{
	{"SSLv3", "no-sslv3", "SSLv3"}, {"TLSv1", "no-tlsv10", "TLSv1.0"}, {"TLSv1.1", "no-tlsv11", "TLSv1.1"},
	{"TLSv1.2", "no-tlsv12", "TLSv1.2"}, {"TLSv1.3", "no-tlsv13", "TLSv1.3"},
}

// firstByDefault is the lowest version that haproxy (2.2 and newer) speaks unless it is told a lower one. Upstream only switches
// versions off, so that lower ones never are spoken, and a listener with them alone is refused.
const firstByDefault = 3

// versionRange is the highest version asked for, -1 for none, and the lowest of those that follow it without a gap: haproxy
// takes no gaps together with a minimum.
func versionRange(versions []string) (lowest, highest int) {
	lowest, highest = len(tlsVersions), -1
	for i, v := range slices.Backward(tlsVersions) {
		switch wanted := slices.Contains(versions, v.name); {
		case wanted && highest < 0:
			lowest, highest = i, i
		case wanted && i == lowest-1:
			lowest = i
		}
	}
	return lowest, highest
}

// protocols writes ALPN's.
func (o *options) protocols(option string, names []string) {
	if len(names) == 0 {
		return
	}
	for _, n := range names {
		if n == "" || strings.ContainsFunc(n, func(c rune) bool { return !plain(c) && c != '/' }) {
			o.err = fmt.Errorf("%q is no ALPN protocol", n)
			return
		}
	}
	o.add(option, strings.Join(names, ","))
}

// clientHeaders are those that tell members about a client's certificate, in upstream's order.
var clientHeaders = []struct{ name, value string }{
	{"X-SSL-Client-Verify", "%[ssl_c_verify]"},
	{"X-SSL-Client-Has-Cert", "%[ssl_c_used]"},
	{"X-SSL-Client-DN", "%{+Q}[ssl_c_s_dn]"},
	{"X-SSL-Client-CN", "%{+Q}[ssl_c_s_dn(cn)]"},
	{"X-SSL-Issuer", "%{+Q}[ssl_c_i_dn]"},
	{"X-SSL-Client-SHA1", "%{+Q}[ssl_c_sha1,hex]"},
	{"X-SSL-Client-Not-Before", "%{+Q}[ssl_c_notbefore]"},
	{"X-SSL-Client-Not-After", "%{+Q}[ssl_c_notafter]"},
}
