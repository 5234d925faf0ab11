package agent

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/moby/ipvs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ottavino/ottavino/amphora/keepalived"
)

// virtualServer is a virtual server in the kernel, with its real servers.
type virtualServer struct {
	*ipvs.Service
	address netip.AddrPort
	members map[netip.AddrPort]*ipvs.Destination
}

// protocols are IPVS's numbers.
var protocols = map[string]uint16{"UDP": unix.IPPROTO_UDP, "SCTP": unix.IPPROTO_SCTP}

func openIPVS() (*ipvs.Handle, error) {
	h, err := ipvs.New("/var/run/netns/" + namespace)
	if err != nil {
		return nil, fmt.Errorf("open IPVS: %w", err)
	}
	return h, nil
}

// virtualServers are the kernel's that a configuration is about.
func virtualServers(h *ipvs.Handle, cfg keepalived.Config) ([]virtualServer, error) {
	all, err := h.GetServices()
	if err != nil {
		return nil, fmt.Errorf("read IPVS: %w", err)
	}
	var out []virtualServer
	for _, s := range all {
		if !isOf(cfg, s) {
			continue
		}
		members, err := h.GetDestinations(s)
		if err != nil {
			return nil, fmt.Errorf("read IPVS: %w", err)
		}
		found := virtualServer{s, addrPort(s.Address, s.Port), map[netip.AddrPort]*ipvs.Destination{}}
		for _, m := range members {
			found.members[addrPort(m.Address, m.Port)] = m
		}
		out = append(out, found)
	}
	return out, nil
}

// isOf says that a virtual server is a configuration's.
func isOf(cfg keepalived.Config, s *ipvs.Service) bool {
	return s.Protocol == protocols[cfg.Protocol] && slices.Contains(cfg.Services, addrPort(s.Address, s.Port))
}

func addrPort(ip net.IP, port uint16) netip.AddrPort {
	a, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(a.Unmap(), port)
}

// readServices opens IPVS for one look.
func readServices(cfg keepalived.Config) ([]virtualServer, error) {
	if len(cfg.Services) == 0 {
		return nil, nil
	}
	h, err := openIPVS()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	return virtualServers(h, cfg)
}

// dropServices takes what a keepalived that was killed has left out of the kernel: whatever is not of configurations to keep, for that of
// the killed one may say by now that nothing is served.
func dropServices(keep []keepalived.Config) error {
	if _, err := netlink.GenlFamilyGet("IPVS"); err != nil {
		return nil //nolint:nilerr // without IPVS there is nothing to drop
	}
	h, err := openIPVS()
	if err != nil {
		return err
	}
	defer h.Close()
	all, err := h.GetServices()
	if err != nil {
		return fmt.Errorf("read IPVS: %w", err)
	}
	for _, s := range all {
		if slices.ContainsFunc(keep, func(cfg keepalived.Config) bool { return isOf(cfg, s) }) {
			continue
		}
		if err := h.DelService(s); err != nil {
			return fmt.Errorf("remove %s from IPVS: %w", addrPort(s.Address, s.Port), err)
		}
	}
	return nil
}

// serves says that the kernel has every virtual server of a configuration that has real ones.
func serves(cfg keepalived.Config) bool {
	have, err := readServices(cfg)
	return err == nil && len(missing(cfg, have)) == 0
}

// servesAsTold is serves, with the members and weights of the configuration and no others; those that are checked may be out.
func servesAsTold(cfg keepalived.Config) bool {
	have, err := readServices(cfg)
	if err != nil || len(missing(cfg, have)) > 0 {
		return false
	}
	for _, s := range have {
		told := s.told(cfg)
		for at, d := range s.members {
			if m, ok := told[at]; !ok || m.Weight != d.Weight {
				return false
			}
		}
		if !cfg.Checked && len(s.members) < len(told) {
			return false
		}
	}
	return true
}

// told are the members that a configuration has for a virtual server.
func (s virtualServer) told(cfg keepalived.Config) map[netip.AddrPort]keepalived.Member {
	out := map[netip.AddrPort]keepalived.Member{}
	for _, m := range cfg.Members {
		if m.Enabled && m.Address.Addr().Is4() == s.address.Addr().Is4() {
			out[m.Address] = m
		}
	}
	return out
}

// limitConnections gives members that were there before their limits, which keepalived only sets for new ones when it reloads.
func limitConnections(cfg keepalived.Config) error {
	h, err := openIPVS()
	if err != nil {
		return err
	}
	defer h.Close()
	have, err := virtualServers(h, cfg)
	if err != nil {
		return err
	}
	for _, s := range have {
		for at, m := range s.told(cfg) {
			d, ok := s.members[at]
			if !ok || int(d.UpperThreshold) == m.Limit {
				continue
			}
			d.UpperThreshold = uint32(m.Limit)
			if err := h.UpdateDestination(s.Service, d); err != nil {
				return fmt.Errorf("limit connections to %s: %w", at, err)
			}
		}
	}
	return nil
}

func missing(cfg keepalived.Config, have []virtualServer) []netip.AddrPort {
	var out []netip.AddrPort
	for _, want := range cfg.Services {
		one := keepalived.Config{Services: []netip.AddrPort{want}, Members: cfg.Members}
		if one.Balances() && !slices.ContainsFunc(have, func(s virtualServer) bool { return s.address == want }) {
			out = append(out, want)
		}
	}
	return out
}
