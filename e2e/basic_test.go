package e2e_test

import (
	"context"
	"testing"
	"time"
)

// TestOneLife is the smallest test of everything: a life on each engine.
func TestOneLife(t *testing.T) {
	l := newLab(t, labOptions{})
	l.serve()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := l.lifeDespite(ctx, l.actor("one")); err != nil {
		t.Fatal(err)
	}
	l.assertNoLeaks()
}
