package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
)

func (x *rows) headerRows() []trafficRow {
	inserted := func(header, want string) trafficRow {
		return trafficRow{header, x.to(attrs{"insert_headers": attrs{header: "true"}}), func(r *route) {
			t := r.t
			t.Helper()
			_, port, _ := net.SplitHostPort(r.address)
			want := strings.NewReplacer("{port}", port, "{client}", outside).Replace(want)
			if got := r.get(t, request{from: outside, header: map[string]string{"X-Forwarded-Port": "1"}}); got.Header.Get(header) != want {
				t.Errorf("got %q, want %q", got.Header.Get(header), want)
			}
		}}
	}
	return []trafficRow{
		inserted("X-Forwarded-For", "{client}"),
		inserted("X-Forwarded-Port", "{port}"),
		inserted("X-Forwarded-Proto", "http"),
		{"no header that nobody asked for", x.to(attrs{"insert_headers": attrs{"X-Forwarded-For": "false"}}), func(r *route) {
			t := r.t
			t.Helper()
			got := r.get(t, request{})
			for _, h := range []string{"X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto"} {
				if v := got.Header.Get(h); v != "" {
					t.Errorf("the member got %s: %s", h, v)
				}
			}
		}},
	}
}

// policyRow is a listener whose policy rejects what its rules match.
func (x *rows) policyRow(name string, hits, misses []request, rules ...attrs) trafficRow {
	policy := attrs{"action": "REJECT", "rules": rules}
	return trafficRow{"policy: " + name, x.to(attrs{"l7policies": []attrs{policy}}), func(r *route) {
		t := r.t
		t.Helper()
		for _, q := range hits {
			if got := r.get(t, q); got.status != http.StatusForbidden {
				t.Errorf("%+v: got %d, want 403: it matches", q, got.status)
			}
		}
		for _, q := range misses {
			if got := r.get(t, q); got.status != http.StatusOK {
				t.Errorf("%+v: got %d, want 200: it does not match", q, got.status)
			}
		}
	}}
}

func rule(kind, compare, value string, extra attrs) attrs {
	return attrs{"type": kind, "compare_type": compare, "value": value}.with(extra)
}

func paths(of ...string) (out []request) {
	for _, p := range of {
		out = append(out, request{path: p})
	}
	return out
}

func (x *rows) policyRows() []trafficRow {
	agent := func(v string) request { return request{header: map[string]string{"User-Agent": v}} }
	return append([]trafficRow{
		x.policyRow("PATH EQUAL_TO", paths("/a"), paths("/", "/ab", "/A", "/x/a"), rule("PATH", "EQUAL_TO", "/a", nil)),
		x.policyRow("PATH STARTS_WITH", paths("/a", "/ab"), paths("/", "/x/a"), rule("PATH", "STARTS_WITH", "/a", nil)),
		x.policyRow("PATH ENDS_WITH", paths("/x/a", "/a?b"), paths("/ab"), rule("PATH", "ENDS_WITH", "/a", nil)),
		x.policyRow("PATH CONTAINS", paths("/x/admin/y"), paths("/x/adm/in"), rule("PATH", "CONTAINS", "admin", nil)),
		x.policyRow("PATH REGEX", paths("/v1/x", "/v22/x"), paths("/v/x", "/x/v1/"), rule("PATH", "REGEX", `^/v[0-9]+/`, nil)),
		x.policyRow("HOST_NAME, in any case", []request{{host: "www.example.com"}, {host: "WWW.Example.Com"}}, []request{{host: "example.com"}},
			rule("HOST_NAME", "EQUAL_TO", "www.EXAMPLE.com", nil)),
		x.policyRow("HOST_NAME ENDS_WITH", []request{{host: "a.example.com"}}, []request{{host: "example.org"}}, rule("HOST_NAME", "ENDS_WITH", ".example.com", nil)),
		x.policyRow("FILE_TYPE EQUAL_TO", paths("/x/y.jpg"), paths("/x/y.png", "/jpg/x"), rule("FILE_TYPE", "EQUAL_TO", "jpg", nil)),
		x.policyRow("FILE_TYPE REGEX", paths("/x/y.jpg", "/x.png"), paths("/x/y.gif"), rule("FILE_TYPE", "REGEX", "(jpg|png)", nil)),
		x.policyRow("HEADER", []request{agent("curl/7")}, []request{agent("Mozilla")}, rule("HEADER", "STARTS_WITH", "curl", attrs{"key": "User-Agent"})),
		x.policyRow("HEADER REGEX", []request{agent(`a'b'7#`)}, []request{agent(`a'b'd#`), agent(`a'b'\d#`)}, rule("HEADER", "REGEX", `^a'b'\d#$`, attrs{"key": "User-Agent"})),
		x.policyRow("HEADER CONTAINS", []request{agent("a-f/b")}, []request{agent("a-g/b")}, rule("HEADER", "CONTAINS", "-f/b", attrs{"key": "User-Agent"})),
		x.policyRow("COOKIE ENDS_WITH", []request{{cookie: "who=not-me"}}, []request{{cookie: "who=you"}, {}}, rule("COOKIE", "ENDS_WITH", "-me", attrs{"key": "who"})),
		x.policyRow("COOKIE", []request{{cookie: "a=1; who=me"}}, []request{{cookie: "who=you"}, {}}, rule("COOKIE", "EQUAL_TO", "me", attrs{"key": "who"})),
		x.policyRow("inverted", paths("/b"), paths("/a"), rule("PATH", "EQUAL_TO", "/a", attrs{"invert": true})),
		x.policyRow("all rules must match", []request{{path: "/a", host: "h"}}, []request{{path: "/a", host: "g"}, {path: "/b", host: "h"}},
			rule("PATH", "EQUAL_TO", "/a", nil), rule("HOST_NAME", "EQUAL_TO", "h", nil)),
		x.policyRow("a disabled rule does not count", paths("/a"), paths("/b"), rule("PATH", "EQUAL_TO", "/a", nil),
			rule("HOST_NAME", "EQUAL_TO", "never", attrs{"admin_state_up": false})),
		x.policyRow("quotes, ampersands and backslashes mean themselves", []request{{header: map[string]string{"X'odd#": `a&<c>'d'\e#f`}}},
			[]request{{header: map[string]string{"X'odd#": "a &amp; b"}}, {header: map[string]string{"X": `a&<c>'d'\e#f`}}, {}},
			rule("HEADER", "EQUAL_TO", `a&<c>'d'\e#f`, attrs{"key": "X'odd#"})),
		{"policy is disabled", x.to(attrs{"l7policies": []attrs{{"action": "REJECT", "admin_state_up": false, "rules": []attrs{rule("PATH", "EQUAL_TO", "/", nil)}}}}), answeredBy("member")},
		{"policy without rules", x.to(attrs{"l7policies": []attrs{{"action": "REJECT"}}}), answeredBy("member")},
	}, x.actionRows()...)
}

func (x *rows) actionRows() []trafficRow {
	redirect := func(name string, policy attrs, path string, status int, location string) trafficRow {
		policy = policy.with(attrs{"rules": []attrs{rule("PATH", "STARTS_WITH", "/old", nil)}})
		return trafficRow{"policy: " + name, x.to(attrs{"l7policies": []attrs{policy}}), func(r *route) {
			t := r.t
			t.Helper()
			got := r.get(t, request{path: path})
			if got.status != status || got.header.Get("Location") != location {
				t.Errorf("got %d to %q, want %d to %q", got.status, got.header.Get("Location"), status, location)
			}
			if got := r.get(t, request{path: "/new"}); got.Member != "member" {
				t.Errorf("what does not match: got %d, want the member", got.status)
			}
		}}
	}
	toPool := func(position int, path, member string) attrs {
		return attrs{
			"action": "REDIRECT_TO_POOL", "position": position, "rules": []attrs{rule("PATH", "STARTS_WITH", path, nil)},
			"redirect_pool": x.poolOf("HTTP", nil, memberAt(teller(x.t, member, nil))),
		}
	}
	const there = "https://example.com/new?a=1&b=2"
	rows := []trafficRow{
		redirect("REDIRECT_TO_URL", attrs{"action": "REDIRECT_TO_URL", "redirect_url": there}, "/old", 302, there),
		redirect("REDIRECT_PREFIX with 308", attrs{"action": "REDIRECT_PREFIX", "redirect_prefix": "https://example.com", "redirect_http_code": 308}, "/old/x", 308, "https://example.com/old/x"),
		{"policy: REDIRECT_TO_POOL, which is disabled", x.to(attrs{"l7policies": []attrs{{
			"action": "REDIRECT_TO_POOL", "rules": []attrs{rule("PATH", "STARTS_WITH", "/", nil)},
			"redirect_pool": x.poolOf("HTTP", attrs{"admin_state_up": false}, memberAt(teller(x.t, "other", nil))),
		}}}), answeredBy("member")},
		redirect("REDIRECT_PREFIX", attrs{"action": "REDIRECT_PREFIX", "redirect_prefix": "https://example.com"}, "/old/x?y=z", 302, "https://example.com/old/x?y=z"),
		{"policy: REDIRECT_TO_POOL, by position", x.to(attrs{"l7policies": []attrs{toPool(1, "/a/b", "first"), toPool(2, "/a", "second")}}), func(r *route) {
			t := r.t
			t.Helper()
			for path, want := range map[string]string{"/a/b": "first", "/a": "second", "/": "member"} {
				if got := r.get(t, request{path: path}); got.Member != want {
					t.Errorf("%s: got %q, want %s", path, got.Member, want)
				}
			}
		}},
		{
			"policy: REJECT before redirects before pools", x.to(attrs{"l7policies": []attrs{
				toPool(1, "/a", "pool"),
				{"action": "REDIRECT_TO_URL", "position": 2, "redirect_url": there, "rules": []attrs{rule("PATH", "STARTS_WITH", "/a/b", nil)}},
				{"action": "REJECT", "position": 3, "rules": []attrs{rule("PATH", "STARTS_WITH", "/a/b/c", nil)}},
			}}),
			func(r *route) {
				t := r.t
				t.Helper()
				for path, want := range map[string]int{"/a": 200, "/a/b": 302, "/a/b/c": 403} {
					if got := r.get(t, request{path: path}); got.status != want {
						t.Errorf("%s: got %d, want %d", path, got.status, want)
					}
				}
			},
		},
	}
	for _, code := range []int{301, 302, 303, 307, 308} {
		rows = append(rows, redirect(fmt.Sprintf("redirect with %d", code),
			attrs{"action": "REDIRECT_TO_URL", "redirect_url": there, "redirect_http_code": code}, "/old", code, there))
	}
	return rows
}
