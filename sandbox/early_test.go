package sandbox_test

import (
	"testing"
	"time"

	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/compute"
	"github.com/ottavino/ottavino/sandbox"
)

// TestServerDeletedBeforeItIsBuiltLeavesNothing deletes in BUILD, and waits until the build would have begun.
func TestServerDeletedBeforeItIsBuiltLeavesNothing(t *testing.T) {
	for name, agent := range map[string]string{"rows": "", "instances": "/bin/true"} {
		t.Run(name, func(t *testing.T) {
			s := start(t, sandbox.Config{Agent: agent, BuildDelay: 100 * time.Millisecond, DeleteDelay: -1})
			ctx, sess, st := t.Context(), session(t, s), s.Settings()
			nova := compute.NewNova(sess, compute.Config{Endpoint: cloud.Endpoint{Type: "compute"}})
			image, err := compute.NewGlance(sess, cloud.Endpoint{Type: "image"}).NewestImage(ctx, "amphora", "")
			if err != nil {
				t.Fatal(err)
			}
			create := func(name string) string {
				v, err := nova.CreateServer(ctx, compute.ServerSpec{
					Name: name, ImageID: image.ID, FlavorID: st.FlavorID, Networks: []string{st.ManagementNetworkID},
				})
				if err != nil {
					t.Fatal(err)
				}
				return v.ID
			}
			early := create("early")
			if err := nova.DeleteServer(ctx, early); err != nil {
				t.Fatal(err)
			}
			within(t, func() bool { _, err := nova.Server(ctx, early); return cloud.IsGone(err) })
			// A later server's build begins after the early one's would have.
			late := create("late")
			within(t, func() bool { v, err := nova.Server(ctx, late); return err == nil && v.Status == compute.ServerActive })
			if err := nova.DeleteServer(ctx, late); err != nil {
				t.Fatal(err)
			}
			within(t, func() bool { _, err := nova.Server(ctx, late); return cloud.IsGone(err) })
			if left, err := s.Leaks(ctx); err != nil || len(left) != 0 {
				t.Errorf("got leaks %v, %v, want none", left, err)
			}
		})
	}
}
