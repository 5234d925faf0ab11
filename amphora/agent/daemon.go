package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// daemon is the process that was told to write its number to a file (-p); 0 = it does not run. The file is not enough: on a full disk
// it is empty, and for a moment when haproxy reloads. Who overlooks one starts a second beside it, and both serve, each what it
// knows. is says that a process is one of the kind.
func daemon(pidFile string, is func(pid int) bool) int {
	if pid := written(pidFile, is); pid != 0 {
		return pid
	}
	const session = 6 - 3 // of statOf
	option := []byte("\x00-p\x00" + pidFile + "\x00")
	found, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is good
	for _, path := range found {
		line, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(line, option) {
			continue
		}
		// Its children have the same command line, and are in its session.
		number := filepath.Base(filepath.Dir(path))
		words, err := statOf(filepath.Join(filepath.Dir(path), "stat"))
		if pid, _ := strconv.Atoi(number); err == nil && words[session] == number && is(pid) {
			return pid
		}
	}
	return 0
}

// written is the process whose number is in a file; 0 = it does not run.
func written(pidFile string, is func(pid int) bool) int {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return 0
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && is(pid) {
		return pid
	}
	return 0
}
