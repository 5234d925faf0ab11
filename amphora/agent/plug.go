package agent

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/ottavino/ottavino/amphora"
)

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
	if name != "" {
		// A repeated request is answered as upstream's agent does, but what it says is done all the same.
		if name == f.Name {
			if err := a.refresh(r.Context(), f); err != nil {
				return said(http.StatusInternalServerError, "Error plugging VIP", err.Error())
			}
		}
		return said(http.StatusConflict, "Interface already exists", "")
	}
	if rep := a.plug(r.Context(), plug.MAC, f, "VIP"); rep != nil {
		return *rep
	}
	return said(http.StatusAccepted, "OK", "VIPs plugged on interface eth1: "+strings.Join(words, ", "))
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
	if err := a.protect(ctx, f); err != nil {
		return err // before the first packet gets in
	}
	if err := f.up(h); err != nil {
		return err
	}
	if err := a.dynamic(f); err != nil {
		return err
	}
	return a.masqueradeServed(ctx)
}

// protect puts a firewall before an SR-IOV port. Upstream's is the VIPs' for members' ports, too, where it lets nobody reach VIPs
// that are on another port.
func (a *Agent) protect(ctx context.Context, f interfaceFile) error {
	switch {
	case f.Type == "vip" && f.SRIOV:
		return a.firewall().ensure(ctx)
	case f.Type == "backend" && f.SRIOV:
		return shield(ctx, f.Name)
	case f.Type == "backend":
		unshield(ctx, f.Name)
	}
	return nil
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
