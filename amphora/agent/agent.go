// Package agent runs in the amphora: it serves agent API 1.0 over mutual TLS, plugs networks into
// the namespace amphora-haproxy, runs haproxy there and sends heartbeats. haproxy outlives it: an agent
// that starts adopts what runs, and starts what should.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Version of the API.
const apiVersion = "1.0"

// Agent is the agent of one amphora.
type Agent struct {
	confPath string
	log      *slog.Logger

	// change serialises requests that change something, as upstream's single worker does.
	change sync.Mutex

	mu   sync.Mutex // guards conf
	conf Config

	ledger   *ledger
	haproxy  *haproxy
	lvs      *lvs
	vrrp     *vrrp
	exporter *exporter
	versions *versions
}

// New reads the configuration file; it changes nothing.
func New(confPath string, log *slog.Logger) (*Agent, error) {
	conf, err := LoadConfig(confPath)
	if err != nil {
		return nil, err
	}
	l, services := newLedger(conf.BasePath), newServices(confPath)
	h := newHAProxy(conf, services, l, log)
	return &Agent{
		confPath: confPath, log: log, conf: conf, ledger: l, haproxy: h,
		lvs:      newLVS(conf.BasePath, services),
		vrrp:     &vrrp{base: conf.BasePath, services: services},
		exporter: &exporter{haproxy: h, log: log},
		versions: &versions{haproxy: conf.HAProxy},
	}, nil
}

func (a *Agent) config() Config {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.conf
}

// Run restores what the amphora was doing, then serves until ctx ends. haproxy goes on running.
func (a *Agent) Run(ctx context.Context) error {
	conf := a.config()
	if err := a.prepareFiles(conf); err != nil {
		return err
	}
	// Without it, certificates are refused, one by one and with the reason; the rest of the API works.
	if err := ensureCertDir(conf.CertDir); err != nil {
		a.log.ErrorContext(ctx, "certificates cannot be taken", "error", err)
	}
	// A NIC that does not come back must not keep the API from saying so.
	if err := a.restore(ctx); err != nil {
		a.log.ErrorContext(ctx, "not everything was restored", "error", err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(conf.BindHost, strconv.Itoa(conf.BindPort)))
	if err != nil {
		return fmt.Errorf("listen for controllers: %w", err)
	}
	g, inner := errgroup.WithContext(ctx)
	g.Go(func() error { return a.serve(inner, l) })
	g.Go(func() error { return a.beat(inner) })
	g.Go(func() error { return a.guard(inner) })
	g.Go(func() error { return a.watch(inner) })
	g.Go(func() error { return a.exporter.run(inner) })
	a.log.InfoContext(ctx, "agent started", "amphora_id", conf.AmphoraID, "address", l.Addr().String())
	return g.Wait()
}

// prepareFiles makes what an image brings along, where it is missing.
func (a *Agent) prepareFiles(conf Config) error {
	for _, dir := range []string{conf.BasePath, conf.InterfaceDir} {
		if err := makeDir(dir, 0o755); err != nil {
			return err
		}
	}
	lo := interfaceFile{Name: "lo", Type: "lo", Addresses: []interfaceAddr{{Address: "127.0.0.1", PrefixLen: 8}}}
	return errors.Join(
		// haproxy, as nobody, runs the wrapper that is there.
		os.Chmod(conf.BasePath, 0o755),
		lo.save(conf.InterfaceDir),
		ifAbsent(a.haproxy.groupFile(), 0o644, "global\n    group "+defaultGroup()+"\n"),
		ifAbsent(filepath.Join(conf.BasePath, "ping-wrapper.sh"), 0o755, pingWrapper),
	)
}

// pingWrapper is what haproxy runs for PING monitors. It gets an empty PATH.
const pingWrapper = `#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
case "$HAPROXY_SERVER_ADDR" in
*:*) exec ping6 -q -n -w 1 -c 1 "$HAPROXY_SERVER_ADDR" >/dev/null 2>&1 ;;
*) exec ping -q -n -w 1 -c 1 "$HAPROXY_SERVER_ADDR" >/dev/null 2>&1 ;;
esac
`

func (a *Agent) serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           a.routes(),
		TLSConfig:         a.tls(),
		ReadHeaderTimeout: 30 * time.Second,
		ReadTimeout:       a.config().ReadTimeout,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
	})
	defer stop()
	if err := server.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the API: %w", err)
	}
	return nil
}

// The commands that units run, with or without the agent.
const (
	NetworksCommand = "netns" // RestoreNetworks
	LVSCommand      = "lvs"   // PrepareUDPListener, with the id of the listener
)

// RestoreNetworks brings the namespace and its interfaces back after a reboot.
func (a *Agent) RestoreNetworks(ctx context.Context) error {
	return errors.Join(ensureNamespace(ctx), a.restoreInterfaces(ctx))
}

// restore plugs and starts again what was plugged and running, after a restart of the agent or of the amphora.
func (a *Agent) restore(ctx context.Context) error {
	a.change.Lock()
	defer a.change.Unlock()
	err := errors.Join(a.restoreNamespace(ctx), a.restoreInterfaces(ctx))
	ids, listErr := a.haproxy.ids()
	err = errors.Join(err, listErr)
	for _, id := range ids {
		a.haproxy.want(id, true)
		if a.haproxy.running(id) {
			a.haproxy.adopt(id)
			a.haproxy.adoptOld(id)
			continue
		}
		err = errors.Join(err, a.haproxy.start(ctx, id))
	}
	if a.vrrp.has() {
		a.vrrp.want(true)
	}
	if a.vrrp.missing() {
		err = errors.Join(err, a.vrrp.start(ctx))
	}
	return errors.Join(err, a.restoreUDPListeners(ctx))
}
