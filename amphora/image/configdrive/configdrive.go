// Package configdrive gives a new amphora what Nova has on its config drive: the agent's files, the name of the instance, keys
// for logging in and the management network. It is what cloud-init does, for the few things that controllers ask for.
package configdrive

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"
)

// Drive is a mounted config drive (label config-2).
type Drive struct{ dir string }

// Open looks at a mounted drive. One without meta data is none.
func Open(dir string) (*Drive, error) {
	d := &Drive{dir}
	if _, err := d.meta(); err != nil {
		return nil, err
	}
	return d, nil
}

// metadata is meta_data.json.
type metadata struct {
	UUID     string            `json:"uuid"`
	Hostname string            `json:"hostname"`
	Name     string            `json:"name"`
	Keys     map[string]string `json:"public_keys"`
	Files    []struct {
		Path    string `json:"path"`
		Content string `json:"content_path"` // below openstack
	} `json:"files"`
}

// userData is what is read of a cloud-config document. Its runcmd restarts services, which start after the files are there.
type userData struct {
	Timezone string `yaml:"timezone"`
	Files    []struct {
		Path        string `yaml:"path"`
		Content     string `yaml:"content"`
		Encoding    string `yaml:"encoding"`
		Permissions string `yaml:"permissions"`
	} `yaml:"write_files"`
}

const (
	// marker holds the id of the instance whose files were written: later boots must not bring back a certificate that has
	// been replaced since.
	marker   = "/var/lib/octavia/instance-id"
	fileMode = 0o600
	dirMode  = 0o755
)

// Apply writes what the drive says below root, "" for /. Files are written once per instance, the network's at every boot. Who does
// not understand what is said of the network may yet be reached by DHCP, and then needs the files.
func (d *Drive) Apply(root string) error {
	meta, err := d.meta()
	if err != nil {
		return err
	}
	return errors.Join(d.network(root), d.instance(root, meta))
}

// instance writes the files of a new instance.
func (d *Drive) instance(root string, meta metadata) error {
	seen, err := os.ReadFile(filepath.Join(root, marker))
	if err == nil && string(seen) == meta.UUID {
		return nil
	}
	files, timezone, err := d.files(meta)
	if err != nil {
		return err
	}
	for path, content := range files {
		if err := write(root, path, content, fileMode); err != nil {
			return err
		}
	}
	if err := system(root, meta, timezone); err != nil {
		return err
	}
	unix.Sync()                                             // before the marker, so that a machine that is reset now does not miss half of it for ever
	return write(root, marker, []byte(meta.UUID), fileMode) // last: what failed is done again
}

func (d *Drive) meta() (metadata, error) {
	var m metadata
	text, err := d.read("openstack/latest/meta_data.json")
	if err != nil {
		return m, fmt.Errorf("read config drive: %w", err)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("understand meta_data.json: %w", err)
	}
	return m, nil
}

func (d *Drive) read(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(d.dir, filepath.Clean("/"+name)))
}

// files are those that Nova injects and those in the user data.
func (d *Drive) files(meta metadata) (files map[string][]byte, timezone string, err error) {
	files = map[string][]byte{}
	for _, f := range meta.Files {
		content, err := d.read("openstack/" + f.Content)
		if err != nil {
			return nil, "", fmt.Errorf("read injected file %s: %w", f.Path, err)
		}
		files[f.Path] = content
	}
	text, err := d.read("openstack/latest/user_data")
	if errors.Is(err, os.ErrNotExist) || err == nil && !bytes.HasPrefix(text, []byte("#cloud-config")) {
		return files, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("read user data: %w", err)
	}
	var data userData
	if err := yaml.Unmarshal(text, &data); err != nil {
		return nil, "", errors.New("user data is no cloud-config: not YAML") // its words may hold a key
	}
	for _, f := range data.Files {
		content, err := decode(f.Content, f.Encoding)
		if err != nil {
			return nil, "", fmt.Errorf("file %s in user data: %w", f.Path, err)
		}
		files[f.Path] = content
	}
	return files, data.Timezone, nil
}

func decode(content, encoding string) ([]byte, error) {
	switch encoding {
	case "", "text/plain":
		return []byte(content), nil
	case "b64", "base64":
		out, err := base64.StdEncoding.DecodeString(content)
		if err != nil {
			return nil, errors.New("not base64")
		}
		return out, nil
	}
	return nil, fmt.Errorf("unknown encoding %q", encoding)
}

// system writes name, keys and time zone.
func system(root string, meta metadata, timezone string) error {
	if name, _, _ := strings.Cut(meta.Hostname, "."); name != "" {
		if err := write(root, "/etc/hostname", []byte(name+"\n"), 0o644); err != nil {
			return err
		}
	}
	var keys bytes.Buffer
	for _, key := range meta.Keys {
		keys.WriteString(strings.TrimSpace(key) + "\n")
	}
	if keys.Len() > 0 {
		if err := write(root, "/root/.ssh/authorized_keys", keys.Bytes(), fileMode); err != nil {
			return err
		}
	}
	zone := filepath.Join("/usr/share/zoneinfo", filepath.Clean("/"+timezone))
	if _, err := os.Stat(filepath.Join(root, zone)); timezone == "" || err != nil {
		return nil // an image without that zone keeps UTC
	}
	at := filepath.Join(root, "/etc/localtime")
	_ = os.Remove(at)
	return os.Symlink(zone, at)
}

// write replaces a file below root.
func write(root, path string, content []byte, mode os.FileMode) error {
	path = filepath.Join(root, filepath.Clean("/"+path))
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", content, mode); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
