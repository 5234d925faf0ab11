package agent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// dadPatience is how long addresses of IPv6 may take to be found unique.
	dadPatience = 30 * time.Second
	dadGlance   = 20 * time.Millisecond
)

// syncAddresses adds the addresses that are missing, waits until they can be used, and deletes surplus ones, except what is not
// the agent's: link-local and dynamic ones, and VIPs of keepalived's.
func (f interfaceFile) syncAddresses(h *netlink.Handle, link netlink.Link) error {
	have, err := h.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("addresses of %s: %w", f.Name, err)
	}
	wanted := map[netip.Prefix]bool{}
	var ours []netip.Prefix
	for _, a := range f.Addresses {
		ip, err := netip.ParseAddr(a.Address)
		if err != nil {
			continue // dhcp and ipv6auto, see dynamic
		}
		at := netip.PrefixFrom(ip.Unmap(), a.PrefixLen)
		wanted[at] = true
		if a.Owned != nil && !*a.Owned {
			continue
		}
		ours = append(ours, at)
		if err := h.AddrAdd(link, addrOf(at)); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add %s to %s: %w", a.Address, f.Name, err)
		}
	}
	err = f.awaitUnique(h, link, ours)
	for _, a := range have {
		at := prefixOf(a)
		if a.Flags&unix.IFA_F_PERMANENT != 0 && !at.Addr().IsLinkLocalUnicast() && !wanted[at] {
			_ = h.AddrDel(link, &a)
		}
	}
	return err
}

func addrOf(at netip.Prefix) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: at.Addr().AsSlice(), Mask: net.CIDRMask(at.Bits(), at.Addr().BitLen())}}
}

func prefixOf(a netlink.Addr) netip.Prefix {
	ones, _ := a.Mask.Size()
	ip, _ := netip.AddrFromSlice(a.IP)
	return netip.PrefixFrom(ip.Unmap(), ones)
}

// awaitUnique waits until the kernel has found that nobody else has the addresses. While somebody has (an amphora that is being
// replaced), they are tried again.
func (f interfaceFile) awaitUnique(h *netlink.Handle, link netlink.Link, ours []netip.Prefix) error {
	for deadline := time.Now().Add(dadPatience); ; time.Sleep(dadGlance) {
		have, err := h.AddrList(link, netlink.FAMILY_V6)
		if err != nil {
			return fmt.Errorf("addresses of %s: %w", f.Name, err)
		}
		var tentative bool
		var taken []string
		for _, a := range have {
			at := prefixOf(a)
			switch {
			case !slices.Contains(ours, at):
			case a.Flags&unix.IFA_F_DADFAILED != 0:
				taken = append(taken, at.Addr().String())
				if err := errors.Join(h.AddrDel(link, addrOf(at)), h.AddrAdd(link, addrOf(at))); err != nil {
					return fmt.Errorf("add %s to %s again: %w", at, f.Name, err)
				}
			case a.Flags&unix.IFA_F_TENTATIVE != 0:
				tentative = true
			}
		}
		switch late := time.Now().After(deadline); {
		case len(taken) == 0 && !tentative, late && len(taken) == 0: // late: a link without carrier, which may come
			return nil
		case late:
			return fmt.Errorf("somebody else has %s", strings.Join(taken, ", "))
		}
	}
}
