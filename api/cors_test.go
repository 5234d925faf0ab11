package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/ottavino/ottavino/api"
)

// TestCORS: what browsers are told, by origin.
func TestCORS(t *testing.T) {
	t.Parallel()
	const horizon, elsewhere = "https://horizon.example", "https://elsewhere.example"
	some := api.CORS{
		Origins: []string{horizon}, Credentials: true, MaxAge: time.Hour, Methods: []string{"GET", "PUT"},
		Headers: []string{"X-Auth-Token"}, Exposed: []string{"X-Auth-Token", "X-Openstack-Request-Id"},
	}
	all := api.CORS{Origins: []string{"*"}, Methods: []string{"GET"}}
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	const wantMethod, wantHeaders, allow = "Access-Control-Request-Method", "Access-Control-Request-Headers", "Access-Control-Allow-"
	given := header("Vary", "Origin", allow+"Origin", horizon, allow+"Credentials", "true")
	exposed := given.Clone()
	exposed.Set("Access-Control-Expose-Headers", "X-Auth-Token,X-Openstack-Request-Id")
	promised := given.Clone()
	promised.Set(allow+"Methods", "PUT")
	promised.Set("Access-Control-Max-Age", "3600")
	promisedHeaders := promised.Clone()
	promisedHeaders.Set(allow+"Headers", "x-auth-token,content-type")
	for name, c := range map[string]struct {
		cors    api.CORS
		method  string
		headers http.Header
		want    http.Header
	}{
		"off":               {api.CORS{}, "GET", header("Origin", horizon), header()},
		"no browser":        {some, "GET", header(), header()},
		"allowed":           {some, "GET", header("Origin", horizon), exposed},
		"not allowed":       {some, "GET", header("Origin", elsewhere), header()},
		"everybody":         {all, "GET", header("Origin", elsewhere), header("Vary", "Origin", allow+"Origin", "*")},
		"preflight":         {some, "OPTIONS", header("Origin", horizon, wantMethod, "PUT"), promised},
		"with headers":      {some, "OPTIONS", header("Origin", horizon, wantMethod, "PUT", wantHeaders, "x-auth-token, content-type"), promisedHeaders},
		"no method":         {some, "OPTIONS", header("Origin", horizon), header()},
		"another method":    {some, "OPTIONS", header("Origin", horizon, wantMethod, "DELETE"), header()},
		"another header":    {some, "OPTIONS", header("Origin", horizon, wantMethod, "PUT", wantHeaders, "x-auth-token, x-other"), header()},
		"preflight by none": {some, "OPTIONS", header("Origin", elsewhere, wantMethod, "PUT"), header()},
	} {
		f := newFixture(t, func(cfg *api.Config, d *api.Deps) {
			cfg.CORS, cfg.AuthStrategy, d.Auth = c.cors, api.AuthKeystone, tokens{}
		})
		f.headers = c.headers
		a := f.do(c.method, lbs, "")
		if want := map[string]int{"GET": 401, "OPTIONS": 200}[c.method]; a.status != want {
			t.Errorf("%s: got %d, want %d", name, a.status, want)
		}
		for _, h := range []string{
			"Vary", allow + "Origin", allow + "Credentials", allow + "Methods", allow + "Headers",
			"Access-Control-Max-Age", "Access-Control-Expose-Headers",
		} {
			if got := a.header.Get(h); got != c.want.Get(h) {
				t.Errorf("%s: %s: got %q, want %q", name, h, got, c.want.Get(h))
			}
		}
	}
}
