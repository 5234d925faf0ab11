package main

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ottavino/ottavino/config"
)

const committed = "../../etc/octavia.conf"

func TestCommittedSampleIsUpToDate(t *testing.T) {
	want, err := sample("..")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(committed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("etc/octavia.conf is old, run make generate (-want +got):\n%s", diff)
	}
}

// TestSampleIsTheDefaults reads the sample with every option uncommented: it must say what no file says.
func TestSampleIsTheDefaults(t *testing.T) {
	text, err := os.ReadFile(committed)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if key, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(key, " ") && strings.Contains(key, "=") {
			line = key
		}
		lines = append(lines, line)
	}
	path := t.TempDir() + "/octavia.conf"
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := config.Load([]string{path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := config.Load(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got.Path = want.Path // begins where the file is
	if diff := cmp.Diff(want, got, cmp.Comparer(sameSecret), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func sameSecret(a, b config.Secret) bool { return a.Reveal() == b.Reveal() }
