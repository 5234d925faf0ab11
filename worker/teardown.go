package worker

import (
	"context"
	"errors"
	"slices"

	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/network"
)

// tearDown removes everything of a load balancer. It needs no agent, no image and no secret. All amphorae
// are deleted at once; the pass waits for the last.
func (p *pass) tearDown(ctx context.Context) error {
	var wait error
	for i := range p.tree.Amphorae {
		err := p.removeAmphora(ctx, &p.tree.Amphorae[i])
		var later *notYet
		if err != nil && !errors.As(err, &later) {
			return err
		}
		if err != nil {
			wait = err
		}
	}
	if wait != nil {
		return wait
	}
	lb := p.tree.LoadBalancer
	if id := deref(lb.ServerGroupID); id != "" {
		if err := p.Compute.DeleteServerGroup(ctx, id); err != nil {
			return err
		}
	}
	if err := p.releaseVIPPort(ctx); err != nil {
		return err
	}
	if err := p.deleteGroup(ctx, lb.ID); err != nil {
		return err
	}
	return p.write(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := tx.FinishDelete(ctx, p.tree); err != nil {
			return err
		}
		return tx.Emit(ctx, p.about(db.KindLoadBalancer, lb.ID, "Normal", "Deleted", "the load balancer and all that was made for it are gone"))
	})
}

// releaseVIPPort deletes the VIP port, or takes our security group off when it is the user's.
func (p *pass) releaseVIPPort(ctx context.Context) error {
	lb := p.tree.LoadBalancer
	if err := p.deletePortsNamed(ctx, portNames{vip: lb.ID}); err != nil {
		return err
	}
	id := deref(p.tree.VIP.PortID)
	if id == "" {
		return nil
	}
	port, err := p.Network.Port(ctx, id)
	if cloud.IsGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if port.DeviceOwner == network.VIPOwner {
		return p.Network.DeletePort(ctx, id)
	}
	ours, err := p.Network.FindSecurityGroups(ctx, network.SecurityGroupName(lb.ID))
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(port.SecurityGroups), func(g string) bool { return slices.Contains(ours, g) })
	if len(left) == len(port.SecurityGroups) {
		return nil
	}
	_, err = p.Network.UpdatePort(ctx, id, network.PortChange{SecurityGroups: &left})
	return err
}
