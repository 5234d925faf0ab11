package e2e_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// server is a running `ottavino` process.
type server struct {
	t    *testing.T
	url  string
	argv []string
	log  *logFile

	mu  sync.Mutex
	cmd *exec.Cmd
}

// logFile collects what the servers of a test write; it is shown when the test fails.
type logFile struct{ *os.File }

func newLog(t *testing.T) *logFile {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = f.Close()
		if t.Failed() {
			showTail(t, f.Name())
		}
	})
	return &logFile{f}
}

func showTail(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Log(err)
		return
	}
	const lines = 80
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	t.Logf("the servers' last lines:\n%s", strings.Join(all[max(0, len(all)-lines):], "\n"))
}

// startServer runs `ottavino serve` with a configuration and waits until its API answers.
// It ends with the test; a data race in it fails the test.
func startServer(t *testing.T, url, confFile string, log *logFile) *server {
	t.Helper()
	s := &server{t: t, url: url, argv: []string{binaries.ottavino, "serve", "--config-file", confFile}, log: log}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

func (s *server) start() {
	s.t.Helper()
	cmd := exec.Command(s.argv[0], s.argv[1:]...)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.cmd = cmd
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	for !answers(ctx, s.url) {
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			s.t.Fatalf("the server did not answer at %s", s.url)
		}
	}
}

func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/", http.NoBody)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return true
}

// kill ends the server as a power cut would.
func (s *server) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// stop ends the server as an operator would, and tests that it does so in time and cleanly.
func (s *server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd.ProcessState != nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(20*time.Second, func() { _ = s.cmd.Process.Kill() })
	err := s.cmd.Wait()
	if !timer.Stop() {
		s.t.Error("the server did not end within 20 s of SIGTERM")
		return
	}
	if err != nil {
		s.t.Errorf("the server ended with %v", err)
	}
}
