package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbtest"
)

const (
	project = "11111111111111111111111111111111"
	foreign = "22222222222222222222222222222222"
	absent  = "99999999-9999-4999-8999-999999999999"

	subnet  = "aaaaaaaa-0000-4000-8000-000000000001"
	network = "aaaaaaaa-0000-4000-8000-000000000002"
	policy1 = "aaaaaaaa-0000-4000-8000-000000000003"
	group1  = "aaaaaaaa-0000-4000-8000-000000000004"
)

// neutron is Neutron as the API sees it: one subnet, one network, ports in memory.
type neutron struct {
	mu     sync.Mutex
	ports  map[string]string // load balancer → port
	refuse error             // what Create answers
	panics bool              // Create panics
	stuck  error             // what Delete answers
}

func (n *neutron) Resolve(_ context.Context, r api.VIPRequest) (api.VIPResult, error) {
	if r.SubnetID == "" && r.NetworkID == "" && r.PortID == "" {
		return api.VIPResult{}, api.Invalid("VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id.")
	}
	if r.SubnetID != "" && r.SubnetID != subnet {
		return api.VIPResult{}, api.BadRequest("Subnet " + r.SubnetID + " not found.")
	}
	return api.VIPResult{Address: r.Address, SubnetID: subnet, NetworkID: network, QoSPolicyID: r.QoSPolicyID, PortID: r.PortID}, nil
}

func (n *neutron) Create(_ context.Context, r api.VIPRequest) (api.VIPResult, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.panics {
		panic("boom")
	}
	if n.refuse != nil {
		return api.VIPResult{}, n.refuse
	}
	port := "bbbbbbbb" + r.LoadBalancerID[8:]
	n.ports[r.LoadBalancerID] = port
	address := r.Address
	if address == "" {
		address = "192.0.2.10"
	}
	return api.VIPResult{
		PortID: port, Address: address, SubnetID: r.SubnetID, NetworkID: r.NetworkID,
		QoSPolicyID: r.QoSPolicyID, OctaviaOwned: true,
	}, nil
}

func (n *neutron) Delete(_ context.Context, lbID, _ string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stuck != nil {
		return n.stuck
	}
	delete(n.ports, lbID)
	return nil
}

func (n *neutron) SubnetExists(_ context.Context, _, id string) error {
	if id != subnet {
		return api.BadRequest("Subnet " + id + " not found.")
	}
	return nil
}

func (n *neutron) CheckQoS(_ context.Context, _, id string) error {
	if id != "" && id != policy1 {
		return api.BadRequest("qos_policy " + id + " not found.")
	}
	return nil
}

func (n *neutron) CheckSecurityGroups(_ context.Context, _ string, ids []string) error {
	for _, id := range ids {
		if id != group1 {
			return api.BadRequest("Security Group " + id + " not found.")
		}
	}
	return nil
}

func (n *neutron) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.ports)
}

// cloud is what Nova, Glance and Neutron have: one of each.
type cloud struct{ down bool }

const (
	novaFlavor = "flavor-1"
	novaZone   = "nova"
	imageTag   = "amphora"
)

func (c *cloud) has(name, one string) (bool, error) {
	if c.down {
		return false, fmt.Errorf("%w: refused", api.ErrUnavailable)
	}
	return name == one, nil
}

func (c *cloud) HasFlavor(_ context.Context, id string) (bool, error)  { return c.has(id, novaFlavor) }
func (c *cloud) HasZone(_ context.Context, name string) (bool, error)  { return c.has(name, novaZone) }
func (c *cloud) HasNetwork(_ context.Context, id string) (bool, error) { return c.has(id, network) }

func (c *cloud) FindImage(_ context.Context, tag string) error {
	if tag != imageTag {
		return errors.New("no active image has the tag")
	}
	return nil
}

// fixture is an API on a database of its own.
type fixture struct {
	t       testing.TB
	store   *db.Store
	neutron *neutron
	cloud   *cloud
	server  *api.Server
	handler http.Handler
	log     *bytes.Buffer
	roles   string
	project string
	headers http.Header
	ctx     context.Context //nolint:containedctx // of its requests
	// noIdentity: requests say nothing but headers.
	noIdentity bool
}

func TestMain(m *testing.M) { dbtest.Main(m) }

// newFixture builds an API whose callers are members of project; tweak may change its config.
// Its database is SQLite.
func newFixture(t *testing.T, tweak ...func(*api.Config, *api.Deps)) *fixture {
	t.Helper()
	return newFixtureOn(t, db.Config{URL: dbtest.Server(t, dbtest.SQLite)}, tweak...)
}

// onEach runs a test on an API for each database engine.
func onEach(t *testing.T, test func(*testing.T, *fixture), tweak ...func(*api.Config, *api.Deps)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		t.Helper()
		test(t, newFixtureOn(t, cfg, tweak...))
	})
}

func newFixtureOn(tb testing.TB, database db.Config, tweak ...func(*api.Config, *api.Deps)) *fixture {
	tb.Helper()
	f := &fixture{
		t: tb, neutron: &neutron{ports: map[string]string{}}, cloud: &cloud{}, log: &bytes.Buffer{}, store: dbtest.Open(tb, database),
		roles: "member,reader", project: project, headers: http.Header{}, ctx: tb.Context(),
	}
	log := slog.New(slog.NewTextHandler(f.log, nil))
	cfg := api.Config{
		AuthStrategy: api.AuthTesting, AllowTLSTerminated: true, AllowPrometheus: true, AllowPing: true,
		PendingChanges: db.RejectPending,
	}
	deps := api.Deps{Store: f.store, VIP: f.neutron, Cloud: f.cloud, Certificates: noopCertificates(tb), Log: log}
	for _, change := range tweak {
		change(&cfg, &deps)
	}
	server, err := api.New(cfg, deps)
	if err != nil {
		tb.Fatal(err)
	}
	f.server, f.handler = server, server.Handler()
	return f
}

// as is the same API used by another caller.
func (f *fixture) as(roles, projectID string) *fixture {
	g := *f
	g.roles, g.project = roles, projectID
	return &g
}

func (f *fixture) admin() *fixture { return f.as("admin,member,reader", project) }

// with is the same API used with another header.
func (f *fixture) with(name, value string) *fixture {
	g := *f
	g.headers = f.headers.Clone()
	g.headers.Set(name, value)
	return &g
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request; the body may be "".
func (f *fixture) do(method, path, body string) answer {
	f.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(f.ctx, method, "http://lb.example"+path, reader)
	r.Header = f.headers.Clone()
	if body != "" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if !f.noIdentity {
		r.Header.Set("X-Roles", f.roles)
		r.Header.Set("X-Project-Id", f.project)
		if r.Header.Get("X-User-Id") == "" {
			r.Header.Set("X-User-Id", "someone")
		}
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.Bytes()}
}

// object is a JSON object.
type object map[string]any

func (a answer) json(tb testing.TB) object {
	tb.Helper()
	var out object
	if err := json.Unmarshal(a.body, &out); err != nil {
		tb.Fatalf("body %q is not a JSON object: %v", a.body, err)
	}
	return out
}

// at walks into an object: "loadbalancer.listeners.0.id".
func (o object) at(path string) any {
	var v any = map[string]any(o)
	for key := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			var ok bool
			if v, ok = x[key]; !ok {
				return "absent"
			}
		case []any:
			var i int
			if _, err := fmt.Sscan(key, &i); err != nil || i >= len(x) {
				return "absent"
			}
			v = x[i]
		default:
			return "absent"
		}
	}
	return v
}

func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// must sends a request and fails the test unless it gets the status.
func (f *fixture) must(status int, method, path, body string) object {
	f.t.Helper()
	a := f.do(method, path, body)
	if a.status != status {
		f.t.Fatalf("%s %s %s: got %d %s, want %d\n%s", method, path, body, a.status, a.body, status, f.log)
	}
	if len(a.body) == 0 {
		return nil
	}
	return a.json(f.t)
}

// create posts and returns the new id.
func (f *fixture) create(path, body string) string {
	f.t.Helper()
	out := f.must(http.StatusCreated, http.MethodPost, path, body)
	for _, v := range out {
		return v.(map[string]any)["id"].(string)
	}
	return ""
}

// loadBalancer creates a load balancer and settles it.
func (f *fixture) loadBalancer() string {
	f.t.Helper()
	id := f.create("/v2/lbaas/loadbalancers", `{"loadbalancer": {"vip_subnet_id": "`+subnet+`"}}`)
	f.settle(id)
	return id
}

// settle does what a worker would: everything pending becomes ACTIVE or goes.
func (f *fixture) settle(lbID string) {
	f.t.Helper()
	err := f.store.Tx(f.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		tree, err := tx.Tree(ctx, lbID)
		if err != nil {
			return err
		}
		lb := &tree.LoadBalancer
		lb.ProvisioningStatus = settled(lb.ProvisioningStatus)
		if err := db.Update(ctx, tx, lb, "provisioning_status"); err != nil {
			return err
		}
		for i := range tree.Listeners {
			for j := range tree.Listeners[i].Policies {
				if err := settlePolicy(ctx, tx, &tree.Listeners[i].Policies[j]); err != nil {
					return err
				}
			}
			l := &tree.Listeners[i].Listener
			if err := settleRow(ctx, tx, l, l.ID, &l.ProvisioningStatus); err != nil {
				return err
			}
		}
		for i := range tree.Pools {
			if err := settlePool(ctx, tx, &tree.Pools[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

func settlePolicy(ctx context.Context, tx *db.Tx, p *db.L7PolicyTree) error {
	for i := range p.Rules {
		r := &p.Rules[i]
		if err := settleRow(ctx, tx, r, r.ID, &r.ProvisioningStatus); err != nil {
			return err
		}
	}
	return settleRow(ctx, tx, &p.L7Policy, p.ID, &p.ProvisioningStatus)
}

func settlePool(ctx context.Context, tx *db.Tx, p *db.PoolTree) error {
	for i := range p.Members {
		m := &p.Members[i]
		if err := settleRow(ctx, tx, m, m.ID, &m.ProvisioningStatus); err != nil {
			return err
		}
	}
	if m := p.Monitor; m != nil {
		if err := settleRow(ctx, tx, m, m.ID, &m.ProvisioningStatus); err != nil {
			return err
		}
	}
	return settleRow(ctx, tx, &p.Pool, p.ID, &p.ProvisioningStatus)
}

func settleRow[M any](ctx context.Context, tx *db.Tx, row *M, id string, status *string) error {
	if *status == db.PendingDelete {
		return db.Delete[M](ctx, tx, id)
	}
	*status = settled(*status)
	return db.Update(ctx, tx, row, "provisioning_status")
}

func settled(status string) string {
	if status == db.PendingDelete {
		return db.Deleted
	}
	return db.Active
}

// setStatus puts a load balancer into a status.
func (f *fixture) setStatus(lbID, status string) {
	f.t.Helper()
	err := f.store.Tx(f.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		return db.Update(ctx, tx, &db.LoadBalancer{ID: lbID, ProvisioningStatus: status}, "provisioning_status")
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// faultText is the text of a fault of either shape.
func faultText(a answer) string {
	var body struct {
		Text        string `json:"faultstring"`
		Description string `json:"description"`
	}
	if json.Unmarshal(a.body, &body) != nil {
		return string(a.body)
	}
	if body.Text == "" {
		return body.Description
	}
	return body.Text
}

// wrong is a request that must be refused.
type wrong struct {
	name, method, path, body string
	status                   int
	fault                    string // exact
}

// refuse runs requests that must be refused, with this status and text.
func (f *fixture) refuse(cases ...wrong) {
	f.t.Helper()
	for _, c := range cases {
		a := f.do(c.method, c.path, c.body)
		if got := faultText(a); a.status != c.status || got != c.fault {
			f.t.Errorf("%s: %s %s %s:\n got %d %s\nwant %d %s", c.name, c.method, c.path, c.body, a.status, got, c.status, c.fault)
		}
	}
}

// expect compares attributes of an object: path, value, path, value …, values as JSON.
func expect(tb testing.TB, o object, pairs ...string) {
	tb.Helper()
	for pair := range slices.Chunk(pairs, 2) {
		if got := show(o.at(pair[0])); got != pair[1] {
			tb.Errorf("%s: got %s, want %s", pair[0], got, pair[1])
		}
	}
}
