package configdrive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long the drive may take to appear at boot.
const patience = 30 * time.Second

// Boot finds the config drive of this machine, applies it and takes its name. It runs once per boot, before what the
// files are for.
func Boot(ctx context.Context) error {
	device, err := find(ctx)
	if err != nil {
		return err
	}
	const at = "/run/config-drive"
	if err := os.MkdirAll(at, 0o700); err != nil {
		return err
	}
	if err := mount(device, at); err != nil {
		return err
	}
	d, err := Open(at)
	if err == nil {
		err = d.Apply("")
	}
	err = errors.Join(err, unix.Unmount(at, 0))
	if name, e := os.ReadFile("/etc/hostname"); e == nil {
		err = errors.Join(err, unix.Sethostname(bytes.TrimSpace(name)))
	}
	return err
}

// find waits for the drive: Nova labels it config-2, in capitals where its file system has no others.
func find(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		for _, label := range []string{"config-2", "CONFIG-2"} {
			path := "/dev/disk/by-label/" + label
			if _, err := os.Stat(path); err == nil {
				return path, nil
			}
		}
		select {
		case <-ctx.Done():
			return "", errors.New("there is no config drive (label config-2)")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// mount tries the file systems that Nova makes ([DEFAULT] config_drive_format).
func mount(device, at string) error {
	var errs []error
	for _, kind := range []string{"iso9660", "vfat"} {
		err := unix.Mount(device, at, kind, unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOEXEC, "")
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("mount config drive as %s: %w", kind, err))
	}
	return errors.Join(errs...)
}
