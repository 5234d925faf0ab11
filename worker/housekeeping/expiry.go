package housekeeping

import (
	"context"
	"math"

	"github.com/ottavino/ottavino/db"
)

// WatchExpiry measures when certificates of users expire. Their owners are warned by the worker; one gauge for all keeps the
// number of time series small.
func (k *Keeper) WatchExpiry(ctx context.Context) {
	var e db.Expiry
	err := k.Store.Read(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		e, err = tx.CertificateExpiry(ctx, k.Now().Add(k.cfg.CertExpiryBuffer))
		return err
	})
	if err != nil {
		k.Log.WarnContext(ctx, "cannot tell when users' certificates expire", "error", err)
		return
	}
	soonest := math.Inf(1)
	if e.Certificates > 0 {
		soonest = float64(e.Soonest.Unix())
	}
	k.metrics.certificates.Set(float64(e.Certificates))
	k.metrics.expiring.Set(float64(e.Soon))
	k.metrics.soonest.Set(soonest)
}
