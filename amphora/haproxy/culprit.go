package haproxy

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// configLine is how haproxy names a line of the file it got. Our agent tests haproxy.cfg.new, as upstream's.
var configLine = regexp.MustCompile(`haproxy\.cfg(?:\.new)?:(\d+)`)

// Culprits are the listeners that haproxy complains of when it does not run a configuration: those in whose sections the
// lines are that it names, and those that it names itself. Warnings beside its complaints are not listened to.
func Culprits(cfg []byte, complaint string) []string {
	owners := lineOwners(string(cfg))
	var out []string
	add := func(listener string) {
		if listener != "" && !slices.Contains(out, listener) {
			out = append(out, listener)
		}
	}
	for line := range strings.Lines(complaint) {
		if strings.HasPrefix(line, "[WARNING]") || strings.HasPrefix(line, "[NOTICE]") {
			continue
		}
		for _, m := range configLine.FindAllStringSubmatch(line, -1) {
			if n, err := strconv.Atoi(m[1]); err == nil && n >= 1 && n <= len(owners) {
				add(owners[n-1])
			}
		}
		for _, owner := range owners {
			if owner != "" && strings.Contains(line, owner) {
				add(owner)
			}
		}
	}
	return out
}

// lineOwners are the listeners that lines belong to; "" for those of none.
func lineOwners(cfg string) []string {
	var out []string
	owner := ""
	for line := range strings.Lines(cfg) {
		if words := strings.Fields(line); len(words) > 0 && line[0] != ' ' {
			owner = listenerOf(words)
		}
		out = append(out, owner)
	}
	return out
}

// listenerOf is the listener of a section's first line: frontends have its name, backends the pool's and its.
func listenerOf(words []string) string {
	switch {
	case len(words) != 2 || strings.HasPrefix(words[1], exporterBackend):
	case words[0] == "frontend":
		return words[1]
	case words[0] == "backend":
		_, listener, _ := strings.Cut(words[1], ":")
		return listener
	}
	return ""
}

// WithSections returns a configuration with the sections that these listeners have in another one behind it. Without
// a configuration it is the other one, without the sections of all other listeners; ok says that something of these was there.
func WithSections(cfg, other []byte, listeners []string) (out []byte, ok bool) {
	var text strings.Builder
	text.Write(cfg)
	owners := lineOwners(string(other))
	for i, line := range slices.Collect(strings.Lines(string(other))) {
		wanted := slices.Contains(listeners, owners[i])
		ok = ok || wanted
		if strings.TrimSpace(line) == "" || !wanted && (len(cfg) > 0 || owners[i] != "") {
			continue
		}
		if line[0] != ' ' && text.Len() > 0 && line[0] != '#' {
			text.WriteString("\n")
		}
		text.WriteString(line)
	}
	return []byte(text.String()), ok
}
