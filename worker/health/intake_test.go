package health_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ottavino/ottavino/amphora/heartbeat"
	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/compute"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbtest"
	"github.com/ottavino/ottavino/worker/health"
)

// statistics are the stored counters of the listener.
func (r *rig) statistics() db.ListenerStatistics {
	r.t.Helper()
	var rows []db.ListenerStatistics
	err := r.store.Read(r.t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		rows, err = db.Where[db.ListenerStatistics](ctx, tx, "listener_id = ?", r.listener)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	if len(rows) == 0 {
		return db.ListenerStatistics{}
	}
	return rows[0]
}

// TestOldHeartbeatsChangeNothing: neither a copy of one that was taken, nor one that comes late.
func TestOldHeartbeatsChangeNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite, agents{}, nil)
	early := r.message("DOWN", "DOWN")
	r.seq = 7
	copied := r.message("UP", "UP")
	r.beat("UP", "UP")
	r.until("the first counts", func() bool { return r.statistics().TotalConnections == 1 })
	r.send(copied)
	r.send(early)
	r.send(copied)
	r.beat("UP", "DOWN")
	r.until("the next counts", func() bool { return r.statuses()[4] == db.OpError })
	if got := r.statistics().TotalConnections; got != 2 {
		t.Errorf("got %d connections, want those of two heartbeats", got)
	}
}

// TestCountersOfAnIdleListener: they are stored once, as zeros, though the amphora was idle before it had a listener.
func TestCountersOfAnIdleListener(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite, agents{}, nil)
	m := heartbeat.Message{ID: r.amphora, Ver: heartbeat.Version}
	r.send(m)
	r.until("the first is handled", func() bool { return r.statuses()[0] == db.Online })
	m.Seq, m.Listeners = 1, map[string]heartbeat.Listener{r.listener: {Status: "OPEN"}}
	r.send(m)
	r.until("the listener has counters", func() bool { return r.statistics().ListenerID == r.listener })
}

// TestStartedAnew: an amphora's count begins at 0 again; its second heartbeat shows that this is no replay.
func TestStartedAnew(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite, agents{}, nil)
	r.seq = 1000
	r.beat("UP", "UP")
	r.until("the first counts", func() bool { return r.statuses()[0] == db.Online })
	r.seq = 0
	r.beat("UP", "DOWN")
	r.beat("DOWN", "DOWN")
	r.until("the second after the start counts", func() bool { return r.statuses()[3] == db.OpError })
	if got := r.statistics().TotalConnections; got != 3 {
		t.Errorf("got %d connections, want those of all heartbeats", got)
	}
}

// TestOvertaken: a heartbeat that comes after its successor counts, once, and changes no status.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite, agents{}, nil)
	r.beat("UP", "UP")
	r.until("the first counts", func() bool { return r.statistics().TotalConnections == 1 })
	overtaken := r.message("DOWN", "DOWN")
	r.seq++
	r.beat("UP", "UP")
	r.until("the third counts", func() bool { return r.statistics().TotalConnections == 2 })
	r.send(overtaken)
	r.send(overtaken)
	r.beat("UP", "UP")
	r.until("all four count", func() bool { return r.statistics().TotalConnections == 4 })
	r.beat("UP", "DOWN")
	r.until("the last counts", func() bool { return r.statistics().TotalConnections >= 5 })
	if got := r.statistics(); got.TotalConnections != 5 || got.BytesIn != 25 || got.BytesOut != 50 {
		t.Errorf("got %+v, want what five heartbeats tell", got)
	}
	if got := r.statuses()[3]; got != db.Online {
		t.Errorf("got a member %s, want no status of a heartbeat that was overtaken", got)
	}
}

// TestCountersOutliveTheirHeartbeat: they are stored with the next one when the database takes none, or a heartbeat waits too long.
func TestCountersOutliveTheirHeartbeat(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite, agents{}, nil)
	r.beat("UP", "UP")
	r.until("the first counts", func() bool { return r.statistics().TotalConnections == 1 })
	other := r.sql()
	exec(t, other, "ALTER TABLE listener_statistics RENAME TO elsewhere")
	for range 3 {
		r.beat("UP", "UP")
	}
	r.until("no heartbeat is stored any more", func() bool { return r.heartbeats("failed") > 0 })
	exec(t, other, "ALTER TABLE elsewhere RENAME TO listener_statistics")
	r.beat("UP", "UP")
	r.until("all count", func() bool { return r.statistics().TotalConnections >= 5 })
	if got := r.statistics(); got.TotalConnections != 5 || got.BytesIn != 25 || got.BytesOut != 50 {
		t.Errorf("got %+v, want what five heartbeats tell", got)
	}
}

// TestIdleAtLast: an amphora has no connections any more, and the database was away when it said so.
func TestIdleAtLast(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite, agents{}, nil)
	say := func(conns int64) {
		m := r.message("UP", "UP")
		m.Listeners[r.listener] = heartbeat.Listener{Status: "OPEN", Stats: heartbeat.Stats{Conns: conns}}
		r.send(m)
		r.seq++
	}
	say(3)
	r.until("connections are stored", func() bool { return r.statistics().ActiveConnections == 3 })
	other := r.sql()
	exec(t, other, "ALTER TABLE listener_statistics RENAME TO elsewhere")
	say(0)
	r.until("a heartbeat is not stored", func() bool { return r.heartbeats("failed") > 0 })
	exec(t, other, "ALTER TABLE elsewhere RENAME TO listener_statistics")
	r.until("there are none", func() bool { say(0); return r.statistics().ActiveConnections == 0 })
}

// TestEndOfTheManager: what it has received is stored before it ends.
func TestEndOfTheManager(t *testing.T) {
	t.Parallel()
	r := prepare(t, dbtest.SQLite)
	stop := r.run(agents{}, r.servers, func(c *health.Config) { c.Workers, c.Interval = 1, time.Minute })
	other := r.sql()
	exec(t, other, "BEGIN EXCLUSIVE")
	const n = 10
	for range n {
		r.beat("UP", "UP")
		r.send(heartbeat.Message{ID: r.amphora, Ver: heartbeat.Version}) // is refused, and tells that the one before was received
		r.until("it is received", func() bool { return r.heartbeats("repeated") == int(r.seq) })
	}
	ended := make(chan struct{})
	go func() {
		stop()
		close(ended)
	}()
	exec(t, other, "COMMIT")
	<-ended
	if got := r.statistics(); got.TotalConnections != n || got.BytesIn != 5*n {
		t.Errorf("got %+v, want what %d heartbeats tell", got, n)
	}
}

// TestStrangersAndZombies: an amphora in no row leaves no trace, and the server of a deleted one is deleted.
func TestStrangersAndZombies(t *testing.T) {
	t.Parallel()
	r := prepare(t, dbtest.SQLite)
	server, err := r.servers.CreateServer(t.Context(), compute.ServerSpec{Name: "amphora-zombie"})
	if err != nil {
		t.Fatal(err)
	}
	zombie, stranger := uuid.NewString(), uuid.NewString()
	err = r.store.Tx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		return db.Insert(ctx, tx, &db.Amphora{ID: zombie, LoadBalancerID: &r.lb, ComputeID: &server.ID, Status: db.Deleted})
	})
	if err != nil {
		t.Fatal(err)
	}
	r.run(agents{}, r.servers, nil)
	r.send(heartbeat.Message{ID: stranger, Ver: heartbeat.Version})
	r.send(heartbeat.Message{ID: zombie, Ver: heartbeat.Version})
	r.until("the zombie's server is gone", func() bool {
		_, err := r.servers.Server(t.Context(), server.ID)
		return cloud.IsGone(err)
	})
	r.beat("UP", "UP")
	r.until("an honest one is heard", func() bool { return r.statuses()[0] == db.Online })
	if got := r.statuses()[1]; got != db.Online {
		t.Errorf("got a listener that is %s", got)
	}
}

// TestALostListenerIsLookedAt: an amphora that does not run all it should makes the worker look, once.
func TestALostListenerIsLookedAt(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite, agents{}, nil)
	r.send(heartbeat.Message{ID: r.amphora, Ver: heartbeat.Version})
	var leases []db.Lease
	r.until("the load balancer is due", func() bool {
		var err error
		leases, err = r.store.Claim(t.Context(), "worker", 10, time.Minute)
		return err == nil && len(leases) == 1
	})
	if leases[0].LoadBalancerID != r.lb {
		t.Errorf("got %s due", leases[0].LoadBalancerID)
	}
	if got, want := r.statuses(), ([5]string{db.Online, db.OpError, db.Offline, db.Offline, db.Offline}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestOperatingStatuses goes through upstream's table of what is reported and what that makes of a load balancer.
func TestOperatingStatuses(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite, agents{}, nil)
	for _, c := range []struct {
		name     string
		listener string // "" = absent
		pool     string // "" = absent
		members  [2]string
		want     [5]string
	}{
		{"all up", "OPEN", "UP", [2]string{"UP", "UP"}, [5]string{"ONLINE", "ONLINE", "ONLINE", "ONLINE", "ONLINE"}},
		{"going down", "OPEN", "UP", [2]string{"DOWN 1/3", "UP 1/2"}, [5]string{"DEGRADED", "ONLINE", "DEGRADED", "ERROR", "ONLINE"}},
		{"all down", "OPEN", "DOWN", [2]string{"DOWN", "DOWN"}, [5]string{"ERROR", "ONLINE", "ERROR", "ERROR", "ERROR"}},
		{"full", "FULL", "UP", [2]string{"UP", "UP"}, [5]string{"DEGRADED", "DEGRADED", "ONLINE", "ONLINE", "ONLINE"}},
		{"no pool", "OPEN", "", [2]string{}, [5]string{"ONLINE", "ONLINE", "OFFLINE", "ONLINE", "ONLINE"}},
		{"words of tomorrow", "PAUSED", "MAYBE", [2]string{"RESTARTING", "???"}, [5]string{"ONLINE", "ONLINE", "OFFLINE", "ONLINE", "ONLINE"}},
		{"not checked", "OPEN", "UP", [2]string{"no check", "DRAIN"}, [5]string{"ONLINE", "ONLINE", "ONLINE", "NO_MONITOR", "DRAINING"}},
		{"members unknown to haproxy", "OPEN", "UP", [2]string{}, [5]string{"ONLINE", "ONLINE", "ONLINE", "NO_MONITOR", "OFFLINE"}},
		{"in maintenance", "OPEN", "DOWN", [2]string{"MAINT", "MAINT"}, [5]string{"ERROR", "ONLINE", "ERROR", "OFFLINE", "OFFLINE"}},
		{"nothing runs", "", "", [2]string{}, [5]string{"ONLINE", "ERROR", "OFFLINE", "OFFLINE", "OFFLINE"}},
	} {
		m := heartbeat.Message{ID: r.amphora, Seq: r.seq, Ver: heartbeat.Version, Pools: map[string]heartbeat.Pool{}, Listeners: map[string]heartbeat.Listener{}}
		r.seq++
		if c.listener != "" {
			m.Listeners[r.listener] = heartbeat.Listener{Status: c.listener, Stats: heartbeat.Stats{TotConns: 1}}
		}
		if c.pool != "" {
			words := map[string]string{}
			for i, w := range c.members {
				if w != "" {
					words[r.members[i]] = w
				}
			}
			m.Pools[r.pool+":"+r.listener] = heartbeat.Pool{Status: c.pool, Members: words}
		}
		before := r.statistics().TotalConnections
		r.send(m)
		if c.listener != "" { // its counter tells that it was handled, even if no status changes
			r.until(c.name+" is handled", func() bool { return r.statistics().TotalConnections > before })
		}
		r.until("statuses are those of "+c.name, func() bool { return c.listener != "" || r.statuses() == c.want })
		if got := r.statuses(); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// TestADisabledLoadBalancerIsOffline whatever its amphora says.
func TestADisabledLoadBalancerIsOffline(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite, agents{}, nil)
	r.beat("UP", "UP")
	r.until("it is ONLINE", func() bool { return r.statuses()[0] == db.Online })
	err := r.store.Tx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		return db.Update(ctx, tx, &db.LoadBalancer{ID: r.lb}, "enabled")
	})
	if err != nil {
		t.Fatal(err)
	}
	r.until("it is OFFLINE", func() bool { r.beat("UP", "UP"); return r.statuses()[0] == db.Offline })
}
