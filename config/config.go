// Package config reads octavia.conf the way oslo.config does and gives every option that is
// honoured a typed value: defaults filled in, seconds as time.Duration, secrets that cannot be printed.
//
// Adding an option is adding one field to the struct of its group (groups.go and its
// neighbours): the tags are the whole declaration, and the comment behind the field is what
// etc/octavia.conf says about it (make generate).
//
// The tags:
//
//	opt      the key in the file
//	default  as the file would write it; none = the type's zero value
//	unit     of a time.Duration: s (when absent) or ms
//	min,max  limits of a number or a duration (in its unit)
//	choices  the values accepted, separated by |; of a list: by each item
//	form     a closer look at the text: port, hostport, limit, fernet
//	old      deprecated names, separated by |; each "key" or "group.key"
//	env      an environment variable that supplies the default
//	multi    "true": repeating the key adds to the list
//
// What uses the values is not known here: this package imports nothing of ours.
package config

//go:generate go run ./sample -o ../etc/octavia.conf

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Config is octavia.conf. Every field holds its default when no file sets it. It is not
// changed after Load, so it may be shared.
type Config struct {
	Default           Default           `group:"DEFAULT"`
	APISettings       APISettings       `group:"api_settings"`
	Database          Database          `group:"database"`
	KeystoneAuthtoken KeystoneAuthtoken `group:"keystone_authtoken" old:"keystone_authtoken_v3"`
	ServiceAuth       ServiceAuth       `group:"service_auth"`
	Nova              Nova              `group:"nova"`
	Glance            Glance            `group:"glance"`
	Neutron           Neutron           `group:"neutron"`
	Certificates      Certificates      `group:"certificates"`
	KeyManager        KeyManager        `group:"key_manager"`
	Networking        Networking        `group:"networking"`
	Compute           Compute           `group:"compute"`
	ControllerWorker  ControllerWorker  `group:"controller_worker"`
	HAProxyAmphora    HAProxyAmphora    `group:"haproxy_amphora"`
	AmphoraAgent      AmphoraAgent      `group:"amphora_agent"`
	KeepalivedVRRP    KeepalivedVRRP    `group:"keepalived_vrrp"`
	HealthManager     HealthManager     `group:"health_manager"`
	HouseKeeping      HouseKeeping      `group:"house_keeping"`
	Quotas            Quotas            `group:"quotas"`
	OsloPolicy        OsloPolicy        `group:"oslo_policy"`
	OsloMiddleware    OsloMiddleware    `group:"oslo_middleware"`
	CORS              CORS              `group:"cors"`

	// Path are the directories in which files are looked for whose names are relative: of the
	// files and directories that were loaded, then where Octavia looks.
	Path []string

	// Warnings say what the files hold and nobody reads: probably misspelt, or long gone; and which
	// options have no effect here. Each names file, line, group and key, never a value.
	Warnings []string
}

// Load reads the files in order and then every *.conf of each directory in name order; what
// is read later wins, and OS_<GROUP>__<KEY> in the environment wins over all. A file or
// directory that is missing is an error. All refused values are reported at once: the error
// joins one *ValueError each; then the Config is nil.
func Load(files, dirs []string) (*Config, error) {
	paths := append([]string(nil), files...)
	for _, dir := range dirs {
		more, err := confFiles(dir)
		if err != nil {
			return nil, err
		}
		paths = append(paths, more...)
	}
	src := &source{env: os.LookupEnv}
	for _, path := range paths {
		if err := src.addFile(path); err != nil {
			return nil, err
		}
	}
	cfg, err := build(src)
	if err != nil {
		return nil, err
	}
	cfg.Path = searchPath(files, dirs)
	return cfg, nil
}

// searchPath is where oslo.config looks for files: the last that was loaded counts first.
func searchPath(files, dirs []string) []string {
	path := slices.Clone(dirs)
	for _, file := range slices.Backward(files) {
		path = append(path, filepath.Dir(file))
	}
	return append(path, places()...)
}

// confFiles lists dir/*.conf in name order.
func confFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("configuration directory: %w", err)
	}
	var paths []string
	for _, e := range entries {
		if !e.IsDir() && filepath.Ext(e.Name()) == ".conf" {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

// Find returns what Load reads when the command line names nothing: the first octavia.conf and the first
// octavia.conf.d of ~/.octavia, ~, /etc/octavia and /etc. Both are empty when there is none.
func Find() (files, dirs []string) {
	return first(places(), "octavia.conf"), first(places(), "octavia.conf.d")
}

// places are the directories where Octavia keeps its configuration.
func places() []string {
	places := []string{"/etc/octavia", "/etc"}
	if home, err := os.UserHomeDir(); err == nil {
		places = append([]string{filepath.Join(home, ".octavia"), home}, places...)
	}
	return places
}

func first(places []string, name string) []string {
	for _, place := range places {
		path := filepath.Join(place, name)
		if _, err := os.Stat(path); err == nil {
			return []string{path}
		}
	}
	return nil
}

// build fills a Config from what was read.
func build(src *source) (*Config, error) {
	cfg := &Config{}
	rows := rowsOf(cfg)
	if err := decode(rows, src); err != nil {
		return nil, err
	}
	if err := finish(cfg, src, rows); err != nil {
		return nil, err
	}
	cfg.Warnings = append(src.leftovers(rows), src.ineffective(rows)...)
	if old := cfg.AmphoraAgent.AgentTLSProtocol; old != "" && slices.Index(tlsVersions, old) < slices.Index(tlsVersions, "TLSv1.2") {
		cfg.Warnings = append(cfg.Warnings, "[amphora_agent] agent_tls_protocol: agents and controllers speak TLSv1.2 at least, not "+old)
	}
	return cfg, nil
}
