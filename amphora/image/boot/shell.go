package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// shell runs commands in the machine, over a serial line. The image knows nothing of it: its unit is put on a copy of the disk.
type shell struct {
	conn  net.Conn
	lines *bufio.Reader
}

const shellUnit = `[Unit]
Description=Commands of who tries the image

[Service]
ExecStart=/bin/sh -c 'stty -F /dev/ttyS1 raw -echo; exec 3<>/dev/ttyS1; echo ::ready >&3; while read -r line <&3; do sh -c "$$line" </dev/null >/run/said 2>&1; status=$$?; { cat /run/said; echo; echo ::$$status; } >&3; done'
`

// addShell writes the unit to a disk's root file system, which is the second partition.
func addShell(ctx context.Context, dir, disk string) error {
	out, err := exec.CommandContext(ctx, "sfdisk", "--json", disk).Output()
	if err != nil {
		return fmt.Errorf("read partitions: %w", err)
	}
	var table struct {
		PartitionTable struct {
			SectorSize int64 `json:"sectorsize"`
			Partitions []struct {
				Start int64 `json:"start"`
			} `json:"partitions"`
		} `json:"partitiontable"`
	}
	if err := json.Unmarshal(out, &table); err != nil || len(table.PartitionTable.Partitions) != 2 {
		return fmt.Errorf("understand partitions: %w", errors.Join(err, errors.New("not two")))
	}
	unit, commands := filepath.Join(dir, "shell.service"), filepath.Join(dir, "commands")
	steps := "write " + unit + " /etc/systemd/system/shell.service\n" +
		"symlink /etc/systemd/system/multi-user.target.wants/shell.service /etc/systemd/system/shell.service\n"
	if err := errors.Join(os.WriteFile(unit, []byte(shellUnit), 0o644), os.WriteFile(commands, []byte(steps), 0o600)); err != nil {
		return err
	}
	root := fmt.Sprintf("%s?offset=%d", disk, table.PartitionTable.Partitions[1].Start*table.PartitionTable.SectorSize)
	if out, err := exec.CommandContext(ctx, "debugfs", "-w", "-f", commands, root).CombinedOutput(); err != nil {
		return fmt.Errorf("write to the disk: %w: %s", err, out)
	}
	return nil
}

// openShell opens the line; the shell says when it is there.
func openShell(ctx context.Context, socket string) (*shell, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	return &shell{conn: conn, lines: bufio.NewReader(conn)}, nil
}

// await waits for the shell of a machine that boots.
func (s *shell) await(d time.Duration) error {
	_, err := s.read(d)
	return err
}

// run runs a command of one line and returns what it says.
func (s *shell) run(command string) (string, error) {
	if _, err := fmt.Fprintln(s.conn, command); err != nil {
		return "", err
	}
	said, err := s.read(patience)
	if err != nil {
		return said, fmt.Errorf("%s: %w: %s", command, err, said)
	}
	return said, nil
}

// read reads up to the line that ends an answer.
func (s *shell) read(d time.Duration) (string, error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		return "", err
	}
	var said strings.Builder
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return said.String(), err
		}
		end, is := strings.CutPrefix(strings.TrimSpace(line), "::")
		switch status, err := strconv.Atoi(end); {
		case !is:
			said.WriteString(line)
		case end == "ready", err == nil && status == 0:
			return strings.TrimSpace(said.String()), nil
		default:
			return strings.TrimSpace(said.String()), errors.New("status " + end)
		}
	}
}
