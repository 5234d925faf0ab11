package instance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// An instance's disk is a tmpfs in the world, beside its console. It holds what the instance has changed in the
// directories below, and so outlives a crash and a reboot.
const diskSuffix = ".disk"

// onDisk are the directories that an instance has as the machine has them, with its own changes.
var onDisk = []string{"/etc", "/var/lib"}

// openDisk makes the disk of an instance, or finds it.
func openDisk(path string) (made bool, err error) {
	err = os.Mkdir(path, 0o755)
	if errors.Is(err, os.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := unix.Mount("tmpfs", path, "tmpfs", 0, "mode=0755"); err != nil {
		return false, errors.Join(fmt.Errorf("mount the disk %s: %w", path, err), os.Remove(path))
	}
	return true, nil
}

// removeDisk throws a disk away; absent is no error.
func removeDisk(path string) error {
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount the disk %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// mountDisk puts the disk over the directories of the machine and hides all instances' disks. It runs inside.
func mountDisk(path string) error {
	for _, over := range onDisk {
		upper := filepath.Join(path, over)
		work := upper + ".work"
		for _, d := range []string{upper, work} {
			if err := os.MkdirAll(d, 0o755); err != nil {
				return err
			}
		}
		options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", over, upper, work)
		if err := unix.Mount("overlay", over, "overlay", 0, options); err != nil {
			return fmt.Errorf("mount an overlay at %s: %w", over, err)
		}
	}
	disks, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"+diskSuffix))
	if err != nil {
		return err
	}
	for _, d := range disks {
		// One that is being removed right now is nobody's loss.
		_ = unix.Unmount(d, unix.MNT_DETACH)
	}
	return nil
}
