package agent

import (
	"bufio"
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// versions are the versions of installed programs, asked once.
type versions struct {
	haproxy string // program
	once    sync.Once
	found   map[string]string
}

var haproxyVersion = regexp.MustCompile(`(?i)version (\S+)`)

func (v *versions) all() map[string]string {
	v.once.Do(func() {
		v.found = map[string]string{"haproxy": "", "keepalived": packageVersion("keepalived"), "ipvsadm": packageVersion("ipvsadm")}
		if out, err := exec.Command(v.haproxy, "-v").Output(); err == nil { //nolint:noctx // configured, and short
			if m := haproxyVersion.FindSubmatch(out); m != nil {
				v.found["haproxy"] = string(m[1])
			}
		}
	})
	return v.found
}

// packageVersion is "" for a package that is not installed.
func packageVersion(name string) string {
	for _, argv := range [][]string{{"dpkg-query", "-W", "-f=${Version}", name}, {"rpm", "-q", "--queryformat", "%{VERSION}", name}} {
		if out, err := exec.Command(argv[0], argv[1:]...).Output(); err == nil { //nolint:noctx // ours, and short
			return string(out)
		}
	}
	return ""
}

func (a *Agent) infoBody() map[string]any {
	host, _ := os.Hostname()
	v := a.versions.all()
	return map[string]any{
		"hostname": host, "api_version": apiVersion, "haproxy_version": v["haproxy"],
		"keepalived_version": v["keepalived"], "ipvsadm_version": v["ipvsadm"],
	}
}

func (a *Agent) info(*http.Request, []byte) reply {
	return reply{status: http.StatusOK, body: a.infoBody()}
}

func (a *Agent) details(*http.Request, []byte) reply {
	body := a.infoBody()
	running, names := 0, []string{}
	ids, _ := a.haproxy.ids()
	for _, id := range ids {
		if a.haproxy.running(id) {
			running++
		}
		for _, l := range a.haproxy.listeners(id) {
			names = append(names, l.UUID)
		}
	}
	names = append(names, a.lvs.ids()...)
	slices.Sort(names)
	body["networks"], body["active"] = networks(), true
	body["haproxy_count"], body["lvs_listener_process_count"] = running, a.lvs.count()
	body["cpu_count"], body["cpu"] = runtime.NumCPU(), cpu()
	body["memory"], body["disk"], body["load"] = memory(), disk(), load()
	body["active_tuned_profiles"] = tunedProfiles()
	body["topology"], body["topology_status"] = "SINGLE", "OK"
	body["listeners"], body["packages"] = names, map[string]string{}
	return reply{status: http.StatusOK, body: body}
}

// networks are the byte counters of the namespace's interfaces.
func networks() map[string]any {
	out := map[string]any{}
	h, closeHandle, err := openNamespace()
	if err != nil {
		return out
	}
	defer closeHandle()
	links, err := h.LinkList()
	if err != nil {
		return out
	}
	for _, l := range links {
		var s netlink.LinkStatistics
		if l.Attrs().Statistics != nil {
			s = *l.Attrs().Statistics
		}
		if strings.HasPrefix(l.Attrs().Name, "eth") {
			out[l.Attrs().Name] = map[string]uint64{"network_tx": s.TxBytes, "network_rx": s.RxBytes}
		}
	}
	return out
}

func cpu() map[string]any {
	out := map[string]any{"total": 0, "user": "0", "system": "0", "soft_irq": "0"}
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := bytes.Cut(text, []byte("\n"))
	words := strings.Fields(string(line))
	if len(words) < 8 {
		return out
	}
	total := 0
	for _, w := range words[1:] {
		n, _ := strconv.Atoi(w)
		total += n
	}
	out["total"], out["user"], out["system"], out["soft_irq"] = total, words[1], words[3], words[7]
	return out
}

// memory is in kB, from /proc/meminfo.
func memory() map[string]int {
	names := map[string]string{
		"MemTotal": "total", "MemFree": "free", "Buffers": "buffers", "Cached": "cached",
		"SwapCached": "swap_used", "Shmem": "shared", "Slab": "slab",
	}
	out := map[string]int{}
	text, _ := os.ReadFile("/proc/meminfo")
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		key, rest, _ := strings.Cut(lines.Text(), ":")
		if name, ok := names[key]; ok {
			out[name], _ = strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
		}
	}
	return out
}

func disk() map[string]uint64 {
	var s unix.Statfs_t
	if err := unix.Statfs("/", &s); err != nil {
		return map[string]uint64{"used": 0, "available": 0}
	}
	size := uint64(s.Bsize)
	return map[string]uint64{"used": (s.Blocks - s.Bfree) * size, "available": s.Bavail * size}
}

func load() []string {
	text, _ := os.ReadFile("/proc/loadavg")
	words := strings.Fields(string(text))
	return words[:min(3, len(words))]
}

func tunedProfiles() string {
	text, _ := os.ReadFile("/etc/tuned/active_profile")
	return strings.TrimSpace(string(text[:min(1024, len(text))]))
}
