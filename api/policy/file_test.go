package policy_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ottavino/ottavino/api/policy"
	"github.com/ottavino/ottavino/internal/clocktest"
)

// asks says whether a member may create a load balancer.
func asks(e *policy.Enforcer) bool {
	return e.Authorize(lb+"loadbalancer:post", creds("p1", "member"), policy.Target{"project_id": "p1"})
}

const (
	nobody = lb + "loadbalancer:post: '!'\n"
	anyone = lb + "loadbalancer:post: '@'\n"
)

// TestFileIsReadAgain changes, breaks and removes the file.
func TestFileIsReadAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	var log logs
	clock := clocktest.New(time.Now())
	e := load(t, policy.Options{File: path, Log: log.logger(), Now: clock.Now})
	then := func(what, text string, want bool) {
		t.Helper()
		if text == "" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		} else {
			put(t, path, text)
		}
		clock.Pass(time.Second)
		if got := asks(e); got != want {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	if !asks(e) {
		t.Fatal("absent file: got no, want the default")
	}
	then("new", nobody, false)
	then("changed without a change of size", strings.Replace(nobody, "!", "@", 1), true)
	then("changed back", nobody, false)
	then("broken", "x: nonsense\n", false)
	then("still broken", "x: nonsense\n", false)
	if n := strings.Count(log.String(), "nonsense"); n != 1 {
		t.Errorf("broken file: told %d times, want once: %s", n, log.String())
	}
	then("mended", anyone, true)
	then("broken in another way", "x: rubbish\n", true)
	if !strings.Contains(log.String(), "rubbish") {
		t.Errorf("broken file: log %q does not say what is wrong", log.String())
	}
	then("mended again", nobody, false)
	then("removed", "", true)
}

// TestFileIsReadOnceASecond: questions in between are answered without a look at the disk.
func TestFileIsReadOnceASecond(t *testing.T) {
	t.Parallel()
	path := write(t, nobody)
	clock := clocktest.New(time.Now())
	e := load(t, policy.Options{File: path, Now: clock.Now})
	put(t, path, anyone)
	clock.Pass(time.Second - 1)
	if asks(e) {
		t.Error("within the second: got the new rules, want the old ones")
	}
	clock.Pass(1)
	if !asks(e) {
		t.Error("after a second: got the old rules, want the new ones")
	}
}

// TestUnreadableFile: nobody loses or gains rights by it.
func TestUnreadableFile(t *testing.T) {
	t.Parallel()
	path := write(t, nobody)
	var log logs
	clock := clocktest.New(time.Now())
	e := load(t, policy.Options{File: path, Now: clock.Now, Log: log.logger()})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil { // not even root can read it as a file
		t.Fatal(err)
	}
	for range 3 {
		clock.Pass(time.Second)
		if asks(e) {
			t.Error("got the defaults, want the rules from before")
		}
	}
	if n := strings.Count(log.String(), "earlier rules stay"); n != 1 {
		t.Errorf("told %d times, want once: %s", n, log.String())
	}
	if _, err := policy.Load(policy.Options{File: path}); err == nil {
		t.Error("at start: got no error")
	}
}

// TestDirectories: their files win over the policy file, in the order of their names.
func TestDirectories(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	put(t, at("policy.yaml"), anyone)
	put(t, at("a.d/10-first"), anyone)
	put(t, at("a.d/20-second.yaml"), nobody)
	put(t, at("a.d/.99-hidden.yaml"), "nonsense")
	put(t, at("a.d/deeper/99.yaml"), "nonsense")
	clock := clocktest.New(time.Now())
	e := load(t, policy.Options{
		File: "policy.yaml", Dirs: []string{"a.d", "b.d"}, Path: []string{at("elsewhere"), dir}, Now: clock.Now,
	})
	steps := []struct {
		what string
		do   func()
		want bool
	}{
		{"the last of a directory", func() {}, false},
		{"a later directory", func() { put(t, at("b.d/00.yaml"), anyone) }, true},
		{"a file changes", func() { put(t, at("b.d/00.yaml"), nobody) }, false},
		{"a directory goes", func() { remove(t, at("b.d")) }, false},
		{"a file goes", func() { remove(t, at("a.d/20-second.yaml")) }, true},
		{"the same name earlier on the path", func() {
			remove(t, at("a.d"))
			put(t, at("elsewhere/policy.yaml"), nobody)
		}, false},
	}
	for _, s := range steps {
		s.do()
		clock.Pass(time.Second)
		if got := asks(e); got != s.want {
			t.Errorf("%s: got %v, want %v", s.what, got, s.want)
		}
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// TestWarnings: rules that work and are probably not meant.
func TestWarnings(t *testing.T) {
	t.Parallel()
	var log logs
	e := load(t, policy.Options{Log: log.logger(), File: write(t,
		"load-balancer:read: rule:admin_or_owner\nos_load-balancer_api:loadbalancer:pots: '!'\nused: '@'\n"+lb+"pool:post: rule:used\n")})
	got := strings.Join(e.Warnings(), "\n")
	for _, want := range []string{
		`policy.yaml:1: rule "load-balancer:read": there is no rule "admin_or_owner"`,
		`policy.yaml:2: rule "os_load-balancer_api:loadbalancer:pots": no call and no other rule asks for it`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if len(e.Warnings()) != 2 || strings.Count(log.String(), "level=WARN") != 2 {
		t.Errorf("got %s, log %s, want two warnings", got, log.String())
	}
	if w := policy.Defaults().Warnings(); len(w) > 0 {
		t.Errorf("defaults: got %v, want none", w)
	}
}

// TestManyAsk while the file changes: each answer is by one set of rules or the other.
func TestManyAsk(t *testing.T) {
	t.Parallel()
	path := write(t, "a: '@'\nb: '!'\nx: rule:a or rule:b\n")
	clock := clocktest.New(time.Now())
	e := load(t, policy.Options{File: path, Now: clock.Now})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				clock.Pass(100 * time.Millisecond)
				if !e.Authorize("x", creds("p1"), nil) {
					t.Error("got no, want yes")
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 20 {
			text := "a: '@'\nb: '!'\nx: rule:a or rule:b\n"
			if i%2 == 0 {
				text = "a: '!'\nb: '@'\nx: rule:a or rule:b\n"
			}
			next := path + ".new"
			if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
				t.Error(err)
			}
			if err := os.Rename(next, path); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
}
