package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/ottavino/ottavino/db"
)

// Headers of a POST that a client may repeat, and of the answer to a repeat. Octavia has none.
const (
	keyHeader      = "Idempotency-Key"
	replayedHeader = "Idempotent-Replayed"
)

const (
	longestKey = 255 // characters
	// answerWithin is how long a request with a key may take. Then its process counts as dead and a repeat goes ahead; as
	// long as a worker waits before it looks for what a create left behind.
	answerWithin = recordFor
	// releaseTimeout bounds giving back the key of a request that failed.
	releaseTimeout = 5 * time.Second
)

// once makes a POST with an Idempotency-Key one that can be repeated: of all requests of a caller with the same key, path and
// body one makes something, and the others get its answer. The answer is stored with what is made, in one transaction, so
// there is no moment at which a process can die and a repeat do it again. A request that fails leaves the key free.
func (s *Server) once(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		keys, given := r.Header[keyHeader]
		if !given {
			return next(c)
		}
		if len(keys) != 1 || !goodKey(keys[0]) {
			return BadRequest(fmt.Sprintf("Invalid %s: one with 1 to %d printable ASCII characters is needed.", keyHeader, longestKey))
		}
		body, err := s.readBody(c)
		if err != nil {
			return err
		}
		claim := claimOf(callOf(c).who, r, keys[0], body)
		answered, err := s.deps.Store.ClaimKey(r.Context(), claim, answerWithin, db.KeyLifetime)
		if err != nil {
			return err
		}
		if answered != nil {
			c.Response().Header().Set(replayedHeader, "true")
			return c.JSONBlob(answered.Status, answered.Body)
		}
		callOf(c).key = &claim
		return s.attempt(c, next, claim)
	}
}

// attempt runs a handler and gives its key back unless it succeeds.
func (s *Server) attempt(c echo.Context, next echo.HandlerFunc, claim db.KeyClaim) error {
	answered := false
	defer func() { // also when it panics
		if answered {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), releaseTimeout)
		defer cancel()
		if err := s.deps.Store.ReleaseKey(ctx, claim); err != nil {
			s.deps.Log.WarnContext(ctx, "key of a failed request not released, it is free later", "after", answerWithin, "error", err)
		}
	}()
	err := next(c)
	answered = err == nil
	return err
}

func goodKey(key string) bool {
	return key != "" && len(key) <= longestKey && !strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' })
}

// claimOf names a request by its caller, its collection and its key, and what it asks for by its body.
func claimOf(who Identity, r *http.Request, key string, body []byte) db.KeyClaim {
	_, collection, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/") // all versions are one
	collection = strings.TrimPrefix(collection, "lbaas/")
	return db.KeyClaim{
		ID:      digest(who.ProjectID, who.UserID, who.DomainID, who.SystemScope, r.Method, collection, key),
		Request: digest(string(body)),
		Owner:   uuid.NewString(),
	}
}

// digest is a hash of texts that differs when any of them does.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// keep stores what a POST is going to answer, if it has a key. The transaction is that of what it made.
func (q *call) keep(ctx context.Context, tx *db.Tx, wrapper string, out any) error {
	if q.key == nil {
		return nil
	}
	body, err := json.Marshal(map[string]any{wrapper: out})
	if err != nil {
		return err
	}
	return tx.AnswerKey(ctx, *q.key, http.StatusCreated, append(body, '\n')) // as echo writes JSON
}
