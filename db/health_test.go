package db_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ottavino/ottavino/db"
)

func TestHealthIsWhatHeartbeatsSet(t *testing.T) {
	each(t, func(w *world) {
		lb := w.balancer("p", db.Active)
		l, p := w.listener(lb, 80), w.pool(lb)
		first, second := w.member(p, "10.0.0.1"), w.member(p, "10.0.0.2")
		stranger := w.balancer("p", db.Active)
		w.member(w.pool(stranger), "10.0.0.3")
		var got *db.Health
		w.see(func(ctx context.Context, tx *db.Tx) (err error) {
			got, err = tx.Health(ctx, lb.ID)
			return err
		})
		member := func(m *db.Member) db.HealthRow {
			return db.HealthRow{Kind: db.KindMember, ID: m.ID, PoolID: p.ID, ProvisioningStatus: db.Active, OperatingStatus: db.NoMonitor}
		}
		want := &db.Health{
			LoadBalancer: db.HealthRow{Kind: db.KindLoadBalancer, ID: lb.ID, Enabled: true, ProvisioningStatus: db.Active, OperatingStatus: db.Offline},
			Listeners:    []db.HealthRow{{Kind: db.KindListener, ID: l.ID, ProvisioningStatus: db.Active, OperatingStatus: db.Offline}},
			Pools:        []db.HealthRow{{Kind: db.KindPool, ID: p.ID, ProvisioningStatus: db.Active, OperatingStatus: db.Offline}},
			Members:      []db.HealthRow{member(first), member(second)},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			w.t.Error(diff)
		}
		err := w.Read(w.t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Health(ctx, w.id())
			return err
		})
		_ = wantError[*db.NotFoundError](w.t, err)
	})
}

// TestLivenessNeverGoesBack, whichever process stores its news first.
func TestLivenessNeverGoesBack(t *testing.T) {
	each(t, func(w *world) {
		lb := w.balancer("p", db.Active)
		heard, silent := w.amphora(lb, db.Allocated), w.amphora(lb, db.FailoverStopped)
		w.amphora(lb, db.PendingDelete)
		now := w.clock.Now().UTC().Truncate(time.Second)
		for _, at := range []time.Duration{-time.Minute, 0, -time.Hour} {
			if err := w.Heard(w.t.Context(), map[string]time.Time{heard.ID: now.Add(at)}); err != nil {
				w.t.Fatal(err)
			}
		}
		w.see(func(ctx context.Context, tx *db.Tx) error {
			live, err := tx.LiveAmphorae(ctx)
			if err != nil {
				return err
			}
			at := map[string]*time.Time{}
			for _, l := range live {
				at[l.ID] = l.LastUpdate
			}
			if len(at) != 2 || at[heard.ID] == nil || !at[heard.ID].Equal(now) || at[silent.ID] != nil {
				w.t.Errorf("got %v, want one heard at %s and one never", at, now)
			}
			return nil
		})
	})
}

func TestStatisticsAddUpOrReplace(t *testing.T) {
	each(t, func(w *world) {
		lb := w.balancer("p", db.Active)
		l := w.listener(lb, 80)
		row := db.ListenerStatistics{ListenerID: l.ID, AmphoraID: w.id(), BytesIn: 1, BytesOut: 2, ActiveConnections: 3, TotalConnections: 4, RequestErrors: 5}
		rows := []db.ListenerStatistics{row}
		w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.AddStatistics(ctx, rows) })
		w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.AddStatistics(ctx, rows) })
		stored := func() (got []db.ListenerStatistics) {
			w.see(func(ctx context.Context, tx *db.Tx) (err error) {
				got, err = db.Where[db.ListenerStatistics](ctx, tx, "listener_id = ?", l.ID)
				return err
			})
			return got
		}
		twice := row
		twice.BytesIn, twice.BytesOut, twice.TotalConnections, twice.RequestErrors = 2, 4, 8, 10
		if diff := cmp.Diff([]db.ListenerStatistics{twice}, stored()); diff != "" {
			w.t.Errorf("added: %s", diff)
		}
		w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.ReplaceStatistics(ctx, rows) })
		if diff := cmp.Diff(rows, stored()); diff != "" {
			w.t.Errorf("replaced: %s", diff)
		}
	})
}

func TestOnlyAmphoraeOfOneStatusChange(t *testing.T) {
	each(t, func(w *world) {
		lb := w.balancer("p", db.Active)
		a, b := w.amphora(lb, db.Allocated), w.amphora(lb, db.Error)
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			return tx.ChangeAmphorae(ctx, []string{a.ID, b.ID}, db.Allocated, db.FailoverStopped)
		})
		w.see(func(ctx context.Context, tx *db.Tx) error {
			for id, want := range map[string]string{a.ID: db.FailoverStopped, b.ID: db.Error} {
				got, err := db.Get[db.Amphora](ctx, tx, id)
				if err != nil {
					return err
				}
				if got.Status != want {
					w.t.Errorf("got %s, want %s", got.Status, want)
				}
			}
			return nil
		})
	})
}
