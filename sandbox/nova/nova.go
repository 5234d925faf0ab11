// Package nova is the sandbox's compute service: servers that build before they are active, interfaces that come and
// go, flavors, keypairs and server groups. What a server runs is a Host's business; without one servers are only rows.
package nova

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/ottavino/ottavino/sandbox/glance"
	"github.com/ottavino/ottavino/sandbox/neutron"
	"github.com/ottavino/ottavino/sandbox/rest"
)

// Machine is what a Host boots.
type Machine struct {
	ID, Name string
	ImageID  string
	Ports    []neutron.Port // in the order of the NICs
	Files    map[string][]byte
}

// Host runs servers. Calls for one server never overlap.
type Host interface {
	Boot(ctx context.Context, m Machine) error
	// Plug adds a port to a running server, Unplug takes it away; a server that is not there is no error.
	Plug(serverID string, p neutron.Port) error
	Unplug(serverID, portID string) error
	// Reboot boots a server that was booted before, crashed or not, with its disk and these ports.
	Reboot(ctx context.Context, serverID string, ports []neutron.Port) error
	// Kill ends a server for good; one that is not there is no error.
	Kill(serverID string)
}

// Config says how the service behaves.
type Config struct {
	BuildDelay  time.Duration // between BUILD and the boot
	DeleteDelay time.Duration // between a delete and the end
	Quota       int           // most servers of a project that has no quota of its own; 0 = no limit
	Now         func() time.Time
	Log         *slog.Logger
}

// Nova is the service.
type Nova struct {
	*rest.Service
	URL string // of itself, without a version; set before the first call

	cfg     Config
	images  *glance.Glance
	network *neutron.Neutron
	host    Host
	ctx     context.Context //nolint:containedctx // ends with Close: builds in the background stop
	stop    context.CancelFunc
	work    sync.WaitGroup

	servers  *rest.Collection[Server]
	flavors  *rest.Collection[Flavor]
	keypairs *rest.Collection[Keypair]
	groups   *rest.Collection[Group]
	quotas   *rest.Quotas
	made     map[string][]string    // server → ports that Nova made for it
	busy     map[string]*sync.Mutex // server → taken while its host works
	faulty   []string               // messages of the next builds' failures
}

// New makes a Nova without flavors. host nil means that servers are only rows.
func New(hub *rest.Hub, auth rest.Authenticator, images *glance.Glance, network *neutron.Neutron, host Host, cfg Config) *Nova {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	n := &Nova{
		Service: rest.NewService("compute", hub, auth, fail), cfg: cfg, images: images, network: network, host: host,
		servers: rest.NewCollection[Server](), flavors: rest.NewCollection[Flavor](),
		keypairs: rest.NewCollection[Keypair](), groups: rest.NewCollection[Group](),
		made: map[string][]string{}, busy: map[string]*sync.Mutex{},
	}
	n.ctx, n.stop = context.WithCancel(context.Background())
	n.routes()
	return n
}

// Close stops builds and deletes under way and ends all servers.
func (n *Nova) Close() {
	n.stop()
	n.work.Wait()
	if n.host == nil {
		return
	}
	for _, s := range n.Servers() {
		n.host.Kill(s.ID)
	}
}

func fail(e *rest.Error) any {
	kind := map[int]string{
		http.StatusBadRequest: "badRequest", http.StatusUnauthorized: "unauthorized", http.StatusForbidden: "forbidden",
		http.StatusNotFound: "itemNotFound", http.StatusConflict: "conflictingRequest",
	}[e.Status]
	if kind == "" {
		kind = "computeFault"
	}
	return rest.Doc{kind: rest.Doc{"code": e.Status, "message": e.Message}}
}

// The microversions that are announced; all behave as 2.15 does, which is what the product asks for.
const (
	minVersion = "2.1"
	maxVersion = "2.79"
)

func (n *Nova) versionDoc() rest.Doc {
	return rest.Doc{
		"id": "v2.1", "status": "CURRENT", "version": maxVersion, "min_version": minVersion, "updated": "2013-07-23T11:33:21Z",
		"links": []any{rest.Doc{"rel": "self", "href": n.URL + "/v2.1/"}},
	}
}

func (n *Nova) routes() {
	n.HandleOpen("GET /{$}", func(*rest.Request) (int, any, error) {
		return http.StatusOK, rest.Doc{"versions": []any{n.versionDoc()}}, nil
	})
	n.HandleOpen("GET /v2.1", func(*rest.Request) (int, any, error) {
		return http.StatusOK, rest.Doc{"version": n.versionDoc()}, nil
	})
	n.Handle("POST /v2.1/servers", n.create)
	n.Handle("GET /v2.1/servers", n.list)
	n.Handle("GET /v2.1/servers/detail", n.list)
	n.Handle("GET /v2.1/servers/{id}", n.show)
	n.Handle("DELETE /v2.1/servers/{id}", n.remove)
	n.Handle("GET /v2.1/servers/{id}/os-interface", n.interfaces)
	n.Handle("POST /v2.1/servers/{id}/os-interface", n.attach)
	n.Handle("DELETE /v2.1/servers/{id}/os-interface/{port}", n.detach)
	n.Handle("GET /v2.1/os-availability-zone", func(*rest.Request) (int, any, error) {
		zone := rest.Doc{"zoneName": Zone, "zoneState": rest.Doc{"available": true}, "hosts": nil}
		return http.StatusOK, rest.Doc{"availabilityZoneInfo": []any{zone}}, nil
	})
	flavors := &rest.Resource[Flavor]{Path: "/v2.1/flavors", Singular: "flavor", Plural: "flavors", Items: n.flavors, ID: func(v *Flavor) *string { return &v.ID }}
	n.Handle("GET /v2.1/flavors/detail", func(*rest.Request) (int, any, error) {
		return http.StatusOK, rest.Doc{"flavors": n.flavors.All()}, nil
	})
	rest.Mount(n.Service, flavors)
	rest.Mount(n.Service, n.groupResource())
	n.keypairRoutes()
	n.quotaRoutes()
}

// Zone is the one availability zone, with one host in it.
const (
	Zone     = "nova"
	hostName = "sandbox"
)

func (n *Nova) groupResource() *rest.Resource[Group] {
	return &rest.Resource[Group]{
		Path: "/v2.1/os-server-groups", Singular: "server_group", Plural: "server_groups", Items: n.groups, CreateStatus: http.StatusOK,
		ID:      func(v *Group) *string { return &v.ID },
		Default: func(*rest.Request) Group { return Group{Members: []string{}, Metadata: rest.Doc{}} },
		Create: func(r *rest.Request, v *Group) error {
			v.ProjectID, v.UserID = r.ProjectID, r.UserID
			if _, full := n.quotas.Full(r.ProjectID, "server_groups"); full {
				return rest.Forbidden("Quota exceeded, too many server groups.")
			}
			return nil
		},
		Delete:  func(*rest.Request, Group) error { return nil },
		Visible: func(r *rest.Request, v Group) bool { return r.Admin() || v.ProjectID == r.ProjectID },
	}
}

// AddFlavor makes a flavor.
func (n *Nova) AddFlavor(name string, vcpus, ram, disk int) Flavor {
	n.Lock.Lock()
	defer n.Lock.Unlock()
	f := Flavor{ID: rest.NewID(), Name: name, VCPUs: vcpus, RAM: ram, Disk: disk}
	n.flavors.Put(f.ID, f)
	return f
}

// AddKeypair makes a keypair of a user.
func (n *Nova) AddKeypair(userID, name, public string) {
	n.Lock.Lock()
	defer n.Lock.Unlock()
	n.keypairs.Put(keypairID(userID, name), Keypair{Name: name, PublicKey: public, userID: userID})
}

// FailBuild makes the next build end in ERROR with this message. Repeated calls add up.
func (n *Nova) FailBuild(message string) {
	n.Lock.Lock()
	defer n.Lock.Unlock()
	n.faulty = append(n.faulty, message)
}

// Servers returns all servers, oldest first.
func (n *Nova) Servers() []Server {
	n.Lock.Lock()
	defer n.Lock.Unlock()
	return n.servers.All()
}

// Groups returns all server groups.
func (n *Nova) Groups() []Group {
	n.Lock.Lock()
	defer n.Lock.Unlock()
	return n.groups.All()
}

// alone runs do while nobody else works on the server's host side.
func (n *Nova) alone(id string, do func()) {
	n.Lock.Lock()
	m := n.busy[id]
	if m == nil {
		m = &sync.Mutex{}
		n.busy[id] = m
	}
	n.Lock.Unlock()
	m.Lock()
	defer m.Unlock()
	do()
}

// later runs do in the background, after a delay, unless the sandbox closes before.
func (n *Nova) later(delay time.Duration, do func()) {
	n.work.Go(func() {
		t := time.NewTimer(delay)
		defer t.Stop()
		select {
		case <-n.ctx.Done():
		case <-t.C:
			do()
		}
	})
}

func (n *Nova) visible(r *rest.Request, s Server) bool {
	return s.TenantID == r.ProjectID || r.Admin()
}

func (n *Nova) find(r *rest.Request) (Server, error) {
	id := r.PathValue("id")
	s, ok := n.servers.Get(id)
	if !ok || !n.visible(r, s) {
		return s, rest.NotFound("Instance %s could not be found.", id)
	}
	return s, nil
}

func contains(list []string, s string) bool { return slices.Contains(list, s) }
