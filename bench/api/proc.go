package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ticks is the unit of CPU time in /proc: a hundredth of a second on every Linux.
const ticks = 100

// stat is what /proc/<pid>/stat tells of a process.
type stat struct {
	parent int
	cpu    float64 // seconds in user and kernel mode, those of children that ended included
}

// parseStat reads the line. The program's name stands in parentheses and may hold anything.
func parseStat(line []byte) (stat, error) {
	fields := bytes.Fields(line[bytes.LastIndexByte(line, ')')+1:])
	const parent, utime, cstime = 1, 11, 14
	if len(fields) <= cstime {
		return stat{}, fmt.Errorf("no process in %q", line)
	}
	var s stat
	var err error
	if s.parent, err = strconv.Atoi(string(fields[parent])); err != nil {
		return s, err
	}
	for _, f := range fields[utime : cstime+1] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return s, err
		}
		s.cpu += float64(n) / ticks
	}
	return s, nil
}

// tree is a process with all its descendants.
func tree(root int) (map[int]stat, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	all := map[int]stat{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if ended(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if all[pid], err = parseStat(line); err != nil {
			return nil, err
		}
	}
	if _, there := all[root]; !there {
		return nil, fmt.Errorf("process %d has ended", root)
	}
	for pid := range all {
		if !descends(all, pid, root) {
			delete(all, pid)
		}
	}
	return all, nil
}

// ended says that a process is no more.
func ended(err error) bool { return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) }

func descends(all map[int]stat, pid, root int) bool {
	for pid != root {
		s, there := all[pid]
		if !there {
			return false
		}
		pid = s.parent
	}
	return true
}

// treeCPU is the CPU seconds of a process and its descendants.
func treeCPU(root int) (float64, error) {
	all, err := tree(root)
	sum := 0.0
	for _, s := range all {
		sum += s.cpu
	}
	return sum, err
}

// treeMemory is the resident memory of a process and its descendants in MiB: all of it, and with each shared page divided among
// those that share it.
func treeMemory(root int) (resident, proportional float64, err error) {
	all, err := tree(root)
	if err != nil {
		return 0, 0, err
	}
	for pid := range all {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if ended(err) {
			continue
		}
		if err != nil {
			return 0, 0, err
		}
		for line := range strings.Lines(string(text)) {
			name, rest, _ := strings.Cut(line, ":")
			if name != "Rss" && name != "Pss" {
				continue
			}
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			if err != nil {
				return 0, 0, err
			}
			if name == "Rss" {
				resident += kib / 1024
			} else {
				proportional += kib / 1024
			}
		}
	}
	return resident, proportional, nil
}
