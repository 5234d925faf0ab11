package e2e_test

import (
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/subnets"
)

// TestAdditionalVIPs: a load balancer answers at all of its addresses, of both families, and speaks to members in each of their
// subnets; all of it again after a reboot that nobody helps with.
func TestAdditionalVIPs(t *testing.T) {
	l := newLab(t, labOptions{instances: true})
	l.serve()
	x := &rows{tlsLab: &tlsLab{lab: l, owner: l.owner(l.sandbox.Settings().Tenant), actor: l.actor("rows")}}
	second := x.subnet("10.10.20.0/24", 4, "10.10.20.1")
	six := x.subnet("fd00:10:10::/64", 6, "fd00:10:10::1")
	routes := x.stackWith(attrs{"additional_vips": []attrs{{"subnet_id": second}, {"subnet_id": six}}}, []trafficRow{
		{"web", attrs{"protocol": "HTTP", "insert_headers": attrs{"X-Forwarded-For": "true"}, "default_pool": x.poolOf("HTTP", attrs{"healthmonitor": monitor("TCP", nil)},
			memberAt(teller(t, "four", nil)),
			attrs{"address": "fd00:10:10::1", "protocol_port": serveAt(t, "[fd00:10:10::1]:0", "six"), "subnet_id": six})}, nil},
	})
	web := routes["web"]
	vips := x.addresses(t)
	if len(vips) != 3 {
		t.Fatalf("got the addresses %v, want three", vips)
	}
	_, port, _ := net.SplitHostPort(web.address)
	everywhere := func(when string) {
		t.Helper()
		for _, vip := range vips {
			r := &route{rows: x, t: t, address: net.JoinHostPort(vip, port)}
			within(t, 60*time.Second, vip+" answers for both members "+when, func() bool {
				seen := map[string]bool{}
				for range 4 {
					got, err := r.try(request{})
					if err != nil || got.Member == "" {
						return false
					}
					seen[got.Member] = true
					if from := net.ParseIP(got.Header.Get("X-Forwarded-For")); (from.To4() == nil) != strings.Contains(vip, ":") {
						t.Errorf("at %s: the client is %s", vip, from)
					}
				}
				return len(seen) == 2
			})
		}
	}
	everywhere("at first")
	if err := l.sandbox.Reboot(t.Context(), l.sandbox.Servers("amphora-")[0]); err != nil {
		t.Fatal(err)
	}
	everywhere("after a reboot")
	x.end()
}

// TestMembersInAnotherSubnet of the VIP's network are spoken to from an address of their subnet, on the port that carries the VIP,
// which goes on answering meanwhile and after a reboot.
func TestMembersInAnotherSubnet(t *testing.T) {
	l := newLab(t, labOptions{instances: true})
	l.serve()
	x := &rows{tlsLab: &tlsLab{lab: l, owner: l.owner(l.sandbox.Settings().Tenant), actor: l.actor("rows")}}
	beside := x.subnet("10.10.30.0/24", 4, "10.10.30.1")
	member, err := net.Listen("tcp", "10.10.30.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := serveOn(t, member, func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(heard{Member: "beside", Remote: r.RemoteAddr})
	})
	routes := x.stack([]trafficRow{{"web", attrs{"protocol": "HTTP", "default_pool": x.poolOf("HTTP", nil, memberAt(teller(t, "member", nil)))}, nil}})
	web := routes["web"]
	web.t = t
	answeredBy("member")(web)
	pool := x.pools(t)[0]
	body := attrs{"member": attrs{"address": "10.10.30.1", "protocol_port": port, "subnet_id": beside}}
	resp, err := x.tenant.Post(t.Context(), x.tenant.ServiceURL("lbaas", "pools", pool, "members"), body, nil,
		&gophercloud.RequestOpts{OkCodes: []int{http.StatusCreated}})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	x.settle()
	both := func(when string) {
		t.Helper()
		within(t, 60*time.Second, "both members answer "+when, func() bool {
			seen := map[string]bool{}
			for range 4 {
				got, err := web.try(request{})
				if err != nil {
					return false
				}
				seen[got.Member] = true
				if got.Member == "beside" && !strings.HasPrefix(got.Remote, "10.10.30.") {
					t.Errorf("%s: the member in the other subnet is spoken to from %s", when, got.Remote)
				}
			}
			return seen["member"] && seen["beside"]
		})
	}
	both("at first")
	if err := l.sandbox.Reboot(t.Context(), l.sandbox.Servers("amphora-")[0]); err != nil {
		t.Fatal(err)
	}
	both("after a reboot")
	x.end()
}

// pools are the ids of the load balancer's.
func (x *rows) pools(t *testing.T) (out []string) {
	t.Helper()
	var answer struct {
		LB struct {
			Pools []struct {
				ID string `json:"id"`
			} `json:"pools"`
		} `json:"loadbalancer"`
	}
	resp, err := x.tenant.Get(t.Context(), x.tenant.ServiceURL("lbaas", "loadbalancers", x.actor.lb), &answer, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	for _, p := range answer.LB.Pools {
		out = append(out, p.ID)
	}
	return out
}

// subnet makes a subnet of the tenants' network and gives this world an address in it.
func (x *rows) subnet(cidr string, version int, ours string) string {
	x.t.Helper()
	none := ""
	s, err := subnets.Create(x.t.Context(), x.neutron(x.sandbox.Settings().Admin), subnets.CreateOpts{
		NetworkID: x.sandbox.Settings().NetworkID, CIDR: cidr, IPVersion: gophercloud.IPVersion(version), GatewayIP: &none,
	}).Extract()
	if err != nil {
		x.t.Fatal(err)
	}
	_, length, _ := strings.Cut(cidr, "/")
	x.address(ours + "/" + length)
	return s.ID
}

// address gives this world one more address on the tenants' network.
func (x *rows) address(prefix string) {
	x.t.Helper()
	var links []struct {
		Name string `json:"ifname"`
	}
	out, err := exec.CommandContext(x.t.Context(), "ip", "-j", "addr", "show", "to", outside).Output()
	if err == nil {
		err = json.Unmarshal(out, &links)
	}
	if err != nil || len(links) != 1 {
		x.t.Fatal(string(out), err)
	}
	args := []string{"addr", "add", prefix, "dev", links[0].Name}
	if strings.Contains(prefix, ":") {
		args = append(args, "nodad")
	}
	if out, err := exec.CommandContext(x.t.Context(), "ip", args...).CombinedOutput(); err != nil {
		x.t.Fatal(string(out), err)
	}
}

// serveAt is a teller at an address.
func serveAt(t *testing.T, address, name string) int {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, l, func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(heard{Member: name, Header: r.Header})
	})
}

// addresses are all of the load balancer's.
func (x *rows) addresses(t *testing.T) (out []string) {
	t.Helper()
	var answer struct {
		LB struct {
			VIP        string `json:"vip_address"`
			Additional []struct {
				Address string `json:"ip_address"`
			} `json:"additional_vips"`
		} `json:"loadbalancer"`
	}
	resp, err := x.tenant.Get(t.Context(), x.tenant.ServiceURL("lbaas", "loadbalancers", x.actor.lb), &answer, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	out = append(out, answer.LB.VIP)
	for _, a := range answer.LB.Additional {
		out = append(out, a.Address)
	}
	return out
}
