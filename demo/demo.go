// Package demo tells the story of `make demo`: a tenant makes a load balancer through the API,
// sends real requests through its VIP while things change and break, looks inside the amphora
// as an operator would, and takes everything away again. Every claim it prints is checked; the
// first one that does not hold ends it with an error.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/monitors"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"
)

// Backend is a web server on the tenant network that answers every request with its name.
type Backend interface {
	Name() string
	Address() netip.Addr
	Port() int
	Stop(ctx context.Context) error
}

// Lab is the cloud the story plays in, as far as the API does not show it.
type Lab interface {
	// StartBackend starts a web server on the tenant network.
	StartBackend(ctx context.Context, name string) (Backend, error)
	// Amphora returns the Nova id of the one amphora there is.
	Amphora(ctx context.Context) (serverID string, err error)
	// Exec runs a command inside a server, as ssh would.
	Exec(ctx context.Context, serverID string, argv ...string) ([]byte, error)
	// Leaks lists servers, ports, groups, namespaces and processes beyond those of a cloud
	// without load balancers.
	Leaks(ctx context.Context) ([]string, error)
}

// Options is what the story needs.
type Options struct {
	API      *gophercloud.ServiceClient // load-balancer service, authenticated as a tenant
	SubnetID string                     // the tenant's subnet, for VIP and members
	Lab      Lab
	Out      io.Writer
}

// patience bounds every single wait of the story.
const patience = 30 * time.Second

// story is one run and what it has made so far.
type story struct {
	Options
	start    time.Time
	stepAt   time.Time
	lbID     string
	poolID   string
	vip      string
	backends []Backend
	members  map[string]string // backend name → member id
}

// Run plays the story. The error says which claim did not hold.
func Run(ctx context.Context, o Options) error {
	now := time.Now()
	s := &story{Options: o, start: now, stepAt: now, members: map[string]string{}}
	chapters := []struct {
		title string
		play  func(context.Context) error
	}{
		{"A tenant makes a load balancer", s.create},
		{"What the API says about it", s.showStatus},
		{"Traffic through the VIP", s.sendTen},
		{"A backend dies", s.loseBackend},
		{"A member is added under traffic", s.addUnderTraffic},
		{"An operator looks inside the amphora", s.lookInside},
		{"What happened, as its owner can read it", s.showEvents},
		{"Everything goes away", s.remove},
	}
	for _, c := range chapters {
		fmt.Fprintf(s.Out, "\n\033[1m%s\033[0m\n", c.title)
		if err := c.play(ctx); err != nil {
			return fmt.Errorf("%s: %w", strings.ToLower(c.title), err)
		}
	}
	fmt.Fprintf(s.Out, "\nAll of it held. %.1f s.\n", time.Since(s.start).Seconds())
	return nil
}

// say prints one progress line with the time since the last one.
func (s *story) say(format string, args ...any) {
	now := time.Now()
	fmt.Fprintf(s.Out, "  %6.2f s  %s\n", now.Sub(s.stepAt).Seconds(), fmt.Sprintf(format, args...))
	s.stepAt = now
}

func (s *story) show(text []byte) {
	for line := range strings.Lines(strings.TrimRight(string(text), "\n")) {
		fmt.Fprintf(s.Out, "            %s\n", strings.TrimRight(line, "\n"))
	}
	s.stepAt = time.Now()
}

func (s *story) create(ctx context.Context) error {
	lb, err := loadbalancers.Create(ctx, s.API, loadbalancers.CreateOpts{
		Name: "web", Description: "the demo's", VipSubnetID: s.SubnetID,
	}).Extract()
	if err != nil {
		return err
	}
	s.lbID, s.vip = lb.ID, lb.VipAddress
	s.say("POST loadbalancers: %s, VIP %s, %s", lb.ID, lb.VipAddress, lb.ProvisioningStatus)
	if err := s.active(ctx); err != nil {
		return err
	}
	s.say("load balancer ACTIVE: amphora booted, agent configured over mutual TLS")
	listener, err := listeners.Create(ctx, s.API, listeners.CreateOpts{
		Name: "http", Protocol: listeners.ProtocolHTTP, ProtocolPort: 80, LoadbalancerID: s.lbID,
	}).Extract()
	if err != nil {
		return err
	}
	pool, err := pools.Create(ctx, s.API, pools.CreateOpts{
		Name: "servers", Protocol: pools.ProtocolHTTP, LBMethod: pools.LBMethodRoundRobin, ListenerID: listener.ID,
	}).Extract()
	if err != nil {
		return err
	}
	s.poolID = pool.ID
	s.say("listener HTTP :80 and pool ROUND_ROBIN accepted")
	for _, name := range []string{"backend-1", "backend-2"} {
		if err := s.addMember(ctx, name); err != nil {
			return err
		}
	}
	_, err = monitors.Create(ctx, s.API, monitors.CreateOpts{
		Name: "alive", PoolID: s.poolID, Type: monitors.TypeHTTP, Delay: 1, Timeout: 1,
		MaxRetries: 1, MaxRetriesDown: 1, URLPath: "/", ExpectedCodes: "200",
	}).Extract()
	if err != nil {
		return err
	}
	if err := s.active(ctx); err != nil {
		return err
	}
	s.say("two members and an HTTP monitor applied")
	return nil
}

func (s *story) addMember(ctx context.Context, name string) error {
	b, err := s.Lab.StartBackend(ctx, name)
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	s.backends = append(s.backends, b)
	m, err := pools.CreateMember(ctx, s.API, s.poolID, pools.CreateMemberOpts{
		Name: name, Address: b.Address().String(), ProtocolPort: b.Port(), SubnetID: s.SubnetID,
	}).Extract()
	if err != nil {
		return err
	}
	s.members[name] = m.ID
	s.say("member %s %s:%d accepted", name, m.Address, m.ProtocolPort)
	return nil
}

func (s *story) showStatus(ctx context.Context) error {
	err := await(ctx, "both members ONLINE", func() (bool, error) {
		tree, err := loadbalancers.GetStatuses(ctx, s.API, s.lbID).Extract()
		if err != nil || tree.Loadbalancer.OperatingStatus != "ONLINE" {
			return false, err
		}
		return s.allMembers(ctx, "ONLINE")
	})
	if err != nil {
		return err
	}
	tree, err := loadbalancers.GetStatuses(ctx, s.API, s.lbID).Extract()
	if err != nil {
		return err
	}
	s.say("GET loadbalancers/%s/status", s.lbID)
	s.show(renderTree(*tree.Loadbalancer))
	return nil
}

func (s *story) sendTen(ctx context.Context) error {
	answers := map[string]int{}
	var line []string
	for range 10 {
		who, err := s.request(ctx)
		if err != nil {
			return err
		}
		answers[who]++
		line = append(line, strings.TrimPrefix(who, "backend-"))
	}
	s.say("ten requests to http://%s/ answered by backend %s", s.vip, strings.Join(line, " "))
	if len(answers) != 2 || answers["backend-1"] != 5 {
		return fmt.Errorf("round robin should have sent five to each of two backends, got %v", answers)
	}
	return nil
}

func (s *story) loseBackend(ctx context.Context) error {
	victim := s.backends[1]
	if err := victim.Stop(ctx); err != nil {
		return err
	}
	s.say("%s stopped", victim.Name())
	if err := s.memberBecomes(ctx, victim.Name(), "ERROR"); err != nil {
		return err
	}
	s.say("its member is ERROR")
	done, err := s.underTraffic(ctx, func() error { return sleep(ctx, time.Second) })
	if err != nil {
		return err
	}
	if done.failed > 0 || done.by[victim.Name()] > 0 {
		return fmt.Errorf("after the member turned ERROR: %s", done)
	}
	s.say("%s", done)
	return nil
}

func (s *story) addUnderTraffic(ctx context.Context) error {
	const name = "backend-3"
	done, err := s.underTraffic(ctx, func() error {
		if err := s.addMember(ctx, name); err != nil {
			return err
		}
		if err := s.memberBecomes(ctx, name, "ONLINE"); err != nil {
			return err
		}
		return sleep(ctx, 500*time.Millisecond)
	})
	if err != nil {
		return err
	}
	if done.failed > 0 {
		return fmt.Errorf("while the member was added: %s", done)
	}
	if done.by[name] == 0 {
		return fmt.Errorf("the new member never answered: %s", done)
	}
	s.say("%s", done)
	return nil
}

func (s *story) lookInside(ctx context.Context) error {
	server, err := s.Lab.Amphora(ctx)
	if err != nil {
		return err
	}
	for _, look := range []struct {
		argv []string
		want []string
	}{
		{[]string{"ps", "-eo", "pid,user,args"}, []string{"amphora-agent", "haproxy"}},
		{[]string{"ip", "netns", "exec", "amphora-haproxy", "ip", "a"}, []string{"eth1", s.vip}},
		{[]string{"cat", "/var/lib/octavia/" + s.lbID + "/haproxy.cfg"}, []string{"frontend", s.poolID}},
	} {
		out, err := s.Lab.Exec(ctx, server, look.argv...)
		if err != nil {
			return fmt.Errorf("%s: %w", strings.Join(look.argv, " "), err)
		}
		s.say("# %s", strings.Join(look.argv, " "))
		s.show(out)
		for _, w := range look.want {
			if !strings.Contains(string(out), w) {
				return fmt.Errorf("%s does not show %q", strings.Join(look.argv, " "), w)
			}
		}
	}
	return nil
}

// mostEvents is how many events are shown.
const mostEvents = 12

func (s *story) showEvents(ctx context.Context) error {
	var page struct {
		Events []event `json:"events"`
	}
	url := s.API.ServiceURL("lbaas", "loadbalancers", s.lbID, "events") + fmt.Sprintf("?limit=%d", mostEvents)
	resp, err := s.API.Get(ctx, url, &page, nil) //nolint:bodyclose // gophercloud closes what it decodes
	if _, _, err := gophercloud.ParseResponse(resp, err); err != nil {
		return err
	}
	s.say("GET loadbalancers/%s/events, newest first", s.lbID)
	s.show(renderEvents(page.Events))
	for _, e := range page.Events {
		if e.Reason == "Applied" && e.Count > 1 { // the create and what came after
			return nil
		}
	}
	return fmt.Errorf("no event says that the changes were applied: %v", page.Events)
}

func (s *story) remove(ctx context.Context) error {
	err := loadbalancers.Delete(ctx, s.API, s.lbID, loadbalancers.DeleteOpts{Cascade: true}).ExtractErr()
	if err != nil {
		return err
	}
	s.say("DELETE loadbalancers/%s?cascade=true accepted", s.lbID)
	err = await(ctx, "the load balancer is gone", func() (bool, error) {
		_, err := loadbalancers.Get(ctx, s.API, s.lbID).Extract()
		if gophercloud.ResponseCodeIs(err, 404) {
			return true, nil
		}
		return false, err
	})
	if err != nil {
		return err
	}
	s.say("the API answers 404")
	for _, b := range s.backends {
		if err := b.Stop(ctx); err != nil {
			return err
		}
	}
	var left []string
	err = await(ctx, "nothing is left", func() (bool, error) {
		left, err = s.Lab.Leaks(ctx)
		return len(left) == 0, err
	})
	if err != nil {
		return errors.Join(err, fmt.Errorf("left behind: %s", strings.Join(left, ", ")))
	}
	s.say("no server, port, group, namespace or process is left")
	return nil
}
