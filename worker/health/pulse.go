package health

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ottavino/ottavino/db"
)

// pulse remembers who was heard when, in memory: the database gets it in batches, and a
// slow database does not make a living amphora look dead.
type pulse struct {
	mu        sync.Mutex
	last      map[string]time.Time // by amphora
	fresh     map[string]time.Time // of those, not stored yet
	sequences map[string]sequence  // by amphora
	load      map[string]load      // what the stored counters of amphorae show
	owed      map[string]counts    // by amphora: counters that are not stored yet
	complaint map[string]time.Time // by load balancer or amphora
	stored    time.Time            // when storing last went well
}

// load is what counters showed last.
type load struct {
	listeners []string // that had counters
	active    bool     // there were connections
}

func newPulse() *pulse {
	return &pulse{
		last: map[string]time.Time{}, fresh: map[string]time.Time{},
		sequences: map[string]sequence{}, load: map[string]load{}, owed: map[string]counts{}, complaint: map[string]time.Time{},
	}
}

func (p *pulse) heard(id string, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last[id], p.fresh[id] = at, at
}

func (p *pulse) forget(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.last, id)
	delete(p.fresh, id)
	delete(p.sequences, id)
	delete(p.load, id)
	delete(p.owed, id)
}

// since counts the amphorae heard after t.
func (p *pulse) since(t time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, at := range p.last {
		if at.After(t) {
			n++
		}
	}
	return n
}

// lastHeard is the zero time when id was never heard by this process.
func (p *pulse) lastHeard(id string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last[id]
}

func (p *pulse) unflushed() map[string]time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.fresh)
}

func (p *pulse) flushed(batch map[string]time.Time, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, at := range batch {
		if p.fresh[id].Equal(at) {
			delete(p.fresh, id)
		}
	}
	p.stored = now
}

// storedAt is when the database last took our news.
func (p *pulse) storedAt() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stored
}

// counted says whether the counters of an amphora are worth a write: an idle amphora's are not,
// once it is known to be idle with these listeners.
func (p *pulse) counted(id string, rows []db.ListenerStatistics) bool {
	is, moved := load{listeners: make([]string, len(rows))}, false
	for i, r := range rows {
		is.listeners[i] = r.ListenerID
		is.active = is.active || r.ActiveConnections != 0
		moved = moved || r.BytesIn != 0 || r.BytesOut != 0 || r.TotalConnections != 0 || r.RequestErrors != 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.load[id]
	p.load[id] = is
	return len(rows) > 0 && (moved || is.active || was.active || !slices.Equal(is.listeners, was.listeners))
}

// uncounted notes that the counters of an amphora were not stored: the next ones are worth a write.
func (p *pulse) uncounted(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.load, id)
}

// complain says whether it is time to complain about a load balancer or an amphora (again).
func (p *pulse) complain(id string, now time.Time, every time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last, ok := p.complaint[id]; ok && now.Sub(last) < every {
		return false
	}
	p.complaint[id] = now
	return true
}

// keepOnly forgets everything about amphorae that are not in service any more.
func (p *pulse) keepOnly(inService map[string]bool, now time.Time, every time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.last {
		if !inService[id] {
			delete(p.last, id)
			delete(p.sequences, id)
			delete(p.load, id)
		}
	}
	maps.DeleteFunc(p.owed, func(id string, _ counts) bool { return !inService[id] })
	maps.DeleteFunc(p.complaint, func(_ string, at time.Time) bool { return now.Sub(at) > every })
}

// purse holds the tokens that replacing amphorae costs: burst at once, refilled over window.
type purse struct {
	burst  float64
	rate   float64 // tokens per second
	tokens float64
	filled time.Time
}

func newPurse(burst int, window time.Duration, now time.Time) *purse {
	return &purse{burst: float64(burst), rate: float64(burst) / window.Seconds(), tokens: float64(burst), filled: now}
}

// spend takes a token, if there is one. It is used by one goroutine.
func (p *purse) spend(now time.Time) bool {
	p.tokens = min(p.burst, p.tokens+p.rate*now.Sub(p.filled).Seconds())
	p.filled = now
	if p.tokens < 1 {
		return false
	}
	p.tokens--
	return true
}

// refund gives back a token that bought nothing.
func (p *purse) refund() { p.tokens = min(p.burst, p.tokens+1) }
