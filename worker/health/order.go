package health

import (
	"math"

	"github.com/ottavino/ottavino/amphora/heartbeat"
)

// place is where a heartbeat stands among those of its amphora.
type place int

const (
	newest   place = iota
	late           // another overtook it: its states are old, but its counters are in no other
	repeated       // it was taken, or cannot be told from one that was
)

// sequence is where an amphora's count of its heartbeats is.
type sequence struct {
	last int64
	// seen has bit i set when number last-i was taken, or may have been: by another health manager, or before this one began.
	seen uint64
	// held is the last that was not newer. It may be doubled, replayed, or the first of an agent that counts from 0 again: that
	// shows when the next one goes on from there.
	held *heartbeat.Message
}

// window is how many numbers back a heartbeat may come late.
const window = 64

// order finds the place of a heartbeat. What UDP does not tell is not known here either: one that never comes is not missed, and
// after a restart of the health manager a copy of an old one passes for the first.
func (p *pulse) order(m heartbeat.Message) place {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, known := p.sequences[m.ID]
	back := s.last - m.Seq
	switch {
	case !known:
		p.sequences[m.ID] = sequence{last: m.Seq, seen: math.MaxUint64}
		return newest
	case back < 0:
		s = sequence{last: m.Seq, seen: s.seen<<min(-back, window) | 1}
		p.sequences[m.ID] = s
		return newest
	case s.held != nil && m.Seq > s.held.Seq && back != 0:
		p.owes(*s.held)
		p.sequences[m.ID] = sequence{last: m.Seq, seen: math.MaxUint64}
		return newest
	case back < window && s.seen&(1<<back) == 0:
		s.seen |= 1 << back
		p.sequences[m.ID] = s
		return late
	}
	s.held = &m
	p.sequences[m.ID] = s
	return repeated
}

// counts are counters by listener.
type counts map[string]heartbeat.Stats

func plus(a, b heartbeat.Stats) heartbeat.Stats {
	return heartbeat.Stats{
		TX: a.TX + b.TX, RX: a.RX + b.RX, TotConns: a.TotConns + b.TotConns, EReq: a.EReq + b.EReq, Conns: a.Conns,
	}
}

// owe keeps the counters of a heartbeat that is not handled for the next one that is.
func (p *pulse) owe(m heartbeat.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owes(m)
}

func (p *pulse) owes(m heartbeat.Message) {
	if m.Ver < deltas { // the next has them all
		return
	}
	for id, l := range m.Listeners {
		if l.Stats = plus(heartbeat.Stats{}, l.Stats); l.Stats == (heartbeat.Stats{}) {
			continue
		}
		if p.owed[m.ID] == nil {
			p.owed[m.ID] = counts{}
		}
		p.owed[m.ID][id] = plus(p.owed[m.ID][id], l.Stats)
	}
}

// settle adds what is owed to the counters of a heartbeat that is handled.
func (p *pulse) settle(m heartbeat.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, l := range m.Listeners {
		if owed, ok := p.owed[m.ID][id]; ok && m.Ver >= deltas {
			l.Stats = plus(l.Stats, owed)
			m.Listeners[id] = l
			delete(p.owed[m.ID], id)
		}
	}
}
