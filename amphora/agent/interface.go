package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ottavino/ottavino/amphora"
)

// interfaceFile is /etc/octavia/interfaces/<name>.json: what an interface shall have. The format is upstream's, whose
// amphora-interface may read it.
type interfaceFile struct {
	Name      string           `json:"name"`
	Type      string           `json:"if_type"` // lo, vip, backend
	Addresses []interfaceAddr  `json:"addresses"`
	Routes    []interfaceRoute `json:"routes"`
	Rules     []interfaceRule  `json:"rules"`
	Scripts   scripts          `json:"scripts"`
	SRIOV     bool             `json:"is_sriov"`
	MTU       int              `json:"mtu,omitempty"`
	// AdditionalVIPs are as they were plugged: upstream's controllers do not repeat them with a change of the port.
	AdditionalVIPs []amphora.AdditionalVIP `json:"additional_vips,omitempty"`
}

type interfaceAddr struct {
	Address   string `json:"address,omitempty"`
	PrefixLen int    `json:"prefixlen,omitempty"`
	Owned     *bool  `json:"octavia_owned,omitempty"` // false: keepalived's
	DHCP      bool   `json:"dhcp,omitempty"`
	IPv6Auto  bool   `json:"ipv6auto,omitempty"`
}

type interfaceRoute struct {
	Dst     string   `json:"dst"`
	Gateway string   `json:"gateway,omitempty"`
	PrefSrc string   `json:"prefsrc,omitempty"`
	Flags   []string `json:"flags,omitempty"` // onlink
	Scope   string   `json:"scope,omitempty"` // link
	Table   int      `json:"table,omitempty"` // 0 = main
}

type interfaceRule struct {
	Src    string `json:"src"`
	SrcLen int    `json:"src_len"`
	Table  int    `json:"table"`
}

type scripts struct {
	Up   []script `json:"up"`
	Down []script `json:"down"`
}

type script struct {
	Command string `json:"command"`
}

const (
	vipTable       = 1     // routes of replies from VIPs
	rulePriority   = 32000 // of the rules that lead there
	mainTable      = unix.RT_TABLE_MAIN
	fromKeepalived = 18 // protocol number of what keepalived installs
)

func (f interfaceFile) path(dir string) string { return filepath.Join(dir, f.Name+".json") }

func (f interfaceFile) save(dir string) error {
	if f.Routes == nil {
		f.Routes = []interfaceRoute{}
	}
	if f.Rules == nil {
		f.Rules = []interfaceRule{}
	}
	if f.Scripts.Up == nil {
		f.Scripts = scripts{Up: []script{}, Down: []script{}}
	}
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return replaceFile(f.path(dir), text, 0o644)
}

func loadInterface(dir, name string) (interfaceFile, error) {
	var f interfaceFile
	text, err := os.ReadFile(filepath.Join(dir, name+".json"))
	if err != nil {
		return f, err
	}
	return f, json.Unmarshal(text, &f)
}

// up makes the interface in the namespace have what the file says.
func (f interfaceFile) up(h *netlink.Handle) error {
	link, err := h.LinkByName(f.Name)
	if err != nil {
		return fmt.Errorf("interface %s: %w", f.Name, err)
	}
	if f.MTU > 0 && f.MTU != link.Attrs().MTU {
		if err := h.LinkSetMTU(link, f.MTU); err != nil {
			return fmt.Errorf("set MTU of %s: %w", f.Name, err)
		}
	}
	if link.Attrs().Flags&net.FlagUp == 0 {
		if err := h.LinkSetUp(link); err != nil {
			return fmt.Errorf("set %s up: %w", f.Name, err)
		}
	}
	if err := f.syncAddresses(h, link); err != nil {
		return err
	}
	if err := f.syncRoutes(h, link); err != nil {
		return err
	}
	if f.Type == "vip" {
		if err := f.syncRules(h); err != nil {
			return err
		}
	}
	return f.runScripts()
}

// runScripts runs those that the image has.
func (f interfaceFile) runScripts() error {
	for _, s := range f.Scripts.Up {
		words := strings.Fields(s.Command)
		if filepath.Base(words[0]) == masqueradeScript {
			continue // the agent does that itself
		}
		if _, err := os.Stat(words[0]); err != nil {
			continue
		}
		out, err := exec.Command("ip", append([]string{"netns", "exec", namespace}, words...)...).CombinedOutput() //nolint:noctx // ours, and short
		if err != nil {
			return fmt.Errorf("%s: %w: %s", s.Command, err, out)
		}
	}
	return nil
}

func (r interfaceRoute) route(index int) (*netlink.Route, error) {
	dst, err := netip.ParsePrefix(r.Dst)
	if err != nil {
		return nil, fmt.Errorf("route to %q: %w", r.Dst, err)
	}
	for _, ip := range []string{r.Gateway, r.PrefSrc} {
		if ip != "" && net.ParseIP(ip) == nil {
			return nil, fmt.Errorf("route to %q: %q is no address", r.Dst, ip) // without it, it would be another route
		}
	}
	out := &netlink.Route{
		LinkIndex: index, Protocol: unix.RTPROT_STATIC, Table: mainTable,
		Dst: &net.IPNet{IP: dst.Addr().AsSlice(), Mask: net.CIDRMask(dst.Bits(), dst.Addr().BitLen())},
		Gw:  net.ParseIP(r.Gateway), Src: net.ParseIP(r.PrefSrc),
	}
	if r.Table != 0 {
		out.Table = r.Table
	}
	if slices.Contains(r.Flags, "onlink") {
		out.SetFlag(netlink.FLAG_ONLINK)
	}
	if r.Scope == "link" {
		out.Scope = netlink.SCOPE_LINK
	}
	return out, nil
}

// routeKey tells routes apart as upstream does.
func routeKey(r *netlink.Route) string {
	dst := "default"
	if r.Dst != nil {
		if ones, _ := r.Dst.Mask.Size(); ones > 0 || !r.Dst.IP.IsUnspecified() {
			dst = r.Dst.String()
		}
	}
	text := func(ip net.IP) string {
		if ip == nil {
			return ""
		}
		return ip.String()
	}
	return fmt.Sprint(dst, " ", text(r.Gw), " ", text(r.Src), " ", r.Table)
}

// syncRoutes adds what is missing; a route that the kernel does not take (a tenant's host route may be nonsense) must not
// break the interface. Surplus static routes go.
func (f interfaceFile) syncRoutes(h *netlink.Handle, link netlink.Link) error {
	index := link.Attrs().Index
	have, err := h.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{LinkIndex: index, Table: unix.RT_TABLE_UNSPEC},
		netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE)
	if err != nil {
		return fmt.Errorf("routes of %s: %w", f.Name, err)
	}
	wanted := map[string]bool{}
	for _, r := range f.Routes {
		route, err := r.route(index)
		if err != nil {
			continue
		}
		wanted[routeKey(route)] = true
		addRoute(h, route)
	}
	for _, r := range have {
		if r.Protocol == unix.RTPROT_STATIC && !wanted[routeKey(&r)] {
			_ = h.RouteDel(&r)
		}
	}
	return nil
}

// addRoute tries again for a while when the route has a source address, which may not be ready yet.
func addRoute(h *netlink.Handle, route *netlink.Route) {
	for range 20 {
		if err := h.RouteAdd(route); !errors.Is(err, unix.EINVAL) || route.Src == nil {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (f interfaceFile) syncRules(h *netlink.Handle) error {
	have, err := h.RuleList(netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	key := func(src *net.IPNet, table int) string { return fmt.Sprint(src, " ", table) }
	wanted, found := map[string]bool{}, map[string]bool{}
	for _, r := range have {
		if r.Src != nil {
			found[key(r.Src, r.Table)] = true
		}
	}
	for _, r := range f.Rules {
		ip, err := netip.ParseAddr(r.Src)
		if err != nil {
			continue
		}
		ip = ip.Unmap()
		rule := netlink.NewRule()
		rule.Src = &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(r.SrcLen, ip.BitLen())}
		rule.Table, rule.Priority, rule.Family = r.Table, rulePriority, netlink.FAMILY_V4
		if ip.Is6() {
			rule.Family = netlink.FAMILY_V6
		}
		k := key(rule.Src, r.Table)
		wanted[k] = true
		if found[k] {
			continue
		}
		if err := h.RuleAdd(rule); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add rule from %s: %w", r.Src, err)
		}
	}
	for _, r := range have {
		if r.Src == nil || r.Protocol == unix.RTPROT_KERNEL || r.Protocol == fromKeepalived || wanted[key(r.Src, r.Table)] {
			continue
		}
		_ = h.RuleDel(&r)
	}
	return nil
}
