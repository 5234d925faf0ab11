package agent_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/agent"
)

// agentEnv makes this program an agent with the configuration it names.
const agentEnv = "OTTAVINO_TEST_AGENT"

func init() {
	path := os.Getenv(agentEnv)
	if path == "" {
		return
	}
	a, err := agent.New(path, slog.New(slog.NewTextHandler(os.Stdout, nil)))
	if err == nil {
		err = a.Run(context.Background())
	}
	if err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

func inMemory(t *testing.T, dir string) bool {
	t.Helper()
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	return s.Type == unix.TMPFS_MAGIC
}

func digest(content string) string {
	sum := md5.Sum([]byte(content))
	return hex.EncodeToString(sum[:])
}

const pemName = "0123456789abcdef0123456789abcdef01234567.pem"

// TestCertificatesStayInMemory: keys never are on a disk, not even those that an older agent left there.
func TestCertificatesStayInMemory(t *testing.T) {
	r := newRig(t)
	r.stop()
	dir := filepath.Join(r.dir, "certs")
	if !inMemory(t, dir) {
		t.Fatal("the directory is not memory-backed")
	}
	if err := unix.Unmount(dir, 0); err != nil {
		t.Fatal(err)
	}
	if inMemory(t, r.dir) {
		t.Fatal("the test needs a directory on a disk")
	}
	if err := os.MkdirAll(filepath.Join(dir, lbID), 0o755); err != nil {
		t.Fatal(err)
	}
	r.write("certs/"+lbID+"/old.pem", []byte("an old key"))
	r.run()
	if md5, ok, err := r.driver.CertificateFile(t.Context(), r.target, lbID, "old.pem"); !ok || err != nil || md5 != digest("an old key") {
		t.Errorf("got %t, %v, want what was there", ok, err)
	}
	if err := r.driver.PutCertificateFile(t.Context(), r.target, lbID, pemName, []byte("a new key")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, lbID, pemName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a file for root alone", info, err)
	}
	// An agent that starts again leaves the directory as it is.
	r.stop()
	r.run()
	files, err := r.driver.CertificateFiles(t.Context(), r.target, lbID)
	if err != nil || len(files) != 2 || files[pemName] != digest("a new key") {
		t.Errorf("after a restart: got %v, %v", files, err)
	}
	r.stop()
	if err := unix.Unmount(dir, 0); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("on the disk: %v, %v", left, err)
	}
	r.run()
}

// TestNoMemoryNoKeys: where nothing can be mounted, keys are refused with the reason, and the agent works otherwise.
func TestNoMemoryNoKeys(t *testing.T) {
	r := newRig(t)
	r.stop()
	dir := filepath.Join(r.dir, "certs")
	if err := unix.Unmount(dir, 0); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", "--", self)
	cmd.Env = append(os.Environ(), agentEnv+"="+filepath.Join(r.dir, "agent.conf"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	r.until("the agent answers", func() bool {
		_, err := r.driver.Info(t.Context(), r.target)
		return err == nil
	})
	err = r.driver.PutCertificateFile(t.Context(), r.target, lbID, pemName, []byte("a key"))
	if err == nil || !strings.Contains(err.Error(), "kept in memory only") || !strings.Contains(err.Error(), "operation not permitted") {
		t.Errorf("got %v, want a refusal with its reason", err)
	}
	if left, err := filepath.Glob(filepath.Join(r.dir, "*", "*", pemName)); err != nil || len(left) > 0 {
		t.Errorf("on the disk: %v, %v", left, err)
	}
	if left, err := filepath.Glob(filepath.Join(r.dir, ".certs-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestCertificateRequests: what a controller must not do, and what it is told of what is there.
func TestCertificateRequests(t *testing.T) {
	r := newRig(t)
	info, err := r.driver.Info(t.Context(), r.target)
	if err != nil || !slices.Contains(info.Capabilities, amphora.CapabilityCertificates) {
		t.Errorf("got the capabilities %v, %v", info.Capabilities, err)
	}
	path := "/1.0/loadbalancer/" + lbID + "/certificates"
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", path, "", 200, `{"certificates":{}}`},
		{"PUT", path + "/..%2f..%2fx.pem", "x", 400, "not an id"},
		{"PUT", path + "/.hidden.pem", "x", 400, "not an id"},
		{"PUT", path + "/a%00.pem", "x", 400, "not an id"},
		{"PUT", "/1.0/loadbalancer/..%2f..%2fetc/certificates/x.pem", "x", 400, "not an id"},
		{"PUT", "/1.0/loadbalancer/%2e%2e/certificates/x.pem", "x", 400, "not an id"},
		{"GET", path + "/..%2fserver.pem", "", 400, "not an id"},
		{"DELETE", path + "/..%2f..%2fserver.pem", "", 400, "not an id"},
		{"GET", "/1.0/loadbalancer/..%2fx/certificates", "", 400, "not an id"},
		{"PUT", path + "/big.pem", strings.Repeat("x", 17<<20), 400, "exceeds the capacity limit"},
		{"PUT", path + "/" + pemName, "one", 200, "OK"},
		{"PUT", path + "/" + pemName, "two", 200, "OK"},
		{"GET", path, "", 200, `{"certificates":{"` + pemName + `":"` + digest("two") + `"}}`},
		{"DELETE", path + "/" + pemName, "", 200, "OK"},
		{"GET", path, "", 200, `{"certificates":{}}`},
		{"PUT", path + "/" + pemName, "one", 200, "OK"},
		{"DELETE", "/1.0/listeners/" + lbID, "", 200, "OK"},
		{"GET", path, "", 200, `{"certificates":{}}`},
	} {
		status, body := r.raw(c.method, c.path, c.body)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s: got %d %s, want %d with %s", c.method, c.path, status, body, c.status, c.want)
		}
	}
	if _, err := os.Stat(filepath.Join(r.dir, "server.pem")); err != nil {
		t.Error(err)
	}
	if status, _ := r.raw(http.MethodPost, path, ""); status != http.StatusMethodNotAllowed {
		t.Errorf("POST: got %d", status)
	}
}

// TestUploadIsAtomic: who reads while a file is replaced reads the old one or the new one.
func TestUploadIsAtomic(t *testing.T) {
	r := newRig(t)
	one, two := strings.Repeat("1", 1<<20), strings.Repeat("2", 1<<20)
	put := func(content string) {
		t.Helper()
		if err := r.driver.PutCertificateFile(t.Context(), r.target, lbID, pemName, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	put(one)
	ended, torn := make(chan struct{}), make(chan int, 1)
	go func() {
		n := 0
		for {
			select {
			case <-ended:
				torn <- n
				return
			default:
			}
			text, err := os.ReadFile(filepath.Join(r.dir, "certs", lbID, pemName))
			if s := string(text); err != nil || s != one && s != two {
				n++
			}
		}
	}()
	for range 10 {
		put(two)
		put(one)
	}
	close(ended)
	if n := <-torn; n > 0 {
		t.Errorf("%d readers got something else", n)
	}
}
