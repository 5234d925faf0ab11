// Package uml runs tests in another kernel: a user-mode Linux (Debian's package user-mode-linux) that is an ordinary process,
// with the machine's files and nothing of its network. It is for what the machine's kernel may lack, which is IPVS.
package uml

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const (
	program = "/usr/bin/linux.uml"
	modules = "/usr/lib/uml/modules"
	memory  = "1G"
)

// HasIPVS says that this kernel has IPVS, once it was asked to load it.
func HasIPVS() bool {
	if _, err := os.Stat("/proc/net/ip_vs"); err == nil {
		return true
	}
	_ = exec.Command("modprobe", "ip_vs").Run() //nolint:noctx // short
	_, err := os.Stat("/proc/net/ip_vs")
	return err == nil
}

// WithIPVS returns where the kernel has IPVS. Where it has not, it runs the calling test in a user-mode Linux that has, fails if that
// failed, and returns false: the test has nothing left to do. It must not be called in a subtest. env is added to the
// environment inside.
func WithIPVS(t *testing.T, env ...string) bool {
	t.Helper()
	if HasIPVS() {
		return true
	}
	if os.Getenv(stageEnv) != "" {
		t.Fatal("the user-mode Linux has no IPVS")
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("this kernel has no IPVS, and there is no user-mode Linux (package user-mode-linux) to test in: %v", err)
	}
	boot(t, env)
	return false
}

// boot runs this test alone in a user-mode Linux.
func boot(t *testing.T, env []string) {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	self, err := binary(filepath.Join(dir, "tests"))
	if err != nil {
		t.Fatal(err)
	}
	order := order{Dir: here, Env: env, Args: []string{"-test.run", "^" + t.Name() + "$", "-test.v", "-test.count=1"}, Status: filepath.Join(dir, "status")}
	if err := order.save(filepath.Join(dir, orderFile)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "root=/dev/root", "rootfstype=hostfs", "rw", "quiet", "mem="+memory, "con=null", "con0=null,fd:1",
		"uml_dir="+dir, "init="+self, stageEnv+"="+dir)
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what a terminal sends must not reach processes inside
	var console bytes.Buffer
	cmd.Stdout, cmd.Stderr = &console, &console
	err = cmd.Run()
	status, _ := os.ReadFile(order.Status)
	if strings.TrimSpace(string(status)) != "0" {
		t.Fatalf("in a user-mode Linux (%v, status %q):\n%s", err, status, console.Bytes())
	}
	if !bytes.Contains(console.Bytes(), fmt.Appendf(nil, "--- PASS: %s ", t.Name())) {
		t.Fatalf("in a user-mode Linux the test did not run:\n%s", console.Bytes())
	}
	t.Logf("in a user-mode Linux:\n%s", console.Bytes())
}

// binary is this program, or, as the race detector needs more of a kernel than there is inside, one like it without that.
func binary(path string) (string, error) {
	if !race {
		return os.Executable()
	}
	cmd := exec.Command("go", "test", "-c", "-o", path, ".") //nolint:noctx // ends by itself
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build tests without the race detector: %w: %s", err, out)
	}
	return path, nil
}
