package instance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Process is a process in namespaces that are not the world's.
type Process struct {
	PID  int    // as the world sees it
	Name string // of its program, cut to 15 bytes by the kernel
	// Net and PIDs name its namespaces as /proc does: "net:[4026532281]".
	Net, PIDs string
}

// Processes lists what runs in instances, whoever started it: the kernel is asked, not our own notes. What ends
// meanwhile is left out.
func Processes() ([]Process, error) {
	own, err := process(os.Getpid())
	if err != nil {
		return nil, fmt.Errorf("read own namespaces: %w", err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var out []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		p, err := process(pid)
		if ended(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read process %d: %w", pid, err)
		}
		if p.Net != own.Net || p.PIDs != own.PIDs {
			out = append(out, p)
		}
	}
	return out, nil
}

// ended: a process that is gone has no directory, one that waits to be reaped has no namespaces.
func ended(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) }

func process(pid int) (Process, error) {
	p, dir := Process{PID: pid}, filepath.Join("/proc", strconv.Itoa(pid))
	var err error
	if p.Net, err = os.Readlink(filepath.Join(dir, "ns/net")); err != nil {
		return p, err
	}
	if p.PIDs, err = os.Readlink(filepath.Join(dir, "ns/pid")); err != nil {
		return p, err
	}
	name, err := os.ReadFile(filepath.Join(dir, "comm"))
	p.Name = strings.TrimSpace(string(name))
	return p, err
}

// Holds says whether a process is one of this instance's; false when the instance has ended.
func (i *Instance) Holds(p Process) bool {
	if !i.Running() {
		return false
	}
	own, err := process(i.Pid())
	return err == nil && (own.PIDs == p.PIDs || own.Net == p.Net)
}
