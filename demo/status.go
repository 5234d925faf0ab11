package demo

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"
)

// active waits until the load balancer is ACTIVE; ERROR is an error at once.
func (s *story) active(ctx context.Context) error {
	return await(ctx, "the load balancer is ACTIVE", func() (bool, error) {
		lb, err := loadbalancers.Get(ctx, s.API, s.lbID).Extract()
		if err != nil {
			return false, err
		}
		if lb.ProvisioningStatus == "ERROR" {
			return false, fmt.Errorf("load balancer %s is in ERROR", lb.ID)
		}
		return lb.ProvisioningStatus == "ACTIVE", nil
	})
}

func (s *story) memberBecomes(ctx context.Context, name, status string) error {
	return await(ctx, name+" is "+status, func() (bool, error) {
		m, err := pools.GetMember(ctx, s.API, s.poolID, s.members[name]).Extract()
		if err != nil {
			return false, err
		}
		return m.OperatingStatus == status, nil
	})
}

func (s *story) allMembers(ctx context.Context, status string) (bool, error) {
	for _, id := range s.members {
		m, err := pools.GetMember(ctx, s.API, s.poolID, id).Extract()
		if err != nil || m.OperatingStatus != status {
			return false, err
		}
	}
	return true, nil
}

// await asks until it is told true, an error, or patience runs out.
func await(ctx context.Context, what string, ask func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		ok, err := ask()
		if err != nil || ok {
			return err
		}
		if sleep(ctx, 50*time.Millisecond) != nil {
			return fmt.Errorf("waited %s in vain until %s", patience, what)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// event is what an event of a load balancer says.
type event struct {
	Type    string `json:"type"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Count   int    `json:"count"`
	LastAt  string `json:"last_at"` // UTC
}

// renderEvents prints events, one a line.
func renderEvents(events []event) []byte {
	var b bytes.Buffer
	for _, e := range events {
		_, clock, _ := strings.Cut(e.LastAt, "T")
		fmt.Fprintf(&b, "%s  %-7s  %-16s  %s", clock, e.Type, e.Reason, e.Message)
		if e.Count > 1 {
			fmt.Fprintf(&b, " (%d times)", e.Count)
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// renderTree prints a status tree, an object a line.
func renderTree(lb loadbalancers.LoadBalancer) []byte {
	var b bytes.Buffer
	line := func(depth int, kind, name, provisioning, operating string) {
		fmt.Fprintf(&b, "%*s%-*s %-12s %-8s %s\n", 2*depth, "", 16-2*depth, kind, name, provisioning, operating)
	}
	line(0, "loadbalancer", lb.Name, lb.ProvisioningStatus, lb.OperatingStatus)
	for _, l := range lb.Listeners {
		line(1, "listener", l.Name, l.ProvisioningStatus, l.OperatingStatus)
		for _, p := range l.Pools {
			line(2, "pool", p.Name, p.ProvisioningStatus, p.OperatingStatus)
			if p.Monitor.ID != "" {
				line(3, "monitor", p.Monitor.Name, p.Monitor.ProvisioningStatus, p.Monitor.OperatingStatus)
			}
			for _, m := range p.Members {
				line(3, "member", m.Name, m.ProvisioningStatus, m.OperatingStatus)
			}
		}
	}
	return b.Bytes()
}
