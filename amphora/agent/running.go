package agent

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// running is what a worker runs: what it read when it started, and what it was told since.
type running struct {
	Worker string            `json:"worker"` // pid and start time: another worker runs something else
	Config string            `json:"config"`
	Files  map[string]string `json:"files"` // digests by path: certificates, lists, CAs
	Lists  map[string]string `json:"lists"` // contents of crt-lists, by path
	// Names are what haproxy calls certificates that took the place of others while it ran, by path.
	Names map[string]string `json:"names"`
}

// name is what haproxy calls a certificate.
func (r running) name(path string) string { return cmp.Or(r.Names[path], path) }

// runningFile also is the last good configuration.
func (h *haproxy) runningFile(id string) string { return filepath.Join(h.dir(id), "running.json") }

// known is what haproxy runs; ok is false when that is not known for sure.
func (h *haproxy) known(id string) (r running, ok bool) {
	r, err := h.lastGood(id)
	if err != nil {
		return r, false
	}
	worker, err := h.worker(id)
	return r, err == nil && worker == r.Worker
}

func (h *haproxy) lastGood(id string) (running, error) {
	var r running
	text, err := os.ReadFile(h.runningFile(id))
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(text, &r)
}

// remember notes what haproxy runs now. When that fails, nothing is known, and the next change is a reload.
func (h *haproxy) remember(id string, r running) error {
	worker, err := h.worker(id)
	if err != nil {
		return err
	}
	r.Worker = worker
	h.keepFiles(id, r)
	return h.note(id, r)
}

// keepFiles keeps in memory what haproxy has loaded: certificates are overwritten before anybody knows whether they are good. Keys
// are among them, and so they are kept nowhere else.
func (h *haproxy) keepFiles(id string, r running) {
	kept := map[string][]byte{}
	for path, want := range r.Files {
		if content, err := os.ReadFile(path); err == nil && digest(content) == want {
			kept[path] = content
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.loaded[id] = kept
}

// restoreLoaded brings back what was overwritten since haproxy loaded it.
func (h *haproxy) restoreLoaded(ctx context.Context, id string) {
	good, err := h.lastGood(id)
	if err == nil {
		_, err = h.restoreFiles(id, good)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		h.log.ErrorContext(ctx, "certificates that haproxy serves are not brought back to their files", "error", err)
	}
}

func (h *haproxy) restoreFiles(id string, good running) (some bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for path, content := range h.loaded[id] {
		now, readErr := os.ReadFile(path)
		if readErr == nil && digest(now) == good.Files[path] || digest(content) != good.Files[path] {
			continue
		}
		some = true
		err = errors.Join(err, replaceFile(path, content, 0o600))
	}
	return some, err
}

func (h *haproxy) note(id string, r running) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return replaceFile(h.runningFile(id), text, 0o600)
}

// worker names the worker that serves.
func (h *haproxy) worker(id string) (string, error) {
	pid := strconv.Itoa(h.current(id))
	since, err := startTime(pid)
	return pid + "@" + since, err
}

// startTime is when a process started, in ticks since the machine did.
func startTime(pid string) (string, error) {
	words, err := statOf("/proc/" + pid + "/stat")
	if err != nil {
		return "", err
	}
	return words[startField], nil
}

// startField is where statOf has the start time.
const startField = 22 - 3

// statOf are the fields of a process's stat (proc(5)) behind its name, which may hold anything: state, parent, ...
func statOf(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	words := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(words) <= startField {
		return nil, errors.New("not understood: " + string(text))
	}
	return words, nil
}

// asWritten is what the files say that haproxy shall run.
func (h *haproxy) asWritten(id string) (running, layout, error) {
	text, err := os.ReadFile(h.configFile(id))
	if err != nil {
		return running{}, layout{}, err
	}
	l := parseLayout(text)
	r := running{Config: string(text), Files: map[string]string{}, Lists: map[string]string{}}
	for path, kind := range maps.Clone(l.files) {
		content, _ := os.ReadFile(path) // unreadable (a directory): it counts as changed
		if kind == listFile {
			r.Lists[path] = string(content)
			for _, listed := range certificatesIn(content) {
				l.files[listed] = certificateFile
			}
		}
	}
	for path := range l.files {
		if content, err := os.ReadFile(path); err == nil {
			r.Files[path] = digest(content)
		}
	}
	return r, l, nil
}

// certificatesIn are the files of a crt-list: the first word of every line.
func certificatesIn(list []byte) []string {
	var out []string
	for _, line := range entries(string(list)) {
		out = append(out, line[0])
	}
	return out
}

// entries are the lines of a crt-list, in words.
func entries(list string) [][]string {
	var out [][]string
	for line := range strings.Lines(list) {
		if words := strings.Fields(line); len(words) > 0 && words[0][0] != '#' {
			out = append(out, words)
		}
	}
	return out
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
