package housekeeping

import (
	"context"
	"time"

	"github.com/ottavino/ottavino/db"
)

// Purge removes the rows of amphorae and load balancers that have been DELETED for long
// enough, and answers to requests that are too old to be repeated. One that cannot be removed does not keep the others.
func (k *Keeper) Purge(ctx context.Context) {
	purge(ctx, k, "amphora", k.cfg.AmphoraExpiryAge, func(a db.Amphora) string { return a.ID }, removeAmphora)
	k.removeUnattached(ctx)
	purge(ctx, k, "load_balancer", k.cfg.LoadBalancerExpiryAge, func(lb db.LoadBalancer) string { return lb.ID }, removeLoadBalancer)
	k.forgetKeys(ctx)
}

func (k *Keeper) forgetKeys(ctx context.Context) {
	var n int64
	err := k.Store.Tx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		n, err = tx.ForgetKeys(ctx, k.Now().UTC().Add(-db.KeyLifetime))
		return err
	})
	if err != nil {
		k.Log.WarnContext(ctx, "old request keys not purged", "error", err)
		return
	}
	k.metrics.purged.WithLabelValues("request_key").Add(float64(n))
}

func purge[M any](ctx context.Context, k *Keeper, kind string, age time.Duration, id func(M) string, remove func(context.Context, *db.Tx, string) error) {
	status := "provisioning_status"
	if kind == "amphora" {
		status = "status"
	}
	var expired []M
	err := k.Store.Read(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		expired, err = db.Where[M](ctx, tx, status+" = ? AND updated_at < ?", db.Deleted, k.Now().UTC().Add(-age))
		return err
	})
	if err != nil {
		k.Log.WarnContext(ctx, "cannot look for expired rows", "kind", kind, "error", err)
		return
	}
	for _, row := range expired {
		err := k.Store.Tx(ctx, func(ctx context.Context, tx *db.Tx) error { return remove(ctx, tx, id(row)) })
		if err != nil {
			k.Log.WarnContext(ctx, "expired row not purged", "kind", kind, "id", id(row), "error", err)
			continue
		}
		k.metrics.purged.WithLabelValues(kind).Inc()
	}
}

// removeAmphora removes an amphora's rows. What it counted of listeners that are still there is part of their totals, and goes with
// them.
func removeAmphora(ctx context.Context, tx *db.Tx, id string) error {
	_, err := db.DeleteWhere[db.ListenerStatistics](ctx, tx, "amphora_id = ? AND listener_id NOT IN (SELECT id FROM listener)", id)
	if err != nil {
		return err
	}
	for _, remove := range []func(context.Context, *db.Tx, string, ...any) (int64, error){
		db.DeleteWhere[db.AmphoraHealth], db.DeleteWhere[db.AmphoraMemberPort],
	} {
		if _, err := remove(ctx, tx, "amphora_id = ?", id); err != nil {
			return err
		}
	}
	return db.Delete[db.Amphora](ctx, tx, id)
}

func removeLoadBalancer(ctx context.Context, tx *db.Tx, id string) error {
	amphorae, err := db.Where[db.Amphora](ctx, tx, "load_balancer_id = ?", id)
	if err != nil {
		return err
	}
	for _, a := range amphorae {
		if err := removeAmphora(ctx, tx, a.ID); err != nil {
			return err
		}
	}
	if err := tx.ForgetWork(ctx, id); err != nil {
		return err
	}
	return db.Delete[db.LoadBalancer](ctx, tx, id)
}

// removeUnattached ends amphorae that are to go and serve no load balancer whose worker would
// do it: what others left over and an administrator deletes.
func (k *Keeper) removeUnattached(ctx context.Context) {
	var loose []db.Amphora
	err := k.Store.Read(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		loose, err = db.Where[db.Amphora](ctx, tx, `status = ? AND (load_balancer_id IS NULL OR load_balancer_id IN
(SELECT id FROM load_balancer WHERE provisioning_status = ?))`, db.PendingDelete, db.Deleted)
		return err
	})
	if err != nil {
		k.Log.WarnContext(ctx, "cannot look for amphorae to remove", "error", err)
		return
	}
	for i := range loose {
		if err := k.remove(ctx, &loose[i]); err != nil {
			k.Log.WarnContext(ctx, "amphora not removed", "amphora_id", loose[i].ID, "error", err)
		}
	}
}

// remove deletes an amphora's server; the hunt for orphans finds its ports, once its row is gone.
func (k *Keeper) remove(ctx context.Context, a *db.Amphora) error {
	if a.ComputeID != nil {
		if err := k.Servers.DeleteServer(ctx, *a.ComputeID); err != nil {
			return err
		}
	}
	return k.Store.Tx(ctx, func(ctx context.Context, tx *db.Tx) error { return tx.FinishAmphora(ctx, a) })
}
