package health

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/ottavino/ottavino/amphora/heartbeat"
)

// letter is a verified heartbeat that waits to be handled.
type letter struct {
	heartbeat.Message
	received time.Time
}

// inbox holds at most one letter per amphora: when a newer one arrives before the older was read, they
// become one, with the newer states and the sum of the counters.
type inbox struct {
	mu      sync.Mutex
	arrived *sync.Cond
	waiting map[string]letter
	order   []string // ids in order of arrival
	limit   int
	closed  bool
}

func newInbox(limit int) *inbox {
	in := &inbox{waiting: map[string]letter{}, limit: limit}
	in.arrived = sync.NewCond(&in.mu)
	return in
}

// put returns false when the inbox is full.
func (in *inbox) put(l letter) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	old, waits := in.waiting[l.ID]
	if waits {
		l.Message = merge(old.Message, l.Message)
	} else {
		if len(in.order) >= in.limit {
			return false
		}
		in.order = append(in.order, l.ID)
	}
	in.waiting[l.ID] = l
	in.arrived.Signal()
	return true
}

// take waits for the oldest letter; false when the inbox is closed.
func (in *inbox) take() (letter, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.order) == 0 && !in.closed {
		in.arrived.Wait()
	}
	if in.closed {
		return letter{}, false
	}
	id := in.order[0]
	in.order = in.order[1:]
	l := in.waiting[id]
	delete(in.waiting, id)
	return l, true
}

func (in *inbox) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	in.arrived.Broadcast()
}

// deltas is the first version of heartbeats whose counters are since the last message.
const deltas = 3

func merge(old, newer heartbeat.Message) heartbeat.Message {
	if newer.Ver < deltas {
		return newer
	}
	for id, was := range old.Listeners {
		is, ok := newer.Listeners[id]
		if !ok {
			continue
		}
		is.Stats.TX += was.Stats.TX
		is.Stats.RX += was.Stats.RX
		is.Stats.TotConns += was.Stats.TotConns
		is.Stats.EReq += was.Stats.EReq
		newer.Listeners[id] = is
	}
	return newer
}

// maxDatagram is the most that UDP carries.
const maxDatagram = 65536

func (m *Manager) receive(ctx context.Context) error {
	buffer := make([]byte, maxDatagram)
	for {
		n, from, err := m.conn.ReadFromUDPAddrPort(buffer)
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			m.Log.WarnContext(ctx, "cannot receive heartbeats", "error", err)
			if wait(ctx, time.Second) != nil {
				return nil
			}
			continue
		}
		message, err := heartbeat.Decode(buffer[:n], m.cfg.Keys...)
		if err != nil {
			m.metrics.heartbeats.WithLabelValues("refused").Inc()
			m.Log.WarnContext(ctx, "heartbeat refused", "from", from, "error", err)
			continue
		}
		if !m.pulse.advances(message.ID, message.Seq) {
			m.metrics.heartbeats.WithLabelValues("repeated").Inc()
			m.Log.InfoContext(ctx, "heartbeat ignored: it is not newer than the last", "amphora_id", message.ID, "from", from, "seq", message.Seq)
			continue
		}
		if !m.inbox.put(letter{message, m.Now()}) {
			m.metrics.heartbeats.WithLabelValues("dropped").Inc()
			m.Log.WarnContext(ctx, "heartbeat dropped: too many wait", "amphora_id", message.ID)
		}
	}
}
