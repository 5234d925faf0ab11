package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// finish derives what depends on several options, and refuses combinations.
func finish(cfg *Config, src *source, rows []row) error {
	if cfg.Default.Host == "" {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("[DEFAULT] host is not set: %w", err)
		}
		cfg.Default.Host = host
	}
	inheritAuth(cfg, src, rows)
	return errors.Join(
		checkTLS(cfg.APISettings),
		checkCiphers(cfg.APISettings),
		checkVolumes(cfg.ControllerWorker.VolumeDriver),
		checkTemplate("haproxy_amphora", "haproxy_template", cfg.HAProxyAmphora.HAProxyTemplate),
		checkTemplate("amphora_agent", "logging_template_override", cfg.AmphoraAgent.LoggingTemplateOverride),
	)
}

// inheritAuth completes [neutron] from [service_auth]: auth_type always, and every option
// that is not set when the group's own credentials do not stand on their own.
func inheritAuth(cfg *Config, src *source, rows []row) {
	complete := cfg.Neutron.Complete()
	from := map[string]reflect.Value{}
	for _, r := range rows {
		if r.Group == "service_auth" {
			from[r.Key] = r.field
		}
	}
	for _, r := range rows {
		if r.Group != "neutron" || r.Struct != "Auth" || isSet(src, rows, r.Group, r.Key) {
			continue
		}
		if !complete || r.Key == "auth_type" {
			r.field.Set(from[r.Key])
		}
	}
	if old := cfg.Neutron.EndpointType; old != "" && !isSet(src, rows, "neutron", "valid_interfaces") {
		cfg.Neutron.ValidInterfaces = []string{strings.TrimSuffix(old, "URL")}
	}
}

func isSet(src *source, rows []row, group, key string) bool {
	for _, r := range rows {
		if r.Group == group && r.Key == key {
			_, ok := src.find(r.names)
			return ok
		}
	}
	return false
}

// Complete says whether there is all that logging in takes.
func (a Auth) Complete() bool {
	if a.AuthURL == "" {
		return false
	}
	if a.ApplicationCredentialID != "" || a.ApplicationCredentialName != "" {
		return a.ApplicationCredentialSecret != ""
	}
	return (a.Username != "" || a.UserID != "") && a.Password != ""
}

// tlsVersions in the order of their age.
var tlsVersions = []string{"SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}

// checkTLS refuses a floor that is above a default.
func checkTLS(api APISettings) error {
	if api.MinimumTLSVersion == "" {
		return nil
	}
	floor := slices.Index(tlsVersions, api.MinimumTLSVersion)
	check := func(key string, versions []string) error {
		for _, v := range versions {
			if slices.Index(tlsVersions, v) < floor {
				return refuse(key, v+" is below minimum_tls_version")
			}
		}
		return nil
	}
	return errors.Join(
		check("default_listener_tls_versions", api.DefaultListenerTLSVersions),
		check("default_pool_tls_versions", api.DefaultPoolTLSVersions),
	)
}

// checkCiphers refuses a default that users may not ask for.
func checkCiphers(api APISettings) error {
	prohibited := split(api.TLSCipherProhibitList, ":")
	check := func(key, ciphers string) error {
		for _, c := range split(ciphers, ":") {
			if slices.Contains(prohibited, c) {
				return refuse(key, c+" is on tls_cipher_prohibit_list")
			}
		}
		return nil
	}
	return errors.Join(
		check("default_listener_ciphers", api.DefaultListenerCiphers),
		check("default_pool_ciphers", api.DefaultPoolCiphers),
	)
}

func refuse(key, reason string) error {
	return &ValueError{Group: "api_settings", Key: key, Reason: reason}
}

// checkVolumes refuses what would silently be done otherwise: amphorae would boot from images, whose flavor may have no disk for that.
func checkVolumes(driver string) error {
	if driver != "volume_cinder_driver" {
		return nil
	}
	return &ValueError{Group: "controller_worker", Key: "volume_driver", Reason: "amphorae cannot boot from volumes; use volume_noop_driver"}
}

// checkTemplate refuses what would silently not be done.
func checkTemplate(group, key, path string) error {
	if path == "" {
		return nil
	}
	return &ValueError{Group: group, Key: key, Reason: "Jinja2 templates cannot be run; remove the option"}
}

// LogPath is the file that log_file and log_dir name for a process; "" = none, log to standard error.
func (d Default) LogPath(process string) string {
	switch {
	case d.LogDir == "":
		return d.LogFile
	case d.LogFile == "":
		return filepath.Join(d.LogDir, process+".log")
	case filepath.IsAbs(d.LogFile):
		return d.LogFile
	}
	return filepath.Join(d.LogDir, d.LogFile)
}
