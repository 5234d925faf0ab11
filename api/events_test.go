package api_test

import (
	"net/http"
	"testing"
)

// TestEventsAreForTheOwner: what happened to a load balancer can be read by those who may see it.
func TestEventsAreForTheOwner(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	lb := f.loadBalancer()
	got := f.must(http.StatusOK, "GET", "/v2.0/lbaas/loadbalancers/"+lb+"/events", "")
	list, _ := got["events"].([]any)
	if len(list) == 0 {
		t.Fatalf("got %v, want the creation's event", got)
	}
	event, _ := list[0].(map[string]any)
	if event["object_type"] != "loadbalancer" || event["object_id"] != lb || event["request_id"] == "" || event["reason"] == "" {
		t.Errorf("got %v, want what happened to the load balancer", event)
	}
	other := f.as("member", "another-project")
	other.must(http.StatusForbidden, "GET", "/v2.0/lbaas/loadbalancers/"+lb+"/events", "")
}
