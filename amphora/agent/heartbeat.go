package agent

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/ottavino/ottavino/amphora/heartbeat"
)

// look is how often haproxy is asked whether anything changed. A change is told at once; otherwise a heartbeat is sent
// every heartbeat_interval, as upstream's.
const look = time.Second

// sender sends heartbeats.
type sender struct {
	agent *Agent
	seq   int64
	next  int    // of the controllers
	state string // of everything, as it was told last
	sent  time.Time
	post  postbox
	worry bool // about the disk, and said so
	large bool // too much to tell, likewise
}

// beat sends heartbeats until ctx ends. Numbers go on from those of the agent before, which a clock is good for: controllers that
// look at them drop what is not newer.
func (a *Agent) beat(ctx context.Context) error {
	s := &sender{agent: a, seq: time.Now().UnixMilli(), post: postbox{}}
	defer s.post.close()
	t := time.NewTicker(look)
	defer t.Stop()
	for {
		s.tick(ctx)
		select {
		case <-ctx.Done():
			s.leave(context.WithoutCancel(ctx))
			return nil
		case <-t.C:
		}
	}
}

// leave notes what was counted until now: after a reboot, those who counted it are gone.
func (s *sender) leave(ctx context.Context) {
	s.agent.measure(ctx)
	if err := s.agent.ledger.save(); err != nil {
		s.agent.log.ErrorContext(ctx, "counters not noted", "error", err)
	}
	ids, _ := s.agent.haproxy.ids()
	for _, id := range ids {
		s.agent.haproxy.letGo(id)
	}
}

func (s *sender) tick(ctx context.Context) {
	if s.agent.vrrp.has() && s.agent.vrrp.pid() == 0 {
		return // an amphora that cannot take part in VRRP is as good as dead to the controllers
	}
	m := s.agent.measure(ctx)
	state := stateOf(m)
	conf := s.agent.config()
	s.takeBack(ctx)
	if state == s.state && time.Since(s.sent) < conf.HeartbeatInterval-look/2 || len(conf.Controllers) == 0 {
		return
	}
	due := s.agent.ledger.due(func(id string) bool { _, ok := m.Listeners[id]; return ok })
	err := s.agent.ledger.pay(due)
	if err != nil { // they are told when that is noted; states are told at any rate
		due = nil
	}
	if failed := err != nil; failed != s.worry {
		s.worry = failed
		s.agent.log.WarnContext(ctx, "whether counters can be noted on disk has changed", "error", err)
	}
	for id, c := range due {
		l := m.Listeners[id]
		l.Stats.RX, l.Stats.TX, l.Stats.EReq, l.Stats.TotConns = c.In, c.Out, c.Errors, c.Sessions
		m.Listeners[id] = l
	}
	m.ID, m.Seq, m.Ver = conf.AmphoraID, s.seq, heartbeat.Version
	if err := s.send(ctx, conf, m, due); err != nil {
		s.agent.log.DebugContext(ctx, "heartbeat not sent", "error", err)
		s.giveBack(ctx, due)
	}
	s.seq++
	s.state, s.sent = state, time.Now()
}

// takeBack finds out which heartbeats nobody took. The next controller gets their counters at once.
func (s *sender) takeBack(ctx context.Context) {
	for _, refused := range s.post.refused() {
		s.giveBack(ctx, refused)
		s.sent = time.Time{}
	}
}

func (s *sender) giveBack(ctx context.Context, due map[string]counters) {
	if err := s.agent.ledger.giveBack(due); err != nil {
		s.agent.log.WarnContext(ctx, "counters not noted", "error", err)
	}
}

// stateOf is everything in a message but its numbers.
func stateOf(m heartbeat.Message) string {
	listeners := map[string]string{}
	for id, l := range m.Listeners {
		listeners[id] = l.Status
	}
	text, _ := json.Marshal([]any{listeners, m.Pools})
	return string(text)
}

// send sends to one controller, in turn.
func (s *sender) send(ctx context.Context, conf Config, m heartbeat.Message, due map[string]counters) error {
	datagram, left, err := heartbeat.EncodeToFit(m, []byte(conf.HeartbeatKey))
	if err != nil {
		return err
	}
	if large := len(left) > 0; large != s.large {
		s.large = large
		s.agent.log.WarnContext(ctx, "whether heartbeats can tell of all pools has changed", "left_out", left)
	}
	to := conf.Controllers[s.next%len(conf.Controllers)]
	s.next++
	return s.post.send(ctx, to, datagram, due)
}

// measure asks every running haproxy for its state, and has its counters noted.
func (a *Agent) measure(ctx context.Context) heartbeat.Message {
	m := heartbeat.Message{Listeners: map[string]heartbeat.Listener{}, Pools: map[string]heartbeat.Pool{}}
	ids, err := a.haproxy.ids()
	if err != nil {
		return m
	}
	for _, id := range ids {
		rows, err := a.haproxy.account(id)
		a.haproxy.noteAnswer(ctx, id, err)
		if err != nil {
			continue
		}
		a.haproxy.report(id, rows, m)
	}
	a.measureUDP(m)
	a.ledger.forget()
	return m
}

// report adds the states of a haproxy to a message. Servers that are removed and only serve their last connections are nobody's
// members, and a backend that has no others is as good as one without servers.
func (h *haproxy) report(id string, rows []statRow, m heartbeat.Message) {
	leaving := map[string]bool{} // backends
	for _, r := range rows {
		if h.left(id, r("pxname")+"/"+r("svname")) {
			leaving[r("pxname")] = true
			continue
		}
		readRow(r, m)
	}
	for backend := range leaving {
		if pool := m.Pools[backend]; len(pool.Members) == 0 && pool.Status == "DOWN" {
			pool.Status = "UP"
			m.Pools[backend] = pool
		}
	}
}

func readRow(r statRow, m heartbeat.Message) {
	proxy := r("pxname")
	if internal(proxy) {
		return
	}
	switch server := r("svname"); {
	case server == "FRONTEND":
		m.Listeners[proxy] = heartbeat.Listener{Status: r("status"), Stats: heartbeat.Stats{Conns: r.number("scur")}}
	case strings.Count(proxy, ":") != 1:
	case server == "BACKEND":
		pool := poolOf(m, proxy)
		pool.Status = r("status")
		m.Pools[proxy] = pool
	default:
		pool := poolOf(m, proxy)
		status := r("status")
		if status == "UP" && r("weight") == "0" {
			status = "DRAIN"
		}
		pool.Members[server] = status
		m.Pools[proxy] = pool
	}
}

func poolOf(m heartbeat.Message, proxy string) heartbeat.Pool {
	pool, ok := m.Pools[proxy]
	if !ok {
		pool.Members = map[string]string{}
	}
	return pool
}
