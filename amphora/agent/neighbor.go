package agent

import (
	"errors"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	neighborAdvertisement = 136
	// routerOverride are the flags of an unsolicited advertisement, as upstream's agent sends it.
	routerOverride      = 0xa0
	targetLinkLayerAddr = 2 // option, 1 × 8 bytes
)

// unsolicitedNA tells all nodes that an address is at the link's MAC (RFC 4861, 7.2.6). The kernel computes the checksum.
func unsolicitedNA(link netlink.Link, ip netip.Addr) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	index := link.Attrs().Index
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255), // others are not believed
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index),
		unix.Bind(fd, &unix.SockaddrInet6{Addr: ip.As16()}),
	)
	if err != nil {
		return err
	}
	target := ip.As16()
	message := append([]byte{neighborAdvertisement, 0, 0, 0, routerOverride, 0, 0, 0}, target[:]...)
	message = append(append(message, targetLinkLayerAddr, 1), link.Attrs().HardwareAddr...)
	allNodes := netip.MustParseAddr("ff02::1")
	return unix.Sendto(fd, message, 0, &unix.SockaddrInet6{Addr: allNodes.As16(), ZoneId: uint32(index)})
}
