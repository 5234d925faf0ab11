// Package arch_test holds the module to the directions of ARCHITECTURE.md: who may import whom, who may
// use which foreign module, and what must not end up in a binary.
package arch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ottavino/ottavino"

// ours says what of ours a folder may import besides itself and its subfolders. The longest folder that matches a package
// decides. Tests are free.
var ours = map[string][]string{
	"obs":    {},
	"config": {},
	"db":     {"obs"},

	"cloud":   {"obs"},
	"compute": {"cloud", "obs"},
	"network": {"cloud", "obs"},

	"amphora":            {"obs"},
	"amphora/image/boot": {"amphora", "worker/agentconf"}, // a program
	"secret":             {"cloud", "obs"},

	"api":             {"db", "obs"},
	"api/certificate": {"api", "secret"},
	"api/keystone":    {"api", "cloud", "obs"},
	"api/policy":      {},
	"api/vip":         {"api", "cloud", "db", "network", "obs"},

	"worker":              {"amphora", "cloud", "compute", "db", "network", "obs", "secret"},
	"worker/agentconf":    {},
	"worker/health":       {"amphora", "cloud", "compute", "db", "obs"},
	"worker/housekeeping": {"amphora", "cloud", "compute", "db", "network", "obs"},

	"sandbox": {"amphora/certs", "obs"},
	"demo":    {"obs"},

	"cmd/ottavino":      {"*"},
	"cmd/amphora-agent": {"amphora", "obs", "config"},
}

// foreign says which folders alone may import a module. Modules that are not here are for everybody.
var foreign = map[string][]string{
	"gorm.io":                            {"db"},
	"database/sql":                       {"db"},
	"github.com/pressly/goose":           {"db"},
	"github.com/go-sql-driver/mysql":     {"db"},
	"github.com/jackc/pgx":               {"db"},
	"github.com/mattn/go-sqlite3":        {"db"},
	"github.com/labstack/echo":           {"api"},
	"github.com/gophercloud":             {"cloud", "compute", "network", "secret", "api/keystone", "demo", "cmd/ottavino"},
	"github.com/spf13":                   {"cmd"},
	"github.com/vishvananda":             {"amphora/agent", "sandbox"},
	"github.com/google/nftables":         {"amphora/agent", "sandbox"},
	"github.com/golang-jwt/jwt":          {"api/keystone", "sandbox"},
	"go.yaml.in/yaml":                    {"api/policy", "sandbox", "cmd/ottavino", "amphora/image/configdrive"},
	"github.com/google/go-cmp":           {},
	"github.com/rogpeppe/go-internal":    {},
	"go.uber.org/goleak":                 {},
	"pgregory.net/rapid":                 {},
	"gopkg.in/ini.v1":                    {},
	"github.com/pkg/errors":              {},
	"github.com/sirupsen/logrus":         {},
	"github.com/stretchr/testify":        {},
	"github.com/hashicorp/go-multierror": {},
}

// unlinked says what must not be linked into what lies in a folder, however indirectly.
var unlinked = map[string][]string{
	"amphora/agent":     {"gorm.io", "database/sql", "github.com/labstack/echo", "github.com/gophercloud", "runtime/cgo"},
	"cmd/amphora-agent": {"gorm.io", "database/sql", "github.com/labstack/echo", "github.com/gophercloud", "runtime/cgo"},
	"api":               {module + "/worker", module + "/sandbox"},
	"worker":            {module + "/api", module + "/sandbox", "github.com/labstack/echo"},
	"db":                {"net/http/httptest", "github.com/labstack/echo", "github.com/gophercloud"},
	"sandbox":           {"gorm.io", module + "/api", module + "/worker", module + "/db"},
}

// pkg is what go list tells about a package, without its tests.
type pkg struct {
	Dir        string
	ImportPath string
	Imports    []string
	Deps       []string
}

func (p pkg) folder() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

// packages lists the module's packages.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=Dir,ImportPath,Imports,Deps", module+"/...")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0") // as the agent is built
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		// go test caches a result until what the test itself has read changes.
		if _, err := os.ReadDir(p.Dir); err != nil {
			t.Fatal(err)
		}
		if !exempt(p.folder()) {
			all = append(all, p)
		}
	}
	if len(all) < len(ours)/2 {
		t.Fatalf("got %d packages, want the module", len(all))
	}
	return all
}

// exempt are packages of tests only, and this one.
func exempt(folder string) bool {
	return under(folder, "internal") || under(folder, "e2e") || under(folder, "bench") || under(folder, "db/dbtest") || folder == "config/sample"
}

// under says whether a path is folder or lies in it.
func under(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

func underAny(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return f == "*" || under(path, f) })
}

func TestOurImports(t *testing.T) {
	for _, p := range packages(t) {
		top := owner(p.folder())
		if top == "" {
			t.Errorf("%s is in no folder of the table", p.folder())
			continue
		}
		for _, path := range p.Imports {
			folder, isOurs := strings.CutPrefix(path, module+"/")
			if isOurs && !under(folder, top) && !underAny(folder, ours[top]) {
				t.Errorf("%s imports %s, which may only import %v", p.folder(), folder, ours[top])
			}
		}
	}
}

// owner is the longest folder of the table that holds a package.
func owner(folder string) string {
	best := ""
	for f := range ours {
		if under(folder, f) && len(f) > len(best) {
			best = f
		}
	}
	return best
}

func TestForeignImports(t *testing.T) {
	for _, p := range packages(t) {
		for _, path := range p.Imports {
			for prefix, folders := range foreign {
				if under(path, prefix) && !underAny(p.folder(), folders) {
					t.Errorf("%s imports %s, which is for %v alone", p.folder(), path, folders)
				}
			}
		}
	}
}

func TestLinks(t *testing.T) {
	for _, p := range packages(t) {
		for folder, refused := range unlinked {
			if !under(p.folder(), folder) {
				continue
			}
			for _, dep := range p.Deps {
				if underAny(dep, refused) {
					t.Errorf("%s links %s", p.folder(), dep)
				}
			}
		}
	}
}
