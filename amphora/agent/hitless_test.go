package agent_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/heartbeat"
)

// site is a haproxy.cfg to be; its zero value has one frontend and no members.
type site struct {
	frontend string   // more lines of it
	backend  []string // lines of the backend; nil = balance roundrobin
	members  []string // server lines without the word
	more     string   // more sections
}

func (r *rig) site(s site) []byte {
	if s.backend == nil {
		s.backend = []string{"balance roundrobin"}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `# Configuration for loadbalancer %[2]s
global
    daemon
    user nobody
    stats socket %[1]s/octavia/%[2]s.sock mode 0666 level user
    server-state-file %[1]s/octavia/%[2]s/servers-state
    maxconn 1000

defaults
    no log
    retries 3
    option redispatch
    option http-keep-alive

frontend L1
    maxconn 1000
    bind %[3]s:80
    mode http
%[4]s    default_backend P1:L1
    timeout client 30000

backend P1:L1
    mode http
    http-reuse safe
    load-server-state-from-file global
    option allbackups
    timeout connect 1000
    timeout server 30000
`, r.dir, lbID, vip, s.frontend)
	for _, line := range s.backend {
		fmt.Fprintf(&b, "    %s\n", line)
	}
	for _, m := range s.members {
		fmt.Fprintf(&b, "    server %s\n", m)
	}
	b.WriteString(s.more)
	return []byte(b.String())
}

func (r *rig) apply(cfg []byte) {
	r.t.Helper()
	if err := r.driver.Apply(r.t.Context(), r.target, lbID, cfg); err != nil {
		r.t.Fatal(err)
	}
	held, _, err := r.driver.Config(r.t.Context(), r.target, lbID)
	if err != nil || string(held) != string(cfg) {
		r.t.Fatalf("the agent holds another configuration (%v): %s", err, held)
	}
}

// haproxy asks on the agent's socket.
func (r *rig) haproxy(command string) string {
	r.t.Helper()
	out, err := r.tryHAProxy(command)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

func (r *rig) tryHAProxy(command string) (string, error) {
	conn, err := net.Dial("unix", filepath.Join(r.dir, "octavia", lbID+".adm"))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	fmt.Fprintln(conn, command)
	out, err := io.ReadAll(conn)
	return string(out), err
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, "octavia", lbID, name) }

var pidLine = regexp.MustCompile(`(?m)^Pid: (\d+)$`)

func (r *rig) worker() int {
	r.t.Helper()
	pid := pidIn(r.haproxy("show info"))
	if pid == 0 {
		r.t.Fatal("haproxy does not tell its pid")
	}
	return pid
}

// servesAnew says that another worker than this one serves.
func (r *rig) servesAnew(than int, want string) bool {
	word, err := ask()
	if err != nil || word != want {
		return false
	}
	info, err := r.tryHAProxy("show info")
	return err == nil && pidIn(info) != 0 && pidIn(info) != than
}

func pidIn(info string) int {
	m := pidLine.FindStringSubmatch(info)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

func (r *rig) master() int {
	r.t.Helper()
	text, err := os.ReadFile(r.path(lbID + ".pid"))
	if err != nil {
		r.t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// servers are name, address, port, weight, maintenance and checks of all servers, as haproxy has them.
func (r *rig) servers() []string {
	r.t.Helper()
	out := []string{}
	for line := range strings.Lines(r.haproxy("show servers state")) {
		w := strings.Fields(line)
		if len(w) < 20 || w[0] == "#" {
			continue
		}
		admin, _ := strconv.Atoi(w[6])
		check, _ := strconv.Atoi(w[13])
		out = append(out, fmt.Sprintf("%s/%s %s:%s weight %s maint %t check %t", w[1], w[3], w[4], w[18], w[7], admin&1 != 0, check&6 == 6))
	}
	slices.Sort(out)
	return out
}

func (r *rig) plugged() *rig {
	r.t.Helper()
	r.nic()
	if err := r.plug(); err != nil {
		r.t.Fatal(err)
	}
	return r
}

// words are the answers to n requests, sorted, each once.
func (r *rig) words(n int) string {
	r.t.Helper()
	var out []string
	for range n {
		word, err := ask()
		if err != nil {
			word = err.Error()
		}
		if !slices.Contains(out, word) {
			out = append(out, word)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// TestChangesOfServers: each change of servers is in effect when Apply returns; most without another worker.
func TestChangesOfServers(t *testing.T) {
	r := newRig(t).plugged()
	one, two, three := r.web("one"), r.web("two"), r.web("three")
	server := func(name string, port int, options string) string {
		return strings.TrimSpace(fmt.Sprintf("%s %s:%d %s", name, outside, port, options))
	}
	const check = "weight 1 check inter 1s fall 3 rise 2"
	m1, m2 := server("M1", one, "weight 1"), server("M2", two, "weight 1")
	for _, c := range []struct {
		name   string
		before []string
		after  []string
		lines  []string // of the backend
		want   string
		reload bool
	}{
		{name: "nothing", before: []string{m1}, after: []string{m1}, want: "one"},
		{name: "order", before: []string{m1, m2}, after: []string{m2, m1}, want: "one two"},
		{name: "add", before: []string{m1}, after: []string{m1, m2}, want: "one two"},
		{name: "add the first", before: nil, after: []string{m1}, want: "one"},
		{name: "add with check", before: []string{m1}, after: []string{m1, server("M2", two, check)}, want: "one two"},
		{name: "add backup", before: []string{m1}, after: []string{m1, server("M2", two, "weight 1 backup")}, want: "one"},
		{name: "add disabled", before: []string{m1}, after: []string{m1, server("M2", two, "weight 1 disabled")}, want: "one"},
		{name: "add TLS", before: []string{m1}, after: []string{m1, server("M2", two, "weight 0 ssl verify none sni ssl_fc_sni")}, want: "one"},
		{name: "remove", before: []string{m1, m2}, after: []string{m2}, want: "two"},
		{name: "remove all", before: []string{m1}, after: nil, want: "503 Service Unavailable"},
		{name: "remove from source", lines: []string{"balance source"}, before: []string{m1, m2}, after: []string{m2}, want: "two"},
		{name: "remove from cookies", lines: []string{"balance roundrobin", "cookie SRV insert indirect nocache"},
			before: []string{m1 + " cookie M1", m2 + " cookie M2"}, after: []string{m2 + " cookie M2"}, want: "two"},
		{name: "replace", before: []string{m1}, after: []string{m2}, want: "two"},
		{name: "disable", before: []string{m1, m2}, after: []string{m1 + " disabled", m2}, want: "two"},
		{name: "enable", before: []string{m1 + " disabled", m2}, after: []string{m1, m2}, want: "one two"},
		{name: "disable in source", lines: []string{"balance source"}, before: []string{m1, m2}, after: []string{m1 + " disabled", m2}, want: "two"},
		{name: "drain", before: []string{m1, m2}, after: []string{server("M1", one, "weight 0"), m2}, want: "two"},
		{name: "drain in source", lines: []string{"balance source"}, before: []string{m1, m2}, after: []string{server("M1", one, "weight 0"), m2}, want: "two"},
		{name: "weight", before: []string{m1, m2}, after: []string{server("M1", one, "weight 2"), m2}, want: "one two"},
		{name: "weight in leastconn", lines: []string{"balance leastconn"}, before: []string{m1, m2}, after: []string{server("M1", one, "weight 7"), m2}, want: "one two"},
		{name: "address", before: []string{m1, m2}, after: []string{server("M1", three, "weight 1"), m2}, want: "three two"},
		{name: "address with check", before: []string{server("M1", one, check)}, after: []string{server("M1", three, check)}, want: "three"},
		{name: "IPv6", before: []string{m1}, after: []string{m1, "M2 fd00::5:8080 weight 0", "M3 fd00::6:8080 weight 1 disabled"}, want: "one"},
		{name: "address in IPv6", before: []string{m1, "M2 fd00::5:8080 weight 0"}, after: []string{m1, "M2 fd00::6:8081 weight 0"}, want: "one"},
		{name: "from IPv6", before: []string{"M1 fd00::5:8080 weight 1"}, after: []string{m1}, want: "one"},
		{name: "everything", before: []string{m1, m2}, after: []string{server("M1", two, "weight 5"), server("M3", three, check)}, want: "three two"},

		{name: "backup", before: []string{m1, m2}, after: []string{m1 + " backup", m2}, want: "two", reload: true},
		{name: "backup and address", before: []string{m1, m2}, after: []string{server("M1", three, "weight 1"), m2 + " backup"}, want: "three", reload: true},
		{name: "begin checks", before: []string{m1}, after: []string{server("M1", one, check)}, want: "one", reload: true},
		{name: "add in source", lines: []string{"balance source"}, before: []string{m1}, after: []string{m1, m2}, want: "", reload: true},
		{name: "weight in source", lines: []string{"balance source"}, before: []string{m1, m2}, after: []string{server("M1", one, "weight 5"), m2}, want: "", reload: true},
		{name: "add with cookie", lines: []string{"balance roundrobin", "cookie SRV insert indirect nocache"},
			before: []string{m1 + " cookie M1"}, after: []string{m1 + " cookie M1", m2 + " cookie M2"}, want: "one two", reload: true},
		{name: "add to defaults", lines: []string{"balance roundrobin", "default-server maxconn 9"},
			before: []string{m1}, after: []string{m1, m2}, want: "one two", reload: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := *r
			r.t = t
			r.apply(r.site(site{backend: c.lines, members: c.before}))
			before := r.worker()
			r.apply(r.site(site{backend: c.lines, members: c.after}))
			if got := r.worker() != before; got != c.reload {
				t.Errorf("got another worker %t, want %t", got, c.reload)
			}
			if got := r.words(6); c.want != "" && got != c.want {
				t.Errorf("got answers %q, want %q", got, c.want)
			}
			had := r.servers()
			if err := os.Remove(r.path("running.json")); err != nil {
				t.Fatal(err)
			}
			r.apply(r.site(site{backend: c.lines, members: c.after}))
			if got := r.servers(); !slices.Equal(got, had) {
				t.Errorf("servers after a reload: %q, before it: %q", got, had)
			}
		})
	}
}

// TestManyChanges: what hundreds of commands lead to is what a reload of the file leads to.
func TestManyChanges(t *testing.T) {
	r := newRig(t).plugged()
	port := r.web("one")
	random := rand.New(rand.NewPCG(1, 2))
	members := map[int]string{}
	sorted := func() []string {
		out := []string{}
		for i := range 20 {
			if m, ok := members[i]; ok {
				out = append(out, m)
			}
		}
		return out
	}
	apply := func() {
		r.apply(r.site(site{members: sorted()}))
	}
	apply()
	worker := r.worker()
	for range 60 {
		for range 1 + random.IntN(4) {
			i := random.IntN(20)
			if random.IntN(3) == 0 {
				delete(members, i)
				continue
			}
			m := fmt.Sprintf("M%d %s:%d weight %d check inter 1s", i, outside, port-random.IntN(2), random.IntN(4))
			if random.IntN(4) == 0 {
				m += " disabled"
			}
			members[i] = m
		}
		apply()
	}
	if r.worker() != worker {
		t.Error("changes of servers needed another worker")
	}
	had := r.servers()
	if err := os.Remove(r.path("running.json")); err != nil {
		t.Fatal(err)
	}
	apply()
	if r.worker() == worker {
		t.Error("got no other worker by a reload")
	}
	if got := r.servers(); !slices.Equal(got, had) || len(got) != len(members) {
		t.Errorf("got %q after a reload, %q before it", got, had)
	}
}

// TestManyMembersAtOnce: a batch of 500 is no reason for another worker.
func TestManyMembersAtOnce(t *testing.T) {
	r := newRig(t).plugged()
	port := r.web("one")
	r.apply(r.site(site{}))
	worker := r.worker()
	var members []string
	for i := range 500 {
		members = append(members, fmt.Sprintf("M%d %s:%d weight 1", i, outside, port))
	}
	began := time.Now()
	r.apply(r.site(site{members: members}))
	t.Logf("500 members more in %s", time.Since(began))
	if got := r.servers(); len(got) != 500 || r.worker() != worker {
		t.Errorf("got %d servers, another worker %t", len(got), r.worker() != worker)
	}
	r.apply(r.site(site{}))
	r.until("all are gone", func() bool { return len(r.servers()) == 0 })
	if r.worker() != worker {
		t.Error("got another worker")
	}
}

// TestHandMadeChanges: what somebody did to haproxy by hand is set right with the next reload.
func TestHandMadeChanges(t *testing.T) {
	r := newRig(t).plugged()
	cfg := r.site(site{members: []string{fmt.Sprintf("M1 %s:%d weight 1", outside, r.web("one"))}})
	r.apply(cfg)
	r.haproxy("set server P1:L1/M1 state maint")
	r.apply(cfg)
	if got := r.words(2); got != "one" {
		t.Errorf("got %q, want the server back", got)
	}
}

// TestRemovedMemberServesToTheEnd: a response under way is not cut, the heartbeats do not speak of the member any more, and
// haproxy forgets it afterwards, even when the agent was another one when it was removed.
func TestRemovedMemberServesToTheEnd(t *testing.T) {
	r := newRig(t).plugged()
	finish := make(chan struct{})
	slow := r.serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close") // otherwise haproxy keeps it for some seconds
		fmt.Fprint(w, "begin ")
		_ = http.NewResponseController(w).Flush()
		<-finish
		fmt.Fprint(w, "end")
	}))
	two := r.web("two")
	m2 := fmt.Sprintf("M2 %s:%d weight 1", outside, two)
	r.apply(r.site(site{members: []string{fmt.Sprintf("M1 %s:%d weight 1", outside, slow)}}))
	resp, err := http.Get("http://" + vip + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	worker := r.worker()
	r.apply(r.site(site{members: []string{m2}}))
	if got := r.words(4); got != "two" {
		t.Errorf("got %q, want answers of the new member only", got)
	}
	members := r.heartbeat(func(members map[string]string) bool { return members["M2"] != "" })
	if _, still := members["M1"]; still {
		t.Errorf("heartbeats speak of the removed member: %v", members)
	}
	r.stop()
	r.run()
	if members := r.heartbeat(func(map[string]string) bool { return true }); len(members) != 1 {
		t.Errorf("another agent's heartbeats speak of the removed member: %v", members)
	}
	close(finish)
	if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "begin end" {
		t.Errorf("got %q, %v, want the whole response", text, err)
	}
	r.until("haproxy has forgotten the member", func() bool { return len(r.servers()) == 1 })
	if r.worker() != worker {
		t.Error("got another worker")
	}
}

// TestReloadKeepsConnections: a client that keeps its connection notices nothing of 30 reloads.
func TestReloadKeepsConnections(t *testing.T) {
	r := newRig(t).plugged()
	member := fmt.Sprintf("M1 %s:%d weight 1", outside, r.web("one"))
	r.apply(r.site(site{members: []string{member}}))
	l := r.load()
	for i := range 30 {
		r.apply(r.site(site{members: []string{member}, frontend: fmt.Sprintf("    http-request deny if { path /%d }\n", i)}))
	}
	l.end()
}

// TestOldWorkersAreBounded: clients that stay do not make workers pile up.
func TestOldWorkersAreBounded(t *testing.T) {
	r := newRig(t).plugged()
	member := fmt.Sprintf("M1 %s:%d weight 1", outside, r.serve(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-req.Context().Done()
	})))
	workers := func() int {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", r.master()))
		if err != nil {
			t.Fatal(err)
		}
		return len(strings.Fields(string(text)))
	}
	for i := range 20 {
		r.apply(r.site(site{members: []string{member}, frontend: fmt.Sprintf("    http-request deny if { path /%d }\n", i)}))
		resp, err := http.Get("http://" + vip + "/")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if i == 10 && workers() != 11 {
			t.Errorf("got %d workers for 11 clients that stay, want 11", workers())
		}
	}
	r.until("no more than 16 old workers are there", func() bool { return workers() == 17 })
}

// TestLastMemberLeaves: a pool whose last member is removed is a pool without members, not a broken one, though haproxy still has it.
func TestLastMemberLeaves(t *testing.T) {
	r := newRig(t).plugged()
	finish := make(chan struct{})
	slow := r.serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-finish
	}))
	defer close(finish)
	r.apply(r.site(site{members: []string{fmt.Sprintf("M1 %s:%d weight 1", outside, slow)}}))
	resp, err := http.Get("http://" + vip + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r.apply(r.site(site{}))
	if got := len(r.servers()); got != 1 {
		t.Fatalf("got %d servers in haproxy, want the one that still serves", got)
	}
	r.beat(func(m heartbeat.Message) bool {
		pool := m.Pools["P1:L1"]
		return len(pool.Members) == 0 && pool.Status == "UP"
	})
}

func TestCapability(t *testing.T) {
	r := newRig(t)
	info, err := r.driver.Info(t.Context(), r.target)
	if err != nil || !slices.Contains(info.Capabilities, "runtime") {
		t.Errorf("got capabilities %q, %v, want runtime", info.Capabilities, err)
	}
}

// TestOwnFile: the socket that takes changes is root's alone, and haproxy does not read what it never uses.
func TestOwnFile(t *testing.T) {
	r := newRig(t).plugged()
	r.apply(r.site(site{}))
	if info, err := os.Stat(filepath.Join(r.dir, "octavia", lbID+".adm")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a socket for root alone", info, err)
	}
	if text, err := os.ReadFile(r.path("agent.conf")); err != nil || !strings.Contains(string(text), "httpclient.ssl.verify none") {
		t.Errorf("got %s, %v, want the system's CAs left alone", text, err)
	}
}

func status(err error) int {
	var e *amphora.AgentError
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}
