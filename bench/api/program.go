package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// program is how one of the APIs is set up and run.
type program struct {
	name     string
	database string
	needs    []string // programs and files, all of which are executable
	hint     string   // what to do when they are missing
	settings string   // of octavia.conf, beside those that all have
	own      []string // see peer
	closes   bool     // takes one request per connection
	migrate  func(ctx context.Context, config string) *exec.Cmd
	serve    func(place) (*exec.Cmd, error)
}

// place is where a program runs.
type place struct {
	dir, config, database string
	address               net.Addr
}

func (p program) logIn(dir string) string { return filepath.Join(dir, p.name+".log") }

func ottavino(bin string) program {
	path := filepath.Join(bin, "ottavino")
	return program{
		name: "ottavino", database: "ottavino", needs: []string{path, "mariadbd"}, hint: "make bench-api builds and installs it",
		settings: "[api_settings]\npending_changes = reject\n",
		own:      []string{"ottavino_work", "ottavino_event"},
		migrate: func(ctx context.Context, config string) *exec.Cmd {
			return exec.CommandContext(ctx, path, "db", "sync", "--config-file", config)
		},
		serve: func(p place) (*exec.Cmd, error) {
			return exec.Command(path, "api", "--config-file", p.config), nil //nolint:noctx // ended by close
		},
	}
}

// Where Debian's octavia-api is.
const (
	wsgi     = "/usr/bin/octavia-wsgi"
	uwsgiINI = "/etc/octavia/octavia-api-uwsgi.ini"
)

func upstream(processes int) program {
	return program{
		name: "octavia-api", database: "octavia", needs: []string{"octavia-db-manage", wsgi, "uwsgi_python3"},
		hint: "make bench-api installs Debian's package octavia-api; -alone goes without",
		// oslo.messaging's own stand-in for a broker.
		settings: "[DEFAULT]\ntransport_url = fake://\n",
		closes:   true, // and Debian's ini removes Content-Length, so that clients cannot know
		migrate: func(ctx context.Context, config string) *exec.Cmd {
			return exec.CommandContext(ctx, "octavia-db-manage", "--config-file", config, "upgrade", "head")
		},
		serve: func(p place) (*exec.Cmd, error) {
			text, err := os.ReadFile(uwsgiINI)
			if err != nil {
				return nil, err
			}
			ini := filepath.Join(p.dir, "uwsgi.ini")
			if err := os.WriteFile(ini, []byte(uwsgiConf(string(text), p, processes)), 0o600); err != nil {
				return nil, err
			}
			return exec.Command("uwsgi_python3", "--ini", ini), nil //nolint:noctx // ended by close
		},
	}
}

// uwsgiConf is Debian's file with another address, log and account, and perhaps another number of processes. The init
// script would give it the address and the arguments.
func uwsgiConf(debians string, p place, processes int) string {
	ours := map[string]string{
		"uid": "", "gid": "", "logto": "", "chdir": p.dir, "http-socket": p.address.String(),
		"pyargv": "--config-file " + p.config, "thunder-lock": "true",
	}
	if processes > 0 {
		ours["processes"] = fmt.Sprint(processes)
	}
	var b strings.Builder
	for line := range strings.Lines(debians) {
		key, _, _ := strings.Cut(line, "=")
		if _, replaced := ours[strings.TrimSpace(key)]; !replaced {
			b.WriteString(line)
		}
	}
	for key, value := range ours {
		if value != "" {
			fmt.Fprintf(&b, "\n%s = %s", key, value)
		}
	}
	return b.String() + "\n"
}

// octaviaConf is the configuration that all have, and a program's own. Sections may come twice.
func octaviaConf(p place, own string) string {
	host, port, _ := strings.Cut(p.address.String(), ":")
	return fmt.Sprintf(`[api_settings]
bind_host = %s
bind_port = %s
auth_strategy = noauth
pagination_max_limit = 1000
[database]
connection = %s
[controller_worker]
amphora_driver = amphora_noop_driver
compute_driver = compute_noop_driver
network_driver = network_noop_driver
image_driver = image_noop_driver
volume_driver = volume_noop_driver
[certificates]
cert_manager = local_cert_manager
[oslo_concurrency]
lock_path = %s
`, host, port, p.database, p.dir) + own
}
