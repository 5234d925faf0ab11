package housekeeping

import (
	"cmp"
	"context"
	"strings"

	"github.com/google/uuid"

	"github.com/ottavino/ottavino/compute"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/network"
)

// orphan is something in the cloud that carries our name and belongs to no row.
type orphan struct{ kind, id, name string }

const (
	orphanServer = "server"
	orphanPort   = "port"
	orphanGroup  = "security group"
)

// Hunt compares what carries our names in the cloud with the rows. What stays without a row
// longer than OrphanGrace is reported, and removed if the configuration says so.
func (k *Keeper) Hunt(ctx context.Context) {
	found, err := k.strays(ctx)
	if err != nil {
		k.Log.WarnContext(ctx, "cannot look for orphans", "error", err)
		return
	}
	now, still := k.Now(), map[orphan]bool{}
	counts := map[string]int{orphanServer: 0, orphanPort: 0, orphanGroup: 0}
	for _, o := range found {
		still[o] = true
		first, known := k.orphans[o]
		if !known {
			k.orphans[o] = now
			continue
		}
		if now.Sub(first) < k.cfg.OrphanGrace {
			continue
		}
		counts[o.kind]++
		k.dispose(ctx, o)
	}
	for o := range k.orphans {
		if !still[o] {
			delete(k.orphans, o)
		}
	}
	for kind, n := range counts {
		k.metrics.orphans.WithLabelValues(kind).Set(float64(n))
	}
}

func (k *Keeper) dispose(ctx context.Context, o orphan) {
	if !k.cfg.RemoveOrphans {
		k.Log.WarnContext(ctx, "orphan: carries our name but belongs to no row", "kind", o.kind, "id", o.id, "name", o.name)
		return
	}
	remove := map[string]func(context.Context, string) error{
		orphanServer: k.Servers.DeleteServer,
		orphanPort:   k.Network.DeletePort,
		orphanGroup:  k.Network.DeleteSecurityGroup,
	}[o.kind]
	if err := remove(ctx, o.id); err != nil {
		k.Log.WarnContext(ctx, "orphan not removed", "kind", o.kind, "id", o.id, "name", o.name, "error", err)
		return
	}
	k.Log.InfoContext(ctx, "orphan removed", "kind", o.kind, "id", o.id, "name", o.name)
}

// strays reads the cloud first and the rows afterwards, so that what was made in between has its row.
func (k *Keeper) strays(ctx context.Context) ([]orphan, error) {
	servers, err := k.Servers.ListServers(ctx)
	if err != nil {
		return nil, err
	}
	ports, err := k.Network.Ports(ctx, network.PortFilter{DeviceOwner: network.VIPOwner})
	if err != nil {
		return nil, err
	}
	groups, err := k.Network.SecurityGroups(ctx, network.SecurityGroupName(""))
	if err != nil {
		return nil, err
	}
	known, err := k.known(ctx)
	if err != nil {
		return nil, err
	}
	var out []orphan
	note := func(kind, id, name, owner string) {
		// Operators have names like ours, too: lb-mgmt-sec-grp is in every DevStack.
		if uuid.Validate(owner) == nil && !known[owner] {
			out = append(out, orphan{kind, id, name})
		}
	}
	for _, s := range servers {
		if !known[s.ID] {
			note(orphanServer, s.ID, s.Name, cmp.Or(s.Metadata[compute.MetadataAmphora], strings.TrimPrefix(s.Name, compute.NamePrefix)))
		}
	}
	for _, p := range ports {
		if owner, ours := portOwner(p.Name); ours {
			note(orphanPort, p.ID, p.Name, owner)
		}
	}
	for id, name := range groups {
		note(orphanGroup, id, name, strings.TrimPrefix(name, network.SecurityGroupName("")))
	}
	return out, nil
}

// portOwner returns the amphora or load balancer that a port's name speaks of.
func portOwner(name string) (id string, ours bool) {
	for _, prefix := range []string{network.BasePortName(""), network.MemberPortName(""), network.VIPPortName("")} {
		if id, ours = strings.CutPrefix(name, prefix); ours {
			return id, true
		}
	}
	return "", false
}

// known are the ids of all live load balancers, those with work to do, and live amphorae (with
// their servers' ids, since a server's name may be shortened).
func (k *Keeper) known(ctx context.Context) (map[string]bool, error) {
	ids := map[string]bool{}
	err := k.Store.Read(ctx, func(ctx context.Context, tx *db.Tx) error {
		lbs, err := db.Where[db.LoadBalancer](ctx, tx, "provisioning_status <> ?", db.Deleted)
		if err != nil {
			return err
		}
		for _, lb := range lbs {
			ids[lb.ID] = true
		}
		works, err := db.Where[db.Work](ctx, tx, "run_after IS NOT NULL")
		if err != nil {
			return err
		}
		for _, w := range works {
			ids[w.LoadBalancerID] = true
		}
		amphorae, err := db.Where[db.Amphora](ctx, tx, "status <> ?", db.Deleted)
		for _, a := range amphorae {
			ids[a.ID] = true
			if a.ComputeID != nil {
				ids[*a.ComputeID] = true
			}
		}
		return err
	})
	return ids, err
}
