package e2e_test

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
)

// attrs are attributes of an object of the API.
type attrs map[string]any

// with is the attributes and more.
func (a attrs) with(more attrs) attrs {
	out := attrs{}
	for _, from := range []attrs{a, more} {
		for k, v := range from {
			out[k] = v
		}
	}
	return out
}

// trafficRow is a feature: how a listener is made that has it, and what clients and members notice.
type trafficRow struct {
	name     string
	listener attrs
	check    func(r *route)
}

// route is a listener, seen by a client.
type route struct {
	*rows

	t       *testing.T
	address string // of the VIP, with the port
}

// rows is a load balancer that has all of the rows' listeners.
type rows struct {
	*tlsLab
	names int
}

// poolOf is a pool of members, for a listener.
func (x *rows) poolOf(protocol string, extra attrs, members ...attrs) attrs {
	x.names++
	return attrs{
		"name": fmt.Sprintf("pool-%d", x.names), "protocol": protocol, "lb_algorithm": "ROUND_ROBIN", "members": members,
	}.with(extra)
}

func memberAt(port int) attrs { return attrs{"address": outside, "protocol_port": port} }

// heard is what a member tells of a request.
type heard struct {
	Member, Method, Path, Host, Remote string
	Header                             http.Header
}

// teller is a member that answers with what it heard. wrap is nil, or does something first.
func teller(t *testing.T, name string, wrap func(http.ResponseWriter, *http.Request)) (port int) {
	t.Helper()
	return serveOn(t, listenOutside(t), func(w http.ResponseWriter, r *http.Request) {
		if wrap != nil {
			wrap(w, r)
		}
		_ = json.NewEncoder(w).Encode(heard{name, r.Method, r.URL.RequestURI(), r.Host, r.RemoteAddr, r.Header})
	})
}

func listenOutside(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", outside+":0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func serveOn(t *testing.T, l net.Listener, h http.HandlerFunc) (port int) {
	t.Helper()
	server := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

// lineTeller is a TCP member: it greets with its name and sends every line back.
func lineTeller(t *testing.T, name string, l net.Listener) (port int) {
	t.Helper()
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprintln(conn, name)
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// nobody is a port at which no member listens.
func nobody(t *testing.T) int {
	t.Helper()
	l := listenOutside(t)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// stack makes the load balancer in one call and waits until it is ACTIVE.
func (x *rows) stack(all []trafficRow) map[string]*route {
	x.t.Helper()
	return x.stackWith(nil, all)
}

// stackWith is stack with more attributes of the load balancer.
func (x *rows) stackWith(more attrs, all []trafficRow) map[string]*route {
	x.t.Helper()
	routes := map[string]*route{}
	var listeners []attrs
	for i, row := range all {
		port := 10000 + i
		listeners = append(listeners, row.listener.with(attrs{"name": row.name, "protocol_port": port}))
		if routes[row.name] != nil {
			x.t.Fatalf("two rows are named %q", row.name)
		}
		routes[row.name] = &route{rows: x, t: x.t, address: fmt.Sprint(port)}
	}
	var answer struct {
		LB struct {
			ID  string `json:"id"`
			VIP string `json:"vip_address"`
		} `json:"loadbalancer"`
	}
	body := attrs{"loadbalancer": attrs{"name": "rows", "vip_subnet_id": x.subnetID(), "listeners": listeners}.with(more)}
	resp, err := x.tenant.Post(x.t.Context(), x.tenant.ServiceURL("lbaas", "loadbalancers"), body, &answer,
		&gophercloud.RequestOpts{OkCodes: []int{http.StatusCreated}})
	if err != nil {
		x.t.Fatal(err)
	}
	_ = resp.Body.Close()
	x.actor.lb, x.vip = answer.LB.ID, answer.LB.VIP
	for _, r := range routes {
		r.address = net.JoinHostPort(x.vip, r.address)
	}
	x.settle()
	return routes
}

// request is one HTTP request.
type request struct {
	method, path, host string
	header             map[string]string
	cookie             string
	timeout            time.Duration // 0 = 5 s
	from               string        // address of the client; "" = any
}

// reply is what came back; heard is filled when a teller answered.
type reply struct {
	heard

	status int
	header http.Header
	body   string
}

// try makes a request on a connection of its own and follows nothing.
func (r *route) try(q request) (reply, error) {
	d := &net.Dialer{Timeout: 5 * time.Second}
	if q.from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(q.from)}
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DialContext: d.DialContext},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: max(q.timeout, 5*time.Second),
	}
	hr, err := http.NewRequestWithContext(r.t.Context(), cmp.Or(q.method, http.MethodGet),
		"http://"+r.address+q.path, http.NoBody)
	if err != nil {
		return reply{}, err
	}
	if q.host != "" {
		hr.Host = q.host
	}
	for k, v := range q.header {
		hr.Header.Set(k, v)
	}
	if q.cookie != "" {
		hr.Header.Set("Cookie", q.cookie)
	}
	resp, err := client.Do(hr)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	out := reply{status: resp.StatusCode, header: resp.Header, body: string(body)}
	_ = json.Unmarshal(body, &out.heard)
	return out, err
}

func (r *route) get(t *testing.T, q request) reply {
	t.Helper()
	got, err := r.try(q)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// counts makes n requests and says how many each member got, "503" for that status and so on.
func (r *route) counts(t *testing.T, n int, q request) map[string]int {
	t.Helper()
	out := map[string]int{}
	for range n {
		got := r.get(t, q)
		if got.Member == "" {
			got.Member = fmt.Sprint(got.status)
		}
		out[got.Member]++
	}
	return out
}

// dial opens a TCP connection and reads its first line.
func (r *route) dial(t *testing.T) (conn net.Conn, in *bufio.Reader, first string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", r.address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	in = bufio.NewReader(conn)
	first, err = in.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return conn, in, strings.TrimSpace(first)
}

// operating waits until objects of the status tree have these statuses, by name or address.
func (x *rows) operating(t *testing.T, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the statuses are %v", got)
		}
	})
	within(t, 30*time.Second, fmt.Sprintf("statuses %v", want), func() bool {
		all := x.statuses(t)
		for name := range want {
			got[name] = all[name]
		}
		return maps.Equal(got, want)
	})
}

// statuses are the operating statuses of all members by address and port, and of listeners and pools by name.
func (x *rows) statuses(t *testing.T) map[string]string {
	t.Helper()
	var tree struct {
		Statuses struct {
			LB struct {
				Listeners []struct {
					Name, Status string
					Operating    string `json:"operating_status"`
					Pools        []struct {
						Name      string
						Operating string `json:"operating_status"`
						Members   []struct {
							Address   string
							Port      int    `json:"protocol_port"`
							Operating string `json:"operating_status"`
						}
					}
				}
			} `json:"loadbalancer"`
		}
	}
	resp, err := x.tenant.Get(t.Context(), x.tenant.ServiceURL("lbaas", "loadbalancers", x.actor.lb, "status"), &tree, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	out := map[string]string{}
	for _, l := range tree.Statuses.LB.Listeners {
		out[l.Name] = l.Operating
		for _, p := range l.Pools {
			out[p.Name] = p.Operating
			for _, m := range p.Members {
				out[fmt.Sprintf("%s:%d", m.Address, m.Port)] = m.Operating
			}
		}
	}
	return out
}

// gate holds requests back until it is opened, and counts them.
type gate struct {
	open    chan struct{}
	waiting atomic.Int32
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) wait(_ http.ResponseWriter, r *http.Request) {
	g.waiting.Add(1)
	select {
	case <-g.open:
	case <-r.Context().Done():
	}
}
