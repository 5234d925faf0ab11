package instance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	initEnv  = "OTTAVINO_INSTANCE_INIT" // the path of the disk
	ready    = "ready"
	pidFile  = "/run/instance-command.pid"
	webPort  = 80
	goFD     = 3
	readyFD  = 4
	respawn  = 50 * time.Millisecond
	filePerm = 0o600
)

// init turns the program into process 1 of an instance when Boot started it. This has to come
// before anything else the program does, and in every program that boots instances, tests included.
func init() {
	disk := os.Getenv(initEnv)
	if disk == "" {
		return
	}
	_ = os.Unsetenv(initEnv)
	if err := runInit(disk); err != nil {
		fmt.Fprintln(os.NewFile(readyFD, "ready"), err)
		os.Exit(1)
	}
	os.Exit(0)
}

// runInit sets the instance up, starts its program and reaps for ever.
func runInit(disk string) error {
	unix.CloseOnExec(goFD)
	unix.CloseOnExec(readyFD)
	if err := mounts(disk); err != nil {
		return err
	}
	orders := os.NewFile(goFD, "go")
	var s Spec
	if err := json.NewDecoder(orders).Decode(&s); err != nil {
		return err
	}
	_ = orders.Close()
	if err := unix.Sethostname([]byte(s.Name)); err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	if err := writeFiles(s.Files); err != nil {
		return err
	}
	if s.Web != "" {
		if err := errors.Join(serveName(s.Web), answerDatagrams(s.Web)); err != nil {
			return err
		}
	}
	child, err := start(s.Command)
	if err != nil {
		return err
	}
	if _, err := unix.Write(readyFD, []byte(ready)); err != nil {
		return err
	}
	if err := unix.Close(readyFD); err != nil {
		return err
	}
	reap(s.Command, child)
	return nil
}

// mounts gives the instance directories of its own over those of the machine.
func mounts(disk string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	// First, because the disk may be in a directory that the others hide.
	if err := mountDisk(disk); err != nil {
		return err
	}
	for _, m := range []struct{ kind, at string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"tmpfs", "/run"}, {"tmpfs", "/var/log"},
	} {
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s at %s: %w", m.kind, m.at, err)
		}
	}
	return nil
}

func writeFiles(files map[string][]byte) error {
	for path, content := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, filePerm); err != nil {
			return err
		}
	}
	return nil
}

func serveName(name string) error {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", fmt.Sprintf(":%d", webPort))
	if err != nil {
		return err
	}
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, name) }),
	}
	go func() { _ = server.Serve(l) }()
	return nil
}

// start runs the program and notes its pid; 0 without a program.
func start(argv []string) (pid int, err error) {
	if len(argv) == 0 {
		return 0, nil
	}
	p, err := os.StartProcess(argv[0], argv, &os.ProcAttr{
		Dir: "/", Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
		Files: []*os.File{nil, os.Stdout, os.Stderr},
	})
	if err != nil {
		return 0, fmt.Errorf("start %s: %w", argv[0], err)
	}
	pid = p.Pid
	_ = p.Release()
	return pid, os.WriteFile(pidFile, []byte(strconv.Itoa(pid)), filePerm)
}

// reap collects what has ended, as process 1 must, and starts the program again when it was that.
func reap(argv []string, child int) {
	for {
		pid, err := unix.Wait4(-1, nil, 0, nil)
		if errors.Is(err, unix.ECHILD) {
			time.Sleep(respawn) // nothing runs but this process; somebody may enter
		}
		if err != nil || pid != child || child == 0 {
			continue
		}
		time.Sleep(respawn)
		if child, err = start(argv); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return // the instance ends: a machine whose image is broken
		}
	}
}
