package agent_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ottavino/ottavino/amphora/heartbeat"
)

// sums are the counters of all heartbeats, by listener, as a controller adds them up.
type sums struct {
	mu    sync.Mutex
	stats map[string]heartbeat.Stats
	last  int64 // number of the last heartbeat
	lost  int   // of heartbeats that did not count on
}

// count adds up what heartbeats tell until the test ends.
func (r *rig) count() *sums {
	s := &sums{stats: map[string]heartbeat.Stats{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 65536)
		for {
			n, _, err := r.beats.ReadFrom(buffer)
			if err != nil {
				return
			}
			m, err := heartbeat.Decode(buffer[:n], []byte(beatKey))
			if err != nil {
				r.t.Error(err)
				return
			}
			s.add(m)
		}
	}()
	r.t.Cleanup(func() {
		_ = r.beats.SetReadDeadline(time.Now())
		<-done
	})
	return s
}

func (s *sums) add(m heartbeat.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Seq <= s.last {
		s.lost++
	}
	s.last = m.Seq
	for id, l := range m.Listeners {
		was := s.stats[id]
		s.stats[id] = heartbeat.Stats{
			TX: was.TX + l.Stats.TX, RX: was.RX + l.Stats.RX, Conns: l.Stats.Conns,
			TotConns: was.TotConns + l.Stats.TotConns, EReq: was.EReq + l.Stats.EReq,
		}
	}
}

func (s *sums) of(id string) heartbeat.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats[id]
}

func (s *sums) number() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// echo is a member that sends back what it gets, and counts.
type echo struct {
	port     int
	in, out  atomic.Int64
	sessions atomic.Int64
}

func (r *rig) echo() *echo {
	r.t.Helper()
	l, err := net.Listen("tcp", outside+":0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = l.Close() })
	e := &echo{port: l.Addr().(*net.TCPAddr).Port}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			e.sessions.Add(1)
			go e.serve(conn)
		}
	}()
	return e
}

func (e *echo) serve(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, 16384)
	for {
		n, err := conn.Read(buffer)
		e.in.Add(int64(n))
		if err != nil {
			return
		}
		n, err = conn.Write(buffer[:n])
		e.out.Add(int64(n))
		if err != nil {
			return
		}
	}
}

// relay is a site with a TCP listener L2 at port 81 in front of an echo. round makes another file, which takes a reload.
func (r *rig) relay(e *echo, round int) {
	r.t.Helper()
	r.apply(r.site(site{more: fmt.Sprintf(`
frontend L2
    maxconn %[3]d
    bind %[4]s:81
    mode tcp
    default_backend P2:L2
    timeout client 30000

backend P2:L2
    mode tcp
    timeout connect 1000
    timeout server 30000
    server M2 %[1]s:%[2]d weight 1
`, outside, e.port, 900+round, vip)}))
}

// talker is a client of L2 who counts.
type talker struct {
	t        *testing.T
	conn     net.Conn
	in, out  *atomic.Int64
	sessions *atomic.Int64
}

type crowd struct{ in, out, sessions atomic.Int64 }

func (c *crowd) join(t *testing.T) *talker {
	t.Helper()
	conn, err := net.Dial("tcp", vip+":81")
	if err != nil {
		t.Fatal(err)
	}
	c.sessions.Add(1)
	return &talker{t: t, conn: conn, in: &c.in, out: &c.out, sessions: &c.sessions}
}

// say sends n bytes and waits for them to come back.
func (k *talker) say(n int) {
	k.t.Helper()
	words, back := make([]byte, n), make([]byte, n)
	_, _ = rand.Read(words)
	sent, err := k.conn.Write(words)
	k.out.Add(int64(sent))
	if err == nil {
		var got int
		got, err = io.ReadFull(k.conn, back)
		k.in.Add(int64(got))
	}
	if err != nil {
		k.t.Error(err)
	}
}

func (k *talker) leave() { _ = k.conn.Close() }

// agree waits until heartbeats, clients and member have counted the same: to the byte.
func (r *rig) agree(when string, s *sums, c *crowd, e *echo) {
	r.t.Helper()
	want := heartbeat.Stats{RX: c.out.Load(), TX: c.in.Load(), TotConns: c.sessions.Load()}
	deadline := time.Now().Add(15 * time.Second)
	for {
		got := s.of("L2")
		got.Conns = 0
		if got == want {
			break
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: heartbeats tell %+v, clients counted %+v", when, got, want)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if in, out, n := e.in.Load(), e.out.Load(), e.sessions.Load(); in != want.RX || out != want.TX || n != want.TotConns {
		r.t.Errorf("%s: the member counted %d in, %d out, %d connections; clients %+v", when, in, out, n, want)
	}
}

// TestCountersAreExact over whatever happens to haproxy and the agent, as long as haproxy can be asked.
func TestCountersAreExact(t *testing.T) {
	r := newRig(t).plugged()
	e, c, s := r.echo(), &crowd{}, r.count()
	r.relay(e, 0)
	r.until("the listener serves", func() bool {
		conn, err := net.Dial("tcp", vip+":81")
		if err != nil {
			return false
		}
		c.sessions.Add(1)
		return conn.Close() == nil
	})
	k := c.join(t)
	k.say(10_000)
	k.leave()
	r.agree("at first", s, c, e)

	// Connections of three generations of workers. haproxy counts their bytes when they end.
	var stay []*talker
	for round := range 3 {
		stay = append(stay, c.join(t))
		passing := c.join(t)
		passing.say(3000)
		r.relay(e, round+1)
		passing.say(777) // in the old worker
		passing.leave()
		for _, k := range stay {
			k.say(1000 + round)
		}
	}
	for _, k := range stay {
		k.leave()
	}
	r.agree("after reloads", s, c, e)
	r.until("old workers have ended", func() bool { return r.workersThere() == 1 })

	idle, before, old := c.join(t), c.join(t), c.join(t)
	before.say(5000)
	old.say(6000)
	r.relay(e, 4)
	k = c.join(t)
	k.say(7000)
	r.stop() // as in an upgrade of its package
	before.leave()
	r.run()
	for _, k := range []*talker{old, k} {
		k.say(123)
		k.leave()
	}
	r.agree("after a restart of the agent", s, c, e)
	idle.leave() // with it, the old worker ends
	r.until("the old worker has ended", func() bool { return r.workersThere() == 1 })

	k = c.join(t)
	k.say(4321)
	k.leave()
	r.agree("before haproxy crashes", s, c, e)
	worker := r.worker()
	if err := syscall.Kill(worker, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.until("another haproxy serves", func() bool {
		info, err := r.tryHAProxy("show info")
		return err == nil && pidIn(info) != 0 && pidIn(info) != worker
	})
	k = c.join(t)
	k.say(99)
	k.leave()
	r.agree("after a crash", s, c, e)

	// As when the amphora is rebooted: the agent ends, haproxy is gone, and both are started.
	k = c.join(t)
	k.say(2468)
	k.leave()
	r.until("haproxy has counted it", func() bool { return r.talking() == 0 }) // it does so when a connection has ended
	r.stop()
	master := r.master()
	if err := syscall.Kill(master, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.until("haproxy has ended", func() bool { return syscall.Kill(master, 0) != nil })
	r.run()
	k = c.join(t)
	k.say(1357)
	k.leave()
	r.agree("after a reboot", s, c, e)
	if s.lost != 0 {
		t.Errorf("%d heartbeats have numbers that are not newer: controllers drop them", s.lost)
	}
}

// talking is how many connections clients have, as the serving worker knows.
func (r *rig) talking() int {
	out, err := r.tryHAProxy("show stat")
	if err != nil {
		return -1
	}
	n := 0
	for line := range strings.Lines(out) {
		if f := strings.Split(line, ","); len(f) > 4 && f[1] == "FRONTEND" {
			now, err := strconv.Atoi(f[4])
			if err != nil {
				return -1
			}
			n += now
		}
	}
	return n
}

// workersThere counts haproxy's workers, old ones too.
func (r *rig) workersThere() int {
	r.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", r.master()))
	if err != nil {
		r.t.Fatal(err)
	}
	return len(strings.Fields(string(text)))
}

// TestCountersWithoutReceiver: what nobody takes is told again, to the next; what cannot be noted is told later.
func TestCountersWithoutReceiver(t *testing.T) {
	r := newRig(t).plugged()
	address := r.beats.LocalAddr().String()
	e, c := r.echo(), &crowd{}
	r.relay(e, 0)
	_ = r.beats.Close() // the health manager is restarted
	for range 3 {
		k := c.join(t)
		k.say(1000)
		k.leave()
		r.until("a heartbeat goes nowhere", func() bool { return r.noted()["stot"] == float64(c.sessions.Load()) })
	}
	var err error
	if r.beats, err = net.ListenPacket("udp", address); err != nil {
		t.Fatal(err)
	}
	s := r.count()
	r.agree("after the receiver's restart", s, c, e)
}

// TestCountersOnAFullDisk: they are told when they can be noted, and not twice.
func TestCountersOnAFullDisk(t *testing.T) {
	r := newRig(t, smallDisk).plugged()
	e, c, s := r.echo(), &crowd{}, r.count()
	r.relay(e, 0)
	k := c.join(t)
	k.say(100)
	k.leave()
	r.agree("before", s, c, e)
	free := r.fillDisk()
	k = c.join(t)
	k.say(5000)
	k.leave()
	before := s.number()
	r.until("two more heartbeats", func() bool { return s.number() > before+1 })
	if got := s.of("L2").RX; got != 100 {
		t.Errorf("heartbeats tell %d bytes, which are noted nowhere", got)
	}
	free()
	r.agree("with space again", s, c, e)
}

func (r *rig) counters() string { return filepath.Join(r.dir, "octavia", "stats_counters.json") }

// noted is what the agent has on disk of L2.
func (r *rig) noted() map[string]any {
	var noted map[string]map[string]any
	if text, err := os.ReadFile(r.counters()); err == nil {
		err = json.Unmarshal(text, &noted)
		if err != nil {
			r.t.Error(err)
		}
	}
	return noted["L2"]
}

// TestCountersOfUpstream: the file is upstream's, and what its agent or an older one of ours noted counts as told.
func TestCountersOfUpstream(t *testing.T) {
	r := newRig(t).plugged()
	e, c, s := r.echo(), &crowd{}, r.count()
	r.relay(e, 0)
	k := c.join(t)
	k.say(100)
	k.leave()
	r.agree("before", s, c, e)
	told := c.sessions.Load()
	r.stop()
	for _, name := range []string{"bin", "bout", "ereq", "stot"} {
		if _, ok := r.noted()[name].(float64); !ok {
			t.Errorf("got %v, want %s of L2", r.noted(), name)
		}
	}
	k = c.join(t)
	k.say(50)
	k.leave()
	if err := os.WriteFile(r.counters(), fmt.Appendf(nil, `{"L2": {"bin": 100, "bout": 100, "ereq": 0, "stot": %d}}`, told), 0o600); err != nil {
		t.Fatal(err)
	}
	r.run()
	r.agree("with upstream's file", s, c, e)
}
