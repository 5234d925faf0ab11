package agent

import (
	"context"
	"strings"

	"github.com/vishvananda/netlink"
)

// replug plugs interfaces that came after the agent had started, or again: the kernel finds some late when the machine boots, and
// hosts take some away for a moment when they move it.
func (a *Agent) replug(ctx context.Context) error {
	known := plugged(a.config().BasePath)
	if len(known) == 0 {
		return nil
	}
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	for _, l := range links {
		mac := strings.ToLower(l.Attrs().HardwareAddr.String())
		if name := known[mac]; name != "" {
			a.log.InfoContext(ctx, "an interface is plugged again", "interface", name, "mac", mac)
			return a.restoreInterfaces(ctx)
		}
	}
	return nil
}
