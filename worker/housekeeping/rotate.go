package housekeeping

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/obs"
)

// Rotate gives new certificates to amphorae whose own expire soon. A failure leaves the
// amphora as it is, serving, and is tried again; upstream puts it in ERROR.
func (k *Keeper) Rotate(ctx context.Context) {
	now := k.Now()
	var due []db.Amphora
	err := k.Store.Read(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		due, err = db.Where[db.Amphora](ctx, tx, "status = ? AND cert_expiration < ?",
			db.Allocated, now.UTC().Add(k.cfg.CertExpiryBuffer))
		return err
	})
	if err != nil {
		k.Log.WarnContext(ctx, "cannot look for certificates that expire", "error", err)
		return
	}
	due = slices.DeleteFunc(due, func(a db.Amphora) bool { return now.Before(k.failed[a.ID]) })
	maps.DeleteFunc(k.failed, func(_ string, retry time.Time) bool { return !now.Before(retry) })
	var (
		mu sync.Mutex
		g  errgroup.Group
	)
	g.SetLimit(k.cfg.CertRotateThreads)
	for _, a := range due {
		g.Go(func() error {
			ctx := obs.With(ctx, obs.IDs{AmphoraID: a.ID})
			err := k.renew(ctx, a)
			if err == nil {
				k.metrics.rotations.WithLabelValues("done").Inc()
				return nil
			}
			k.metrics.rotations.WithLabelValues("failed").Inc()
			k.complain(ctx, a, err)
			mu.Lock()
			defer mu.Unlock()
			k.failed[a.ID] = now.Add(k.cfg.CertRetryInterval)
			return nil
		})
	}
	_ = g.Wait()
}

// complain gets louder when half of the time for retries is gone.
func (k *Keeper) complain(ctx context.Context, a db.Amphora, err error) {
	left := a.CertExpiration.Sub(k.Now())
	log := k.Log.WarnContext
	if left < k.cfg.CertExpiryBuffer/2 {
		log = k.Log.ErrorContext
	}
	log(ctx, "certificate of the amphora not renewed", "expires_in", left.Round(time.Minute), "error", err)
}

// renew needs no lock: when two processes renew at once, the agent keeps the later
// certificate, and both are good.
func (k *Keeper) renew(ctx context.Context, a db.Amphora) error {
	if a.LBNetworkIP == nil {
		return fmt.Errorf("amphora %s has no management address", a.ID)
	}
	ip, err := netip.ParseAddr(*a.LBNetworkIP)
	if err != nil {
		return fmt.Errorf("management address: %w", err)
	}
	issued, err := k.CA.Server(a.ID, k.Now(), k.cfg.CertValidity)
	if err != nil {
		return err
	}
	target := amphora.Target{AmphoraID: a.ID, Address: ip}
	if err := k.Agent.UploadCertificate(ctx, target, issued.Bundle()); err != nil {
		return err
	}
	return k.Store.Tx(ctx, func(ctx context.Context, tx *db.Tx) error {
		row, err := db.Lock[db.Amphora](ctx, tx, a.ID)
		if err != nil {
			return err
		}
		expires := issued.NotAfter.UTC()
		row.CertExpiration, row.CertBusy = &expires, false
		return db.Update(ctx, tx, row, "cert_expiration", "cert_busy")
	})
}
