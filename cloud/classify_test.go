package cloud_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/internal/cloudtest"
	"github.com/ottavino/ottavino/sandbox/keystone"
)

func TestClassifyAnswers(t *testing.T) {
	const page = "<html><body>Bad Gateway</body></html>"
	neutronFault := func(kind, text string) string {
		return fmt.Sprintf(`{"NeutronError": {"type": %q, "message": %q, "detail": ""}}`, kind, text)
	}
	novaFault := func(kind, text string) string { return fmt.Sprintf(`{%q: {"code": 1, "message": %q}}`, kind, text) }
	for _, tc := range []struct {
		name    string
		status  int
		header  string // Retry-After
		body    string
		want    cloud.Class
		message string
		after   time.Duration
	}{
		{name: "500", status: 500, body: novaFault("computeFault", "oops"), want: cloud.Unavailable, message: "oops"},
		{name: "502 with a proxy's page", status: 502, body: page, want: cloud.Unavailable, message: "Bad Gateway"},
		{name: "503", status: 503, header: "7", want: cloud.Unavailable, message: "Service Unavailable", after: 7 * time.Second},
		{name: "408", status: 408, want: cloud.Unavailable, message: "Request Timeout"},
		{name: "400", status: 400, body: novaFault("badRequest", "no such\n flavor"), want: cloud.Final, message: "no such flavor"},
		{name: "403", status: 403, body: novaFault("forbidden", "Policy"), want: cloud.Final, message: "Policy"},
		{name: "403 Nova's quota", status: 403, body: novaFault("forbidden", "Quota exceeded for instances"), want: cloud.Quota, message: "Quota exceeded for instances"},
		{name: "404", status: 404, body: novaFault("itemNotFound", "gone"), want: cloud.Gone, message: "gone"},
		{name: "404 without body", status: 404, want: cloud.Gone, message: "Not Found"},
		{name: "404 with a proxy's page", status: 404, body: page, want: cloud.Unavailable, message: "Not Found"},
		{name: "409", status: 409, body: neutronFault("IpAddressAlreadyAllocated", "in use"), want: cloud.Conflict, message: "in use"},
		{name: "409 Neutron's quota", status: 409, body: neutronFault("OverQuota", "no ports"), want: cloud.Quota, message: "no ports"},
		{name: "409 no addresses", status: 409, body: neutronFault("IpAddressGenerationFailure", "none"), want: cloud.Quota, message: "none"},
		{name: "412", status: 412, body: neutronFault("RevisionNumberConstraintFailed", "old"), want: cloud.Conflict, message: "old"},
		{name: "413 rate", status: 413, header: "3", body: novaFault("overLimit", "slow"), want: cloud.RateLimited, message: "slow", after: 3 * time.Second},
		{name: "413 quota", status: 413, header: "3", body: novaFault("overLimit", "Quota exceeded"), want: cloud.Quota, message: "Quota exceeded", after: 3 * time.Second},
		{name: "429", status: 429, header: "120", want: cloud.RateLimited, message: "Too Many Requests", after: 2 * time.Minute},
		{name: "429 too long", status: 429, header: "999999999", want: cloud.RateLimited, message: "Too Many Requests", after: time.Hour},
		{name: "attach without PCI device", status: 400, body: novaFault("badRequest", "Failed to claim PCI device for it"), want: cloud.Quota, message: "Failed to claim PCI device for it"},
		{name: "binding", status: 500, body: novaFault("computeFault", "PortBindingFailed: x"), want: cloud.Quota, message: "PortBindingFailed: x"},
		{name: "garbage where JSON was due", status: 200, body: page, want: cloud.Unavailable},
		{name: "nothing where JSON was due", status: 200, body: "", want: cloud.Unavailable},
		{name: "half an answer", status: 200, body: `{"a": `, want: cloud.Unavailable},
		{name: "success of another call", status: 204, want: cloud.Unavailable, message: "No Content"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := callOf(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if tc.header != "" {
					w.Header().Set("Retry-After", tc.header)
				}
				w.WriteHeader(tc.status)
				_, _ = fmt.Fprint(w, tc.body)
			}), 0)
			var e *cloud.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want a *cloud.Error", err)
			}
			if e.Class != tc.want || e.Message != tc.message || e.RetryAfter != tc.after {
				t.Errorf("got %v %q %v, want %v %q %v", e.Class, e.Message, e.RetryAfter, tc.want, tc.message, tc.after)
			}
			if e.Service != "network" || e.Op != "show thing" {
				t.Errorf("got %s: %s, want network: show thing", e.Service, e.Op)
			}
			if want := tc.want != cloud.Final && tc.want != cloud.Gone; cloud.Retryable(err) != want {
				t.Errorf("Retryable: got %v, want %v", !want, want)
			}
		})
	}
}

// callOf makes one GET call of a server that answers with h; timeout 0 is long.
func callOf(t *testing.T, h http.Handler, timeout time.Duration) error {
	t.Helper()
	s := httptest.NewServer(h)
	defer s.Close()
	return callAt(t, s.URL, timeout)
}

func callAt(t *testing.T, address string, timeout time.Duration) error {
	t.Helper()
	c := cloudtest.New(t, keystone.Config{})
	auth := c.Auth()
	if timeout > 0 {
		auth.Timeout = timeout
	}
	session := c.NewSession(t, auth)
	var out map[string]any
	return cloud.Service{Session: session, Endpoint: cloud.Endpoint{Type: "network", Override: address}}.
		Do(t.Context(), cloud.Call{Op: "show thing", Method: http.MethodGet, Path: "things/1", Out: &out, OK: []int{200}})
}

func TestClassifyNoAnswer(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := "http://" + l.Addr().String()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := callAt(t, address, 0); classOf(t, err) != cloud.Unavailable || !strings.Contains(err.Error(), "refused") {
			t.Errorf("got %v, want unavailable, refused", err)
		}
	})
	t.Run("timeout", func(t *testing.T) {
		err := callOf(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), time.Second)
		if classOf(t, err) != cloud.Unavailable {
			t.Errorf("got %v, want unavailable", err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		err := callOf(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), 0)
		if classOf(t, err) != cloud.Unavailable {
			t.Errorf("got %v, want unavailable", err)
		}
	})
}

func TestClassifyForms(t *testing.T) {
	answer := gophercloud.ErrUnexpectedResponseCode{Actual: 404}
	for name, err := range map[string]error{
		"value":         answer,
		"pointer":       &answer,
		"wrapped":       fmt.Errorf("x: %w", answer),
		"after login":   &gophercloud.ErrErrorAfterReauthentication{ErrOriginal: answer},
		"login refused": &gophercloud.ErrUnableToReauthenticate{ErrReauth: &answer},
	} {
		if got := cloud.Classify("compute", "show", err); !cloud.IsGone(got) {
			t.Errorf("%s: got %v, want class gone", name, got)
		}
	}
	if err := cloud.Classify("compute", "show", nil); err != nil {
		t.Errorf("nil: got %v", err)
	}
	if err := cloud.Classify("compute", "show", errors.New("x")); cloud.Retryable(err) {
		t.Errorf("unknown: got %v, want not retryable", err)
	}
	if cloud.Retryable(errors.New("x")) || cloud.IsConflict(nil) || cloud.IsQuota(nil) {
		t.Error("what is no *cloud.Error has no class")
	}
}

func TestMessagesAreBounded(t *testing.T) {
	long := gophercloud.ErrUnexpectedResponseCode{Actual: 400, Body: []byte(`{"message": "` + strings.Repeat("ä ", 5000) + `"}`)}
	err := cloud.Classify("compute", "show", long)
	if len(err.Error()) > 600 {
		t.Errorf("got %d bytes", len(err.Error()))
	}
}
