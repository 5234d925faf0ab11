package compute_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/compute"
	"github.com/ottavino/ottavino/internal/cloudtest"
	"github.com/ottavino/ottavino/sandbox/glance"
	"github.com/ottavino/ottavino/sandbox/keystone"
	"github.com/ottavino/ottavino/sandbox/neutron"
	"github.com/ottavino/ottavino/sandbox/nova"
)

// until waits for a condition that the sandbox's Nova reaches by itself.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(5 * time.Second); !done(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 5 s", what)
		}
	}
}

// The whole life of a server, at a Nova that builds, plugs and deletes.
func TestLifecycle(t *testing.T) {
	c, ctx := cloudtest.New(t, keystone.Config{}), t.Context()
	images := glance.New(c.Hub, c.Keystone, nil)
	sandbox := nova.New(c.Hub, c.Keystone, images, c.Neutron, nil, nova.Config{})
	defer sandbox.Close()
	s := httptest.NewServer(sandbox)
	defer s.Close()
	net, _, err := c.Neutron.AddNetwork("mgmt", c.Project, false, "10.0.0.0/24", "", "10.0.0.10", "10.0.0.99")
	if err != nil {
		t.Fatal(err)
	}
	n := compute.NewNova(c.Session, compute.Config{Endpoint: cloud.Endpoint{Override: s.URL}})
	group, err := n.EnsureServerGroup(ctx, "octavia-lb-1", "soft-anti-affinity")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := n.EnsureServerGroup(ctx, "octavia-lb-1", "soft-anti-affinity"); err != nil || again != group {
		t.Errorf("group again: got %q, %v, want %q", again, err, group)
	}
	made, err := n.CreateServer(ctx, compute.ServerSpec{
		Name: "amphora-1", ImageID: images.Add("amphora", c.Project, "amphora").ID, FlavorID: sandbox.AddFlavor("small", 1, 1024, 2).ID,
		Networks: []string{net.ID}, Files: map[string][]byte{"/etc/octavia/amphora-agent.conf": []byte("[amphora_agent]\n")},
		ServerGroupID: group, Metadata: map[string]string{compute.MetadataAmphora: "1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "active", func() bool {
		got, err := n.Server(ctx, made.ID)
		return err == nil && got.Status == compute.ServerActive && got.Metadata[compute.MetadataAmphora] == "1"
	})
	if found, err := n.FindServers(ctx, "amphora-1"); err != nil || len(found) != 1 || found[0].ID != made.ID {
		t.Errorf("find: got %+v, %v", found, err)
	}
	if found, err := n.FindServers(ctx, "amphora"); err != nil || len(found) != 0 {
		t.Errorf("find by prefix: got %+v, %v, want none", found, err)
	}
	if ours, err := n.ListServers(ctx); err != nil || len(ours) != 1 {
		t.Errorf("list: got %+v, %v", ours, err)
	}
	plug(t, n, c, made.ID, net.ID)
	if err := n.DeleteServer(ctx, made.ID); err != nil {
		t.Fatal(err)
	}
	until(t, "gone", func() bool { _, err := n.Server(ctx, made.ID); return cloud.IsGone(err) })
	if err := n.DeleteServer(ctx, made.ID); err != nil {
		t.Errorf("delete again: %v", err)
	}
	if err := n.DeleteServerGroup(ctx, group); err != nil {
		t.Error(err)
	}
}

// plug attaches and detaches a port, each twice.
func plug(t *testing.T, n *compute.Nova, c *cloudtest.Cloud, serverID, netID string) {
	t.Helper()
	ctx := t.Context()
	port, err := c.Neutron.AddPort(neutron.Port{NetworkID: netID, ProjectID: c.Project})
	if err != nil {
		t.Fatal(err)
	}
	taken, err := c.Neutron.AddPort(neutron.Port{NetworkID: netID, ProjectID: c.Project, DeviceID: "another", DeviceOwner: "compute:x"})
	if err != nil {
		t.Fatal(err)
	}
	count := func() int {
		found, err := n.Interfaces(ctx, serverID)
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	for range 2 {
		if err := n.AttachPort(ctx, serverID, port.ID); err != nil {
			t.Fatal(err)
		}
	}
	if got := count(); got != 2 {
		t.Errorf("got %d interfaces, want 2", got)
	}
	wantClass(t, n.AttachPort(ctx, serverID, taken.ID), cloud.Conflict)
	if err := n.DetachPort(ctx, serverID, port.ID); err != nil {
		t.Fatal(err)
	}
	until(t, "detached", func() bool { return count() == 1 })
	if err := n.DetachPort(ctx, serverID, port.ID); err != nil {
		t.Errorf("detach again: %v", err)
	}
}
