package configdrive

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
)

// networkData is network_data.json.
type networkData struct {
	Links []struct {
		ID  string `json:"id"`
		MAC string `json:"ethernet_mac_address"`
		MTU *int   `json:"mtu"`
	} `json:"links"`
	Networks []struct {
		Link    string `json:"link"`
		Type    string `json:"type"`
		Address string `json:"ip_address"`
		Netmask string `json:"netmask"`
		Gateway string `json:"gateway"`
		Routes  []struct {
			Network string `json:"network"`
			Netmask string `json:"netmask"`
			Gateway string `json:"gateway"`
		} `json:"routes"`
	} `json:"networks"`
}

// networkFile configures the management interface. It is made anew at each boot, so that it need not be kept.
const networkFile = "/run/systemd/network/10-management.network"

// network configures the first link: the others are plugged later, by the agent, and must be left alone.
func (d *Drive) network(root string) error {
	text, err := d.read("openstack/latest/network_data.json")
	if errors.Is(err, os.ErrNotExist) {
		return nil // the image asks every DHCP server it finds at eth0
	}
	if err != nil {
		return fmt.Errorf("read network_data.json: %w", err)
	}
	var data networkData
	if err := json.Unmarshal(text, &data); err != nil {
		return fmt.Errorf("understand network_data.json: %w", err)
	}
	if len(data.Links) == 0 {
		return nil
	}
	unit, err := data.unit()
	if err != nil {
		return err
	}
	return write(root, networkFile, []byte(unit), 0o644)
}

// unit is systemd-networkd's file for the first link.
func (n *networkData) unit() (string, error) {
	link := n.Links[0]
	var b strings.Builder
	fmt.Fprintf(&b, "[Match]\nMACAddress=%s\n\n", word(link.MAC))
	if link.MTU != nil {
		fmt.Fprintf(&b, "[Link]\nMTUBytes=%d\n\n", *link.MTU)
	}
	b.WriteString("[Network]\n")
	var routes strings.Builder
	dhcp4, dhcp6, static := false, false, false
	for _, net := range n.Networks {
		if net.Link != link.ID {
			continue
		}
		switch net.Type {
		case "ipv4_dhcp", "dhcp4":
			dhcp4 = true
		case "ipv6_dhcp", "dhcp6", "ipv6_slaac", "slaac", "ipv6_dhcpv6-stateful", "ipv6_dhcpv6-stateless":
			dhcp6 = true // router advertisements say which
		case "ipv4", "ipv6":
			address, err := prefix(net.Address, net.Netmask)
			if err != nil {
				return "", fmt.Errorf("network_data.json: %w", err)
			}
			static = true
			fmt.Fprintf(&b, "Address=%s\n", address)
			for _, r := range net.Routes {
				to, err := prefix(r.Network, r.Netmask)
				if err != nil {
					return "", fmt.Errorf("network_data.json: %w", err)
				}
				fmt.Fprintf(&routes, "\n[Route]\nDestination=%s\nGateway=%s\n", to, word(r.Gateway))
			}
			if net.Gateway != "" {
				fmt.Fprintf(&b, "Gateway=%s\n", word(net.Gateway))
			}
		}
	}
	if dhcp4 || !dhcp6 && !static {
		b.WriteString("DHCP=ipv4\n")
	}
	if dhcp6 {
		b.WriteString("IPv6AcceptRA=yes\n")
	}
	return b.String() + routes.String(), nil
}

// word keeps a value in its line.
func word(s string) string {
	if f := strings.Fields(s); len(f) > 0 {
		return f[0]
	}
	return ""
}

// prefix is an address with its length, which Nova gives apart and as a mask, or behind a slash.
func prefix(address, mask string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(address); err == nil {
		return p, nil
	}
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}, err
	}
	m, err := netip.ParseAddr(mask)
	if err != nil {
		return netip.Prefix{}, err
	}
	bits := 0
	for _, octet := range m.AsSlice() {
		for ; octet&0x80 != 0; octet <<= 1 {
			bits++
		}
	}
	return netip.PrefixFrom(a, bits), nil
}
