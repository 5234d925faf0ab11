package api

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ottavino/ottavino/db"
)

// defaultCiphers is upstream's default of default_listener_ciphers and default_pool_ciphers.
const defaultCiphers = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:" +
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:" +
	"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:" +
	"DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305"

// Topologies.
const (
	topologySingle        = "SINGLE"
	topologyActiveStandby = "ACTIVE_STANDBY"
)

// withDefaults fills what is not set with upstream's defaults.
func (c Config) withDefaults() Config {
	c.AuthStrategy = cmp.Or(c.AuthStrategy, AuthKeystone)
	c.PaginationMaxLimit = cmp.Or(c.PaginationMaxLimit, 1000)
	c.MaxBody = cmp.Or(c.MaxBody, 114688)
	c.MaxRequests = cmp.Or(c.MaxRequests, 128)
	c.QueueTimeout = cmp.Or(c.QueueTimeout, 10*time.Second)
	c.HealthcheckRefresh = cmp.Or(c.HealthcheckRefresh, 5*time.Second)
	c.MinUDPConnectDelay = cmp.Or(c.MinUDPConnectDelay, 3*time.Second)
	c.DefaultProvider = cmp.Or(c.DefaultProvider, db.ProviderAmphora)
	c.ListenerCiphers = cmp.Or(c.ListenerCiphers, defaultCiphers)
	c.PoolCiphers = cmp.Or(c.PoolCiphers, defaultCiphers)
	c.Topology = cmp.Or(c.Topology, topologySingle)
	c.PendingChanges = cmp.Or(c.PendingChanges, db.AcceptPending)
	c.ListenerTLS = orList(c.ListenerTLS, "TLSv1.2", "TLSv1.3")
	c.PoolTLS = orList(c.PoolTLS, "TLSv1.2", "TLSv1.3")
	c.ListenerALPN = orList(c.ListenerALPN, alpnIDs...)
	c.PoolALPN = orList(c.PoolALPN, alpnIDs...)
	c.ReservedIPs = orList(c.ReservedIPs, "169.254.169.254")
	if c.EnabledProviders == nil {
		c.EnabledProviders = map[string]string{
			db.ProviderAmphora: "The Octavia Amphora driver.",
			db.ProviderOctavia: "Deprecated alias of the Octavia Amphora driver.",
		}
	}
	if c.Timeouts == (ListenerTimeouts{}) {
		c.Timeouts = ListenerTimeouts{50 * time.Second, 5 * time.Second, 50 * time.Second, 0}
	}
	return c
}

func orList(list []string, def ...string) []string {
	if list == nil {
		return def
	}
	return list
}

// check refuses what upstream refuses at start.
func (c Config) check() error {
	if !slices.Contains([]string{AuthKeystone, AuthNoAuth, AuthTesting}, c.AuthStrategy) {
		return fmt.Errorf("api: auth_strategy %q is not keystone, noauth or testing", c.AuthStrategy)
	}
	for _, ciphers := range []string{c.ListenerCiphers, c.PoolCiphers} {
		if bad := c.prohibited(ciphers); len(bad) > 0 {
			return fmt.Errorf("api: default ciphers are on tls_cipher_prohibit_list: %s", strings.Join(bad, ", "))
		}
	}
	for _, versions := range [][]string{c.ListenerTLS, c.PoolTLS} {
		if low := c.belowMinimum(versions); len(low) > 0 {
			return fmt.Errorf("api: default TLS versions are below minimum_tls_version: %s", strings.Join(low, ", "))
		}
	}
	return nil
}

// prohibited returns the ciphers of a list that an administrator has banned.
func (c Config) prohibited(ciphers string) []string {
	var bad []string
	for _, name := range strings.Split(ciphers, ":") {
		if slices.Contains(c.ProhibitedCiphers, name) {
			bad = append(bad, name)
		}
	}
	return bad
}

// belowMinimum returns the versions that are older than minimum_tls_version.
func (c Config) belowMinimum(versions []string) []string {
	lowest := slices.Index(tlsVersions, c.MinimumTLS)
	var low []string
	for _, v := range versions {
		if slices.Index(tlsVersions, v) < lowest {
			low = append(low, v)
		}
	}
	return low
}

// reserved says that an address may not be a member's.
func (c Config) reserved(address string) bool {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(c.ReservedIPs, func(r string) bool {
		b, err := netip.ParseAddr(r)
		return err == nil && a == b
	})
}

// millis is a default timeout as rows hold it.
func millis(d time.Duration) int { return int(d.Milliseconds()) }
