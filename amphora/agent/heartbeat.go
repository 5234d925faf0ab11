package agent

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ottavino/ottavino/amphora/heartbeat"
)

// look is how often haproxy is asked whether anything changed. A change is told at once; otherwise a heartbeat is sent
// every heartbeat_interval, as upstream's.
const look = time.Second

// counters are haproxy's totals of a frontend since it started.
type counters struct {
	In       int64 `json:"bin"`
	Out      int64 `json:"bout"`
	Errors   int64 `json:"ereq"`
	Sessions int64 `json:"stot"`
}

// sender sends heartbeats.
type sender struct {
	agent *Agent
	seq   int64
	next  int                 // of the controllers
	told  map[string]counters // what the controllers have been told, by listener
	state string              // of everything, as it was told last
	sent  time.Time
}

// beat sends heartbeats until ctx ends.
func (a *Agent) beat(ctx context.Context) error {
	s := &sender{agent: a, told: map[string]counters{}}
	if text, err := os.ReadFile(s.file()); err == nil {
		_ = json.Unmarshal(text, &s.told) // unreadable: totals count as new
	}
	t := time.NewTicker(look)
	defer t.Stop()
	for {
		s.tick(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

func (s *sender) file() string {
	return filepath.Join(s.agent.config().BasePath, "stats_counters.json")
}

func (s *sender) tick(ctx context.Context) {
	m, totals := s.agent.measure()
	state := stateOf(m)
	conf := s.agent.config()
	if state == s.state && time.Since(s.sent) < conf.HeartbeatInterval-look/2 {
		return
	}
	for id, now := range totals {
		l := m.Listeners[id]
		was := s.told[id]
		l.Stats.RX, l.Stats.TX = since(now.In, was.In), since(now.Out, was.Out)
		l.Stats.EReq, l.Stats.TotConns = since(now.Errors, was.Errors), since(now.Sessions, was.Sessions)
		m.Listeners[id] = l
	}
	m.ID, m.Seq, m.Ver = conf.AmphoraID, s.seq, heartbeat.Version
	if !s.send(ctx, conf, m) {
		return
	}
	s.seq++
	s.state, s.sent = state, time.Now()
	if !maps.Equal(s.told, totals) {
		s.told = totals
		if text, err := json.Marshal(totals); err == nil {
			_ = replaceFile(s.file(), text, 0o640)
		}
	}
}

// since is what was counted since last time; haproxy starts anew when it is started anew.
func since(now, was int64) int64 {
	if now < was {
		return now
	}
	return now - was
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
func (s *sender) send(ctx context.Context, conf Config, m heartbeat.Message) bool {
	if len(conf.Controllers) == 0 {
		return false
	}
	datagram, err := heartbeat.Encode(m, []byte(conf.HeartbeatKey))
	if err != nil {
		s.agent.log.ErrorContext(ctx, "heartbeat not encoded", "error", err)
		return false
	}
	to := conf.Controllers[s.next%len(conf.Controllers)]
	s.next++
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", to)
	if err == nil {
		_, err = conn.Write(datagram)
		_ = conn.Close()
	}
	if err != nil {
		s.agent.log.DebugContext(ctx, "heartbeat not sent", "controller", to, "error", err)
	}
	return true
}

// measure asks every running haproxy for its state.
func (a *Agent) measure() (heartbeat.Message, map[string]counters) {
	m := heartbeat.Message{Listeners: map[string]heartbeat.Listener{}, Pools: map[string]heartbeat.Pool{}}
	totals := map[string]counters{}
	ids, err := a.haproxy.ids()
	if err != nil {
		return m, totals
	}
	for _, id := range ids {
		if !a.haproxy.running(id) {
			continue
		}
		text, err := a.haproxy.command(id, "show stat")
		if err != nil {
			continue
		}
		readStats(string(text), m, totals, func(server string) bool { return a.haproxy.left(id, server) })
	}
	a.measureUDP(m, totals)
	return m, totals
}

// readStats reads haproxy's CSV into the message, without the servers that are removed and only serve their last connections.
func readStats(text string, m heartbeat.Message, totals map[string]counters, left func(server string) bool) {
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "# "))).ReadAll()
	if err != nil || len(rows) == 0 {
		return
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, row := range rows[1:] {
		get := func(name string) string {
			if i, ok := column[name]; ok && i < len(row) {
				return row[i]
			}
			return ""
		}
		if !left(get("pxname") + "/" + get("svname")) {
			readRow(get, m, totals)
		}
	}
}

func readRow(get func(string) string, m heartbeat.Message, totals map[string]counters) {
	proxy := get("pxname")
	if strings.Contains(proxy, "prometheus") {
		return
	}
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(get(name), 10, 64)
		return n
	}
	switch server := get("svname"); {
	case server == "FRONTEND":
		m.Listeners[proxy] = heartbeat.Listener{Status: get("status"), Stats: heartbeat.Stats{Conns: number("scur")}}
		totals[proxy] = counters{In: number("bin"), Out: number("bout"), Errors: number("ereq"), Sessions: number("stot")}
	case strings.Count(proxy, ":") != 1:
	case server == "BACKEND":
		pool := poolOf(m, proxy)
		pool.Status = get("status")
		m.Pools[proxy] = pool
	default:
		pool := poolOf(m, proxy)
		status := get("status")
		if status == "UP" && get("weight") == "0" {
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
