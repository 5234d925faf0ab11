package e2e_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"
)

// outside is the world's own address on the tenants' network: members can be here.
const outside = "10.10.10.1"

// mirror is a member that answers with its name and the request's headers, over TLS when conf says how.
func mirror(t *testing.T, name string, conf *tls.Config) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", outside+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		TLSConfig: conf, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s\n", name, r.Proto)
			if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
				fmt.Fprintf(w, "peer: %s\n", r.TLS.PeerCertificates[0].Subject.CommonName)
			}
			_ = r.Header.Write(w)
		}),
	}
	serve := func() error { return server.Serve(l) }
	if conf != nil {
		serve = func() error { return server.ServeTLS(l, "", "") }
	}
	go func() { _ = serve() }()
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

// tlsLab is a load balancer with amphora, and who keeps secrets.
type tlsLab struct {
	*lab
	owner *owner
	actor *actor
	vip   string
}

func newTLSLab(t *testing.T, conf string) *tlsLab {
	t.Helper()
	l := newLab(t, labOptions{instances: true, conf: conf})
	l.serve()
	lb, err := loadbalancers.Create(t.Context(), l.tenant, loadbalancers.CreateOpts{Name: "tls", VipSubnetID: l.subnetID()}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	x := &tlsLab{lab: l, owner: l.owner(l.sandbox.Settings().Tenant), actor: l.actor("tls"), vip: lb.VipAddress}
	x.actor.lb = lb.ID
	x.settle()
	return x
}

// settle waits until everything is ACTIVE.
func (x *tlsLab) settle() {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.t.Context(), 60*time.Second)
	defer cancel()
	if err := x.awaitActive(ctx, x.actor); err != nil {
		x.t.Fatal(err)
	}
}

func (x *tlsLab) store(content []byte) string {
	x.t.Helper()
	return x.owner.store(x.t.Context(), content)
}

// pool makes a pool with one member of this world.
func (x *tlsLab) pool(port int, o pools.CreateOpts) (id, member string) {
	x.t.Helper()
	o.Protocol, o.LBMethod, o.LoadbalancerID = pools.ProtocolHTTP, pools.LBMethodRoundRobin, x.actor.lb
	p, err := pools.Create(x.t.Context(), x.tenant, o).Extract()
	if err != nil {
		x.t.Fatal(err)
	}
	return p.ID, x.member(p.ID, port)
}

func (x *tlsLab) member(pool string, port int) string {
	x.t.Helper()
	m, err := pools.CreateMember(x.t.Context(), x.tenant, pool, pools.CreateMemberOpts{
		Address: outside, ProtocolPort: port, SubnetID: x.subnetID(),
	}).Extract()
	if err != nil {
		x.t.Fatal(err)
	}
	return m.ID
}

func (x *tlsLab) listener(port int, pool string, o listeners.CreateOpts) string {
	x.t.Helper()
	if o.Protocol == "" {
		o.Protocol = listeners.ProtocolTerminatedHTTPS
	}
	o.ProtocolPort, o.DefaultPoolID, o.LoadbalancerID = port, pool, x.actor.lb
	l, err := listeners.Create(x.t.Context(), x.tenant, o).Extract()
	if err != nil {
		x.t.Fatal(err)
	}
	return l.ID
}

// handshake connects to a port of the VIP.
func (x *tlsLab) handshake(port int, conf *tls.Config) (tls.ConnectionState, error) {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: conf}
	conn, err := d.DialContext(x.t.Context(), "tcp", fmt.Sprintf("%s:%d", x.vip, port))
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState(), nil
}

// answer is what a request got.
type answer struct {
	status int
	proto  string
	header http.Header
	body   string
}

// get makes one request on a connection of its own.
func (x *tlsLab) get(port int, conf *tls.Config) (answer, error) {
	transport := &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true, ForceAttemptHTTP2: len(conf.NextProtos) > 0}
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Get(fmt.Sprintf("https://%s:%d/", x.vip, port))
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Proto, resp.Header, string(body)}, err
}

// serves waits until a request gets an answer that holds a text.
func (x *tlsLab) serves(port int, conf *tls.Config, want string) {
	x.t.Helper()
	within(x.t, 30*time.Second, fmt.Sprintf("port %d serves %s", port, want), func() bool {
		a, err := x.get(port, conf)
		return err == nil && a.status == http.StatusOK && strings.Contains(a.body, want)
	})
}

func (x *tlsLab) end() {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.t.Context(), 60*time.Second)
	defer cancel()
	if err := x.actor.delete(ctx); err != nil {
		x.t.Fatal(err)
	}
	if err := x.awaitGone(ctx, x.actor); err != nil {
		x.t.Fatal(err)
	}
	x.assertNoLeaks()
}
