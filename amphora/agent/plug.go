package agent

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/ottavino/ottavino/amphora"
)

// errNoNIC says that the interface has not appeared (yet); controllers know the phrase and ask again.
var errNoNIC = errors.New("No suitable network interface found") //nolint:staticcheck // the API's words

func (a *Agent) plugVIP(r *http.Request, body []byte) reply {
	var fields map[string]json.RawMessage
	var plug amphora.VIPPlug
	if json.Unmarshal(body, &fields) != nil || fields["subnet_cidr"] == nil || fields["gateway"] == nil || fields["mac_address"] == nil ||
		json.Unmarshal(body, &plug) != nil {
		return refused(http.StatusBadRequest, "Invalid subnet information")
	}
	f, words, err := vipFile("eth1", r.PathValue("vip"), plug, a.config().Topology)
	if err != nil {
		return said(http.StatusBadRequest, err.Error(), "")
	}
	name, err := a.linkNamed(r.Context(), plug.MAC)
	if err != nil {
		return said(http.StatusInternalServerError, "Error plugging VIP", err.Error())
	}
	if name == f.Name {
		// A repeated request is answered as upstream's agent does, but what it says is done all the same.
		if err := a.refresh(r.Context(), f); err != nil {
			return said(http.StatusInternalServerError, "Error plugging VIP", err.Error())
		}
		return said(http.StatusConflict, "Interface already exists", "")
	}
	if rep := a.plug(r.Context(), plug.MAC, f, "VIP"); rep != nil {
		return *rep
	}
	return said(http.StatusAccepted, "OK", "VIPs plugged on interface eth1: "+strings.Join(words, ", "))
}

// vipFile is the file of the interface that carries the VIPs.
func vipFile(name, vip string, plug amphora.VIPPlug, topology string) (f interfaceFile, words []string, err error) {
	standby := topology == activeStandby
	f = interfaceFile{Name: name, Type: "vip", MTU: plug.MTU, SRIOV: plug.SRIOV, AdditionalVIPs: plug.AdditionalVIPs}
	all := append([]amphora.AdditionalVIP{{
		SubnetCIDR: plug.SubnetCIDR, IPAddress: vip, Gateway: plug.Gateway, HostRoutes: plug.HostRoutes,
	}}, plug.AdditionalVIPs...)
	families := map[string]bool{}
	for _, v := range all {
		ip, _, err := parseVIP(v)
		if err != nil {
			return f, nil, fmt.Errorf("Invalid VIP: %w", err) //nolint:staticcheck // the API's words
		}
		families[family(ip)] = true
		words = append(words, ip.StringExpanded())
	}
	if err := f.addBase(plug, families); err != nil {
		return f, nil, err
	}
	for _, v := range all {
		ip, subnet, _ := parseVIP(v) // see above
		f.addVIP(v, ip, subnet, standby)
	}
	f.masquerade(families)
	return f, words, nil
}

func parseVIP(v amphora.AdditionalVIP) (ip netip.Addr, subnet netip.Prefix, err error) {
	if ip, err = netip.ParseAddr(v.IPAddress); err != nil {
		return ip, subnet, err
	}
	if subnet, err = netip.ParsePrefix(v.SubnetCIDR); err != nil {
		return ip, subnet, err
	}
	if subnet != subnet.Masked() {
		return ip, subnet, fmt.Errorf("%s has host bits set", v.SubnetCIDR)
	}
	if subnet.Addr().Is4() != ip.Is4() {
		return ip, subnet, fmt.Errorf("%s is not in %s", v.IPAddress, v.SubnetCIDR)
	}
	return ip, subnet, nil
}

func family(ip netip.Addr) string {
	if ip.Is6() {
		return "ipv6"
	}
	return "ipv4"
}

// addBase gives the interface an address of the amphora's own.
func (f *interfaceFile) addBase(plug amphora.VIPPlug, families map[string]bool) error {
	if plug.VRRPIP == "" {
		if families["ipv4"] {
			f.Addresses = append(f.Addresses, interfaceAddr{DHCP: true})
		}
		if families["ipv6"] {
			f.Addresses = append(f.Addresses, interfaceAddr{IPv6Auto: true})
		}
		return nil
	}
	ip, err := netip.ParseAddr(plug.VRRPIP)
	if err != nil {
		return fmt.Errorf("Invalid VRRP Address: %w", err) //nolint:staticcheck // the API's words
	}
	subnet, err := netip.ParsePrefix(plug.SubnetCIDR)
	if err != nil {
		return fmt.Errorf("Invalid VRRP Address: %w", err) //nolint:staticcheck // the API's words
	}
	f.Addresses = append(f.Addresses, interfaceAddr{Address: ip.StringExpanded(), PrefixLen: subnet.Bits()})
	return nil
}

// addVIP gives the interface a VIP, and replies from it routes of their own.
func (f *interfaceFile) addVIP(v amphora.AdditionalVIP, ip netip.Addr, subnet netip.Prefix, standby bool) {
	owned := !standby
	f.Addresses = append(f.Addresses, interfaceAddr{Address: ip.StringExpanded(), PrefixLen: ip.BitLen(), Owned: &owned})
	f.addGateway(v.Gateway, ip, standby)
	dst := subnet.Addr().StringExpanded() + "/" + strconv.Itoa(subnet.Bits())
	f.Routes = append(f.Routes, interfaceRoute{Dst: dst, Scope: "link"})
	if !standby {
		f.Routes = append(f.Routes, interfaceRoute{Dst: dst, Scope: "link", PrefSrc: ip.StringExpanded(), Table: vipTable})
		f.Rules = append(f.Rules, interfaceRule{Src: ip.StringExpanded(), SrcLen: ip.BitLen(), Table: vipTable})
	}
	onlink := []string{"onlink"}
	for _, r := range v.HostRoutes {
		f.Routes = append(f.Routes,
			interfaceRoute{Dst: r.Destination, Gateway: r.NextHop, Flags: onlink},
			interfaceRoute{Dst: r.Destination, Gateway: r.NextHop, Flags: onlink, Table: vipTable})
	}
}

// addGateway adds default routes for an address.
func (f *interfaceFile) addGateway(gateway *string, ip netip.Addr, standby bool) {
	if gateway == nil || *gateway == "" {
		return
	}
	everywhere := interfaceRoute{Dst: "0.0.0.0/0", Gateway: *gateway, Flags: []string{"onlink"}}
	if ip.Is6() {
		everywhere.Dst = "::/0"
	}
	f.Routes = append(f.Routes, everywhere)
	if !standby {
		everywhere.Table = vipTable
		f.Routes = append(f.Routes, everywhere)
	}
}

func (f *interfaceFile) masquerade(families map[string]bool) {
	for _, family := range []string{"ipv4", "ipv6"} {
		if !families[family] {
			continue
		}
		tail := family + " " + f.Name
		if f.SRIOV {
			tail += " sriov"
		}
		f.Scripts.Up = append(f.Scripts.Up, script{"/usr/local/bin/" + masqueradeScript + " add " + tail})
		f.Scripts.Down = append(f.Scripts.Down, script{"/usr/local/bin/" + masqueradeScript + " delete " + tail})
	}
}

func (a *Agent) plugNetwork(r *http.Request, body []byte) reply {
	var plug amphora.NetworkPlug
	if json.Unmarshal(body, &plug) != nil || plug.MAC == "" {
		return refused(http.StatusBadRequest, "Invalid port information")
	}
	addresses, err := fixedAddresses(plug)
	if err != nil {
		return said(http.StatusBadRequest, "Invalid network port", "")
	}
	name, err := a.linkNamed(r.Context(), plug.MAC)
	if err != nil {
		return said(http.StatusInternalServerError, "Error plugging network", err.Error())
	}
	known := name != ""
	if !known {
		if name, err = freeInterface(); err != nil {
			return said(http.StatusInternalServerError, "Error plugging network", err.Error())
		}
	}
	f, label := memberFile(name, plug, addresses), "network"
	if known && plug.VIPNetInfo != nil {
		label = "vip"
		if f, err = a.vipRefresh(name, plug, addresses); err != nil {
			return said(http.StatusBadRequest, err.Error(), "")
		}
	}
	details := "Plugged on interface " + name
	if known {
		details = "Updated existing interface " + name
		if err := a.refresh(r.Context(), f); err != nil {
			return said(http.StatusInternalServerError, "Error plugging "+label, err.Error())
		}
	} else if rep := a.plug(r.Context(), plug.MAC, f, "network"); rep != nil {
		return *rep
	}
	a.advertise(r.Context(), addresses)
	return said(http.StatusAccepted, "OK", details)
}

func fixedAddresses(plug amphora.NetworkPlug) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, ip := range plug.FixedIPs {
		a, err := netip.ParseAddr(ip.IPAddress)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func memberFile(name string, plug amphora.NetworkPlug, addresses []netip.Addr) interfaceFile {
	f := interfaceFile{Name: name, Type: "backend", MTU: plug.MTU, SRIOV: plug.SRIOV}
	families := map[string]bool{}
	for i, ip := range plug.FixedIPs {
		families[family(addresses[i])] = true
		bits := addresses[i].BitLen()
		if subnet, err := netip.ParsePrefix(ip.SubnetCIDR); err == nil {
			bits = subnet.Bits()
		}
		f.Addresses = append(f.Addresses, interfaceAddr{Address: addresses[i].String(), PrefixLen: bits})
		for _, r := range ip.HostRoutes {
			f.Routes = append(f.Routes, interfaceRoute{Dst: r.Destination, Gateway: r.NextHop, Flags: []string{"onlink"}})
		}
	}
	if len(plug.FixedIPs) == 0 {
		f.Addresses = []interfaceAddr{{DHCP: true, IPv6Auto: true}}
		families = map[string]bool{"ipv4": true, "ipv6": true}
	}
	f.masquerade(families)
	return f
}

// plug moves the NIC with this MAC into the namespace and brings it up. nil = done.
func (a *Agent) plug(ctx context.Context, mac string, f interfaceFile, what string) *reply {
	fail := func(err error) *reply {
		rep := said(http.StatusInternalServerError, "Error plugging "+what, err.Error())
		return &rep
	}
	if err := ensureNamespace(ctx); err != nil {
		return fail(err)
	}
	link, err := rootLink(mac)
	if err != nil {
		_ = os.WriteFile("/sys/bus/pci/rescan", []byte("1"), 0o200)
		rep := said(http.StatusNotFound, "", errNoNIC.Error())
		return &rep
	}
	conf := a.config()
	if err := errors.Join(f.save(conf.InterfaceDir), remember(conf.BasePath, mac, f.Name)); err != nil {
		return fail(err)
	}
	if err := move(link, mac, f.Name); err != nil {
		return fail(err)
	}
	if err := a.raise(ctx, f); err != nil {
		return fail(err)
	}
	return nil
}

// refresh brings an interface that is plugged already to what the file says.
func (a *Agent) refresh(ctx context.Context, f interfaceFile) error {
	if err := f.save(a.config().InterfaceDir); err != nil {
		return err
	}
	return a.raise(ctx, f)
}

func (a *Agent) raise(ctx context.Context, f interfaceFile) error {
	h, closeHandle, err := openNamespace()
	if err != nil {
		return err
	}
	defer closeHandle()
	if f.SRIOV {
		if err := a.firewall().ensure(ctx); err != nil {
			return err // before the first packet gets in
		}
	}
	if err := f.up(h); err != nil {
		return err
	}
	if err := a.dynamic(f); err != nil {
		return err
	}
	return a.masqueradeServed(ctx)
}

// rootLink finds a NIC outside of the namespace.
func rootLink(mac string) (netlink.Link, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	return byMAC(links, mac)
}

func byMAC(links []netlink.Link, mac string) (netlink.Link, error) {
	for _, l := range links {
		if strings.EqualFold(l.Attrs().HardwareAddr.String(), mac) {
			return l, nil
		}
	}
	return nil, errNoNIC
}

// travelName is what a NIC is called while it moves: the name it shall have may be taken outside.
func travelName(mac string) string { return "o" + strings.ReplaceAll(strings.ToLower(mac), ":", "") }

// move takes a NIC into the namespace under its new name. Each step may be the last one of an agent's life; linkNamed
// finishes what was begun.
func move(link netlink.Link, mac, name string) error {
	if err := netlink.LinkSetDown(link); err != nil {
		return fmt.Errorf("set %s down: %w", link.Attrs().Name, err)
	}
	if err := netlink.LinkSetName(link, travelName(mac)); err != nil {
		return fmt.Errorf("rename %s: %w", link.Attrs().Name, err)
	}
	if err := intoNamespace(link); err != nil {
		return fmt.Errorf("move %s: %w", link.Attrs().Name, err)
	}
	h, closeHandle, err := openNamespace()
	if err != nil {
		return err
	}
	defer closeHandle()
	return arrive(h, mac, name)
}

func arrive(h *netlink.Handle, mac, name string) error {
	link, err := h.LinkByName(travelName(mac))
	if err != nil {
		return fmt.Errorf("interface on its way: %w", err)
	}
	if err := h.LinkSetName(link, name); err != nil {
		return fmt.Errorf("name interface %s: %w", name, err)
	}
	return nil
}

// linkNamed is the name of the interface with this MAC in the namespace; "" when it is not there.
func (a *Agent) linkNamed(ctx context.Context, mac string) (string, error) {
	if err := ensureNamespace(ctx); err != nil {
		return "", err
	}
	h, closeHandle, err := openNamespace()
	if err != nil {
		return "", err
	}
	defer closeHandle()
	links, err := h.LinkList()
	if err != nil {
		return "", err
	}
	link, err := byMAC(links, mac)
	if err != nil {
		return "", nil
	}
	name := link.Attrs().Name
	if name != travelName(mac) {
		return name, nil
	}
	if name = a.remembered(mac); name == "" {
		return "", fmt.Errorf("interface %s has no name", mac)
	}
	return name, arrive(h, mac, name)
}

// freeInterface is the first of eth2, eth3, ... that the namespace does not have.
func freeInterface() (string, error) {
	h, closeHandle, err := openNamespace()
	if err != nil {
		return "", err
	}
	defer closeHandle()
	links, err := h.LinkList()
	if err != nil {
		return "", err
	}
	taken := map[string]bool{}
	for _, l := range links {
		taken[l.Attrs().Name] = true
	}
	for n := 2; ; n++ {
		if name := fmt.Sprintf("eth%d", n); !taken[name] {
			return name, nil
		}
	}
}

func pluggedFile(base string) string { return filepath.Join(base, "plugged_interfaces") }

// remember notes which NIC has which name, for restarts.
func remember(base, mac, name string) error {
	text, err := os.ReadFile(pluggedFile(base))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var out bytes.Buffer
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) == 2 && !strings.EqualFold(words[0], mac) {
			fmt.Fprintln(&out, lines.Text())
		}
	}
	fmt.Fprintln(&out, mac, name)
	return replaceFile(pluggedFile(base), out.Bytes(), 0o644)
}

// plugged are the NICs that were plugged: MAC → name.
func plugged(base string) map[string]string {
	out := map[string]string{}
	text, err := os.ReadFile(pluggedFile(base))
	if err != nil {
		return out
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) == 2 {
			out[strings.ToLower(words[0])] = words[1]
		}
	}
	return out
}

func (a *Agent) remembered(mac string) string {
	return cmp.Or(plugged(a.config().BasePath)[strings.ToLower(mac)])
}

// restoreInterfaces plugs again what was plugged before, as far as its NIC is there.
func (a *Agent) restoreInterfaces(ctx context.Context) error {
	conf := a.config()
	var errs []error
	for mac, name := range plugged(conf.BasePath) {
		f, err := loadInterface(conf.InterfaceDir, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if inside, err := a.linkNamed(ctx, mac); err != nil {
			errs = append(errs, err)
			continue
		} else if inside == "" {
			link, err := rootLink(mac)
			if err != nil {
				continue // unplugged meanwhile
			}
			if err := move(link, mac, name); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		errs = append(errs, a.raise(ctx, f))
	}
	return errors.Join(errs...)
}

func (a *Agent) findInterface(r *http.Request, _ []byte) reply {
	ip, err := netip.ParseAddr(r.PathValue("ip"))
	if err != nil {
		return said(http.StatusBadRequest, "Invalid IP address", "")
	}
	h, closeHandle, err := openNamespace()
	if err == nil {
		defer closeHandle()
		if name := holder(h, ip); name != "" {
			return reply{status: http.StatusOK, body: map[string]string{"message": "OK", "interface": name}}
		}
	}
	return said(http.StatusNotFound, "Error interface not found for IP address", "")
}

func holder(h *netlink.Handle, ip netip.Addr) string {
	links, err := h.LinkList()
	if err != nil {
		return ""
	}
	for _, l := range links {
		addrs, err := h.AddrList(l, netlink.FAMILY_ALL)
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if have, ok := netip.AddrFromSlice(a.IP); ok && have.Unmap() == ip.Unmap() {
				return l.Attrs().Name
			}
		}
	}
	return ""
}
