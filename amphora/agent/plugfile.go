package agent

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/ottavino/ottavino/amphora"
)

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
