package compute_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/compute"
	"github.com/ottavino/ottavino/internal/cloudtest"
	"github.com/ottavino/ottavino/sandbox/glance"
	"github.com/ottavino/ottavino/sandbox/keystone"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answers is a Nova that says what it is told, by "METHOD /path", and keeps what it was sent.
type answers struct {
	t    *testing.T
	says map[string]answer

	mu    sync.Mutex
	calls []string // method, path and query
	body  []byte   // of the last call
	head  http.Header
}

type answer struct {
	status int
	body   string
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, r.Method+" "+r.URL.RequestURI())
	a.body, _ = io.ReadAll(r.Body)
	a.head = r.Header
	say, ok := a.says[r.Method+" "+r.URL.Path]
	if !ok {
		a.t.Errorf("unexpected call %s %s", r.Method, r.URL)
	}
	w.WriteHeader(say.status)
	_, _ = io.WriteString(w, say.body)
}

func newNova(t *testing.T, says map[string]answer) (*compute.Nova, *answers) {
	t.Helper()
	a := &answers{t: t, says: says}
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	c := cloudtest.New(t, keystone.Config{})
	return compute.NewNova(c.Session, compute.Config{
		Endpoint: cloud.Endpoint{Override: s.URL}, AvailabilityZone: "az-default",
	}), a
}

func TestCreateServerBytes(t *testing.T) {
	nova, a := newNova(t, map[string]answer{"POST /v2.1/servers": {202, `{"server": {"id": "s1", "adminPass": "x", "links": []}}`}})
	full := compute.ServerSpec{
		Name: "amphora-1", ImageID: "image", FlavorID: "flavor", Networks: []string{"net1", "net2"}, Ports: []string{"port1"},
		SecurityGroups: []string{"sg1"}, KeyName: "key", UserData: []byte("#cloud-config\n"),
		Files:         map[string][]byte{"/etc/b": []byte("B"), "/etc/a": []byte("A"), "/etc/empty": nil},
		ServerGroupID: "group", Zone: "az1", Metadata: map[string]string{"octavia-amphora-id": "1"},
	}
	for file, spec := range map[string]compute.ServerSpec{
		"testdata/create_full.json":    full,
		"testdata/create_minimal.json": {Name: "a", FlavorID: "f", ImageID: "i"},
	} {
		t.Run(file, func(t *testing.T) {
			got, err := nova.CreateServer(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			if got.ID != "s1" || got.Name != spec.Name || got.Status != compute.ServerBuild {
				t.Errorf("got %+v", got)
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var indented bytes.Buffer
			if err := json.Indent(&indented, a.body, "", "  "); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimSpace(string(want)), indented.String()); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
	for key, want := range map[string]string{
		"OpenStack-API-Version": "compute 2.15", "X-Openstack-Nova-Api-Version": "2.15", "User-Agent": "ottavino",
		"Content-Type": "application/json", "Accept": "application/json",
	} {
		if got := a.head.Get(key); got != want {
			t.Errorf("header %s: got %q, want %q", key, got, want)
		}
	}
}

func TestCreateServerFails(t *testing.T) {
	for _, tc := range []struct {
		name string
		says answer
		want cloud.Class
	}{
		{"quota", answer{403, `{"forbidden": {"code": 403, "message": "Quota exceeded for cores"}}`}, cloud.Quota},
		{"no id", answer{202, `{"server": {}}`}, cloud.Unavailable},
		{"bad flavor", answer{400, `{"badRequest": {"message": "Flavor"}}`}, cloud.Final},
	} {
		t.Run(tc.name, func(t *testing.T) {
			nova, _ := newNova(t, map[string]answer{"POST /v2.1/servers": tc.says})
			_, err := nova.CreateServer(t.Context(), compute.ServerSpec{Name: "x"})
			wantClass(t, err, tc.want)
		})
	}
}

func wantClass(t *testing.T, err error, want cloud.Class) {
	t.Helper()
	var e *cloud.Error
	if !errors.As(err, &e) || e.Class != want {
		t.Errorf("got %v, want class %v", err, want)
	}
}

const serverDoc = `{"id": "s1", "name": "amphora-1", "status": "ERROR", "OS-EXT-STS:task_state": null,
	"fault": {"message": "No valid host was found.", "code": 500, "created": "2026-01-02T03:04:05Z"},
	"flavor": {"id": "f1", "links": []}, "image": {"id": "i1"}, "OS-EXT-AZ:availability_zone": "az1",
	"metadata": {"k": "v"}, "created": "2026-01-02T03:04:05Z"}`

func TestServer(t *testing.T) {
	nova, a := newNova(t, map[string]answer{
		"GET /v2.1/servers/s1": {200, `{"server": ` + serverDoc + `}`},
		"GET /v2.1/servers/s2": {200, `{"server": {"id": "s2", "status": "ACTIVE", "image": "", "flavor": {"id": "f"}, "created": "2026-01-02T03:04:05Z"}}`},
		"GET /v2.1/servers/s3": {404, `{"itemNotFound": {"code": 404, "message": "Instance s3 could not be found."}}`},
		"GET /v2.1/servers/-":  {404, `{"itemNotFound": {"code": 404, "message": "Instance - could not be found."}}`},
	})
	got, err := nova.Server(t.Context(), "s1")
	want := compute.Server{
		ID: "s1", Name: "amphora-1", Status: compute.ServerError, Fault: "No valid host was found.", FlavorID: "f1",
		ImageID: "i1", Zone: "az1", Metadata: map[string]string{"k": "v"}, Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("got %v, (-want +got):\n%s", err, diff)
	}
	if got, err = nova.Server(t.Context(), "s2"); err != nil || got.ImageID != "" || got.Status != compute.ServerActive {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, id := range []string{"s3", "", ".."} {
		if _, err = nova.Server(t.Context(), id); !cloud.IsGone(err) {
			t.Errorf("%q: got %v, want class gone", id, err)
		}
	}
	if slices.Contains(a.calls, "GET /v2.1/servers/") || slices.Contains(a.calls, "GET /v2.1/") {
		t.Errorf("an id left its place: %q", a.calls)
	}
}

func TestFindServers(t *testing.T) {
	server := func(id, name, status, created, metadata string) string {
		return fmt.Sprintf(`{"id": %q, "name": %q, "status": %q, "created": "2026-01-0%sT00:00:00Z", "metadata": {%s}, "image": ""}`,
			id, name, status, created, metadata)
	}
	nova, a := newNova(t, map[string]answer{"GET /v2.1/servers/detail": {200, `{"servers": [` + strings.Join([]string{
		server("younger", "amphora-1", "BUILD", "3", ""), server("older", "amphora-1", "ACTIVE", "2", ""),
		server("deleted", "amphora-1", "DELETED", "1", ""), server("longer", "amphora-11", "ACTIVE", "1", ""),
		server("random", "aQX7", "ACTIVE", "4", `"octavia-amphora-id": "9"`), server("foreign", "web", "ACTIVE", "1", ""),
	}, ",") + `]}`}})
	ids := func(servers []compute.Server, err error) []string {
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, s := range servers {
			out = append(out, s.ID)
		}
		return out
	}
	if got, want := ids(nova.FindServers(t.Context(), "amphora-1")), []string{"older", "younger"}; !slices.Equal(got, want) {
		t.Errorf("FindServers: got %q, want %q", got, want)
	}
	if got, want := a.calls[0], "GET /v2.1/servers/detail?name=%5Eamphora-1%24"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := ids(nova.ListServers(t.Context())), []string{"longer", "older", "younger", "random"}; !slices.Equal(got, want) {
		t.Errorf("ListServers: got %q, want %q", got, want)
	}
	a.says["GET /v2.1/servers/detail"] = answer{200, `{}`}
	_, err := nova.FindServers(t.Context(), "amphora-1")
	wantClass(t, err, cloud.Unavailable)
}

func TestDeletingWhatIsGone(t *testing.T) {
	gone := answer{404, `{"itemNotFound": {"message": "gone"}}`}
	nova, _ := newNova(t, map[string]answer{
		"DELETE /v2.1/servers/here": {204, ""}, "DELETE /v2.1/servers/gone": gone, "DELETE /v2.1/servers/broken": {500, "{}"},
		"DELETE /v2.1/servers/here/os-interface/p": {202, ""}, "DELETE /v2.1/servers/gone/os-interface/p": gone,
		"DELETE /v2.1/os-server-groups/here": {204, ""}, "DELETE /v2.1/os-server-groups/gone": gone,
	})
	ctx := t.Context()
	for name, err := range map[string]error{
		"server": nova.DeleteServer(ctx, "here"), "gone server": nova.DeleteServer(ctx, "gone"),
		"port": nova.DetachPort(ctx, "here", "p"), "gone port": nova.DetachPort(ctx, "gone", "p"),
		"group": nova.DeleteServerGroup(ctx, "here"), "gone group": nova.DeleteServerGroup(ctx, "gone"),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantClass(t, nova.DeleteServer(ctx, "broken"), cloud.Unavailable)
}

func TestAttachPort(t *testing.T) {
	const path = "/v2.1/servers/s/os-interface"
	attached := func(port string) answer {
		return answer{200, `{"interfaceAttachments": [{"port_id": "` + port + `", "net_id": "n", "mac_addr": "m",
			"port_state": "ACTIVE", "fixed_ips": [{"subnet_id": "sub", "ip_address": "10.0.0.1"}]}]}`}
	}
	for _, tc := range []struct {
		name string
		post answer
		list answer
		want cloud.Class // -1 = success
	}{
		{"new", answer{200, `{"interfaceAttachment": {}}`}, answer{}, -1},
		{"ours by 409", answer{409, `{"conflictingRequest": {"message": "Port p is still in use."}}`}, attached("p"), -1},
		{"ours by 400", answer{400, `{"badRequest": {"message": "Port p is still in use."}}`}, attached("p"), -1},
		{"another's", answer{400, `{"badRequest": {"message": "Port p is still in use."}}`}, attached("q"), cloud.Conflict},
		{"bad", answer{400, `{"badRequest": {"message": "Port p not usable."}}`}, answer{}, cloud.Final},
		{"no server", answer{404, `{"itemNotFound": {"message": "Instance s could not be found."}}`}, answer{}, cloud.Gone},
	} {
		t.Run(tc.name, func(t *testing.T) {
			nova, _ := newNova(t, map[string]answer{"POST " + path: tc.post, "GET " + path: tc.list})
			if err := nova.AttachPort(t.Context(), "s", "p"); tc.want >= 0 {
				wantClass(t, err, tc.want)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	nova, _ := newNova(t, map[string]answer{"GET " + path: attached("p")})
	got, err := nova.Interfaces(t.Context(), "s")
	want := []compute.Interface{{
		PortID: "p", NetworkID: "n", MAC: "m", State: "ACTIVE", FixedIPs: []compute.FixedIP{{SubnetID: "sub", Address: "10.0.0.1"}},
	}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("got %v, (-want +got):\n%s", err, diff)
	}
}

func TestEnsureServerGroup(t *testing.T) {
	nova, a := newNova(t, map[string]answer{
		"GET /v2.1/os-server-groups":  {200, `{"server_groups": [{"id": "1", "name": "have", "policies": ["anti-affinity"]}]}`},
		"POST /v2.1/os-server-groups": {200, `{"server_group": {"id": "2", "name": "new"}}`},
	})
	if id, err := nova.EnsureServerGroup(t.Context(), "have", "anti-affinity"); err != nil || id != "1" {
		t.Errorf("got %q, %v", id, err)
	}
	if id, err := nova.EnsureServerGroup(t.Context(), "new", "soft-anti-affinity"); err != nil || id != "2" {
		t.Errorf("got %q, %v", id, err)
	}
	if want := `{"server_group":{"name":"new","policies":["soft-anti-affinity"]}}`; string(a.body) != want {
		t.Errorf("got %s, want %s", a.body, want)
	}
}

func TestNewestImage(t *testing.T) {
	c := cloudtest.New(t, keystone.Config{})
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	g := glance.New(c.Hub, c.Keystone, func() time.Time { now = now.Add(time.Hour); return now })
	s := httptest.NewServer(g)
	defer s.Close()
	g.Add("old", "us", "amphora")
	newest := g.Add("new", "us", "amphora")
	g.Add("evil", "them", "amphora")
	g.Add("other", "us", "web")
	images := compute.NewGlance(c.Session, cloud.Endpoint{Override: s.URL})
	got, err := images.NewestImage(t.Context(), "amphora", "us")
	if err != nil || got.ID != newest.ID || got.Name != "new" || got.Created.IsZero() {
		t.Errorf("got %+v, %v, want %s", got, err, newest.ID)
	}
	if got, err = images.NewestImage(t.Context(), "amphora", ""); err != nil || got.Name != "evil" {
		t.Errorf("without owner: got %+v, %v", got, err)
	}
	_, err = images.NewestImage(t.Context(), "none", "us")
	wantClass(t, err, cloud.Final)
	if err != nil && (!strings.Contains(err.Error(), `"none"`) || !strings.Contains(err.Error(), `"us"`)) {
		t.Errorf("got %v, want tag and owner named", err)
	}
}
