package main

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ottavino/ottavino/config"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ottavino": main})
}

// TestScripts runs the program as operators do; the scripts are in testdata.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", Setup: func(e *testscript.Env) error {
		e.Setenv("HOME", e.WorkDir)
		return nil
	}})
}

// noopConf is an octavia.conf with upstream's names of noop drivers.
func noopConf(t *testing.T, more string) *config.Config {
	t.Helper()
	path := t.TempDir() + "/octavia.conf"
	text := "[controller_worker]\namphora_driver = amphora_noop_driver\ncompute_driver = compute_noop_driver\n" +
		"network_driver = network_noop_driver\nimage_driver = image_noop_driver\n[database]\nconnection = sqlite:///" + t.TempDir() + "/o.db\n"
	if err := os.WriteFile(path, []byte(text+more), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := settings{files: []string{path}}.load()
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestDriversByName: upstream's names of noop drivers need no cloud and no certificates.
func TestDriversByName(t *testing.T) {
	cfg := noopConf(t, "")
	log, err := openLog(cfg.Default)
	if err != nil {
		t.Fatal(err)
	}
	p, err := newParts(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	p.close(context.Background())
}

// TestCertManagersByName: each of upstream's names gives a manager; what cannot work is said at start.
func TestCertManagersByName(t *testing.T) {
	for _, name := range []string{"barbican_cert_manager", "local_cert_manager", "castellan_cert_manager", "noop_cert_manager"} {
		d, err := newDrivers(noopConf(t, "[certificates]\ncert_manager = "+name+"\n"))
		if err != nil || d.secrets == nil {
			t.Errorf("%s: got %v, %v", name, d.secrets, err)
		}
	}
	_, err := newDrivers(noopConf(t, "[certificates]\ncert_manager = castellan_cert_manager\n[key_manager]\nbackend = vault\n"))
	if err == nil || !strings.Contains(err.Error(), "[certificates] cert_manager") || !strings.Contains(err.Error(), "vault") {
		t.Errorf("castellan on vault: got %v, want an error that names option and backend", err)
	}
}
