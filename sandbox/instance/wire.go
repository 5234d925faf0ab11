package instance

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// MakeBridge makes a bridge with an address of its own, or finds it.
func MakeBridge(name string, address netip.Prefix) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	bridge := &netlink.Bridge{LinkAttrs: attrs}
	if _, err := netlink.LinkByName(name); err == nil {
		return nil
	}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("make bridge %s: %w", name, err)
	}
	if address.IsValid() {
		if err := netlink.AddrAdd(bridge, netlinkAddr(address)); err != nil {
			return fmt.Errorf("set address of bridge %s: %w", name, err)
		}
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		return fmt.Errorf("set bridge %s up: %w", name, err)
	}
	return nil
}

// RemoveBridge removes a bridge, if it is there.
func RemoveBridge(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil
	}
	return netlink.LinkDel(link)
}

func netlinkAddr(p netip.Prefix) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{
		IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
	}}
}

// Outer is the name of the end of a NIC's veth pair that is in the bridge.
func (n NIC) Outer() string { return "tap" + n.PortID[:min(11, len(n.PortID))] }

// Plug adds a NIC to the running instance; its name there is the next free ethN.
func (i *Instance) Plug(nic NIC) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if slices.ContainsFunc(i.wired, func(n NIC) bool { return n.PortID == nic.PortID }) {
		return nil
	}
	if err := plug(nic, i.Pid()); err != nil {
		_ = unplug(nic)
		return fmt.Errorf("plug port %s: %w", nic.PortID, err)
	}
	i.wired = append(i.wired, nic)
	return nil
}

// Unplug removes a NIC, wherever in the instance it was moved to. Not plugged is no error.
func (i *Instance) Unplug(portID string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	for k, nic := range i.wired {
		if nic.PortID == portID {
			i.wired = slices.Delete(i.wired, k, k+1)
			return unplug(nic)
		}
	}
	return nil
}

// plug makes the pair, one end in the bridge, the other in the network namespace of pid.
func plug(nic NIC, pid int) error {
	bridge, err := netlink.LinkByName(nic.Bridge)
	if err != nil {
		return fmt.Errorf("bridge %s: %w", nic.Bridge, err)
	}
	mac, err := net.ParseMAC(nic.MAC)
	if err != nil {
		return err
	}
	ns, err := netns.GetFromPid(pid)
	if err != nil {
		return err
	}
	defer ns.Close()
	inside, err := netlink.NewHandleAt(ns)
	if err != nil {
		return err
	}
	defer inside.Close()
	name, err := freeName(inside)
	if err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = nic.Outer()
	attrs.MTU = max(nic.MTU, 0)
	attrs.MasterIndex = bridge.Attrs().Index
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: name, PeerHardwareAddr: mac, PeerNamespace: netlink.NsFd(ns)}
	if err := netlink.LinkAdd(pair); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(pair); err != nil {
		return err
	}
	return configure(inside, name, nic.Addresses)
}

// configure gives an interface its addresses and sets it up; one without addresses stays down, as hot-plugged ones are.
func configure(h *netlink.Handle, name string, addresses []netip.Prefix) error {
	if len(addresses) == 0 {
		return nil
	}
	link, err := h.LinkByName(name)
	if err != nil {
		return err
	}
	for _, a := range addresses {
		if err := h.AddrAdd(link, netlinkAddr(a)); err != nil {
			return err
		}
	}
	return h.LinkSetUp(link)
}

func freeName(h *netlink.Handle) (string, error) {
	links, err := h.LinkList()
	if err != nil {
		return "", err
	}
	for n := 0; ; n++ {
		name := fmt.Sprintf("eth%d", n)
		if !slices.ContainsFunc(links, func(l netlink.Link) bool { return l.Attrs().Name == name }) {
			return name, nil
		}
	}
}

func unplug(nic NIC) error {
	link, err := netlink.LinkByName(nic.Outer())
	if err != nil {
		return nil // went with the instance
	}
	return netlink.LinkDel(link)
}

// Taps lists the outer ends of all NICs: what instances have plugged now.
func Taps() ([]string, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, l := range links {
		if len(l.Attrs().Name) > 3 && l.Attrs().Name[:3] == "tap" && l.Type() == "veth" {
			out = append(out, l.Attrs().Name)
		}
	}
	return out, nil
}
