package sandbox_test

import (
	"testing"
	"time"

	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/sandbox"
)

// TestServerDeletedBeforeItIsBuiltLeavesNothing deletes in BUILD, and waits until the build would have begun.
func TestServerDeletedBeforeItIsBuiltLeavesNothing(t *testing.T) {
	for name, agent := range map[string]string{"rows": "", "instances": "/bin/true"} {
		t.Run(name, func(t *testing.T) {
			s := start(t, sandbox.Config{Agent: agent, BuildDelay: 100 * time.Millisecond, DeleteDelay: -1})
			nova, early := amphora(t, s, "early")
			gone(t, nova, early)
			if _, err := nova.Server(t.Context(), early); !cloud.IsGone(err) {
				t.Fatalf("got %v, want it gone", err)
			}
			// A later server's build begins after the early one's would have.
			_, late := amphora(t, s, "late")
			active(t, nova, late)
			gone(t, nova, late)
			assertNoLeaks(t, s)
		})
	}
}
