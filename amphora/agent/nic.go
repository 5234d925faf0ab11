package agent

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
)

// errNoNIC says that the interface has not appeared (yet); controllers know the phrase and ask again.
var errNoNIC = errors.New("No suitable network interface found") //nolint:staticcheck // the API's words

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
	return plugged(a.config().BasePath)[strings.ToLower(mac)]
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
