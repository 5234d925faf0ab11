package compute_test

import (
	"testing"

	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/compute"
)

func TestNoopRemembers(t *testing.T) {
	ctx, n := t.Context(), compute.NewNoop()
	made, err := n.CreateServer(ctx, compute.ServerSpec{Name: "amphora-1", Networks: []string{"net"}})
	if err != nil || made.Status != compute.ServerActive {
		t.Fatalf("got %+v, %v", made, err)
	}
	found, err := n.FindServers(ctx, "amphora-1")
	if err != nil || len(found) != 1 || found[0].ID != made.ID {
		t.Errorf("FindServers: got %+v, %v", found, err)
	}
	for range 2 { // twice is once
		if err := n.AttachPort(ctx, made.ID, "port"); err != nil {
			t.Fatal(err)
		}
	}
	interfaces, err := n.Interfaces(ctx, made.ID)
	if err != nil || len(interfaces) != 2 || interfaces[0].NetworkID != "net" || interfaces[1].PortID != "port" {
		t.Errorf("Interfaces: got %+v, %v", interfaces, err)
	}
	if a, b := interfaces[0].FixedIPs[0].Address, interfaces[1].FixedIPs[0].Address; a == b {
		t.Errorf("both interfaces have %s", a)
	}
	if err := n.DetachPort(ctx, made.ID, "port"); err != nil {
		t.Fatal(err)
	}
	if interfaces, _ = n.Interfaces(ctx, made.ID); len(interfaces) != 1 {
		t.Errorf("after detach: got %+v", interfaces)
	}
	for range 2 {
		if err := n.DeleteServer(ctx, made.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.Server(ctx, made.ID); !cloud.IsGone(err) {
		t.Errorf("after delete: got %v, want class gone", err)
	}
	first, _ := n.EnsureServerGroup(ctx, "g", "anti-affinity")
	if second, _ := n.EnsureServerGroup(ctx, "g", "anti-affinity"); first != second {
		t.Error("a server group was made twice")
	}
}

func TestNoopImages(t *testing.T) {
	a, _ := compute.NewNoopImages().NewestImage(t.Context(), "amphora", "us")
	b, _ := compute.NewNoopImages().NewestImage(t.Context(), "amphora", "us")
	c, _ := compute.NewNoopImages().NewestImage(t.Context(), "other", "us")
	if a != b || a == c || a.ID == "" {
		t.Errorf("got %v, %v, %v", a, b, c)
	}
}
