// Package await has tests wait for a condition.
package await

import (
	"context"
	"testing"
	"time"
)

// glance is the pause between two looks: a look costs something, too, and others want to compute.
const glance = 5 * time.Millisecond

// Until looks until ok, and fails the test when that takes longer than patience.
func Until(tb testing.TB, patience time.Duration, what string, ok func() bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			tb.Fatalf("waited in vain until %s", what)
		case <-time.After(glance):
		}
	}
}
