// Package sandbox is a small OpenStack in one process, for trying, demos and tests: Keystone, Nova, Neutron, Glance and Barbican
// over HTTP, as far as the product and its clients see them. Servers are namespaces that run the real amphora agent
// and the real haproxy, or only rows. Everything lives in the world (package world) that the program is in.
package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/ottavino/ottavino/sandbox/barbican"
	"github.com/ottavino/ottavino/sandbox/glance"
	"github.com/ottavino/ottavino/sandbox/instance"
	"github.com/ottavino/ottavino/sandbox/keystone"
	"github.com/ottavino/ottavino/sandbox/neutron"
	"github.com/ottavino/ottavino/sandbox/nova"
	"github.com/ottavino/ottavino/sandbox/rest"
)

// Config says what the cloud is like.
type Config struct {
	// Dir is for certificates and console logs; "" = a temporary one that Close removes.
	Dir string
	// Agent is the path of the amphora-agent program. "" = servers are only rows: they become
	// ACTIVE and run nothing, and no namespaces are made.
	Agent string
	// Listener is where the services answer; nil = any free port of 127.0.0.1. It has to be on 127.0.0.1.
	Listener net.Listener
	// Also are more listeners for the same services, such as ones handed into the world.
	Also []net.Listener

	// TenantCIDR is the subnet of the tenants' network when servers are only rows; "" = 10.10.10.0/24.
	TenantCIDR string

	BuildDelay  time.Duration // a server's time in BUILD before it boots; 0 = 200 ms, negative = none
	DeleteDelay time.Duration // between a server's delete and its end; 0 = 50 ms, negative = none
	Latency     time.Duration // of every call
	ServerQuota int           // most servers of a project; 0 = no limit
	Log         *slog.Logger  // nil = nothing is logged
}

// Fault is something that goes wrong with calls; see rest.Fault.
type Fault = rest.Fault

// Call is a call as it arrived; see rest.Call.
type Call = rest.Call

// Sandbox is a running cloud.
type Sandbox struct {
	cfg      Config
	ownDir   bool
	hub      *rest.Hub
	identity *keystone.Keystone
	compute  *nova.Nova
	network  *neutron.Neutron
	image    *glance.Glance
	keys     *barbican.Barbican
	host     *host // nil without instances
	servers  []*http.Server
	settings Settings
	basis    Inventory // what is there without anybody's doing
	backends backends

	backendGroup string // the security group of backends
}

// Start makes a cloud. ctx bounds only the start.
func Start(ctx context.Context, cfg Config) (*Sandbox, error) {
	s, err := prepare(cfg)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if err := s.start(ctx); err != nil {
		return nil, fmt.Errorf("sandbox: %w", errors.Join(err, s.Close()))
	}
	return s, nil
}

func prepare(cfg Config) (*Sandbox, error) {
	cfg.BuildDelay = cmp.Or(cfg.BuildDelay, 200*time.Millisecond)
	cfg.DeleteDelay = cmp.Or(cfg.DeleteDelay, 50*time.Millisecond)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Sandbox{cfg: cfg, hub: rest.NewHub(cfg.Latency)}
	if cfg.Dir == "" {
		dir, err := os.MkdirTemp("", "ottavino-sandbox-")
		if err != nil {
			return nil, err
		}
		s.cfg.Dir, s.ownDir = dir, true
	}
	return s, nil
}

func (s *Sandbox) start(ctx context.Context) error {
	if s.cfg.Listener == nil {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s.cfg.Listener = l
	}
	if err := s.services(ctx); err != nil {
		return err
	}
	if err := s.populate(); err != nil {
		return err
	}
	s.serve()
	var err error
	s.basis, err = s.Inventory(ctx)
	return err
}

// services makes the services and tells them about each other.
func (s *Sandbox) services(ctx context.Context) error {
	k, err := keystone.New(s.hub, keystone.Config{})
	if err != nil {
		return err
	}
	base := "http://" + s.cfg.Listener.Addr().String()
	s.identity, s.network, s.image = k, neutron.New(s.hub, k), glance.New(s.hub, k, nil)
	s.keys = barbican.New(s.hub, k)
	var machines nova.Host
	if s.cfg.Agent != "" {
		s.host = newHost(s.cfg.Dir, s.cfg.Agent, s.network, s.cfg.Log)
		machines, s.network.Changed = s.host, s.host.changed
		if s.host.firewall, err = instance.NewFirewall(ctx); err != nil {
			s.cfg.Log.WarnContext(ctx, "sandbox: security groups are not enforced", "error", err)
		}
	}
	s.compute = nova.New(s.hub, k, s.image, s.network, machines, nova.Config{
		BuildDelay: s.cfg.BuildDelay, DeleteDelay: s.cfg.DeleteDelay, Quota: s.cfg.ServerQuota, Log: s.cfg.Log,
	})
	s.network.Gone = s.compute.PortGone
	s.identity.URL, s.compute.URL = base+"/identity", base+"/compute"
	s.network.URL, s.image.URL, s.keys.URL = base+"/network", base+"/image", base+"/key-manager"
	k.AddService("identity", "keystone", s.identity.URL+"/v3")
	k.AddService("compute", "nova", s.compute.URL+"/v2.1")
	k.AddService("network", "neutron", s.network.URL)
	k.AddService("image", "glance", s.image.URL)
	k.AddService("key-manager", "barbican", s.keys.URL)
	return nil
}

func (s *Sandbox) serve() {
	mux := http.NewServeMux()
	for prefix, service := range map[string]http.Handler{
		"/identity": s.identity, "/compute": s.compute, "/network": s.network, "/image": s.image,
		"/key-manager": s.keys,
	} {
		stripped := http.StripPrefix(prefix, rooted(service))
		mux.Handle(prefix, stripped)
		mux.Handle(prefix+"/", stripped)
	}
	for _, l := range append([]net.Listener{s.cfg.Listener}, s.cfg.Also...) {
		server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
		s.servers = append(s.servers, server)
		go func() { _ = server.Serve(l) }()
	}
}

// rooted gives a bare prefix the path "/".
func rooted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "" {
			r.URL.Path = "/"
		}
		h.ServeHTTP(w, r)
	})
}

// Close ends all servers and backends, and the services. It may be called once.
func (s *Sandbox) Close() error {
	s.hub.Close()
	for _, server := range s.servers {
		_ = server.Close()
	}
	if s.compute != nil {
		s.compute.Close()
	}
	s.backends.stopAll()
	var err error
	if s.host != nil {
		err = s.host.close()
	}
	if s.ownDir {
		err = errors.Join(err, os.RemoveAll(s.cfg.Dir))
	}
	return err
}

// Inject makes calls go wrong; remove ends that. See rest.Hub.
func (s *Sandbox) Inject(f Fault) (remove func()) { return s.hub.Inject(f) }

// Calls returns the calls since the start or the last ResetCalls.
func (s *Sandbox) Calls() []Call { return s.hub.Calls() }

// ResetCalls forgets the calls made so far.
func (s *Sandbox) ResetCalls() { s.hub.ResetCalls() }

// FailBuild makes the next server end in ERROR with this message.
func (s *Sandbox) FailBuild(message string) { s.compute.FailBuild(message) }

// ForgetSecret makes a reference of Barbican lead nowhere.
func (s *Sandbox) ForgetSecret(ref string) { s.keys.Forget(ref) }

// ReplaceSecret gives a secret of Barbican another payload.
func (s *Sandbox) ReplaceSecret(ref string, payload []byte) { s.keys.Replace(ref, payload) }

// RegisterLoadBalancer puts the load balancer service into the catalogue.
func (s *Sandbox) RegisterLoadBalancer(url string) {
	s.identity.AddService("load-balancer", "octavia", url)
}
