package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ottavino/ottavino/sandbox"
)

// acceptance is gophercloud's own test suite for load balancers, which go.mod brings along.
const acceptance = "github.com/gophercloud/gophercloud/v2/internal/acceptance/openstack/loadbalancer/v2"

// TestGophercloudAcceptance runs all of gophercloud's acceptance tests for loadbalancer/v2.
func TestGophercloudAcceptance(t *testing.T) {
	t.Parallel()
	suite := buildAcceptance(t)
	l := newLab(t, labOptions{})
	l.serve()
	st := l.sandbox.Settings()
	names := suite.list(t)
	t.Run("suite", func(t *testing.T) {
		for _, name := range together(names, "TestQuotas") {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				// Some run for administrators only; the one of tags wants to see no other load balancers.
				who := st.Admin
				if strings.HasSuffix(name, "ByTags") {
					who = st.Other
				}
				suite.run(t, name, acceptanceEnv(st, who))
			})
		}
	})
	if !t.Failed() {
		l.assertNoLeaks()
	}
}

func acceptanceEnv(st sandbox.Settings, who sandbox.Login) []string {
	return append(st.Env(who), "OS_DOMAIN_NAME=Default", "OS_BRANCH=master")
}

// goSuite is a test program.
type goSuite struct{ path string }

func buildAcceptance(t *testing.T) goSuite {
	t.Helper()
	//nolint:usetesting // another user must get in, whom the parents of t.TempDir keep out
	dir, err := os.MkdirTemp(filepath.Dir(binaries.ottavino), "acceptance-")
	if err != nil {
		t.Fatal(err)
	}
	suite := goSuite{filepath.Join(dir, "loadbalancer.test")}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "acceptance", "-o", suite.path, acceptance)
	if err := asUser(cmd, dir); err != nil {
		t.Fatal(err)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", acceptance, err, out)
	}
	return suite
}

// list returns the names of all tests.
func (s goSuite) list(t *testing.T) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), s.path, "-test.list", ".").Output()
	names := strings.Fields(string(out))
	// v2.15.0 has 21; a build without the tag would have none.
	if err != nil || len(names) < 21 {
		t.Fatalf("tests of %s: got %d, want at least 21; %v", acceptance, len(names), err)
	}
	return names
}

// together makes one pattern of the tests with a prefix, which want to run in their order: the quota that one deletes
// is the one that another has set.
func together(names []string, prefix string) []string {
	apart := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return strings.HasPrefix(n, prefix) })
	return append(apart, prefix+".*")
}

// run runs the tests of a pattern, which must neither fail nor be skipped.
func (s goSuite) run(t *testing.T, pattern string, env []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.path, "-test.v", "-test.run", "^"+pattern+"$")
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: ") || strings.Contains(string(out), "--- SKIP: ") {
		t.Errorf("%v\n%s", err, out)
	}
}
