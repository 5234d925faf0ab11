package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// errNotInMemory says why a controller's upload is refused.
var errNotInMemory = errors.New("private keys are kept in memory only, and that cannot be had")

// ensureCertDir has the directory of certificates in memory: private keys never reach a disk. Upstream's image brings a RAM
// disk along; where there is none, a tmpfs is mounted over the directory.
func ensureCertDir(dir string) error {
	if err := makeDir(dir, 0o700); err != nil {
		return err
	}
	ok, err := inMemory(dir)
	if err == nil && !ok {
		err = moveToMemory(dir)
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", errNotInMemory, dir, err)
	}
	return nil
}

func inMemory(dir string) (bool, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return false, err
	}
	kind := int64(s.Type) //nolint:unconvert // 32 bits on some machines
	if kind == unix.TMPFS_MAGIC || kind == unix.RAMFS_MAGIC {
		return true, nil
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return false, err
	}
	device := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	return onRAMDisk(device), nil
}

// onRAMDisk says that a block device is a RAM disk, or, as upstream's, mapped (and encrypted) on one.
func onRAMDisk(device string) bool {
	real, err := filepath.EvalSymlinks(device)
	if err != nil {
		return false // an overlay or a network's
	}
	name := filepath.Base(real)
	if strings.HasPrefix(name, "ram") || strings.HasPrefix(name, "zram") {
		return true
	}
	below, err := os.ReadDir(filepath.Join(real, "slaves"))
	for _, b := range below {
		if !strings.HasPrefix(b.Name(), "ram") && !strings.HasPrefix(b.Name(), "zram") {
			return false
		}
	}
	return err == nil && len(below) > 0
}

// Mount options: without swap where the kernel can (6.3) and may (not in user namespaces) do that.
const tmpfsOptions = "mode=0700,size=64m"

// moveToMemory mounts a tmpfs over a directory; what is in it moves there. It is filled before it is put in place, so
// that a mount that is refused changes nothing.
func moveToMemory(dir string) (err error) {
	beside, err := os.MkdirTemp(filepath.Dir(dir), ".certs-*")
	if err != nil {
		return err
	}
	defer os.Remove(beside)
	flags := uintptr(unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	if unix.Mount("tmpfs", beside, "tmpfs", flags, tmpfsOptions+",noswap") != nil {
		if err := unix.Mount("tmpfs", beside, "tmpfs", flags, tmpfsOptions); err != nil {
			return fmt.Errorf("mount a tmpfs: %w", err)
		}
	}
	defer func() { err = errors.Join(err, unix.Unmount(beside, unix.MNT_DETACH)) }()
	if err := os.CopyFS(beside, os.DirFS(dir)); err != nil {
		return err
	}
	if err := tighten(beside); err != nil {
		return err
	}
	if err := empty(dir); err != nil {
		return err
	}
	return unix.Mount(beside, dir, "", unix.MS_BIND, "")
}

// tighten gives copied files the mode of uploaded ones.
func tighten(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o600)
	})
}

func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}
