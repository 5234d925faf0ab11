package amphora_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ottavino/ottavino/amphora"
)

const (
	udpID     = "20000000-0000-4000-8000-000000000053"
	getUDP    = "GET /1.0/listeners/" + udpID + "/udp_listener"
	putUDP    = "PUT /1.0/listeners/" + amphoraID + "/" + udpID + "/udp_listener"
	reloadUDP = "PUT /1.0/loadbalancer/" + udpID + "/reload"
	deleteUDP = "DELETE /1.0/listeners/" + udpID
)

// TestApplyListener uploads only what differs, and asks for a reload in any case.
func TestApplyListener(t *testing.T) {
	text := func(body string) answer { return answer{http.StatusOK, "text/plain; charset=utf-8", body} }
	for name, c := range map[string]struct {
		held answer
		want []string
	}{
		"none":     {answer{http.StatusNotFound, "application/json", `{"message":"UDP Listener Not Found"}`}, []string{getUDP, putUDP, reloadUDP}},
		"another":  {text("old"), []string{getUDP, putUDP, reloadUDP}},
		"the same": {text("new"), []string{getUDP, reloadUDP}},
	} {
		a := newAgent(t, amphoraID, map[string]answer{
			getUDP: c.held, putUDP: ok(`{"message":"OK"}`), reloadUDP: {http.StatusAccepted, "application/json", `{"message":"OK"}`},
		})
		if err := driver(t, a, nil).ApplyListener(t.Context(), a.target(), udpID, []byte("new")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.Equal(a.asked, c.want) {
			t.Errorf("%s: got calls %v, want %v", name, a.asked, c.want)
		}
		if body, sent := a.bodies[putUDP]; sent && body != "new" {
			t.Errorf("%s: uploaded %q", name, body)
		}
	}
}

func TestListenerIsRefused(t *testing.T) {
	a := newAgent(t, amphoraID, map[string]answer{
		getUDP: {http.StatusNotFound, "application/json", `{}`},
		putUDP: {http.StatusConflict, "application/json", `{"error":"409 Conflict: no IPVS","http_code":409}`},
	})
	err := driver(t, a, nil).ApplyListener(t.Context(), a.target(), udpID, []byte("new"))
	var refusal *amphora.AgentError
	if !errors.As(err, &refusal) || refusal.Status != http.StatusConflict || refusal.NotReady || !strings.Contains(refusal.Message, "no IPVS") {
		t.Errorf("got %v, want a 409 that is not asked again", err)
	}
}

func TestRemoveListener(t *testing.T) {
	for name, answers := range map[string]map[string]answer{
		"there": {deleteUDP: ok(`{"message":"OK"}`)}, "absent": {},
	} {
		a := newAgent(t, amphoraID, answers)
		if err := driver(t, a, nil).RemoveListener(t.Context(), a.target(), udpID); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
