package agent

import (
	"fmt"
	"os"
	"strings"
)

const keepalivedProgram = "/usr/sbin/keepalived"

// isKeepalived says that a process is there, and is a keepalived: no other that got its number.
func isKeepalived(pid int) bool {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return pid > 1 && err == nil && strings.HasPrefix(string(name), "keepalived")
}

// unresolved runs a program with another resolv.conf: keepalived looks up what its host is called, and would ask somebody in the
// tenant's network, and wait for an answer. The mount is seen by nobody else, because ip netns exec has made a namespace for mounts.
const unresolved = `mount --bind "$0" /etc/resolv.conf 2>/dev/null; exec "$@"`

// keepalivedUnit is a unit of a keepalived, with more lines for [Service]. It ends all of keepalived's processes, where upstream's ends
// one: what is left of a keepalived that was killed would keep the next from starting. A pid file that a reset left behind makes
// systemd take another process for keepalived, and the start for failed.
func keepalivedUnit(s service, pidFiles []string, more string) string {
	return `[Unit]
Description=Keepalive Daemon (LVS and VRRP)
After=network-online.target amphora-netns.service
Wants=network-online.target
Requires=amphora-netns.service
StartLimitIntervalSec=0

[Service]
Type=forking
KillMode=mixed
Restart=always
RestartSec=1
ExecStartPre=-/bin/rm -f ` + strings.Join(pidFiles, " ") + "\n" + more +
		"ExecStart=" + s.line() + `
ExecReload=/bin/kill -HUP $MAINPID
PIDFile=` + s.pidFile + `

[Install]
WantedBy=multi-user.target
`
}
