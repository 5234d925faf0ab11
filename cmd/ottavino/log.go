package main

import (
	"io"
	"os"
	"path/filepath"

	"github.com/ottavino/ottavino/config"
)

// logFile opens what [DEFAULT] log_file, log_dir and use_stderr name; by default standard error.
func logFile(d config.Default) (io.Writer, error) {
	path := d.LogFile
	if path == "" && d.LogDir != "" {
		path = "ottavino.log"
	}
	if path == "" {
		return os.Stderr, nil
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(d.LogDir, path)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, err
	}
	if d.UseStderr {
		return io.MultiWriter(f, os.Stderr), nil
	}
	return f, nil
}
