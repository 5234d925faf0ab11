package agent

import (
	"fmt"
	"testing"
)

// TestRenewals: which changes of certificates haproxy takes while it runs, and under which names.
func TestRenewals(t *testing.T) {
	kinds := func(names ...string) map[string]string {
		out := map[string]string{"list": listFile, "list2": listFile, "ca": otherFile}
		for _, n := range names {
			out[n] = certificateFile
		}
		return out
	}
	for _, c := range []struct {
		name     string
		from, to running
		files    map[string]string
		want     string // renewals and names; "" = a reload
	}{
		{"nothing", running{Files: map[string]string{"a": "1"}}, running{Files: map[string]string{"a": "1"}}, map[string]string{"a": certificateFile}, "[] map[]"},
		{"content", running{Files: map[string]string{"a": "1"}}, running{Files: map[string]string{"a": "2"}}, map[string]string{"a": certificateFile}, "[{a a}] map[]"},
		{"CA", running{Files: map[string]string{"a": "1"}}, running{Files: map[string]string{"a": "2"}}, map[string]string{"a": otherFile}, ""},
		{"unreadable", running{Files: map[string]string{}}, running{Files: map[string]string{}}, map[string]string{"a": certificateFile}, ""},
		{"another file", lists("a", ""), lists("b", ""), kinds("b"), "[{a b}] map[b:a]"},
		{"another file in two lists", lists("a", "a x"), lists("b", "b x"), kinds("b"), "[{a b}] map[b:a]"},
		{"another file in one of two lists", lists("a", "a"), lists("b", "a"), kinds("a", "b"), ""},
		{"two files become one", lists("a", "b"), lists("c", "c"), kinds("c"), ""},
		{"one file becomes two", lists("a", "a"), lists("b", "c"), kinds("b", "c"), ""},
		{"swapped", lists("a", "b"), lists("b", "a"), kinds("a", "b"), ""},
		{"another name to be served under", lists("a x", ""), lists("a y", ""), kinds("a"), ""},
		{"one more", lists("a", ""), lists("a\nb", ""), kinds("a", "b"), ""},
		{"one less", lists("a\nb", ""), lists("a", ""), kinds("a"), ""},
		{"renamed before", named(lists("b", ""), "b", "a"), lists("c", ""), kinds("c"), "[{a c}] map[c:a]"},
		{"back to the first", named(lists("b", ""), "b", "a"), lists("a", ""), kinds("a"), "[{a a}] map[a:a]"},
		{"content of one renamed before", named(lists("b", ""), "b", "a"), withDigest(lists("b", ""), "b", "9"), kinds("b"), "[{a b}] map[b:a]"},
	} {
		got := ""
		if out, names, ok := renewals(c.from, c.to, layout{files: c.files}); ok {
			got = fmt.Sprint(out, " ", names)
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// lists is two crt-lists and the files in them.
func lists(one, two string) running {
	r := running{Files: map[string]string{"list": one, "list2": two, "ca": "1"}, Lists: map[string]string{"list": one, "list2": two}}
	for _, list := range r.Lists {
		for _, path := range certificatesIn([]byte(list)) {
			r.Files[path] = "of " + path
		}
	}
	return r
}

func named(r running, path, name string) running {
	r.Names = map[string]string{path: name}
	return r
}

func withDigest(r running, path, digest string) running {
	r.Files[path] = digest
	return r
}

// TestLinesAsSent: what the agent adds does not move the lines that haproxy speaks of.
func TestLinesAsSent(t *testing.T) {
	sent := []byte("global\n\nfrontend a\n    mode http\n    x\n\nfrontend b\n    mode tcp\n    y\n")
	soft := soften(sent)
	if got := string(asSent(soft)); got != string(sent) {
		t.Errorf("got %q", got)
	}
	for said, want := range map[string]string{
		"[/x/haproxy.cfg.new:4] : a": "[/x/haproxy.cfg.new:4] : a", "[/x/haproxy.cfg:6] : x": "[/x/haproxy.cfg:5] : x",
		"[/x/haproxy.cfg.new:10]": "[/x/haproxy.cfg.new:9]", "[/x/haproxy.cfg:999]": "[/x/haproxy.cfg:999]", "[/x/agent.conf:6]": "[/x/agent.conf:6]",
	} {
		if got := asSentLines(said, soft); got != want {
			t.Errorf("%s: got %s, want %s", said, got, want)
		}
	}
}

// TestHealthOnly: of what a worker tells its successor only health is left.
func TestHealthOnly(t *testing.T) {
	now := parseLayout([]byte("backend b\n    server same 10.0.0.1:80 weight 1\n    server moved 10.0.0.1:81 weight 1\n    server held 10.0.0.1:80 weight 1\n"))
	table := "1\n# be_name srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_port\n" +
		"b same 10.0.0.1 2 0 7 1 80\nb moved 10.0.0.1 2 0 1 1 80\nb held 10.0.0.1 2 1 1 1 80\nb gone 10.0.0.1 2 0 1 1 80\n\n"
	want := "1\n# be_name srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_port\nb same 10.0.0.1 2 0 1 1 80\n\n"
	if got := string(healthOnly([]byte(table), now)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
