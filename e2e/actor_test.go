package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/monitors"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"
)

// actor is a tenant's tool that takes one load balancer through creates, updates and deletes
// while the server it talks to may die at any moment. It does what such tools do: when a
// call got no answer it looks by name whether it had its effect, and asks again if not.
type actor struct {
	api    *gophercloud.ServiceClient
	subnet string
	name   string // of everything it makes, unique
	keep   bool   // false: its last act is a cascade delete
	// patient makes it repeat what the server refuses, too.
	patient bool

	lb, listener, pool string
	members            []string
}

func (a *actor) live(ctx context.Context) error {
	for i, act := range []func(context.Context) error{
		a.createLoadBalancer, a.createListener, a.createPool, a.createMembers, a.createMonitor,
		a.update, a.deleteMember, a.leave,
	} {
		if err := act(ctx); err != nil {
			return fmt.Errorf("%s: act %d: %w", a.name, i+1, err)
		}
	}
	return nil
}

func (a *actor) createLoadBalancer(ctx context.Context) error {
	find := func() (string, error) {
		page, err := loadbalancers.List(a.api, loadbalancers.ListOpts{Name: a.name}).AllPages(ctx)
		if err != nil {
			return "", err
		}
		found, err := loadbalancers.ExtractLoadBalancers(page)
		if err != nil || len(found) == 0 {
			return "", err
		}
		return found[0].ID, nil
	}
	return a.persist(ctx, &a.lb, find, func() error {
		_, err := loadbalancers.Create(ctx, a.api, loadbalancers.CreateOpts{Name: a.name, VipSubnetID: a.subnet}).Extract()
		return err
	})
}

func (a *actor) createListener(ctx context.Context) error {
	find := func() (string, error) {
		page, err := listeners.List(a.api, listeners.ListOpts{Name: a.name}).AllPages(ctx)
		if err != nil {
			return "", err
		}
		found, err := listeners.ExtractListeners(page)
		if err != nil || len(found) == 0 {
			return "", err
		}
		return found[0].ID, nil
	}
	return a.persist(ctx, &a.listener, find, func() error {
		_, err := listeners.Create(ctx, a.api, listeners.CreateOpts{
			Name: a.name, Protocol: listeners.ProtocolHTTP, ProtocolPort: 80, LoadbalancerID: a.lb,
		}).Extract()
		return err
	})
}

func (a *actor) createPool(ctx context.Context) error {
	find := func() (string, error) {
		page, err := pools.List(a.api, pools.ListOpts{Name: a.name}).AllPages(ctx)
		if err != nil {
			return "", err
		}
		found, err := pools.ExtractPools(page)
		if err != nil || len(found) == 0 {
			return "", err
		}
		return found[0].ID, nil
	}
	return a.persist(ctx, &a.pool, find, func() error {
		_, err := pools.Create(ctx, a.api, pools.CreateOpts{
			Name: a.name, Protocol: pools.ProtocolHTTP, LBMethod: pools.LBMethodRoundRobin, ListenerID: a.listener,
		}).Extract()
		return err
	})
}

func (a *actor) createMembers(ctx context.Context) error {
	a.members = make([]string, 2)
	for i := range a.members {
		name := fmt.Sprintf("%s-%d", a.name, i)
		find := func() (string, error) {
			page, err := pools.ListMembers(a.api, a.pool, pools.ListMembersOpts{Name: name}).AllPages(ctx)
			if err != nil {
				return "", err
			}
			found, err := pools.ExtractMembers(page)
			if err != nil || len(found) == 0 {
				return "", err
			}
			return found[0].ID, nil
		}
		err := a.persist(ctx, &a.members[i], find, func() error {
			_, err := pools.CreateMember(ctx, a.api, a.pool, pools.CreateMemberOpts{
				Name: name, Address: fmt.Sprintf("10.10.10.%d", 200+i), ProtocolPort: 80, SubnetID: a.subnet,
			}).Extract()
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *actor) createMonitor(ctx context.Context) error {
	var id string
	find := func() (string, error) {
		pool, err := pools.Get(ctx, a.api, a.pool).Extract()
		if err != nil {
			return "", err
		}
		return pool.MonitorID, nil
	}
	return a.persist(ctx, &id, find, func() error {
		_, err := monitors.Create(ctx, a.api, monitors.CreateOpts{
			Name: a.name, PoolID: a.pool, Type: monitors.TypeTCP, Delay: 5, Timeout: 3, MaxRetries: 2,
		}).Extract()
		return err
	})
}

func (a *actor) update(ctx context.Context) error {
	description, limit, weight := "changed", 1000, 7
	return errors.Join(
		a.repeat(ctx, func() error {
			_, err := loadbalancers.Update(ctx, a.api, a.lb, loadbalancers.UpdateOpts{Description: &description}).Extract()
			return err
		}),
		a.repeat(ctx, func() error {
			_, err := listeners.Update(ctx, a.api, a.listener, listeners.UpdateOpts{ConnLimit: &limit}).Extract()
			return err
		}),
		a.repeat(ctx, func() error {
			_, err := pools.UpdateMember(ctx, a.api, a.pool, a.members[0], pools.UpdateMemberOpts{Weight: &weight}).Extract()
			return err
		}),
	)
}

func (a *actor) deleteMember(ctx context.Context) error {
	return a.repeat(ctx, func() error {
		return unless404(pools.DeleteMember(ctx, a.api, a.pool, a.members[1]).ExtractErr())
	})
}

func (a *actor) leave(ctx context.Context) error {
	if a.keep {
		return nil
	}
	return a.delete(ctx)
}

func (a *actor) delete(ctx context.Context) error {
	return a.repeat(ctx, func() error {
		return unless404(loadbalancers.Delete(ctx, a.api, a.lb, loadbalancers.DeleteOpts{Cascade: true}).ExtractErr())
	})
}

func unless404(err error) error {
	if gophercloud.ResponseCodeIs(err, 404) {
		return nil
	}
	return err
}

// persist makes something once: it stops when find knows its id.
func (a *actor) persist(ctx context.Context, id *string, find func() (string, error), create func() error) error {
	return a.repeat(ctx, func() error {
		found, err := find()
		if err != nil {
			return err
		}
		if found != "" {
			*id = found
			return nil
		}
		if err := create(); err != nil {
			return err
		}
		*id, err = find()
		return err
	})
}

// repeat does it until it gets an answer; connections that fail are tried again, and refusals when patient.
func (a *actor) repeat(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil || !unanswered(err) && (!a.patient || !refused(err)) {
			return err
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			return err
		}
	}
}

func unanswered(err error) bool {
	var broken *url.Error
	var network net.Error
	return errors.As(err, &broken) || errors.As(err, &network)
}

// refused says that the server answered that it cannot do it: with 5xx, or, when a lie of the cloud is behind it, 4xx.
func refused(err error) bool {
	var code gophercloud.ErrUnexpectedResponseCode
	return errors.As(err, &code) && code.Actual >= 400
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
