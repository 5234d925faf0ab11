package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/certs"
	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/api/certificate"
	"github.com/ottavino/ottavino/api/keystone"
	"github.com/ottavino/ottavino/api/policy"
	"github.com/ottavino/ottavino/api/vip"
	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/config"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/obs"
	"github.com/ottavino/ottavino/secret"
	"github.com/ottavino/ottavino/worker"
	"github.com/ottavino/ottavino/worker/health"
	"github.com/ottavino/ottavino/worker/housekeeping"
)

// parts are what the roles of a process share.
type parts struct {
	cfg     *config.Config
	log     *slog.Logger
	metrics *obs.Metrics
	store   *db.Store
	drivers drivers
}

func newParts(ctx context.Context, cfg *config.Config, log *slog.Logger) (*parts, error) {
	store, err := db.Open(ctx, databaseConfig(cfg.Database), log)
	if err != nil {
		return nil, err
	}
	d, err := newDrivers(cfg)
	if err != nil {
		_ = store.Close()
		return nil, err
	}
	return &parts{cfg: cfg, log: log, metrics: obs.NewMetrics(), store: store, drivers: d}, nil
}

func (p *parts) close(ctx context.Context) {
	if err := p.store.Close(); err != nil {
		p.log.WarnContext(ctx, "database not closed", "error", err)
	}
}

func (p *parts) api() (func(context.Context) error, error) {
	cfg := p.cfg
	options := policyOptions(cfg)
	options.Log = p.log
	rules, err := policy.Load(options)
	if err != nil {
		return nil, err
	}
	deps := api.Deps{
		Store: p.store, VIP: vip.New(vipConfig(cfg), p.drivers.network), Policy: rules,
		Cloud: offer{p.drivers, cfg.ControllerWorker.AmpImageOwnerID}, Certificates: certificate.New(p.drivers.secrets),
		Log: p.log, Metrics: p.metrics,
	}
	if cfg.APISettings.AuthStrategy == api.AuthKeystone {
		session, err := cloud.NewSession(auth(cfg.KeystoneAuthtoken.Auth))
		if err != nil {
			return nil, fmt.Errorf("[keystone_authtoken]: %w", err)
		}
		if deps.Auth, err = keystone.New(keystoneConfig(cfg.KeystoneAuthtoken), session); err != nil {
			return nil, err
		}
	}
	server, err := api.New(apiConfig(cfg), deps)
	if err != nil {
		return nil, err
	}
	address := hostPort(cfg.APISettings.BindHost, cfg.APISettings.BindPort)
	return func(ctx context.Context) error {
		drained := context.AfterFunc(ctx, server.Drain)
		defer drained()
		return serveHTTP(ctx, p.log, address, server.Handler(), cfg.Default.GracefulShutdownTimeout)
	}, nil
}

func (p *parts) worker() (func(context.Context) error, error) {
	sealer, err := secret.NewSealer(passphrases(p.cfg.Certificates))
	if err != nil {
		return nil, fmt.Errorf("[certificates] server_certs_key_passphrase: %w", err)
	}
	w, err := worker.New(workerConfig(p.cfg), worker.Deps{
		Store: p.store, Compute: p.drivers.compute, Images: p.drivers.images, Network: p.drivers.network,
		Agent: p.drivers.agent, Secrets: p.drivers.secrets, Sealer: sealer, CA: p.drivers.authority(),
		Log: p.log, Metrics: p.metrics,
	})
	if err != nil {
		return nil, err
	}
	return w.Run, nil
}

func (p *parts) health() (func(context.Context) error, error) {
	h := p.cfg.HealthManager
	m, err := health.New(health.Config{
		Bind: netip.AddrPortFrom(h.BindIP, uint16(h.BindPort)), RecvBuf: h.SockRlimit,
		Keys:     [][]byte{[]byte(h.HeartbeatKey.Reveal())},
		Interval: h.HeartbeatInterval, Timeout: h.HeartbeatTimeout, Scan: h.HealthCheckInterval,
		Threshold: h.FailoverThreshold, Parallel: h.FailoverThreads, Workers: h.HealthUpdateThreads,
		Statistics: p.cfg.ControllerWorker.StatisticsDrivers,
	}, health.Deps{
		Store: p.store, Compute: p.drivers.compute, Agent: p.drivers.agent, Log: p.log, Metrics: p.metrics,
	})
	if err != nil {
		return nil, err
	}
	return m.Run, nil
}

func (p *parts) housekeeping() (func(context.Context) error, error) {
	h := p.cfg.HouseKeeping
	deps := housekeeping.Deps{
		Store: p.store, Servers: p.drivers.compute, Network: p.drivers.network, Agent: p.drivers.agent,
		Log: p.log, Metrics: p.metrics,
	}
	if p.drivers.ca != nil {
		deps.CA = p.drivers.ca
	}
	k, err := housekeeping.New(housekeeping.Config{
		CleanupInterval: h.CleanupInterval, AmphoraExpiryAge: h.AmphoraExpiryAge,
		LoadBalancerExpiryAge: h.LoadBalancerExpiryAge, CertInterval: h.CertInterval,
		CertExpiryBuffer: h.CertExpiryBuffer, CertRotateThreads: h.CertRotateThreads,
		CertValidity: p.cfg.Certificates.CertValidityTime,
	}, deps)
	if err != nil {
		return nil, err
	}
	return k.Run, nil
}

// readCA loads [certificates] ca_certificate and ca_private_key.
func readCA(c config.Certificates) (*certs.CA, error) {
	cert, err := os.ReadFile(c.CACertificate)
	if err != nil {
		return nil, fmt.Errorf("[certificates] ca_certificate: %w", err)
	}
	key, err := os.ReadFile(c.CAPrivateKey)
	if err != nil {
		return nil, fmt.Errorf("[certificates] ca_private_key: %w", err)
	}
	ca, err := certs.LoadCA(cert, key, c.CAPrivateKeyPassphrase.Reveal())
	if err != nil {
		return nil, fmt.Errorf("[certificates] ca_certificate %s: %w", c.CACertificate, err)
	}
	if err := ca.SignWith(c.SigningDigest); err != nil {
		return nil, fmt.Errorf("[certificates] signing_digest: %w", err)
	}
	return ca, nil
}

func agentDriver(h config.HAProxyAmphora, oldestTLS string) *amphora.Driver {
	minTLS := uint16(tls.VersionTLS12)
	if oldestTLS == "TLSv1.3" {
		minTLS = tls.VersionTLS13
	}
	return amphora.NewDriver(amphora.DriverConfig{
		MinTLS: minTLS, Port: h.BindPort, Zone: h.LBNetworkInterface,
		ConnectTimeout: h.RESTRequestConnTimeout, ReadTimeout: h.RESTRequestReadTimeout,
		Client: func() (tls.Certificate, error) { return tls.LoadX509KeyPair(h.ClientCert, h.ClientCert) },
		ServerCA: func() (*x509.CertPool, error) {
			pem, err := os.ReadFile(h.ServerCA)
			if err != nil {
				return nil, err
			}
			pool := x509.NewCertPool()
			if !pool.AppendCertsFromPEM(pem) {
				return nil, errors.New("[haproxy_amphora] server_ca holds no certificate")
			}
			return pool, nil
		},
	})
}
