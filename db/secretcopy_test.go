package db_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ottavino/ottavino/db"
)

func (w *world) copies(lbID string) map[string]db.SecretCopy {
	w.t.Helper()
	var out map[string]db.SecretCopy
	w.see(func(ctx context.Context, tx *db.Tx) (err error) {
		out, err = tx.SecretCopies(ctx, lbID)
		return err
	})
	return out
}

func (w *world) put(lbID, ref string, content []byte, notAfter *time.Time) db.SecretCopy {
	w.t.Helper()
	c := db.SecretCopy{
		ID: db.SecretCopyID(lbID, "bundle", ref), LoadBalancerID: lbID, Content: content, NotAfter: notAfter,
		CheckedAt: w.clock.Now(), NextAt: w.clock.Now().Add(time.Minute), Failures: 1,
	}
	w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.PutSecretCopy(ctx, c) })
	return c
}

func TestSecretCopies(t *testing.T) {
	each(t, func(w *world) {
		lb, other := w.balancer("p", db.Active), w.balancer("p", db.Active)
		soon, late := w.clock.Now().Add(time.Hour), w.clock.Now().Add(1000*time.Hour)
		big := []byte(strings.Repeat("\x00\xff", 100_000))
		w.put(lb.ID, "https://x/v1/secrets/1", []byte("old"), nil)
		one := w.put(lb.ID, "https://x/v1/secrets/1", big, &soon) // in its place
		two := w.put(lb.ID, "https://x/v1/secrets/2", []byte("2"), &late)
		foreign := w.put(other.ID, "https://x/v1/secrets/1", []byte("3"), nil)
		got := w.copies(lb.ID)
		if ids := slices.Sorted(maps.Keys(got)); !slices.Equal(ids, slices.Sorted(slices.Values([]string{one.ID, two.ID}))) {
			w.t.Fatalf("got %v, want the two of the load balancer", ids)
		}
		is := got[one.ID]
		if !slices.Equal(is.Content, big) || !is.NotAfter.Equal(soon.Truncate(time.Millisecond)) || is.Failures != 1 ||
			!is.NextAt.Equal(one.NextAt.Truncate(time.Millisecond)) || !is.CheckedAt.Equal(one.CheckedAt.Truncate(time.Millisecond)) {
			w.t.Errorf("got %d bytes, %v, %v, %v, %d failures, want them as stored",
				len(is.Content), is.NotAfter, is.CheckedAt, is.NextAt, is.Failures)
		}
		w.see(func(ctx context.Context, tx *db.Tx) error {
			e, err := tx.CertificateExpiry(ctx, w.clock.Now().Add(24*time.Hour))
			if e.Certificates != 2 || e.Soon != 1 || !e.Soonest.Equal(soon.Truncate(time.Millisecond)) {
				w.t.Errorf("got %+v, want two certificates, one of them expiring at %v", e, soon)
			}
			return err
		})
		w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.RecheckSecrets(ctx, lb.ID) })
		if next := w.copies(lb.ID)[one.ID].NextAt; !next.Equal(w.clock.Now().Truncate(time.Millisecond)) {
			w.t.Errorf("got %v as the time of the next look, want now", next)
		}
		if next := w.copies(other.ID)[foreign.ID].NextAt; !next.Equal(foreign.NextAt.Truncate(time.Millisecond)) {
			w.t.Error("another load balancer's copy is to be checked, too")
		}
		w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.ForgetSecretCopies(ctx, lb.ID, []string{two.ID}) })
		if got := w.copies(lb.ID); len(got) != 1 || got[two.ID].ID == "" {
			w.t.Errorf("got %d copies, want the one to keep", len(got))
		}
		if _, ok := w.copies(other.ID)[foreign.ID]; !ok {
			w.t.Error("another load balancer's copy is gone, too")
		}
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			lb.ProvisioningStatus = db.PendingDelete
			return errors.Join(db.Update(ctx, tx, lb, "provisioning_status"), tx.FinishDelete(ctx, &db.Tree{LoadBalancer: *lb}))
		})
		if got := w.copies(lb.ID); len(got) != 0 {
			w.t.Errorf("got %d copies of a deleted load balancer", len(got))
		}
		w.tx(func(ctx context.Context, tx *db.Tx) error { return db.Delete[db.LoadBalancer](ctx, tx, other.ID) })
		if got := w.copies(other.ID); len(got) != 0 {
			w.t.Errorf("got %d copies of a purged load balancer", len(got))
		}
	})
}

func TestExpiryOfNothing(t *testing.T) {
	each(t, func(w *world) {
		w.see(func(ctx context.Context, tx *db.Tx) error {
			e, err := tx.CertificateExpiry(ctx, w.clock.Now())
			if e != (db.Expiry{}) {
				w.t.Errorf("got %+v, want nothing", e)
			}
			return err
		})
	})
}
