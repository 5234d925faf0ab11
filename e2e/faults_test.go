package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ottavino/ottavino/sandbox/rest"
)

// mishaps are the ways in which a call can go wrong, each happening once to each call.
var mishaps = map[string]rest.Fault{
	"401":               {Status: http.StatusUnauthorized},
	"403":               {Status: http.StatusForbidden, Body: `{"forbidden": {"message": "no", "code": 403}}`},
	"404":               {Status: http.StatusNotFound, Body: `{"itemNotFound": {"message": "not here", "code": 404}}`},
	"409":               {Status: http.StatusConflict, Body: `{"conflictingRequest": {"message": "busy", "code": 409}}`},
	"429":               {Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"0"}}},
	"500":               {Status: http.StatusInternalServerError, Body: "<html>oops</html>"},
	"503":               {Status: http.StatusServiceUnavailable},
	"garbage":           {Status: http.StatusOK, Body: `{"unexpect`},
	"dropped":           {Drop: true},
	"no answer":         {Hang: true},
	"done, 500":         {Status: http.StatusInternalServerError, AfterEffect: true},
	"done, dropped":     {Drop: true, AfterEffect: true},
	"done, then silent": {Hang: true, AfterEffect: true},
}

// TestEveryCallFails takes load balancers through creation, changes and deletion while each
// outbound call of that life goes wrong once, in each way. Whatever happens, the load
// balancer is ACTIVE in the end without anybody's help, then gone, and nothing is left.
func TestEveryCallFails(t *testing.T) {
	t.Parallel()
	l := newLab(t, labOptions{conf: quickTimeouts})
	l.serve()
	kinds := l.callsOfOneLife()
	t.Logf("%d kinds of calls: %s", len(kinds), strings.Join(kinds, ", "))
	if len(kinds) < 15 {
		t.Fatalf("a life makes more calls than %d", len(kinds))
	}
	var g errgroup.Group
	g.SetLimit(8)
	for i, kind := range kinds {
		for _, mishap := range slices.Sorted(maps.Keys(mishaps)) {
			g.Go(func() error {
				name := fmt.Sprintf("%s %s", kind, mishap)
				a := l.actor(fmt.Sprintf("fault-%d-%s", i, strings.ReplaceAll(mishap, " ", "-")))
				remove := l.sandbox.Inject(faultAt(kind, mishaps[mishap]))
				defer remove()
				ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
				defer cancel()
				if err := l.lifeDespite(ctx, a); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				return nil
			})
		}
	}
	_ = g.Wait()
	l.assertNoLeaks()
}

// quickTimeouts lets a silent cloud be noticed within a test's patience.
const quickTimeouts = `
[service_auth]
timeout = 1
[neutron]
timeout = 1
[nova]
timeout = 1
[glance]
timeout = 1
[keystone_authtoken]
timeout = 1
`

// lifeDespite lives a life in which each act is repeated as long as the API says that it
// could not do it: a fault of 5xx must have written nothing.
func (l *lab) lifeDespite(ctx context.Context, a *actor) error {
	a.patient, a.keep = true, true
	if err := a.live(ctx); err != nil {
		return err
	}
	if err := l.awaitActive(ctx, a); err != nil {
		return err
	}
	if err := a.delete(ctx); err != nil {
		return err
	}
	return l.awaitGone(ctx, a)
}

var ids = regexp.MustCompile(`[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}`)

// callsOfOneLife returns the distinct calls that a life makes, as "service METHOD /path/*",
// without queries.
func (l *lab) callsOfOneLife() []string {
	l.t.Helper()
	l.sandbox.ResetCalls()
	ctx, cancel := context.WithTimeout(l.t.Context(), 60*time.Second)
	defer cancel()
	if err := l.lifeDespite(ctx, l.actor("reference")); err != nil {
		l.t.Fatal(err)
	}
	kinds := map[string]bool{}
	for _, c := range l.sandbox.Calls() {
		path, _, _ := strings.Cut(c.Path, "?")
		kinds[fmt.Sprintf("%s %s %s", c.Service, c.Method, ids.ReplaceAllString(path, "*"))] = true
	}
	return slices.Sorted(maps.Keys(kinds))
}

// faultAt makes a mishap happen to the next call of a kind.
func faultAt(kind string, f rest.Fault) rest.Fault {
	part := strings.SplitN(kind, " ", 3)
	f.Service, f.Method, f.Times = part[0], part[1], 1
	f.Path = "^" + strings.ReplaceAll(regexp.QuoteMeta(part[2]), `\*`, ids.String()) + `(\?|$)`
	return f
}
