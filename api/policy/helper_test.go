package policy_test

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/ottavino/ottavino/api/policy"
)

func load(t *testing.T, o policy.Options) *policy.Enforcer {
	t.Helper()
	e, err := policy.Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func logTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
