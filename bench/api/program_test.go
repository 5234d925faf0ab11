package main

import (
	"net"
	"strings"
	"testing"
)

var somewhere = place{
	dir: "/tmp/x", config: "/tmp/x/o.conf", database: "mysql+pymysql://u:p@localhost/octavia",
	address: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711},
}

// What Debian says stays, but for the place, the account and the log.
func TestUWSGIConf(t *testing.T) {
	t.Parallel()
	const debians = "[uwsgi]\nprocesses = 8\nthreads = 32\nlogto = /var/log/octavia/octavia-api.log\nuid = octavia\ngid=octavia\n" +
		"chdir = /var/lib/octavia\nwsgi-file = /usr/bin/octavia-wsgi\n"
	got := uwsgiConf(debians, somewhere, 0)
	for _, want := range []string{
		"processes = 8\n", "threads = 32\n", "wsgi-file = /usr/bin/octavia-wsgi\n", "http-socket = 127.0.0.1:4711\n",
		"chdir = /tmp/x\n", "pyargv = --config-file /tmp/x/o.conf\n",
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("got %q, want %q once", got, want)
		}
	}
	for _, refused := range []string{"/var/", "uid", "gid"} {
		if strings.Contains(got, refused) {
			t.Errorf("got %q, which has %q", got, refused)
		}
	}
	if got := uwsgiConf(debians, somewhere, 2); !strings.Contains(got, "processes = 2\n") || strings.Contains(got, "processes = 8") {
		t.Errorf("got %q, want 2 processes", got)
	}
}

func TestMissingSaysWhat(t *testing.T) {
	t.Parallel()
	err := missing([]program{{name: "octavia-api", needs: []string{"sh", "no-such-program"}, hint: "install it"}})
	if err == nil || !strings.Contains(err.Error(), "octavia-api: no-such-program is missing; install it") {
		t.Errorf("got %v", err)
	}
	if err := missing([]program{{needs: []string{"sh"}}}); err != nil {
		t.Error(err)
	}
}
