package e2e_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/monitors"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"

	"github.com/ottavino/ottavino/sandbox/uml"
)

// TestUDP makes a UDP listener beside an HTTP one. Where the kernel has IPVS datagrams come through the VIP; where it has not the
// listener says so and its sibling serves, and the whole is done again in a kernel that has.
func TestUDP(t *testing.T) {
	l := newLab(t, labOptions{instances: true, conf: "[health_manager]\nheartbeat_interval = 1\n"})
	l.serve()
	s := l.site(1)
	listener := s.addUDP()
	if uml.HasIPVS() {
		s.datagrams(listener)
	} else {
		s.refused(listener)
	}
	if who, err := s.ask(); err != nil || who != "backend-1" {
		t.Errorf("the sibling: got %s, %v, want backend-1", who, err)
	}
	s.remove()
	l.assertNoLeaks()
	if uml.HasIPVS() || t.Failed() {
		return
	}
	dir := t.TempDir()
	if err := buildPrograms(dir); err != nil {
		t.Fatal(err)
	}
	uml.WithIPVS(t, binariesEnv+"="+dir)
}

// addUDP adds a listener on port 53 with a pool, whose member is the first backend, and a monitor.
func (s *site) addUDP() (listener string) {
	s.t.Helper()
	ctx := s.t.Context()
	made, err := listeners.Create(ctx, s.tenant, listeners.CreateOpts{Protocol: "UDP", ProtocolPort: 53, LoadbalancerID: s.actor.lb}).Extract()
	if err != nil {
		s.t.Fatal(err)
	}
	pool, err := pools.Create(ctx, s.tenant, pools.CreateOpts{Protocol: "UDP", LBMethod: "ROUND_ROBIN", ListenerID: made.ID}).Extract()
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = pools.CreateMember(ctx, s.tenant, pool.ID, pools.CreateMemberOpts{
		Name: "udp", Address: "10.10.10.11", ProtocolPort: 80, SubnetID: s.subnetID(),
	}).Extract()
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = monitors.Create(ctx, s.tenant, monitors.CreateOpts{PoolID: pool.ID, Type: "UDP-CONNECT", Delay: 3, Timeout: 2, MaxRetries: 1}).Extract()
	if err != nil {
		s.t.Fatal(err)
	}
	return made.ID
}

// refused waits until the listener, and it alone, is in ERROR for a reason that its owner can read.
func (s *site) refused(listener string) {
	s.t.Helper()
	within(s.t, 30*time.Second, "the listener is in ERROR", func() bool {
		got, err := listeners.Get(s.t.Context(), s.tenant, listener).Extract()
		return err == nil && got.ProvisioningStatus == "ERROR"
	})
	within(s.t, 30*time.Second, "the load balancer is ACTIVE", func() bool {
		unsettled, err := s.unsettled(s.t.Context(), s.actor.lb)
		return err == nil && unsettled == "listener ERROR"
	})
	var events struct {
		Events []struct {
			ObjectID string `json:"object_id"`
			Message  string `json:"message"`
		} `json:"events"`
	}
	_, err := s.tenant.Get(s.t.Context(), s.tenant.ServiceURL("lbaas", "loadbalancers", s.actor.lb, "events"), &events, nil) //nolint:bodyclose // gophercloud closes it
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range events.Events {
		if e.ObjectID == listener && strings.Contains(e.Message, "no IPVS") {
			return
		}
	}
	s.t.Errorf("no event of the listener says that there is no IPVS: %+v", events.Events)
}

// datagrams sends some through the VIP, and waits until statuses and statistics tell of them.
func (s *site) datagrams(listener string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 60*time.Second)
	defer cancel()
	if err := s.awaitActive(ctx, s.actor); err != nil {
		s.t.Fatal(err)
	}
	within(s.t, 30*time.Second, "the member answers", func() bool { return s.askUDP() == "backend-1\n" })
	s.forNobody(listener)
	within(s.t, 30*time.Second, "the listener is ONLINE, its member too, and both ways are counted", func() bool {
		s.askUDP()
		got, err := listeners.Get(ctx, s.tenant, listener).Extract()
		if err != nil || got.OperatingStatus != "ONLINE" {
			return false
		}
		members, err := pools.ListMembers(s.tenant, got.DefaultPoolID, nil).AllPages(ctx)
		if err != nil {
			return false
		}
		list, err := pools.ExtractMembers(members)
		if err != nil || len(list) != 1 || list[0].OperatingStatus != "ONLINE" {
			return false
		}
		stats, err := listeners.GetStats(ctx, s.tenant, listener).Extract()
		return err == nil && stats.BytesIn > 0 && stats.BytesOut > 0 && stats.TotalConnections > 0
	})
	if err := listeners.Delete(ctx, s.tenant, listener).ExtractErr(); err != nil {
		s.t.Fatal(err)
	}
	within(s.t, 30*time.Second, "the listener is gone", func() bool {
		_, err := listeners.Get(ctx, s.tenant, listener).Extract()
		return err != nil
	})
	if got := s.askUDP(); got != "" {
		s.t.Errorf("after the listener is gone: got %q", got)
	}
}

// forNobody lets only others reach the listener for a while.
func (s *site) forNobody(listener string) {
	s.t.Helper()
	allow := func(cidrs ...string) {
		if _, err := listeners.Update(s.t.Context(), s.tenant, listener, listeners.UpdateOpts{AllowedCIDRs: &cidrs}).Extract(); err != nil {
			s.t.Fatal(err)
		}
		if err := s.awaitActive(s.t.Context(), s.actor); err != nil {
			s.t.Fatal(err)
		}
	}
	allow("192.0.2.0/24")
	if got := s.askUDP(); got != "" {
		s.t.Errorf("from outside of allowed_cidrs: got %q, want no answer", got)
	}
	allow(outside + "/32")
	if got := s.askUDP(); got != "backend-1\n" {
		s.t.Errorf("from allowed_cidrs: got %q, want the member's answer", got)
	}
}

// askUDP sends a datagram to the VIP; "" = no answer.
func (s *site) askUDP() string {
	conn, err := net.Dial("udp", net.JoinHostPort(s.vip, "53"))
	if err != nil {
		return ""
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("who?")); err != nil {
		return ""
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	buffer := make([]byte, 100)
	n, _ := conn.Read(buffer)
	return string(buffer[:n])
}
