package agent

import (
	"errors"
	"io/fs"
	"os"
)

// tuning is what the namespace's own network stack is told: a new one has the kernel's defaults, whatever the machine has.
// Values are those of upstream's image.
var tuning = [][2]string{
	// haproxy binds a VIP that is not here (yet).
	{"net/ipv4/ip_nonlocal_bind", "1"},
	{"net/ipv6/ip_nonlocal_bind", "1"},
	// PING monitors: haproxy lets what it starts gain no rights, so ping may not use those of its file.
	{"net/ipv4/ping_group_range", "0 2147483647"},
	{"net/core/somaxconn", "65534"},
	{"net/ipv4/tcp_max_syn_backlog", "100000"},
	{"net/ipv4/tcp_max_tw_buckets", "5800000"},
	{"net/ipv4/tcp_keepalive_time", "300"},
	{"net/ipv4/tcp_tw_reuse", "1"},
	{"net/ipv4/tcp_mtu_probing", "1"},
	{"net/ipv4/tcp_fin_timeout", "5"},
	{"net/ipv4/tcp_synack_retries", "3"},
	{"net/ipv4/tcp_rmem", "4096 87380 33554432"},
	{"net/ipv4/tcp_wmem", "4096 87380 33554432"},
	{"net/ipv4/ip_local_port_range", "1025 65534"},
}

// tune applies the tuning to the namespace it runs in.
func tune() error {
	var errs []error
	for _, t := range tuning {
		errs = append(errs, sysctl(t[0], t[1]))
	}
	return errors.Join(errs...)
}

// sysctl sets a value. What this kernel does not have, or keeps for all namespaces together, is left.
func sysctl(key, value string) error {
	err := os.WriteFile("/proc/sys/"+key, []byte(value), 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
