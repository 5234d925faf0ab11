package main

import (
	"cmp"
	"os"
	"strings"
	"time"

	"github.com/ottavino/ottavino/amphora/haproxy"
	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/api/keystone"
	"github.com/ottavino/ottavino/api/policy"
	"github.com/ottavino/ottavino/api/vip"
	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/config"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/secret"
	"github.com/ottavino/ottavino/worker"
	"github.com/ottavino/ottavino/worker/agentconf"
)

// The functions below say which option feeds which field.

func databaseConfig(d config.Database) db.Config {
	return db.Config{
		URL: d.Connection.Reveal(), MaxOpen: d.MaxPoolSize + max(d.MaxOverflow, 0),
		IdleTimeout: d.ConnectionRecycleTime, MaxRetries: d.MaxRetries, RetryInterval: d.RetryInterval,
	}
}

func auth(a config.Auth) cloud.Auth {
	userDomainName, userDomain := a.UserDomainName, a.UserDomainID
	if userDomainName == "" && userDomain == "" {
		userDomainName, userDomain = a.DefaultDomainName, a.DefaultDomainID
	}
	projectDomainName, projectDomain := a.ProjectDomainName, a.ProjectDomainID
	if projectDomainName == "" && projectDomain == "" {
		projectDomainName, projectDomain = a.DefaultDomainName, a.DefaultDomainID
	}
	return cloud.Auth{
		URL: a.AuthURL, Type: a.AuthType,
		Username: a.Username, UserID: a.UserID, Password: a.Password.Reveal(),
		UserDomainName: userDomainName, UserDomain: userDomain,
		ProjectName: a.ProjectName, ProjectID: a.ProjectID,
		ProjectDomainName: projectDomainName, ProjectDomain: projectDomain,
		ApplicationCredentialID:     a.ApplicationCredentialID,
		ApplicationCredentialName:   a.ApplicationCredentialName,
		ApplicationCredentialSecret: a.ApplicationCredentialSecret.Reveal(),
		SystemScope:                 a.SystemScope,
		CAFile:                      a.CAFile, CertFile: a.CertFile, KeyFile: a.KeyFile,
		Insecure: a.Insecure, Timeout: a.Timeout,
	}
}

func endpoint(e config.CatalogueEntry, serviceType string) cloud.Endpoint {
	return cloud.Endpoint{
		Type: serviceType, Name: e.ServiceName, Region: e.RegionName, Override: e.Endpoint,
		Interface: e.EndpointType, CAFile: e.CACertificatesFile, Insecure: e.Insecure,
	}
}

// secretConfig says where users' certificates are; session is nil without [service_auth].
func secretConfig(cfg *config.Config, session *cloud.Session) secret.Config {
	c := cfg.Certificates
	return secret.Config{
		Manager: c.CertManager, Backend: cfg.KeyManager.Backend, StoragePath: c.StoragePath,
		Session: session, Endpoint: endpoint(c.CatalogueEntry, "key-manager"),
	}
}

// passphrases are the keys that encrypt what is kept of users' secrets.
func passphrases(c config.Certificates) []string {
	var out []string
	for _, s := range c.ServerCertsKeyPassphrase {
		out = append(out, s.Reveal())
	}
	return out
}

func neutronEndpoint(a config.Auth) cloud.Endpoint {
	e := cloud.Endpoint{
		Type: cmp.Or(a.ServiceType, "network"), Name: a.ServiceName, Region: a.RegionName, Override: a.EndpointOverride,
		CAFile: a.CAFile, Insecure: a.Insecure,
	}
	if len(a.ValidInterfaces) > 0 {
		e.Interface = a.ValidInterfaces[0]
	}
	return e
}

func keystoneConfig(k config.KeystoneAuthtoken) keystone.Config {
	e := neutronEndpoint(k.Auth)
	e.Type = cmp.Or(k.ServiceType, "identity")
	return keystone.Config{Endpoint: e, CacheTime: k.TokenCacheTime, JWSKeys: k.JWSPublicKeyRepository}
}

func vipConfig(cfg *config.Config) vip.Config {
	n := cfg.Networking
	return vip.Config{
		AllowNetworkID: n.AllowVIPNetworkID, AllowSubnetID: n.AllowVIPSubnetID, AllowPortID: n.AllowVIPPortID,
		ValidNetworks: n.ValidVIPNetworks, DeniedNetworks: n.DenylistVIPNetworks,
		AllowInvisible: n.AllowInvisibleResourceUsage,
	}
}

func apiConfig(cfg *config.Config) api.Config {
	a, h := cfg.APISettings, cfg.HAProxyAmphora
	return api.Config{
		AuthStrategy: a.AuthStrategy, WWWAuthenticateURI: cfg.KeystoneAuthtoken.WWWAuthenticateURI,
		APIBaseURI: a.APIBaseURI, PaginationMaxLimit: a.PaginationMaxLimit,
		MaxBody: int64(cfg.OsloMiddleware.MaxRequestBodySize), QueueTimeout: cfg.Database.PoolTimeout,
		DisablePagination: !a.AllowPagination, DisableSorting: !a.AllowSorting,
		DisableFiltering: !a.AllowFiltering, DisableFieldSelection: !a.AllowFieldSelection,
		HealthcheckEnabled: a.HealthcheckEnabled, HealthcheckRefresh: a.HealthcheckRefreshInterval,
		AllowTLSTerminated: a.AllowTLSTerminatedListeners, AllowPrometheus: a.AllowPrometheusListeners,
		AllowPing: a.AllowPingHealthMonitors, MinUDPConnectDelay: time.Duration(a.UDPConnectMinInterval) * time.Second,
		DefaultProvider: a.DefaultProviderDriver, EnabledProviders: a.EnabledProviderDrivers,
		ListenerCiphers: a.DefaultListenerCiphers, PoolCiphers: a.DefaultPoolCiphers,
		ProhibitedCiphers: strings.FieldsFunc(a.TLSCipherProhibitList, func(r rune) bool { return r == ':' }),
		ListenerTLS:       a.DefaultListenerTLSVersions, PoolTLS: a.DefaultPoolTLSVersions, MinimumTLS: a.MinimumTLSVersion,
		ListenerALPN: a.DefaultListenerALPN, PoolALPN: a.DefaultPoolALPN,
		Timeouts: api.ListenerTimeouts{
			ClientData: h.TimeoutClientData, MemberConnect: h.TimeoutMemberConnect,
			MemberData: h.TimeoutMemberData, TCPInspect: h.TimeoutTCPInspect,
		},
		Topology: cfg.ControllerWorker.LoadbalancerTopology, ReservedIPs: cfg.Networking.ReservedIPs,
		PendingChanges: db.Pending(a.PendingChanges), Quotas: quotas(cfg.Quotas),
		CORS: api.CORS{
			Origins: cfg.CORS.AllowedOrigin, Credentials: cfg.CORS.AllowCredentials, MaxAge: cfg.CORS.MaxAge,
			Methods: cfg.CORS.AllowMethods, Headers: cfg.CORS.AllowHeaders, Exposed: cfg.CORS.ExposeHeaders,
		},
	}
}

func policyOptions(cfg *config.Config) policy.Options {
	o := cfg.OsloPolicy
	return policy.Options{
		File: o.PolicyFile, Dirs: o.PolicyDirs, Path: cfg.Path, DefaultRule: o.PolicyDefaultRule,
		OldDefaults: !o.EnforceNewDefaults, AnyScope: !o.EnforceScope,
	}
}

func quotas(q config.Quotas) db.QuotaDefaults {
	return db.QuotaDefaults{
		db.QuotaLoadBalancer: q.DefaultLoadBalancerQuota, db.QuotaListener: q.DefaultListenerQuota,
		db.QuotaMember: q.DefaultMemberQuota, db.QuotaPool: q.DefaultPoolQuota,
		db.QuotaHealthMonitor: q.DefaultHealthMonitorQuota,
		db.QuotaL7Policy:      q.DefaultL7PolicyQuota, db.QuotaL7Rule: q.DefaultL7RuleQuota,
	}
}

// loadBalancersPerWorker is what one of [controller_worker] workers, a process with threads in Octavia, is here.
const loadBalancersPerWorker = 32

func workerConfig(cfg *config.Config) worker.Config {
	w, h := cfg.ControllerWorker, cfg.HAProxyAmphora
	return worker.Config{
		Concurrency:   loadBalancersPerWorker * w.Workers,
		Graceful:      cfg.Default.GracefulShutdownTimeout,
		ServerWaitMax: w.AmpActiveWait, ServerBudget: time.Duration(w.AmpActiveRetries) * w.AmpActiveWait,
		AgentWaitMax: h.ConnectionRetryInterval, AgentBudget: time.Duration(h.ConnectionMaxRetries) * h.ConnectionRetryInterval,
		BuildLimit: h.BuildRateLimit, BuildWaitMax: h.BuildRetryInterval, BuildBudget: time.Duration(h.BuildActiveRetries) * h.BuildRetryInterval,
		ImageTag: w.AmpImageTag, ImageOwner: w.AmpImageOwnerID, ComputeFlavor: w.AmpFlavorID, KeyName: w.AmpSSHKeyName,
		BootNetworks: w.AmpBootNetworkList, SecurityGroups: w.AmpSecgroupList, Topology: w.LoadbalancerTopology,
		NameLength: cfg.Nova.RandomAmphoraNameLength, CertValidity: cfg.Certificates.CertValidityTime,
		SecretInterval: cfg.Certificates.SecretCheckInterval, SecretExpiryBuffer: cfg.HouseKeeping.CertExpiryBuffer,
		ClientCA:      clientCA(cfg),
		NoHAProxy:     w.AmphoraDriver == noopAmphora,
		UserDataFiles: w.UserDataConfigDrive,
		Agent:         agentConfig(cfg), Logging: loggingConfig(cfg.AmphoraAgent), Timezone: w.AmpTimezone,
		HAProxy: haproxy.Options{
			BasePath: h.BasePath, BaseCertDir: h.BaseCertDir,
			DefaultListenerCiphers: cfg.APISettings.DefaultListenerCiphers, DefaultPoolCiphers: cfg.APISettings.DefaultPoolCiphers,
			DefaultConnectionLimit: h.DefaultConnectionLimit, StickSize: h.HAProxyStickSize,
			TimeoutClientData: milliseconds(h.TimeoutClientData), TimeoutMemberConnect: milliseconds(h.TimeoutMemberConnect),
			TimeoutMemberData: milliseconds(h.TimeoutMemberData), TimeoutTCPInspect: milliseconds(h.TimeoutTCPInspect),
			ConnectionLogging: h.ConnectionLogging, UserLogFormat: h.UserLogFormat,
			UserLogFacility:           cfg.AmphoraAgent.UserLogFacility,
			AdministrativeLogFacility: cfg.AmphoraAgent.AdministrativeLogFacility,
		},
	}
}

func milliseconds(d time.Duration) int { return int(d.Milliseconds()) }

func clientCA(cfg *config.Config) func() ([]byte, error) {
	if cfg.ControllerWorker.AmphoraDriver == noopAmphora {
		return nil
	}
	return func() ([]byte, error) { return os.ReadFile(cfg.ControllerWorker.ClientCA) }
}

func agentConfig(cfg *config.Config) agentconf.Config {
	a, h, m := cfg.AmphoraAgent, cfg.HAProxyAmphora, cfg.HealthManager
	return agentconf.Config{
		Debug: cfg.Default.Debug, BaseCertDir: h.BaseCertDir, BasePath: h.BasePath,
		BindHost: h.BindHost.String(), BindPort: h.BindPort, HAProxyCmd: h.HAProxyCmd,
		UserLogFacility: a.UserLogFacility, AdministrativeLogFacility: a.AdministrativeLogFacility,
		Controllers: m.ControllerIPPortList, HeartbeatInterval: m.HeartbeatInterval, HeartbeatKey: m.HeartbeatKey.Reveal(),
		AgentServerCA: a.AgentServerCA, AgentServerCert: a.AgentServerCert, AgentServerNetworkDir: a.AgentServerNetworkDir,
		RequestReadTimeout: a.AgentRequestReadTimeout, UDPDriver: a.AmphoraUDPDriver, TLSProtocol: a.AgentTLSProtocol,
	}
}

func loggingConfig(a config.AmphoraAgent) agentconf.Logging {
	return agentconf.Logging{
		AdminTargets: a.AdminLogTargets, TenantTargets: a.TenantLogTargets,
		UserFacility: a.UserLogFacility, AdministrativeFacility: a.AdministrativeLogFacility,
		Protocol: a.LogProtocol, RetryCount: a.LogRetryCount, RetryInterval: a.LogRetryInterval,
		QueueSize: a.LogQueueSize, ForwardAll: a.ForwardAllLogs, DisableLocal: a.DisableLocalLogStorage,
	}
}
