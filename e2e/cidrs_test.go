package e2e_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"
)

// TestAllowedCIDRs: who is in none of a listener's allowed_cidrs does not get through, in either family; a changed list holds from
// the answer on that says ACTIVE, also for who is connected; and a listener that is deleted closes its port.
func TestAllowedCIDRs(t *testing.T) {
	l := newLab(t, labOptions{instances: true})
	l.serve()
	x := &rows{tlsLab: &tlsLab{lab: l, owner: l.owner(l.sandbox.Settings().Tenant), actor: l.actor("rows")}}
	six := x.subnet("fd00:10:10::/64", 6, "fd00:10:10::1")
	x.address("10.10.10.65/24")
	x.address("fd00:10:10::1:1/64")
	near, far := []string{"10.10.10.1", "fd00:10:10::1"}, []string{"10.10.10.65", "fd00:10:10::1:1"}
	member := memberAt(teller(t, "member", nil))
	x.stackWith(attrs{"additional_vips": []attrs{{"subnet_id": six}}}, []trafficRow{
		{"guarded", attrs{
			"protocol": "HTTP", "allowed_cidrs": []string{"10.10.10.0/26", "fd00:10:10::/112"}, "timeout_client_data": 600_000,
			"default_pool": x.poolOf("HTTP", nil, member),
		}, nil},
		{"open", attrs{"protocol": "HTTP", "default_pool": x.poolOf("HTTP", nil, member)}, nil},
	})
	const guarded, open = "10000", "10001"
	check := func(when string, in, out []string) {
		t.Helper()
		for _, from := range in {
			if err := x.visit(from, guarded); err != nil {
				t.Errorf("%s: %s is let in, and got %v", when, from, err)
			}
		}
		for _, from := range out {
			if err := x.visit(from, guarded); !timedOut(err) {
				t.Errorf("%s: %s got %v, want no answer", when, from, err)
			}
		}
		for _, from := range append(near, far...) {
			if err := x.visit(from, open); err != nil {
				t.Errorf("%s: %s got %v from the other listener", when, from, err)
			}
		}
	}
	check("at first", near, far)

	connected := x.connect(near[0], guarded)
	x.allow("guarded", []string{"10.10.10.64/26", "fd00:10:10::1:0/112"})
	check("after a change", far, near)
	if err := connected.ask(); !timedOut(err) {
		t.Errorf("who was connected before got %v, want no answer", err)
	}
	if err := l.sandbox.Reboot(t.Context(), l.sandbox.Servers("amphora-")[0]); err != nil {
		t.Fatal(err)
	}
	within(t, 60*time.Second, "the amphora serves after a reboot", func() bool { return x.visit(far[0], guarded) == nil })
	check("after a reboot", far, near)

	x.allow("guarded", nil)
	check("without a list", append(near, far...), nil)
	if err := listeners.Delete(t.Context(), x.tenant, x.listenerNamed("guarded")).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	x.settle()
	check("without the listener", nil, append(near, far...))
	x.end()
}

// visit makes a request from an address of this world to the VIP of its family.
func (x *rows) visit(from, port string) error {
	c, err := x.dialFrom(from, port)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.ask()
}

func timedOut(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

func (x *rows) connect(from, port string) *visit {
	x.t.Helper()
	c, err := x.dialFrom(from, port)
	if err == nil {
		x.t.Cleanup(func() { _ = c.Close() })
		err = c.ask()
	}
	if err != nil {
		x.t.Fatal(err)
	}
	return c
}

// visit is a client's connection.
type visit struct {
	net.Conn

	in *bufio.Reader
}

// answerTime is plenty for who gets an answer at all.
const answerTime = 2 * time.Second

func (x *rows) dialFrom(from, port string) (*visit, error) {
	for _, vip := range x.addresses(x.t) {
		if strings.Contains(vip, ":") == strings.Contains(from, ":") {
			d := net.Dialer{Timeout: answerTime, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
			conn, err := d.DialContext(x.t.Context(), "tcp", net.JoinHostPort(vip, port))
			if err != nil {
				return nil, err
			}
			return &visit{conn, bufio.NewReader(conn)}, nil
		}
	}
	return nil, fmt.Errorf("no VIP for %s", from)
}

func (v *visit) ask() error {
	if err := v.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	if _, err := fmt.Fprint(v, "GET / HTTP/1.1\r\nHost: site\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(v.in, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func (x *rows) listenerNamed(name string) string {
	x.t.Helper()
	pages, err := listeners.List(x.tenant, listeners.ListOpts{LoadbalancerID: x.actor.lb, Name: name}).AllPages(x.t.Context())
	if err != nil {
		x.t.Fatal(err)
	}
	found, err := listeners.ExtractListeners(pages)
	if err != nil || len(found) != 1 {
		x.t.Fatalf("got %v, %v, want one listener", found, err)
	}
	return found[0].ID
}

// allow changes a listener's allowed_cidrs and waits until the change is done.
func (x *rows) allow(listener string, cidrs []string) {
	x.t.Helper()
	body := attrs{"listener": attrs{"allowed_cidrs": cidrs}}
	url := x.tenant.ServiceURL("lbaas", "listeners", x.listenerNamed(listener))
	resp, err := x.tenant.Put(x.t.Context(), url, body, nil, &gophercloud.RequestOpts{OkCodes: []int{http.StatusOK, http.StatusAccepted}})
	if err != nil {
		x.t.Fatal(err)
	}
	_ = resp.Body.Close()
	x.settle()
}
