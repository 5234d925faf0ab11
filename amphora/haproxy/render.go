// Package haproxy turns a load balancer document into haproxy.cfg. It is pure: the same document and
// options give the same bytes, and no attribute can add a directive.
package haproxy

import "github.com/ottavino/ottavino/amphora"

// Options is what the amphora and octavia.conf add to the document.
type Options struct {
	AmphoraID                  string // the local peer's name derives from it
	HAProxyMajor, HAProxyMinor int    // from Info.HAProxyVersion; gates directives
	BasePath                   string // "" = /var/lib/octavia
	DefaultConnectionLimit     int    // 0 = 50000
	StickSize                  string // "" = 10k
	ConnectionLogging          bool
	UserLogFormat              string // "" = upstream's default
	UserLogFacility            int
	AdministrativeLogFacility  int
	CPUCount                   int  // of the amphora; with PinCPUs sets nbthread
	PinCPUs                    bool // tuned profile "amphora" is active
}

// Render returns haproxy.cfg, or an error that names the object that cannot be rendered.
// ok is false when there is nothing for haproxy to run (no HTTP or TCP listener left).
func Render(lb amphora.LoadBalancer, o Options) (cfg []byte, ok bool, err error) { panic("todo") }

// PeerName is upstream's hash of an amphora id.
func PeerName(amphoraID string) string { panic("todo") }
