package health

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/ottavino/ottavino/amphora/heartbeat"
)

// letter is a verified heartbeat that waits to be handled.
type letter struct {
	heartbeat.Message
	received time.Time
}

// inbox holds at most one letter per amphora: only the newest is of interest, but for the counters of the others.
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

// put returns the letter that is not to be handled any more, if there is one: an older one of the amphora, or this one when the
// inbox is full.
func (in *inbox) put(l letter) (instead letter, full bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	instead, waits := in.waiting[l.ID]
	if !waits {
		if len(in.order) >= in.limit {
			return l, true
		}
		in.order = append(in.order, l.ID)
	}
	in.waiting[l.ID] = l
	in.arrived.Signal()
	return instead, false
}

// take waits for the oldest letter; false when the inbox is closed and empty.
func (in *inbox) take() (letter, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.order) == 0 && !in.closed {
		in.arrived.Wait()
	}
	if len(in.order) == 0 {
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
		m.sort(ctx, letter{message, m.Now()}, from)
	}
}

// sort finds out what a verified heartbeat is good for.
func (m *Manager) sort(ctx context.Context, l letter, from netip.AddrPort) {
	switch m.pulse.order(l.Message) {
	case late:
		m.metrics.heartbeats.WithLabelValues("overtaken").Inc()
		m.pulse.owe(l.Message)
	case repeated:
		m.metrics.heartbeats.WithLabelValues("repeated").Inc()
		m.Log.InfoContext(ctx, "heartbeat ignored: it is not newer than the last", "amphora_id", l.ID, "from", from, "seq", l.Seq)
	case newest:
		instead, full := m.inbox.put(l)
		m.pulse.owe(instead.Message)
		if full {
			m.metrics.heartbeats.WithLabelValues("dropped").Inc()
			m.Log.WarnContext(ctx, "heartbeat dropped: too many wait", "amphora_id", l.ID)
		}
	}
}
