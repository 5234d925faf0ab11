package agent

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// namespace is where traffic is; the management interface stays outside.
const namespace = "amphora-haproxy"

const namespaceFile = "/var/run/netns/" + namespace

// ensureNamespace makes the namespace with what haproxy needs in it, unless it is there.
func ensureNamespace(ctx context.Context) error {
	if _, err := os.Stat(namespaceFile); err == nil {
		return nil
	}
	if out, err := exec.CommandContext(ctx, "ip", "netns", "add", namespace).CombinedOutput(); err != nil {
		return fmt.Errorf("make namespace %s: %w: %s", namespace, err, out)
	}
	h, closeHandle, err := openNamespace()
	if err != nil {
		return err
	}
	defer closeHandle()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("lo of the namespace: %w", err)
	}
	if err := h.LinkSetUp(lo); err != nil {
		return fmt.Errorf("lo of the namespace: %w", err)
	}
	return inNamespace(func() error {
		err := tune()
		applySysctls("/etc/sysctl.d") // whoever made the image knows better
		return err
	})
}

// applySysctls gives the namespace what the image's files say of networks. What is the whole machine's does not exist here.
func applySysctls(dir string) {
	files, _ := filepath.Glob(filepath.Join(dir, "*.conf")) // the pattern is good
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			key, value, ok := strings.Cut(line, "=")
			key = strings.TrimSpace(key)
			if ok && sysctlKey.MatchString(key) {
				_ = sysctl(strings.ReplaceAll(key, ".", "/"), strings.TrimSpace(value))
			}
		}
	}
}

// sysctlKey are those of networks, without names of interfaces.
var sysctlKey = regexp.MustCompile(`^net\.[a-z0-9_.]+$`)

// openNamespace returns a handle for interfaces in the namespace.
func openNamespace() (h *netlink.Handle, closeHandle func(), err error) {
	ns, err := netns.GetFromName(namespace)
	if err != nil {
		return nil, nil, fmt.Errorf("open namespace %s: %w", namespace, err)
	}
	defer ns.Close()
	h, err = netlink.NewHandleAt(ns)
	if err != nil {
		return nil, nil, fmt.Errorf("open namespace %s: %w", namespace, err)
	}
	return h, h.Close, nil
}

// inNamespace runs fn on a thread that is in the namespace.
func inNamespace(fn func() error) error {
	result := make(chan error, 1)
	go func() {
		// The thread is not given back: one in the wrong namespace must not run anything else.
		runtime.LockOSThread()
		ns, err := netns.GetFromName(namespace)
		if err != nil {
			result <- err
			return
		}
		defer ns.Close()
		if err := netns.Set(ns); err != nil {
			result <- err
			return
		}
		result <- fn()
	}()
	return <-result
}

// intoNamespace moves a link into the namespace.
func intoNamespace(link netlink.Link) error {
	ns, err := netns.GetFromName(namespace)
	if err != nil {
		return err
	}
	defer ns.Close()
	return netlink.LinkSetNsFd(link, int(ns))
}
