package agent

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// dynamic has an interface get addresses from the network where a controller did not tell them.
func (a *Agent) dynamic(f interfaceFile) error {
	var errs []error
	for _, address := range f.Addresses {
		if address.IPv6Auto {
			errs = append(errs, inNamespace(func() error {
				// 2: also where the namespace forwards
				return errors.Join(sysctl("net/ipv6/conf/"+f.Name+"/accept_ra", "2"), sysctl("net/ipv6/conf/"+f.Name+"/autoconf", "1"))
			}))
		}
		if address.DHCP {
			errs = append(errs, a.askDHCP(f.Name))
		}
	}
	return errors.Join(errs...)
}

// leaseScript is what udhcpc runs. An address lives as long as its lease, by which it is told from those that controllers give;
// the default route is behind that of the VIPs.
const leaseScript = `#!/bin/sh
case "$1" in
bound | renew)
	ip -4 address replace "$ip/${mask:-24}" dev "$interface" valid_lft "${lease:-3600}" preferred_lft "${lease:-3600}"
	[ -z "$router" ] || ip -4 route replace default via "${router%% *}" dev "$interface" proto dhcp metric 1000
	;;
deconfig) ip -4 address flush dev "$interface" dynamic ;;
esac
`

// askDHCP starts a DHCP client for an interface, which outlives the agent, unless there is one.
func (a *Agent) askDHCP(name string) error {
	pidFile := "/run/dhclient-" + name + ".pid"
	if clientRuns(pidFile) {
		return nil
	}
	argv := []string{"/sbin/dhclient", "-nw", "-lf", "/var/lib/dhclient/dhclient-" + name + ".leases", "-pf", pidFile, name}
	if _, err := os.Stat(argv[0]); err != nil {
		script := filepath.Join(a.config().BasePath, "dhcp-lease.sh")
		if err := ifAbsent(script, 0o755, leaseScript); err != nil {
			return err
		}
		// Two seconds are for who asked for this; then it asks again every few, where its default are twenty.
		argv = []string{"udhcpc", "-b", "-t", "2", "-T", "1", "-A", "3", "-s", script, "-p", pidFile, "-i", name}
	} else if err := makeDir("/var/lib/dhclient", 0o755); err != nil {
		return err
	}
	// Not CommandContext: the client outlives whoever asked for it.
	cmd := exec.Command("ip", append([]string{"netns", "exec", namespace}, argv...)...) //nolint:noctx // see above
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("start a DHCP client for %s: %w", name, err)
	}
	return nil
}

func clientRuns(pidFile string) bool {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 {
		return false
	}
	words, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && (strings.Contains(string(words), "dhclient") || strings.Contains(string(words), "udhcpc"))
}
