package main

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
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

// TestDriversByName: upstream's names of noop drivers need no cloud and no certificates.
func TestDriversByName(t *testing.T) {
	path := t.TempDir() + "/octavia.conf"
	text := "[controller_worker]\namphora_driver = amphora_noop_driver\ncompute_driver = compute_noop_driver\n" +
		"network_driver = network_noop_driver\nimage_driver = image_noop_driver\n[database]\nconnection = sqlite:///" + t.TempDir() + "/o.db\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := settings{files: []string{path}}.load()
	if err != nil {
		t.Fatal(err)
	}
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
