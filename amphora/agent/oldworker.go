package agent

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// oldWorker serves its last connections after a reload. What it counts until the last of them ends is read over a session on its
// socket that was opened while it still listened: haproxy does not end a worker before that is closed. Without one (the agent was
// started meanwhile) it is read through the master, and what it counts last is lost: its last connection, whose bytes haproxy
// counts when it ends.
type oldWorker struct {
	pid  int
	name string
	conn *session // nil: none
}

// session is a connection to a worker's socket on which one command follows the other.
type session struct {
	conn   net.Conn
	reader *bufio.Reader
}

// prompt is how haproxy ends its answers in a session.
const prompt = "\n> "

func (h *haproxy) open(id string) (*session, error) {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.Dial("unix", h.adminSocket(id))
	if err != nil {
		return nil, err
	}
	s := &session{conn, bufio.NewReader(conn)}
	if _, err := s.ask("prompt"); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

func (s *session) close() {
	if s != nil {
		_ = s.conn.Close()
	}
}

func (s *session) ask(command string) (string, error) {
	if err := s.conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	if _, err := s.conn.Write([]byte(command + "\n")); err != nil {
		return "", err
	}
	var out strings.Builder
	for !strings.HasSuffix(out.String(), prompt) {
		part, err := s.reader.ReadString(prompt[len(prompt)-1])
		if err != nil {
			return "", err
		}
		out.WriteString(part)
	}
	return strings.TrimSuffix(out.String(), prompt), nil
}

// hold opens a session to the worker that serves, before it is replaced.
func (h *haproxy) hold(id string) (*oldWorker, error) {
	pid := h.current(id)
	w := &oldWorker{pid: pid, name: workerName(strconv.Itoa(pid))}
	s, err := h.open(id)
	if err != nil {
		return w, err
	}
	info, err := s.ask("show info")
	if err == nil && !strings.Contains(info, fmt.Sprintf("\nPid: %d\n", pid)) {
		err = errors.New("another worker of haproxy answers")
	}
	if err != nil {
		s.close()
		return w, err
	}
	w.conn = s
	return w, nil
}

// replaced notes that a worker was replaced.
func (h *haproxy) replaced(id string, w *oldWorker) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.old[id] = append(h.old[id], w)
}

// adoptOld learns which old workers there are.
func (h *haproxy) adoptOld(id string) {
	workers := children(h.pid(id))
	for _, pid := range workers[:max(0, len(workers)-1)] {
		h.replaced(id, &oldWorker{pid: pid, name: workerName(strconv.Itoa(pid))})
	}
}

// account reads all counters of a haproxy into the ledger, and returns the table of the worker that serves.
func (h *haproxy) account(id string) (rows []statRow, err error) {
	h.ledger.mu.Lock()
	defer h.ledger.mu.Unlock()
	for _, w := range h.oldWorkers(id) {
		if h.accountOld(id, w) {
			continue
		}
		w.conn.close()
		h.mu.Lock()
		h.old[id] = slices.DeleteFunc(h.old[id], func(x *oldWorker) bool { return x == w })
		h.mu.Unlock()
	}
	if !h.running(id) {
		return nil, errors.New("haproxy does not run")
	}
	pid, rows, err := h.stat(id)
	if err != nil {
		return nil, err
	}
	if worker := workerName(pid); worker != "" {
		totals, _ := frontends(rows)
		h.ledger.note(worker, totals)
		h.ledger.serves(worker, totals)
	}
	return rows, nil
}

func (h *haproxy) oldWorkers(id string) []*oldWorker {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.old[id])
}

// accountOld reads an old worker's counters and says whether it still serves anybody.
func (h *haproxy) accountOld(id string, w *oldWorker) bool {
	for range 2 { // what was counted while the first was made, the second has: the last, when nobody is served any more
		if ended(w.name) {
			return false
		}
		rows, err := h.oldStat(id, w)
		if err != nil {
			return true // it is asked again, or ends
		}
		totals, busy := frontends(rows)
		h.ledger.note(w.name, totals)
		if busy {
			return true
		}
	}
	return w.conn == nil
}

func (h *haproxy) oldStat(id string, w *oldWorker) ([]statRow, error) {
	if w.conn != nil {
		text, err := w.conn.ask("show stat")
		if err == nil {
			return parseStat(text), nil
		}
		w.conn.close()
		w.conn = nil
	}
	text, err := h.ask(h.masterSocket(id), "@!"+strconv.Itoa(w.pid)+" show stat;quit")
	if err != nil {
		return nil, err
	}
	rows := parseStat(string(text))
	if rows == nil {
		return nil, errors.New("not a table: " + string(text))
	}
	return rows, nil
}

// letGo closes the sessions that keep old workers from ending.
func (h *haproxy) letGo(id string) {
	h.ledger.mu.Lock() // they may be in use
	defer h.ledger.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.old[id] {
		w.conn.close()
	}
	delete(h.old, id)
}

var pidOf = regexp.MustCompile(`(?m)^Pid: (\d+)$`)

// stat asks for the table of counters and states, and tells whose it is. A worker that was replaced a moment ago may still answer.
func (h *haproxy) stat(id string) (pid string, rows []statRow, err error) {
	const moment = 200 * time.Millisecond
	for deadline := time.Now().Add(moment); ; {
		out, err := h.command(id, "show info;show stat")
		if err != nil {
			return "", nil, err
		}
		info, table, _ := strings.Cut(string(out), "\n\n")
		m := pidOf.FindStringSubmatch(info)
		if rows = parseStat(table); m == nil || rows == nil {
			return "", nil, errors.New("haproxy's counters are not understood")
		}
		if m[1] == strconv.Itoa(h.serving(id)) || time.Now().After(deadline) {
			return m[1], rows, nil
		}
		h.setServing(id, 0)
	}
}

// statRow is a row of `show stat`, by names of columns.
type statRow func(column string) string

func (r statRow) number(column string) int64 {
	n, _ := strconv.ParseInt(r(column), 10, 64)
	return n
}

// parseStat reads haproxy's CSV; nil when it is none.
func parseStat(text string) []statRow {
	text, ok := strings.CutPrefix(strings.TrimLeft(text, "\n"), "# ")
	if !ok {
		return nil
	}
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return nil
	}
	column := map[string]int{}
	for i, name := range lines[0] {
		column[name] = i
	}
	rows := make([]statRow, len(lines)-1)
	for n, line := range lines[1:] {
		rows[n] = func(name string) string {
			if i, ok := column[name]; ok {
				return line[i]
			}
			return ""
		}
	}
	return rows
}

// frontends are the totals of listeners, and whether any frontend has a connection.
func frontends(rows []statRow) (totals map[string]counters, busy bool) {
	totals = map[string]counters{}
	for _, r := range rows {
		if r("svname") != "FRONTEND" {
			continue
		}
		busy = busy || r.number("scur") != 0
		if !internal(r("pxname")) {
			totals[r("pxname")] = counters{In: r.number("bin"), Out: r.number("bout"), Errors: r.number("ereq"), Sessions: r.number("stot")}
		}
	}
	return totals, busy
}

// internal says that a proxy is no listener or pool, but the way to haproxy's metrics.
func internal(proxy string) bool { return strings.Contains(proxy, "prometheus") }
