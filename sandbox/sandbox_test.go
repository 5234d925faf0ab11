package sandbox_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/compute"
	"github.com/ottavino/ottavino/network"
	"github.com/ottavino/ottavino/sandbox"
	"github.com/ottavino/ottavino/sandbox/world"
)

func TestMain(m *testing.M) { world.Main(m, world.After(func() error { return goleak.Find() })) }

func start(t *testing.T, cfg sandbox.Config) *sandbox.Sandbox {
	t.Helper()
	s, err := sandbox.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func session(t *testing.T, s *sandbox.Sandbox) *cloud.Session {
	t.Helper()
	st := s.Settings()
	session, err := cloud.NewSession(cloud.Auth{
		URL: st.AuthURL, Username: st.Service.User, Password: st.Service.Password, ProjectName: st.Service.Project,
		UserDomainName: "Default", ProjectDomainName: "Default",
	})
	if err != nil {
		t.Fatal(err)
	}
	return session
}

// TestServerLifeThroughTheProductsEyes boots a server with the verbs the worker uses, plugs a port and deletes all.
func TestServerLifeThroughTheProductsEyes(t *testing.T) {
	s := start(t, sandbox.Config{Agent: "/bin/true", BuildDelay: time.Millisecond})
	ctx, sess := t.Context(), session(t, s)
	nova := compute.NewNova(sess, compute.Config{Endpoint: cloud.Endpoint{Type: "compute"}})
	neutron := network.NewNeutron(sess, cloud.Endpoint{Type: "network"})
	image, err := compute.NewGlance(sess, cloud.Endpoint{Type: "image"}).NewestImage(ctx, "amphora", "")
	if err != nil {
		t.Fatal(err)
	}
	st := s.Settings()
	server, err := nova.CreateServer(ctx, compute.ServerSpec{
		Name: "amphora-1", ImageID: image.ID, FlavorID: st.FlavorID, Networks: []string{st.ManagementNetworkID},
		Files: map[string][]byte{"/etc/octavia/amphora-agent.conf": []byte("[DEFAULT]\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	within(t, func() bool {
		now, err := nova.Server(ctx, server.ID)
		return err == nil && now.Status == compute.ServerActive
	})
	port, err := neutron.CreatePort(ctx, network.PortSpec{Name: "p", NetworkID: st.NetworkID, AdminStateUp: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := nova.AttachPort(ctx, server.ID, port.ID); err != nil {
		t.Fatal(err)
	}
	if nics, err := nova.Interfaces(ctx, server.ID); err != nil || len(nics) != 2 {
		t.Errorf("got interfaces %v, %v, want two", nics, err)
	}
	mac, err := s.Exec(ctx, server.ID, "cat", "/sys/class/net/eth1/address")
	if err != nil || string(mac) != port.MAC+"\n" {
		t.Errorf("inside: got MAC %s, %v, want %s", mac, err, port.MAC)
	}
	if err := nova.DeleteServer(ctx, server.ID); err != nil {
		t.Fatal(err)
	}
	within(t, func() bool { _, err := nova.Server(ctx, server.ID); return cloud.IsGone(err) })
	if err := neutron.DeletePort(ctx, port.ID); err != nil {
		t.Fatal(err)
	}
	if left, err := s.Leaks(ctx); err != nil || len(left) != 0 {
		t.Errorf("got leaks %v, %v, want none", left, err)
	}
}

func TestBackendsAnswerWithTheirNames(t *testing.T) {
	s := start(t, sandbox.Config{Agent: "/bin/true"})
	b, err := s.StartBackend(t.Context(), "backend-1")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + b.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); string(text) != "backend-1\n" {
		t.Errorf("got %q", text)
	}
	if left, err := s.Leaks(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("got leaks %v, %v, want none", left, err)
	}
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestFailedBuildsAreInErrorWithTheReason(t *testing.T) {
	s := start(t, sandbox.Config{BuildDelay: -1})
	s.FailBuild("No valid host was found.")
	sess := session(t, s)
	nova := compute.NewNova(sess, compute.Config{Endpoint: cloud.Endpoint{Type: "compute"}})
	image, err := compute.NewGlance(sess, cloud.Endpoint{Type: "image"}).NewestImage(t.Context(), "amphora", "")
	if err != nil {
		t.Fatal(err)
	}
	server, err := nova.CreateServer(t.Context(), compute.ServerSpec{Name: "x", ImageID: image.ID, FlavorID: s.Settings().FlavorID})
	if err != nil {
		t.Fatal(err)
	}
	within(t, func() bool {
		now, err := nova.Server(t.Context(), server.ID)
		return err == nil && now.Status == compute.ServerError && now.Fault == "No valid host was found."
	})
}

func within(t *testing.T, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatal("waited 10 s in vain")
		case <-time.After(10 * time.Millisecond):
		}
	}
}
