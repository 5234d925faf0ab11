package agent

import (
	"errors"
	"os"
	"path/filepath"
)

// What these functions have done is there after a reset of the machine: files are synced, and so are the directories that name
// them. An amphora knows of what it serves only what is on its disk.

// replaceFile writes beside and renames, so that nobody ever reads half a file.
func replaceFile(path string, content []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = renameFile(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// ifAbsent writes a file unless there is one.
func ifAbsent(path string, mode os.FileMode, text string) error {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return replaceFile(path, []byte(text), mode)
}

// renameFile stays within a directory.
func renameFile(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

// removeAll also is for what is not there.
func removeAll(path string) error {
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(path)); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// makeDir makes a directory and those above it.
func makeDir(path string, mode os.FileMode) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	above := filepath.Dir(path)
	if err := makeDir(above, mode); err != nil {
		return err
	}
	if err := os.Mkdir(path, mode); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncDir(above)
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
