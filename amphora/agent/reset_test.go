package agent_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// disk is a file system on a file. What is in the file is what a reset leaves: the kernel writes to it only what is synced,
// because it has all the time it wants for the rest.
func disk(t *testing.T, at string) (image string) {
	t.Helper()
	image = filepath.Join(shortDir(t), "disk")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 16<<20); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, "mkfs.ext4", "-q", image)
	run(t, "mount", "-o", "loop,commit=3600", image, at)
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	return image
}

func run(t *testing.T, argv ...string) {
	t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v %s", argv, err, out)
	}
}

// afterReset mounts a copy of the disk as it is now.
func afterReset(t *testing.T, image string) (at string) {
	t.Helper()
	at = shortDir(t)
	snapshot := filepath.Join(shortDir(t), "disk")
	run(t, "cp", image, snapshot)
	run(t, "mount", "-o", "loop", snapshot, at)
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	return at
}

// TestReset: what was answered is there after a reset of the machine at that moment.
func TestReset(t *testing.T) {
	var image string
	r := newRig(t, func(r *rig) {
		image = disk(t, filepath.Join(r.dir, "octavia"))
		r.replace("agent.conf", r.dir+"/interfaces", r.dir+"/octavia/etc/interfaces")
	})
	r.nic()
	if err := r.plug(); err != nil {
		t.Fatal(err)
	}
	left := afterReset(t, image)
	for name, want := range map[string]string{
		"etc/interfaces/eth1.json": vip, "plugged_interfaces": nicMAC + " eth1", "ping-wrapper.sh": "ping6",
	} {
		if text, err := os.ReadFile(filepath.Join(left, name)); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s after a reset: got %q, %v, want %s in it", name, text, err, want)
		}
	}

	r.apply(r.site(site{members: []string{fmt.Sprintf("M1 %s:%d weight 1", outside, r.web("one"))}}))
	left = filepath.Join(afterReset(t, image), lbID)
	for name, want := range map[string]string{"haproxy.cfg": "server M1", "running.json": "server M1", "agent.conf": "stats socket"} {
		if text, err := os.ReadFile(filepath.Join(left, name)); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s after a reset: got %q, %v, want %s in it", name, text, err, want)
		}
	}

	if err := r.driver.Remove(t.Context(), r.target, lbID); err != nil {
		t.Fatal(err)
	}
	left = filepath.Join(afterReset(t, image), lbID)
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("a load balancer that was removed is there after a reset: %v", err)
	}
}

// replace replaces text in a file of the rig.
func (r *rig) replace(name, old, with string) {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		r.t.Fatal(err)
	}
	r.write(name, []byte(strings.ReplaceAll(string(text), old, with)))
}
