package db_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbtest"
)

// TestReadSeesOneMoment: what others commit during a transaction that reads is seen by the next one only.
func TestReadSeesOneMoment(t *testing.T) {
	each(t, func(w *world) {
		lb := w.balancer("p", db.Active)
		count := func(ctx context.Context, tx *db.Tx) int {
			w.t.Helper()
			rows, err := db.List[db.Listener](ctx, tx, db.ListQuery{})
			if err != nil {
				w.t.Fatal(err)
			}
			return len(rows)
		}
		for want := range 3 {
			w.see(func(ctx context.Context, tx *db.Tx) error {
				first := count(ctx, tx)
				w.listener(lb, 8000+want)
				if again := count(ctx, tx); first != want || again != want {
					w.t.Errorf("got %d rows and then %d, want %d twice", first, again, want)
				}
				return nil
			})
		}
	})
}

// TestReadSurvivesItsConnection: a server may end idle connections as it likes.
func TestReadSurvivesItsConnection(t *testing.T) {
	t.Parallel()
	cfg := db.Config{URL: dbtest.Server(t, dbtest.MariaDB)}
	store := dbtest.Open(t, cfg)
	look := func() error {
		return store.Read(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := db.List[db.LoadBalancer](ctx, tx, db.ListQuery{})
			return err
		})
	}
	if err := look(); err != nil {
		t.Fatal(err)
	}
	conn, err := store.Pool().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	killOthers(t, conn)
	if err := look(); err != nil {
		t.Errorf("read after the server closed the connection: got %v, want none", err)
	}
}

// killOthers ends all connections to the same database but this one.
func killOthers(t *testing.T, conn *sql.Conn) {
	t.Helper()
	const others = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
	killed := 0
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		ids := idsOf(t, conn, others)
		if len(ids) == 0 {
			if killed == 0 {
				t.Fatal("there was no connection to end")
			}
			return
		}
		for _, id := range ids {
			if _, err := conn.ExecContext(t.Context(), "KILL ?", id); err == nil { // it may be gone by now
				killed++
			}
		}
	}
	t.Fatal("connections did not end")
}

func idsOf(t *testing.T, conn *sql.Conn, query string) (ids []int64) {
	t.Helper()
	rows, err := conn.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestStatusNodes(t *testing.T) {
	each(t, func(w *world) {
		lb := w.balancer("p", db.Active)
		l := w.listener(lb, 80)
		p := w.pool(lb)
		m := w.member(p, "192.0.2.1")
		other := w.balancer("p", db.Active)
		w.member(w.pool(other), "192.0.2.2")
		second, first := w.policy(l, 2), w.policy(l, 1)
		idle := w.policy(l, 3) // has no rule
		off := w.policy(l, 4)
		for _, policy := range []*db.L7Policy{first, second, idle, off} {
			policy.RedirectPoolID = &p.ID
			policy.Enabled = policy != off
			if policy != idle {
				w.rule(policy)
			}
			w.tx(func(ctx context.Context, tx *db.Tx) error {
				return db.Update(ctx, tx, policy, "redirect_pool_id", "enabled")
			})
		}
		w.see(func(ctx context.Context, tx *db.Tx) error {
			nodes, err := tx.StatusNodes(ctx, lb.ID)
			var got []string
			for _, n := range nodes {
				got = append(got, n.Kind+" "+n.ID+" of "+n.OwnerID)
				if n.ID == m.ID && (n.Port != 80 || *n.Text != "192.0.2.1" || n.OperatingStatus != db.NoMonitor) {
					w.t.Errorf("member: got %+v", n)
				}
			}
			want := []string{
				"listener " + l.ID + " of " + lb.ID, "pool " + p.ID + " of " + lb.ID, "member " + m.ID + " of " + p.ID,
				"l7policy " + first.ID + " of " + l.ID, "l7policy " + second.ID + " of " + l.ID,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				w.t.Error(diff)
			}
			return err
		})
	})
}
