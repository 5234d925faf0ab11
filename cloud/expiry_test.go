package cloud

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/ottavino/ottavino/sandbox/keystone"
	"github.com/ottavino/ottavino/sandbox/rest"
)

// A token is renewed a minute before Keystone ends it, by Keystone's clock: ours is an hour off.
func TestTokenIsRenewedInTime(t *testing.T) {
	hub := rest.NewHub(0)
	defer hub.Close()
	ours := time.Now()
	k, err := keystone.New(hub, keystone.Config{Now: func() time.Time { return ours.Add(time.Hour) }, TokenLifetime: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(k)
	defer server.Close()
	project := k.AddProject("service").ID
	user := k.AddUser("octavia", "pw", project, "admin").ID
	s, err := NewSession(Auth{URL: server.URL, UserID: user, Password: "pw", ProjectID: project})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.now = func() time.Time { return ours }
	for _, step := range []struct {
		after  time.Duration
		logins int
	}{{0, 1}, {8 * time.Minute, 1}, {9*time.Minute + time.Second, 2}} {
		s.now = func() time.Time { return ours.Add(step.after) }
		if got, err := s.ProjectID(t.Context()); err != nil || got != project {
			t.Fatalf("got %q, %v", got, err)
		}
		if n := len(hub.Calls()); n != step.logins {
			t.Errorf("after %v: got %d logins, want %d", step.after, n, step.logins)
		}
	}
}
