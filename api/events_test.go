package api_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ottavino/ottavino/db"
)

// happen records n events of a load balancer: message 0 first.
func (f *fixture) happen(lbID string, n int) {
	f.t.Helper()
	err := f.store.Tx(f.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		for i := range n {
			err := tx.Emit(ctx, db.Event{
				LoadBalancerID: lbID, ProjectID: f.project, ObjectKind: string(db.KindLoadBalancer), ObjectID: lbID,
				Type: "Warning", Reason: "Tested", Message: fmt.Sprint(i),
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// messages are the messages of an answer's events.
func messages(o object) []string {
	var out []string
	list, _ := o["events"].([]any)
	for _, e := range list {
		m, _ := e.(map[string]any)["message"].(string)
		out = append(out, m)
	}
	return out
}

// TestEventsAreForTheOwner: what happened to a load balancer can be read by those who may see it.
func TestEventsAreForTheOwner(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	lb := f.loadBalancer()
	path := "/v2.0/lbaas/loadbalancers/" + lb + "/events"
	got := f.must(http.StatusOK, "GET", path, "")
	list, _ := got["events"].([]any)
	if len(list) == 0 {
		t.Fatalf("got %v, want the creation's event", got)
	}
	event, _ := list[0].(map[string]any)
	if event["object_type"] != "loadbalancer" || event["object_id"] != lb || event["request_id"] == "" || event["reason"] == "" {
		t.Errorf("got %v, want what happened to the load balancer", event)
	}
	other := f.as("member", "another-project")
	other.must(http.StatusForbidden, "GET", path, "")
	f.must(http.StatusNotFound, "GET", "/v2.0/lbaas/loadbalancers/"+absent+"/events", "")
	f.setStatus(lb, db.Deleted)
	f.must(http.StatusNotFound, "GET", path, "")
	if got := f.admin().must(http.StatusOK, "GET", path, ""); len(messages(got)) == 0 {
		t.Error("an administrator sees no events of a deleted load balancer")
	}
}

// TestEventPages: events come newest first, in pages with links as all lists have them.
func TestEventPages(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, f *fixture) {
		t.Helper()
		lb, other := f.loadBalancer(), f.loadBalancer()
		f.happen(lb, 5)
		path := "/v2.0/lbaas/loadbalancers/" + lb + "/events?type=Warning&limit=2"
		var pages []string
		for next := path; next != "" && len(pages) < 9; {
			got := f.must(http.StatusOK, "GET", next, "")
			pages = append(pages, strings.Join(messages(got), ""))
			next = ""
			links, _ := got["events_links"].([]any)
			for _, l := range links {
				link := object(l.(map[string]any))
				href, _ := link["href"].(string)
				if link["rel"] == "next" {
					next = strings.TrimPrefix(href, "http://lb.example") + "&type=Warning"
				}
			}
		}
		if want := []string{"43", "21", "0"}; !slices.Equal(pages, want) {
			t.Errorf("got pages %q, want %q", pages, want)
		}
		got := f.must(http.StatusOK, "GET", path+"&fields=message&fields=id", "")
		expect(t, got, "events.0.message", `"4"`, "events.0.reason", `"absent"`, "events_links.0.rel", `"next"`)
		marker, _ := got.at("events.1.id").(string)
		back := f.must(http.StatusOK, "GET", path+"&page_reverse=True&marker="+marker, "")
		if m := messages(back); !slices.Equal(m, []string{"4"}) {
			t.Errorf("before the second: got %q, want the newest", m)
		}
		oldest := f.must(http.StatusOK, "GET", path+"&sort_key=id&sort_dir=asc", "")
		if m := messages(oldest); !slices.Equal(m, []string{"0", "1"}) {
			t.Errorf("sorted by id: got %q, want the oldest", m)
		}
		foreignPath := "/v2.0/lbaas/loadbalancers/" + other + "/events"
		f.refuse(
			wrong{"another's marker", "GET", foreignPath + "?marker=" + marker, "", 400, "Supplied pagination marker '" + marker + "' is not valid."},
			wrong{"no marker", "GET", foreignPath + "?marker=1x", "", 400, "Supplied pagination marker '1x' is not valid."},
			wrong{"no filter", "GET", foreignPath + "?colour=red", "", 400, "One or more arguments are either duplicate or invalid"},
		)
	})
}
