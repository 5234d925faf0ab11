package uml

import (
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	stageEnv  = "OTTAVINO_UML" // in the kernel's command line, and so in init's environment: the directory of the order
	orderFile = "order.json"
)

// order is what shall be done inside.
type order struct {
	Dir    string   // to work in
	Args   []string // of the program
	Env    []string // beside what every program needs
	Status string   // file that gets the exit status
}

func (o order) save(path string) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// init turns the program into process 1 of a user-mode Linux when boot started it. This has to come before anything else the
// program does.
func init() {
	dir := os.Getenv(stageEnv)
	if dir == "" || os.Getpid() != 1 || os.Getenv(insideEnv) != "" {
		return
	}
	if err := run(filepath.Join(dir, orderFile)); err != nil {
		fmt.Fprintln(os.Stderr, "user-mode Linux:", err)
	}
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// insideEnv tells process 1 of a world inside from that of the kernel.
const insideEnv = "OTTAVINO_UML_INSIDE"

func run(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var o order
	if err := json.Unmarshal(text, &o); err != nil {
		return err
	}
	if err := prepare(); err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe", o.Args...) //nolint:noctx // ends with the kernel
	cmd.Args[0] = os.Args[0]
	cmd.Dir, cmd.Stdout, cmd.Stderr = o.Dir, os.Stdout, os.Stderr
	cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TMPDIR=/mnt", stageEnv + "=" + os.Getenv(stageEnv), insideEnv + "=1"}, o.Env...)
	_ = cmd.Run() // the status says it
	status := -1
	if cmd.ProcessState != nil {
		status = cmd.ProcessState.ExitCode()
	}
	return os.WriteFile(o.Status, []byte(strconv.Itoa(status)), 0o600)
}

// wanted are the modules that programs inside cannot load: they find no modprobe. Those that are not there are parts of the kernel.
var wanted = []string{
	"ip_vs", "ip_vs_wrr", "ip_vs_lc", "ip_vs_sh", "veth", "bridge", "overlay", "xfrm_user", "nf_tables", "nft_masq", "nft_ct", "nf_conntrack_bridge", "sctp", "hmac", "md5", "sha1_generic", "crc32c_generic",
	"iptable_nat", "iptable_raw", "ip6table_nat", "ip6table_raw", "xt_MASQUERADE", "xt_CT", "xt_tcpudp", "xt_sctp",
}

// prepare mounts what programs expect, and loads what amphorae need of the kernel.
func prepare() error {
	for _, m := range []struct{ kind, at string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"tmpfs", "/run"}, {"tmpfs", "/mnt"}} {
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	l, err := findModules()
	if err != nil {
		return err
	}
	for _, name := range wanted {
		if err := l.load(name); err != nil {
			return err
		}
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// loader loads modules with those they need.
type loader struct {
	files  map[string]string // by name
	loaded map[string]bool
}

func findModules() (*loader, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return nil, err
	}
	root := filepath.Join(modules, unix.ByteSliceToString(name.Release[:]))
	l := &loader{files: map[string]string{}, loaded: map[string]bool{}}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if base, ok := strings.CutSuffix(filepath.Base(path), ".ko"); ok {
			l.files[strings.ReplaceAll(base, "-", "_")] = path
		}
		return err
	})
	return l, err
}

// load takes a module that there is none of for a part of the kernel.
func (l *loader) load(name string) error {
	path, ok := l.files[name]
	if !ok || l.loaded[name] {
		return nil
	}
	l.loaded[name] = true
	needs, err := dependencies(path)
	if err != nil {
		return err
	}
	for _, n := range needs {
		if err := l.load(n); err != nil {
			return err
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("load %s: %w", name, err)
	}
	return nil
}

// dependencies reads what a module says it needs.
func dependencies(path string) ([]string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("%s: no modinfo", path)
	}
	text, err := section.Data()
	if err != nil {
		return nil, err
	}
	var out []string
	for entry := range strings.SplitSeq(string(text), "\x00") {
		if list, ok := strings.CutPrefix(entry, "depends="); ok && list != "" {
			out = append(out, strings.Split(strings.ReplaceAll(list, "-", "_"), ",")...)
		}
	}
	return out, nil
}
