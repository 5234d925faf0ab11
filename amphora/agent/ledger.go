package agent

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// counters are what was counted of a frontend: bytes, errors, sessions.
type counters struct {
	In       int64 `json:"bin"`
	Out      int64 `json:"bout"`
	Errors   int64 `json:"ereq"`
	Sessions int64 `json:"stot"`
}

func (c counters) plus(d counters) counters {
	return counters{c.In + d.In, c.Out + d.Out, c.Errors + d.Errors, c.Sessions + d.Sessions}
}

func (c counters) minus(d counters) counters {
	return counters{c.In - d.In, c.Out - d.Out, c.Errors - d.Errors, c.Sessions - d.Sessions}
}

// since is what was counted since a reading. Who counts begins at 0 when it is started anew, or told to.
func (c counters) since(was counters) counters {
	if d := c.minus(was); min(d.In, d.Out, d.Errors, d.Sessions) >= 0 {
		return d
	}
	return c
}

// ledger is what was counted and not told yet. Workers of haproxy count from 0, several of them at once after a reload, and take
// their counters with them: what each had counted when it was read last is noted by its name, so that it counts once.
type ledger struct {
	base string

	mu     sync.Mutex                     // guards what follows; held over reading and noting, for readings must not overtake each other
	seen   map[string]map[string]counters // by worker and listener; the worker "" is the kernel, or not known
	at     map[string]string              // the worker that serves, by listener
	owed   map[string]counters            // by listener
	stored []byte
}

// newLedger reads what the agent before noted. What is unreadable counts anew.
func newLedger(base string) *ledger {
	l := &ledger{base: base, seen: map[string]map[string]counters{}, at: map[string]string{}, owed: map[string]counters{}}
	text, err := os.ReadFile(l.file())
	if err != nil {
		return l
	}
	var entries map[string]entry
	_ = json.Unmarshal(text, &entries)
	for id, e := range entries {
		l.at[id] = e.Worker
		l.put(e.Worker, id, e.counters)
		for worker, c := range e.Old {
			l.put(worker, id, c)
		}
		if e.Owed != (counters{}) {
			l.owed[id] = e.Owed
		}
	}
	return l
}

// file is upstream's; it also reads the counters that upstream's agent left there.
func (l *ledger) file() string { return filepath.Join(l.base, "stats_counters.json") }

// entry is a listener in the file: upstream's four numbers, which are those of the worker that serves, and ours.
type entry struct {
	counters
	Worker string              `json:"worker,omitempty"`
	Old    map[string]counters `json:"old,omitempty"` // of workers that serve their last connections
	Owed   counters            `json:"owed,omitzero"` // what the controllers have not been told
}

func (l *ledger) put(worker, id string, c counters) {
	if l.seen[worker] == nil {
		l.seen[worker] = map[string]counters{}
	}
	l.seen[worker][id] = c
}

// note takes a reading. The caller holds mu, since before it read.
func (l *ledger) note(worker string, reading map[string]counters) {
	for id, now := range reading {
		was, known := l.seen[worker][id]
		if !known { // an agent that knew no workers read it
			was = l.seen[""][id]
			delete(l.seen[""], id)
		}
		l.put(worker, id, now)
		if d := now.since(was); d != (counters{}) {
			l.owed[id] = l.owed[id].plus(d)
		}
	}
}

// serves notes which worker's numbers upstream's are. The caller holds mu.
func (l *ledger) serves(worker string, reading map[string]counters) {
	for id := range reading {
		l.at[id] = worker
	}
}

// forget drops the readings of workers that have ended; what they counted is owed.
func (l *ledger) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.seen, func(worker string, _ map[string]counters) bool { return worker != "" && ended(worker) })
}

// due is what is owed of some listeners.
func (l *ledger) due(listeners func(id string) bool) map[string]counters {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := maps.Clone(l.owed)
	maps.DeleteFunc(out, func(id string, _ counters) bool { return !listeners(id) })
	return out
}

// pay notes, on disk, that something is told. It comes before telling: an agent that dies in between must not tell it twice.
func (l *ledger) pay(told map[string]counters) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(told, counters.minus)
	err := l.store()
	if err != nil {
		l.add(told, counters.plus)
	}
	return err
}

// giveBack notes that what was paid was not taken.
func (l *ledger) giveBack(told map[string]counters) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(told, counters.plus)
	return l.store()
}

func (l *ledger) add(told map[string]counters, op func(a, b counters) counters) {
	for id, c := range told {
		l.owed[id] = op(l.owed[id], c)
		if l.owed[id] == (counters{}) {
			delete(l.owed, id)
		}
	}
}

// save notes everything on disk.
func (l *ledger) save() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.store()
}

func (l *ledger) store() error {
	entries := map[string]entry{}
	for id, c := range l.owed {
		entries[id] = entry{Owed: c}
	}
	for worker, reading := range l.seen {
		for id, c := range reading {
			e := entries[id]
			if worker == l.at[id] {
				e.counters, e.Worker = c, worker
			} else {
				if e.Old == nil {
					e.Old = map[string]counters{}
				}
				e.Old[worker] = c
			}
			entries[id] = e
		}
	}
	text, err := json.Marshal(entries)
	if err != nil || bytes.Equal(text, l.stored) {
		return err
	}
	if err := replaceFile(l.file(), text, 0o640); err != nil {
		return err
	}
	l.stored = text
	return nil
}

// workerName names a worker for all times: its pid, when it started, and since which boot that is counted; "" when it is gone.
func workerName(pid string) string {
	since, err := startTime(pid)
	if err != nil {
		return ""
	}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return pid + "@" + since + "@" + strings.TrimSpace(string(boot))
}

// ended says that no such worker is there.
func ended(worker string) bool {
	pid, _, _ := strings.Cut(worker, "@")
	return workerName(pid) != worker
}
