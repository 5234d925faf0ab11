package db_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ottavino/ottavino/db"
)

const keepKey = 24 * time.Hour

func keyClaim(request string) db.KeyClaim {
	return db.KeyClaim{ID: strings.Repeat("k", 64), Request: strings.Repeat(request, 64), Owner: uuid.NewString()}
}

func answerKey(w *world, s *db.Store, c db.KeyClaim, body string) error {
	return s.Tx(w.t.Context(), func(ctx context.Context, tx *db.Tx) error { return tx.AnswerKey(ctx, c, 201, []byte(body)) })
}

func TestKeyLife(t *testing.T) {
	each(t, func(w *world) {
		claim := func(c db.KeyClaim, want error) *db.RequestKey {
			w.t.Helper()
			row, err := w.ClaimKey(w.t.Context(), c, time.Minute, keepKey)
			if !errors.Is(err, want) {
				w.t.Fatalf("got error %v, want %v", err, want)
			}
			return row
		}
		first, same, other := keyClaim("a"), keyClaim("a"), keyClaim("b")
		if claim(first, nil) != nil {
			w.t.Fatal("got an answer to what was never asked")
		}
		claim(same, db.ErrKeyRunning)
		claim(other, db.ErrKeyReused)
		if err := w.ReleaseKey(w.t.Context(), first); err != nil { // it failed
			w.t.Fatal(err)
		}
		claim(same, nil)
		w.clock.Pass(2 * time.Minute) // its process died
		late := same
		same = keyClaim("a")
		claim(same, nil)
		if err := answerKey(w, w.Store, late, "late"); !errors.Is(err, db.ErrKeyLost) {
			w.t.Fatalf("a late attempt got %v, want that it lost the key", err)
		}
		body := strings.Repeat("\x00ü", 100_000)
		if err := answerKey(w, w.Store, same, body); err != nil {
			w.t.Fatal(err)
		}
		if err := w.ReleaseKey(w.t.Context(), same); err != nil { // an answer stays
			w.t.Fatal(err)
		}
		if row := claim(keyClaim("a"), nil); row == nil || row.Status != 201 || string(row.Body) != body {
			w.t.Fatalf("got %+v, want the first answer", row)
		}
		claim(other, db.ErrKeyReused)
		w.clock.Pass(keepKey)
		if claim(other, nil) != nil {
			w.t.Fatal("got an answer that is too old")
		}
		w.clock.Pass(time.Second)
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			n, err := tx.ForgetKeys(ctx, w.clock.Now())
			if n != 1 {
				w.t.Errorf("forgot %d keys, want 1", n)
			}
			return err
		})
	})
}

// TestKeyOfManyProcesses: of many attempts at the same time in two processes one makes the row.
func TestKeyOfManyProcesses(t *testing.T) {
	each(t, func(w *world) {
		stores := []*db.Store{w.Store, w.second()}
		var (
			all             sync.WaitGroup
			made, run, seen atomic.Int32
		)
		for i := range 24 {
			store, c := stores[i%2], keyClaim("a")
			all.Go(func() {
				row, err := store.ClaimKey(w.t.Context(), c, time.Minute, keepKey)
				switch {
				case errors.Is(err, db.ErrKeyRunning):
					run.Add(1)
				case err != nil:
					w.t.Error(err)
				case row != nil:
					seen.Add(1)
				default:
					made.Add(1)
					if err := answerKey(w, store, c, "{}"); err != nil {
						w.t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if made.Load() != 1 || made.Load()+run.Load()+seen.Load() != 24 {
			w.t.Errorf("%d attempts went on, %d were told of one under way, %d got its answer; want 1 to go on",
				made.Load(), run.Load(), seen.Load())
		}
	})
}
