package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// machine is a virtual machine with an amphora's disk. Its networks are qemu's own: the first is management, the second, which
// is plugged in later, has the VIP. In both, 10.0.2.2 and 10.0.3.2 are this machine's loopback.
type machine struct {
	dir     string
	cmd     *exec.Cmd
	done    chan struct{} // closed when qemu has ended
	monitor *json.Decoder
	qmp     net.Conn
	shell   *shell
}

const (
	managementNet = "10.0.2.0/24"
	trafficNet    = "10.0.3.0/24"
	vip           = "10.0.3.50"
	base          = "10.0.3.15"
	host          = "10.0.3.2" // this machine, seen from the traffic network
	vipMAC        = "52:54:00:0c:7a:02"
	mgmtMAC       = "52:54:00:0c:7a:01"

	diskSize = 4 << 30 // a flavor's, larger than the image
)

// boot starts the machine with a copy of the image, so that the image stays as it is. Port of this machine leads to the agent's.
func boot(ctx context.Context, dir, image, drive string, port, memoryMiB int) (*machine, error) {
	disk := filepath.Join(dir, "disk")
	if out, err := exec.CommandContext(ctx, "qemu-img", "convert", "-O", "raw", image, disk).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make disk: %w: %s", err, out)
	}
	if err := addShell(ctx, dir, disk); err != nil {
		return nil, err
	}
	if err := os.Truncate(disk, diskSize); err != nil {
		return nil, err
	}
	m := &machine{dir: dir, done: make(chan struct{})}
	socket := filepath.Join(dir, "qmp")
	m.cmd = exec.CommandContext(ctx, "qemu-system-x86_64", "-machine", "pc,accel=tcg", "-m", strconv.Itoa(memoryMiB),
		"-display", "none", "-serial", "file:"+filepath.Join(dir, "console"),
		"-serial", "unix:"+filepath.Join(dir, "shell")+",server=on,wait=off", "-qmp", "unix:"+socket+",server=on,wait=off",
		"-drive", "file="+disk+",if=virtio,format=raw", "-drive", "file="+drive+",if=virtio,format=raw,readonly=on",
		"-netdev", fmt.Sprintf("user,id=mgmt,net=%s,hostfwd=tcp:127.0.0.1:%d-:9443", managementNet, port),
		"-device", "virtio-net-pci,netdev=mgmt,mac="+mgmtMAC)
	m.cmd.Stderr = os.Stderr
	if err := m.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start qemu: %w", err)
	}
	go func() { _ = m.cmd.Wait(); close(m.done) }()
	err := m.talk(ctx, socket)
	if err == nil {
		m.shell, err = openShell(ctx, filepath.Join(dir, "shell"))
	}
	if err != nil {
		m.stop()
		return nil, err
	}
	return m, nil
}

// talk opens the machine's monitor.
func (m *machine) talk(ctx context.Context, socket string) error {
	err := until(ctx, 10*time.Second, func() error {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", socket)
		m.qmp = conn
		return err
	})
	if err != nil {
		return fmt.Errorf("reach qemu's monitor: %w", err)
	}
	m.monitor = json.NewDecoder(bufio.NewReader(m.qmp))
	var greeting json.RawMessage
	if err := m.monitor.Decode(&greeting); err != nil {
		return err
	}
	return m.order("qmp_capabilities", nil)
}

// order gives qemu a command and waits for its answer; events in between are nothing to us.
func (m *machine) order(command string, arguments map[string]any) error {
	order := map[string]any{"execute": command}
	if arguments != nil {
		order["arguments"] = arguments
	}
	if err := json.NewEncoder(m.qmp).Encode(order); err != nil {
		return err
	}
	for {
		var answer struct {
			Return json.RawMessage `json:"return"`
			Error  *struct {
				Desc string `json:"desc"`
			} `json:"error"`
		}
		if err := m.monitor.Decode(&answer); err != nil {
			return err
		}
		switch {
		case answer.Error != nil:
			return fmt.Errorf("%s: %s", command, answer.Error.Desc)
		case answer.Return != nil:
			return nil
		}
	}
}

// plug plugs in the second network, with ports of this machine that lead to the VIP's.
func (m *machine) plug(web, dns int) error {
	forward := []map[string]string{
		{"str": fmt.Sprintf("tcp:127.0.0.1:%d-%s:80", web, vip)}, {"str": fmt.Sprintf("udp:127.0.0.1:%d-%s:53", dns, vip)},
	}
	err := m.order("netdev_add", map[string]any{"type": "user", "id": "traffic", "net": trafficNet, "hostfwd": forward})
	if err != nil {
		return err
	}
	return m.order("device_add", map[string]any{"driver": "virtio-net-pci", "id": "traffic-nic", "netdev": "traffic", "mac": vipMAC})
}

// reset is what a crash of the host looks like from inside.
func (m *machine) reset() error { return m.order("system_reset", nil) }

// stop ends the machine.
func (m *machine) stop() {
	if m.qmp != nil {
		_ = m.qmp.Close()
	}
	if m.shell != nil {
		_ = m.shell.conn.Close()
	}
	_ = m.cmd.Process.Kill()
	<-m.done
}

// console is the end of what the machine has said.
func (m *machine) console() string {
	text, _ := os.ReadFile(filepath.Join(m.dir, "console"))
	return string(text[max(0, len(text)-16<<10):])
}

// until repeats what fails until it does not, or for d.
func until(ctx context.Context, d time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("in vain for %s: %w", d, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
