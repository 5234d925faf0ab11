package sandbox_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/compute"
	"github.com/ottavino/ottavino/network"
	"github.com/ottavino/ottavino/sandbox"
	"github.com/ottavino/ottavino/sandbox/world"
)

// TestMain lets the test binary stand for an amphora agent, too: one that only listens; and for a client in an instance.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "--config-file" {
		l, err := net.Listen("tcp", agentPort)
		if err != nil {
			panic(err)
		}
		fmt.Println("listening")
		panic(http.Serve(l, nil))
	}
	if len(os.Args) == 5 && os.Args[1] == "reach" {
		if err := reach(os.Args[2], os.Args[3], os.Args[4]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	world.Main(m, world.After(func() error { return goleak.Find() }))
}

const agentPort = ":9443"

// listener is the path of the agent that TestMain is.
func listener(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// amphora asks for a server as the worker does, with one file.
func amphora(t *testing.T, s *sandbox.Sandbox, name string) (nova *compute.Nova, id string) {
	t.Helper()
	sess, st := session(t, s), s.Settings()
	nova = compute.NewNova(sess, compute.Config{Endpoint: cloud.Endpoint{Type: "compute"}})
	image, err := compute.NewGlance(sess, cloud.Endpoint{Type: "image"}).NewestImage(t.Context(), "amphora", "")
	if err != nil {
		t.Fatal(err)
	}
	server, err := nova.CreateServer(t.Context(), compute.ServerSpec{
		Name: name, ImageID: image.ID, FlavorID: st.FlavorID, Networks: []string{st.ManagementNetworkID}, SecurityGroups: []string{"lb-mgmt-sec-grp"},
		Files: map[string][]byte{"/etc/octavia/amphora-agent.conf": []byte("[DEFAULT]\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return nova, server.ID
}

// active waits until a server is.
func active(t *testing.T, nova *compute.Nova, id string) {
	t.Helper()
	within(t, func() bool {
		now, err := nova.Server(t.Context(), id)
		return err == nil && now.Status == compute.ServerActive
	})
}

// gone deletes a server and waits until it is.
func gone(t *testing.T, nova *compute.Nova, id string) {
	t.Helper()
	if err := nova.DeleteServer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	within(t, func() bool { _, err := nova.Server(t.Context(), id); return cloud.IsGone(err) })
}

func assertNoLeaks(t *testing.T, s *sandbox.Sandbox) {
	t.Helper()
	if left, err := s.Leaks(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("got leaks %v, %v, want none", left, err)
	}
}

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
	neutron, st := network.NewNeutron(sess, cloud.Endpoint{Type: "network"}), s.Settings()
	nova, id := amphora(t, s, "amphora-1")
	active(t, nova, id)
	port, err := neutron.CreatePort(ctx, network.PortSpec{Name: "p", NetworkID: st.NetworkID, AdminStateUp: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := nova.AttachPort(ctx, id, port.ID); err != nil {
		t.Fatal(err)
	}
	if nics, err := nova.Interfaces(ctx, id); err != nil || len(nics) != 2 {
		t.Errorf("got interfaces %v, %v, want two", nics, err)
	}
	mac, err := s.Exec(ctx, id, "cat", "/sys/class/net/eth1/address")
	if err != nil || string(mac) != port.MAC+"\n" {
		t.Errorf("inside: got MAC %s, %v, want %s", mac, err, port.MAC)
	}
	gone(t, nova, id)
	if err := neutron.DeletePort(ctx, port.ID); err != nil {
		t.Fatal(err)
	}
	assertNoLeaks(t, s)
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
	assertNoLeaks(t, s)
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestFailedBuildsAreInErrorWithTheReason(t *testing.T) {
	s := start(t, sandbox.Config{BuildDelay: -1})
	s.FailBuild("No valid host was found.")
	nova, id := amphora(t, s, "x")
	within(t, func() bool {
		now, err := nova.Server(t.Context(), id)
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
