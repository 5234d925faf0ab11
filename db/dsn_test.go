package db_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbtest"
	"github.com/ottavino/ottavino/internal/certtest"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	ca := certificate(t)
	for url, want := range map[string][]string{
		"sqlite:////var/lib/ottavino/o.db":                             {"/var/lib/ottavino/o.db"},
		"sqlite:///o.db":                                               {"o.db"},
		"mysql+pymysql://u:p%40w@db.example:3307/octavia":              {"u:p@w@tcp(db.example:3307)/octavia?", "charset=utf8mb4", "parseTime=true", "clientFoundRows=true"},
		"mysql://u@[2001:db8::1]/octavia?charset=utf8":                 {"u@tcp([2001:db8::1]:3306)/octavia?", "charset=utf8&"},
		"mariadb+mysqldb://u:pw@/o?unix_socket=/run/my.sock":           {"u:pw@unix(/run/my.sock)/o?"},
		"mysql+pymysql://u:pw@h/o?plugin=dbcounter&read_timeout=3":     {"readTimeout=3s"},
		"mysql+pymysql://u:pw@h/o?ssl_verify_cert=false":               {"tls, verified: false"},
		"mysql+pymysql://u:pw@h/o?ssl_ca=" + ca:                        {"tls, verified: true"},
		"mysql+pymysql://u:pw@h/o?ssl_check_hostname=0&ssl_ca=" + ca:   {"tls, verified: chain"},
		"mysql+pymysql://u:pw@h/o?ssl_disabled=true&ssl_ca=" + ca:      {"u:pw@tcp(h:3306)/o?"},
		"postgresql://u:pw@h:5433/o?sslmode=disable":                   {"postgres://u:pw@h:5433/o?", "sslmode=disable"},
		"postgresql+psycopg2://u@/o?host=/run/pg&client_encoding=utf8": {"/o?", "host=%2Frun%2Fpg"},
	} {
		got, err := db.ParseURL(url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
		}
		for _, part := range want {
			if !strings.Contains(got, part) {
				t.Errorf("%s: got %s, want %s in it", url, got, part)
			}
		}
	}
	for url, want := range map[string]string{
		"":                                           "no scheme",
		"oracle://u:hunter2@h/o":                     "not supported",
		"mysql://u:hunter2@h":                        "names no database",
		"mysql://u:hunter2%zz@h/o":                   "malformed",
		"mysql://u:hunter2@h/o?charset=gbk":          "charset",
		"mysql://u:hunter2@h/o?ssl_ca=/nope":         "ssl_ca",
		"mysql://u:hunter2@h/o?ssl_cert=/nope":       "ssl_cert",
		"mysql://u:hunter2@h/o?wait=1":               "option wait",
		"mysql://u:hunter2@h/o?read_timeout=hunter2": "read_timeout",
		"postgresql://u:hunter2@h/o?x=1":             "option x",
		"postgresql://u:hunter2@h:hunter2/o":         "malformed",
		"postgresql://u:hunter2@h/o?sslmode=perhaps": "sslmode",
		"sqlite://":                                  "memory",
		"sqlite:///:memory:":                         "memory",
	} {
		_, err := db.ParseURL(url)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want an error about %q without the password", url, err, want)
		}
	}
}

// certificate returns a file with a CA's certificate.
func certificate(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, certtest.Issue(t, nil, "ca").PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestOpenTriesAgain(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "no")
	for _, url := range []string{
		"mysql+pymysql://u:hunter2@localhost/o?unix_socket=" + missing,
		"postgresql://u:hunter2@/o?host=" + missing,
		"sqlite:///" + missing + "/o.db",
	} {
		var logged bytes.Buffer
		log := slog.New(slog.NewTextHandler(&logged, nil))
		_, err := db.Open(t.Context(), db.Config{URL: url, MaxRetries: 3, RetryInterval: time.Millisecond}, log)
		if err == nil || strings.Contains(err.Error()+logged.String(), "hunter2") {
			t.Errorf("%s: got %v, want an error without the password", url, err)
		}
		if n := strings.Count(logged.String(), "not reachable"); n != 2 {
			t.Errorf("%s: got %d warnings, want 2 before the third try fails:\n%s", url, n, logged.String())
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := db.Open(ctx, db.Config{URL: url, MaxRetries: -1}, log); err == nil {
			t.Errorf("%s: opened with a context that has ended", url)
		}
	}
}

func TestPing(t *testing.T) {
	each(t, func(w *world) {
		s := dbtest.Open(w.t, w.cfg)
		if err := s.Ping(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			w.t.Fatal(err)
		}
		if err := s.Ping(w.t.Context()); err == nil {
			w.t.Error("a closed store answered")
		}
	})
}
