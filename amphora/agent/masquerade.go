package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// masqueradeScript is what upstream's image has for the rules that are made here. Interface files name it, for upstream's
// amphora-interface.
const masqueradeScript = "lvs-masquerade.sh"

// masked is an interface on which UDP and SCTP are masqueraded, in one version of IP, so that members answer to the amphora.
type masked struct {
	family, name string
	sriov        bool // TCP stays tracked, because its firewall is stateful
}

// maskedInterfaces reads what interface files ask for.
func maskedInterfaces(dir string) ([]masked, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var out []masked
	for _, path := range files {
		f, err := loadInterface(dir, strings.TrimSuffix(filepath.Base(path), ".json"))
		if err != nil {
			return nil, err
		}
		for _, s := range f.Scripts.Up {
			words := strings.Fields(s.Command)
			if len(words) >= 4 && filepath.Base(words[0]) == masqueradeScript && words[1] == "add" && safeName.MatchString(words[3]) {
				out = append(out, masked{words[2], words[3], slices.Contains(words[4:], "sriov")})
			}
		}
	}
	return out, nil
}

// ruleset makes the tables that the interfaces need anew, in one transaction. Rules that are added twice, as upstream's are with
// every refresh, cannot be.
func ruleset(all []masked) []byte {
	var out bytes.Buffer
	for _, v := range []struct{ family, nft string }{{"ipv4", "ip"}, {"ipv6", "ip6"}} {
		var names, untracked []string
		for _, m := range all {
			if m.family != v.family || slices.Contains(names, m.name) {
				continue
			}
			names = append(names, m.name)
			if !m.sriov {
				untracked = append(untracked, m.name)
			}
		}
		table := v.nft + " octavia-" + v.family
		fmt.Fprintf(&out, "table %[1]s {}\ndelete table %[1]s\n", table)
		if len(names) == 0 {
			continue
		}
		fmt.Fprintf(&out, "table %s {\n", table)
		for _, protocol := range []string{"udp", "sctp"} {
			chain(&out, v.nft+"-"+protocol+"-masq", "nat hook postrouting priority 100", names, "oifname %s meta l4proto "+protocol+" masquerade")
		}
		if len(untracked) > 0 {
			chain(&out, "prerouting", "filter hook prerouting priority -300", untracked, "iifname %s meta l4proto tcp notrack")
			chain(&out, "output", "filter hook output priority -300", untracked, "oifname %s meta l4proto tcp notrack")
		}
		fmt.Fprintln(&out, "}")
	}
	return out.Bytes()
}

// chain writes a chain with one rule for every interface.
func chain(out *bytes.Buffer, name, hook string, interfaces []string, rule string) {
	fmt.Fprintf(out, "\tchain %s {\n\t\ttype %s;\n", name, hook)
	for _, i := range interfaces {
		fmt.Fprintf(out, "\t\t"+rule+"\n", i)
	}
	fmt.Fprintln(out, "\t}")
}

// tables are what ruleset is in the language of iptables, for one version of IP. They replace what was there.
func tables(all []masked, version string) (rules []byte, some bool) {
	var nat, raw bytes.Buffer
	for _, m := range all {
		if m.family != version {
			continue
		}
		some = true
		for _, protocol := range []string{"udp", "sctp"} {
			fmt.Fprintf(&nat, "-A POSTROUTING -o %s -p %s -j MASQUERADE\n", m.name, protocol)
		}
		if !m.sriov {
			fmt.Fprintf(&raw, "-A PREROUTING -i %[1]s -p tcp -j CT --notrack\n-A OUTPUT -o %[1]s -p tcp -j CT --notrack\n", m.name)
		}
	}
	rules = fmt.Appendf(nil, "*nat\n:POSTROUTING ACCEPT\n%sCOMMIT\n*raw\n:PREROUTING ACCEPT\n:OUTPUT ACCEPT\n%sCOMMIT\n", nat.Bytes(), raw.Bytes())
	return rules, some
}

// masquerade has the kernel masquerade what goes to members, as long as there are UDP or SCTP listeners. Without them nothing is
// tracked, and haproxy's traffic is not slowed down.
func (a *Agent) masquerade(ctx context.Context) error {
	var all []masked
	if len(a.lvs.ids()) > 0 {
		var err error
		if all, err = maskedInterfaces(a.config().InterfaceDir); err != nil {
			return fmt.Errorf("masquerade: %w", err)
		}
	}
	if err := ensureNamespace(ctx); err != nil {
		return err
	}
	err := filter(ctx, ruleset(all), "nft", "-f", "-")
	if err == nil {
		return nil
	}
	// As upstream's script does: a kernel may know one and not the other.
	for _, v := range []string{"ipv4", "ipv6"} {
		if text, some := tables(all, v); some || len(all) == 0 {
			if other := filter(ctx, text, map[string]string{"ipv4": "iptables-legacy-restore", "ipv6": "ip6tables-legacy-restore"}[v]); other != nil {
				return fmt.Errorf("masquerade: %w", errors.Join(err, other))
			}
		}
	}
	return nil
}

// filter has a program in the namespace read rules.
func filter(ctx context.Context, rules []byte, argv ...string) error {
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", namespace}, argv...)...)
	cmd.Stdin = bytes.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		first, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n"))
		return fmt.Errorf("%s: %w: %s", argv[0], err, first)
	}
	return nil
}

// masqueradeServed is masquerade after an interface has changed.
func (a *Agent) masqueradeServed(ctx context.Context) error {
	if len(a.lvs.ids()) == 0 {
		return nil
	}
	return a.masquerade(ctx)
}

// restoreUDPListeners starts every keepalived that does not run.
func (a *Agent) restoreUDPListeners(ctx context.Context) error {
	var errs []error
	for _, id := range a.lvs.ids() {
		if !a.lvs.running(id) {
			errs = append(errs, a.startUDPListener(ctx, id))
		}
	}
	return errors.Join(errs...)
}
