package agent

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// advertise tells neighbours where addresses are now, so that they do not ask a predecessor. Errors are only logged: neighbours
// find out by themselves, later.
func (a *Agent) advertise(ctx context.Context, addresses []netip.Addr) {
	h, closeHandle, err := openNamespace()
	if err != nil {
		a.log.WarnContext(ctx, "addresses not advertised", "error", err)
		return
	}
	defer closeHandle()
	for _, ip := range addresses {
		name := holder(h, ip)
		if name == "" || ip.IsLoopback() {
			continue
		}
		link, err := h.LinkByName(name)
		if err == nil {
			err = inNamespace(func() error {
				if ip.Is4() {
					return gratuitousARP(link, ip)
				}
				return unsolicitedNA(link, ip)
			})
		}
		if err != nil {
			a.log.WarnContext(ctx, "address not advertised", "address", ip, "error", err)
		}
	}
}

// gratuitousARP broadcasts that an address is at the link's MAC (RFC 5227).
func gratuitousARP(link netlink.Link, ip netip.Addr) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	mac := link.Attrs().HardwareAddr
	broadcast := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	frame := append(append(append([]byte{}, broadcast...), mac...), 0x08, 0x06)
	frame = append(frame, 0, 1, 8, 0, 6, 4, 0, 1) // Ethernet, IPv4, request
	frame = append(append(frame, mac...), ip.AsSlice()...)
	frame = append(append(frame, make([]byte, 6)...), ip.AsSlice()...)
	to := &unix.SockaddrLinklayer{Ifindex: link.Attrs().Index, Protocol: networkOrder(unix.ETH_P_ARP), Halen: 6}
	copy(to.Addr[:], broadcast)
	return unix.Sendto(fd, frame, 0, to)
}

func networkOrder(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}
