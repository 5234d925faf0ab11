package agent

import (
	"cmp"
	"net/netip"

	"github.com/ottavino/ottavino/amphora"
)

// vipRefresh is the file of the interface that carries the VIPs when members are on its network, too: its port has more addresses then.
func (a *Agent) vipRefresh(name string, plug amphora.NetworkPlug, fixed []netip.Addr) (interfaceFile, error) {
	info, conf := *plug.VIPNetInfo, a.config()
	info.MTU = cmp.Or(plug.MTU, info.MTU)
	info.SRIOV = info.SRIOV || plug.SRIOV
	// Neither changes in the life of a port, and upstream's controllers leave both out here.
	if was, err := loadInterface(conf.InterfaceDir, name); err == nil {
		info.SRIOV = info.SRIOV || was.SRIOV
		if len(info.AdditionalVIPs) == 0 {
			info.AdditionalVIPs = was.AdditionalVIPs
		}
	}
	f, _, err := vipFile(name, info.VIP, info.VIPPlug, conf.Topology)
	if err != nil {
		return f, err
	}
	member := memberFile(name, plug, fixed)
	families := map[string]bool{}
	for _, address := range f.Addresses {
		if ip, err := netip.ParseAddr(address.Address); err == nil && address.Owned != nil {
			families[family(ip)] = true
		}
	}
	for i, ip := range plug.FixedIPs {
		f.Addresses = append(f.Addresses, member.Addresses[i])
		f.addGateway(ip.Gateway, fixed[i], conf.Topology == activeStandby)
		families[family(fixed[i])] = true
	}
	f.Routes = append(f.Routes, member.Routes...)
	f.Scripts = scripts{}
	f.masquerade(families)
	return f, nil
}
