package health_test

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/heartbeat"
	"github.com/ottavino/ottavino/compute"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbtest"
	"github.com/ottavino/ottavino/internal/await"
	"github.com/ottavino/ottavino/worker/health"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var key = []byte("insecure")

// agents answer, or not.
type agents struct{ silent bool }

func (a agents) Info(context.Context, amphora.Target) (amphora.Info, error) {
	if a.silent {
		return amphora.Info{}, &amphora.AgentError{Op: "info", NotReady: true, Err: errors.New("no answer")}
	}
	return amphora.Info{}, nil
}

// rig is a health manager with a load balancer in its database.
type rig struct {
	t       *testing.T
	store   *db.Store
	servers *compute.Noop
	manager *health.Manager
	metrics *prometheus.Registry
	url     string // of the database
	seq     int64

	lb, listener, pool, amphora string
	members                     [2]string
}

func newRig(t *testing.T, e dbtest.Engine, a agents, tweak func(*health.Config)) *rig {
	t.Helper()
	r := prepare(t, e)
	r.run(a, r.servers, tweak)
	return r
}

// prepare makes a rig whose manager does not run yet.
func prepare(t *testing.T, e dbtest.Engine) *rig {
	t.Helper()
	r := &rig{t: t, url: dbtest.Server(t, e), servers: compute.NewNoop(), metrics: prometheus.NewRegistry()}
	r.store = dbtest.Open(t, db.Config{URL: r.url})
	r.fill()
	return r
}

// run starts the manager; stop may be called before the test ends.
func (r *rig) run(a agents, nova health.Compute, tweak func(*health.Config)) (stop func()) {
	t := r.t
	t.Helper()
	cfg := health.Config{
		Bind: netip.MustParseAddrPort("127.0.0.1:0"), Keys: [][]byte{key}, Flush: 10 * time.Millisecond,
		Interval: time.Second, Timeout: time.Minute, Scan: 10 * time.Millisecond,
	}
	if tweak != nil {
		tweak(&cfg)
	}
	m, err := health.New(cfg, health.Deps{Store: r.store, Compute: nova, Agent: a, Metrics: r.metrics})
	if err != nil {
		t.Fatal(err)
	}
	r.manager = m
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// heartbeats counts those that something became of.
func (r *rig) heartbeats(what string) int {
	r.t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "ottavino_heartbeats_total" && m.GetLabel()[0].GetValue() == what {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	return 0
}

// sql is another connection to the database.
func (r *rig) sql() *sql.Conn {
	r.t.Helper()
	pool, err := sql.Open("sqlite3", strings.TrimPrefix(r.url, "sqlite:///"))
	if err != nil {
		r.t.Fatal(err)
	}
	conn, err := pool.Conn(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = errors.Join(conn.Close(), pool.Close()) })
	return conn
}

func exec(t *testing.T, conn *sql.Conn, statement string) {
	t.Helper()
	if _, err := conn.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func ptr[T any](v T) *T { return &v }

func (r *rig) fill() {
	r.t.Helper()
	r.lb, r.listener, r.pool, r.amphora = uuid.NewString(), uuid.NewString(), uuid.NewString(), uuid.NewString()
	r.members = [2]string{uuid.NewString(), uuid.NewString()}
	err := r.store.Tx(r.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		err := errors.Join(
			db.Insert(ctx, tx, &db.LoadBalancer{ID: r.lb, ProvisioningStatus: db.Active, OperatingStatus: db.Offline, Enabled: true}),
			db.Insert(ctx, tx, &db.VIP{LoadBalancerID: r.lb, VNICType: "normal"}),
			db.Insert(ctx, tx, &db.Pool{ID: r.pool, LoadBalancerID: &r.lb, Protocol: "HTTP", LBAlgorithm: "ROUND_ROBIN", ProvisioningStatus: db.Active, OperatingStatus: db.Offline, Enabled: true}),
			db.Insert(ctx, tx, &db.Listener{ID: r.listener, LoadBalancerID: &r.lb, Protocol: "HTTP", ProtocolPort: 80, DefaultPoolID: &r.pool, ProvisioningStatus: db.Active, OperatingStatus: db.Offline, Enabled: true, ClientAuthentication: "NONE"}),
			db.Insert(ctx, tx, &db.Amphora{ID: r.amphora, LoadBalancerID: &r.lb, Status: db.Allocated, LBNetworkIP: ptr("127.0.0.1")}),
		)
		for i, id := range r.members {
			err = errors.Join(err, db.Insert(ctx, tx, &db.Member{ID: id, PoolID: r.pool, IPAddress: ptr("10.0.0.1"), ProtocolPort: 80 + i, ProvisioningStatus: db.Active, OperatingStatus: db.Offline, Enabled: true, VNICType: "normal"}))
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) beat(members ...string) {
	r.t.Helper()
	r.send(r.message(members...))
	r.seq++
}

// message is what an amphora with these members says next.
func (r *rig) message(members ...string) heartbeat.Message {
	pool := heartbeat.Pool{Status: "UP", Members: map[string]string{}}
	for i, word := range members {
		pool.Members[r.members[i]] = word
	}
	return heartbeat.Message{
		ID: r.amphora, Seq: r.seq, Ver: heartbeat.Version,
		Listeners: map[string]heartbeat.Listener{r.listener: {Status: "OPEN", Stats: heartbeat.Stats{TX: 10, RX: 5, TotConns: 1}}},
		Pools:     map[string]heartbeat.Pool{r.pool + ":" + r.listener: pool},
	}
}

func (r *rig) send(m heartbeat.Message) {
	r.t.Helper()
	datagram, err := heartbeat.Encode(m, key)
	if err != nil {
		r.t.Fatal(err)
	}
	conn, err := net.Dial("udp", r.manager.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(datagram); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) tree() *db.Tree {
	r.t.Helper()
	var tree *db.Tree
	err := r.store.Read(r.t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		tree, err = tx.Tree(ctx, r.lb)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return tree
}

func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	await.Until(r.t, 10*time.Second, what, ok)
}

// statuses are the operating statuses of load balancer, listener, pool and members.
func (r *rig) statuses() [5]string {
	t := r.tree()
	out := [5]string{t.LoadBalancer.OperatingStatus, t.Listeners[0].OperatingStatus, t.Pools[0].OperatingStatus}
	for _, m := range t.Pools[0].Members {
		for i, id := range r.members {
			if m.ID == id {
				out[3+i] = m.OperatingStatus
			}
		}
	}
	return out
}

// TestStatusesAndStatistics follows what amphorae report, on each engine.
func TestStatusesAndStatistics(t *testing.T) {
	for _, e := range dbtest.Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, e, agents{}, nil)
			for _, c := range []struct {
				words [2]string
				want  [5]string
			}{
				{[2]string{"UP", "UP"}, [5]string{"ONLINE", "ONLINE", "ONLINE", "ONLINE", "ONLINE"}},
				{[2]string{"UP", "DOWN"}, [5]string{"DEGRADED", "ONLINE", "DEGRADED", "ONLINE", "ERROR"}},
				{[2]string{"no check", "DRAIN"}, [5]string{"ONLINE", "ONLINE", "ONLINE", "NO_MONITOR", "DRAINING"}},
				{[2]string{"UP 1/3", "MAINT"}, [5]string{"ONLINE", "ONLINE", "ONLINE", "ONLINE", "OFFLINE"}},
			} {
				r.beat(c.words[0], c.words[1])
				r.until("statuses are those of "+c.words[0]+" and "+c.words[1], func() bool { return r.statuses() == c.want })
			}
			var stats []db.ListenerStatistics
			r.until("four heartbeats are counted", func() bool {
				err := r.store.Read(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
					stats, err = db.Where[db.ListenerStatistics](ctx, tx, "listener_id = ?", r.listener)
					return err
				})
				return err == nil && len(stats) == 1 && stats[0].BytesOut == 40 && stats[0].BytesIn == 20 && stats[0].TotalConnections == 4
			})
			r.until("liveness is stored", func() bool {
				var rows []db.AmphoraHealth
				err := r.store.Read(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
					rows, err = db.Where[db.AmphoraHealth](ctx, tx, "amphora_id = ?", r.amphora)
					return err
				})
				return err == nil && len(rows) == 1 && time.Since(rows[0].LastUpdate) < 10*time.Second
			})
		})
	}
}

func TestForgedHeartbeatsAreIgnored(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite, agents{}, func(c *health.Config) { c.Keys = [][]byte{[]byte("another")} })
	r.beat("UP", "UP")
	honest := newRig(t, dbtest.SQLite, agents{}, nil)
	honest.beat("UP", "UP")
	honest.until("an honest one is heard", func() bool { return honest.statuses()[0] == "ONLINE" })
	if got := r.statuses(); got[0] != "OFFLINE" {
		t.Errorf("a forged heartbeat changed statuses: %v", got)
	}
}
