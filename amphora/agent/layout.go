package agent

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// layout is a haproxy.cfg in two parts: servers, which haproxy changes while it runs, and the rest, which it reads when a worker starts.
type layout struct {
	rest    string // without blank lines and comments
	servers map[string]server
	binds   map[netip.AddrPort]string // frontends by what they listen on
	files   map[string]string         // kinds (certificate, list, other) by the path of what haproxy loads
}

// server is a server line.
type server struct {
	name     string // backend/server
	address  netip.AddrPort
	weight   int // -1 = not said
	disabled bool
	options  string // all other words
}

// Kinds of files.
const (
	certificateFile = "certificate"
	listFile        = "list" // crt-list
	otherFile       = "other"
)

var fileWords = map[string]string{"crt": certificateFile, "crt-list": listFile, "ca-file": otherFile, "crl-file": otherFile}

// eachLine calls fn for every line that says something, with its section's first line, which comes first itself.
func eachLine(text []byte, fn func(section, line string, words []string)) {
	section := ""
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if line[0] != ' ' && line[0] != '\t' {
			section = strings.Join(words, " ")
		}
		fn(section, strings.TrimSpace(line), words)
	}
}

// parseLayout reads what haproxy has found valid.
func parseLayout(text []byte) layout {
	l := layout{servers: map[string]server{}, binds: map[netip.AddrPort]string{}, files: map[string]string{}}
	var rest strings.Builder
	fixed := backendsWithDefaults(text)
	eachLine(text, func(section, line string, words []string) {
		l.note(section, words)
		backend, ok := strings.CutPrefix(section, "backend ")
		if ok && words[0] == "server" && !fixed[section] {
			if s, ok := parseServer(backend, words[1:]); ok {
				l.servers[s.name] = s
				return
			}
		}
		fmt.Fprintln(&rest, section, ":", line)
	})
	l.rest = rest.String()
	return l
}

// note notes files and addresses in a line.
func (l *layout) note(section string, words []string) {
	if words[0] != "bind" && words[0] != "server" || len(words) < 2 {
		return
	}
	for i, w := range words[:len(words)-1] {
		if kind, ok := fileWords[w]; ok {
			l.files[words[i+1]] = kind
		}
	}
	if at, ok := parseAddrPort(words[1]); ok && words[0] == "bind" {
		l.binds[at] = strings.TrimPrefix(section, "frontend ")
	}
}

// backendsWithDefaults are sections whose server lines say only half of what servers are: haproxy does not take the other half for
// servers that are added while it runs.
func backendsWithDefaults(text []byte) map[string]bool {
	out := map[string]bool{}
	inherited := false
	eachLine(text, func(section, _ string, words []string) {
		if words[0] == "default-server" || words[0] == "server-template" {
			out[section] = true
			inherited = inherited || strings.HasPrefix(section, "defaults")
		}
		if inherited && words[0] == "backend" {
			out[section] = true
		}
	})
	return out
}

// runtimeWord is what may be sent in a command: nothing that ends one or begins another.
var runtimeWord = regexp.MustCompile(`^[A-Za-z0-9_.:,/@!+=()%|-]+$`)

func parseServer(backend string, words []string) (server, bool) {
	s := server{weight: -1}
	if len(words) < 2 || slices.ContainsFunc(words, func(w string) bool { return !runtimeWord.MatchString(w) }) {
		return s, false
	}
	s.name = backend + "/" + words[0]
	var ok bool
	if s.address, ok = parseAddrPort(words[1]); !ok || !runtimeWord.MatchString(backend) {
		return s, false
	}
	var options []string
	for i := 2; i < len(words); i++ {
		switch {
		case words[i] == "disabled":
			s.disabled = true
		case words[i] == "weight" && i+1 < len(words):
			i++
			n, err := strconv.Atoi(words[i])
			if err != nil {
				return s, false
			}
			s.weight = n
		default:
			options = append(options, words[i])
		}
	}
	s.options = strings.Join(options, " ")
	return s, true
}

// parseAddrPort reads haproxy's notation: the port is after the last colon, and IPv6 takes no brackets.
func parseAddrPort(word string) (netip.AddrPort, bool) {
	cut := strings.LastIndexByte(word, ':')
	if cut < 0 {
		return netip.AddrPort{}, false
	}
	addr, err := netip.ParseAddr(strings.Trim(word[:cut], "[]"))
	if err != nil {
		return netip.AddrPort{}, false
	}
	port, err := strconv.ParseUint(word[cut+1:], 10, 16)
	return netip.AddrPortFrom(addr, uint16(port)), err == nil
}

func (s server) has(option string) bool { return slices.Contains(strings.Fields(s.options), option) }

func (s server) weightOr1() int {
	if s.weight < 0 {
		return 1
	}
	return s.weight
}

// change is what leads from one set of servers to another, in the order in which it disturbs least: who comes, comes first.
type change struct {
	added, changed []server
	removed        []string
}

func (c change) empty() bool { return len(c.added)+len(c.changed)+len(c.removed) == 0 }

// difference is how haproxy gets from one configuration to another while it runs; ok is false when it cannot.
func difference(from, to layout) (c change, ok bool) {
	if from.rest != to.rest {
		return c, false
	}
	for _, name := range slices.Sorted(maps.Keys(to.servers)) {
		now := to.servers[name]
		was, known := from.servers[name]
		switch {
		case !known:
			c.added = append(c.added, now)
		case was.options != now.options:
			return c, false // haproxy has no command for checks, backup, TLS
		case was != now:
			c.changed = append(c.changed, now)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(from.servers)) {
		if _, stays := to.servers[name]; !stays {
			c.removed = append(c.removed, name)
		}
	}
	return c, true
}

// softly is what the agent adds to a configuration, marked as its own: a worker that is replaced answers one more request
// on every idle connection before it closes it. Without, a client that asks at that moment gets no answer.
const softly = "    option idle-close-on-response # by the agent\n"

// soften adds it to every frontend that speaks HTTP, behind the line that says so.
func soften(cfg []byte) []byte {
	if strings.Contains(string(cfg), "idle-close-on-response") {
		return cfg
	}
	var out strings.Builder
	section := ""
	for line := range strings.Lines(string(cfg)) {
		out.WriteString(line)
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case line[0] != ' ' && line[0] != '\t':
			section = words[0]
		case section == "frontend" && words[0] == "mode" && len(words) == 2 && words[1] == "http":
			out.WriteString(softly)
		}
	}
	return []byte(out.String())
}

// asSent is a configuration without what the agent added.
func asSent(cfg []byte) []byte { return []byte(strings.ReplaceAll(string(cfg), softly, "")) }

var lineNumber = regexp.MustCompile(`haproxy\.cfg(?:\.new)?:(\d+)`)

// asSentLines has haproxy's words speak of lines as they were sent.
func asSentLines(said string, cfg []byte) string {
	lines := strings.SplitAfter(string(cfg), "\n")
	return lineNumber.ReplaceAllStringFunc(said, func(match string) string {
		head, number, _ := strings.Cut(match, ":")
		n, err := strconv.Atoi(number)
		if err != nil || n > len(lines) {
			return match
		}
		added := 0
		for _, line := range lines[:n] {
			if line == softly {
				added++
			}
		}
		return head + ":" + strconv.Itoa(n-added)
	})
}
