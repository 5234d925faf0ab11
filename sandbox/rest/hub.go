package rest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"time"
)

// Fault is something that goes wrong with the calls it matches. What it does, in this order: wait Delay; Hang; do the
// call if AfterEffect; Drop; answer Status. With none of Hang, Drop and Status the call is served after Delay.
type Fault struct {
	Service string // identity, compute, network, image; "" = any
	Method  string // "" = any
	Path    string // regular expression on path and query ("/servers/x?a=b"); "" = any
	Skip    int    // this many matching calls are served as usual first
	Times   int    // this many calls are hit after them; 0 = all until removed

	Delay       time.Duration
	Hang        bool // no answer until the client gives up or the sandbox closes
	AfterEffect bool // the call takes effect, only its answer is replaced
	Drop        bool // the connection is closed without an answer
	Status      int  // 0 = the real answer
	Body        string
	Header      http.Header
}

// Call is one call as it arrived. Status is 0 while it runs and when it was dropped.
type Call struct {
	Seq     int // 1 for the first
	Service string
	Method  string
	Path    string // with the query
	Status  int
	Start   time.Time
	Took    time.Duration
}

// keptCalls bounds the memory of a sandbox that runs for days.
const keptCalls = 50_000

// Hub records the calls of all services and makes some of them fail. The zero value is not usable.
type Hub struct {
	latency time.Duration
	done    chan struct{} // closed by Close: lets hanging calls go

	mu     sync.Mutex
	calls  []Call
	first  int // Seq of calls[0]
	faults []*fault
}

type fault struct {
	Fault
	path      *regexp.Regexp
	seen, hit int
}

// NewHub makes a hub that delays every call by latency.
func NewHub(latency time.Duration) *Hub {
	return &Hub{latency: latency, done: make(chan struct{}), first: 1}
}

// Close lets hanging calls go. May be called once.
func (h *Hub) Close() { close(h.done) }

// Inject adds a fault; remove takes it away, and may be called twice. It panics on a Path that does not compile,
// as that is a mistake in the caller's source.
func (h *Hub) Inject(f Fault) (remove func()) {
	added := &fault{Fault: f, path: regexp.MustCompile(f.Path)}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = append(h.faults, added)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.faults = slices.DeleteFunc(h.faults, func(x *fault) bool { return x == added })
	}
}

// Calls returns the calls since the start or the last ResetCalls, oldest first (of very many, the latest).
func (h *Hub) Calls() []Call {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.calls)
}

// ResetCalls forgets the calls made so far. Seq goes on counting.
func (h *Hub) ResetCalls() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.first += len(h.calls)
	h.calls = nil
}

func (h *Hub) serve(w http.ResponseWriter, r *http.Request, service string, next http.Handler) {
	start := time.Now()
	seq, f := h.begin(Call{Service: service, Method: r.Method, Path: r.URL.RequestURI(), Start: start})
	out := &statusWriter{ResponseWriter: w}
	defer func() { h.end(seq, out.status, time.Since(start)) }()
	wait := h.latency
	if f != nil {
		wait += f.Delay
	}
	if !h.sleep(r.Context(), wait) || f == nil || !f.replaces() {
		next.ServeHTTP(out, r)
		return
	}
	h.fail(out, r, f, next)
}

func (f *fault) replaces() bool { return f.Hang || f.Drop || f.Status != 0 }

func (h *Hub) fail(w *statusWriter, r *http.Request, f *fault, next http.Handler) {
	if f.AfterEffect {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(discard{http.Header{}}, r)
	}
	if f.Hang {
		select {
		case <-r.Context().Done():
		case <-h.done:
		}
	}
	if f.Status == 0 {
		panic(http.ErrAbortHandler) // net/http closes the connection
	}
	for k, v := range f.Header {
		w.Header()[http.CanonicalHeaderKey(k)] = v
	}
	w.WriteHeader(f.Status)
	_, _ = io.WriteString(w, f.Body)
}

// begin records a call and finds the fault that hits it.
func (h *Hub) begin(c Call) (int, *fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.calls) == keptCalls {
		h.calls = slices.Clone(h.calls[keptCalls/2:])
		h.first += keptCalls / 2
	}
	c.Seq = h.first + len(h.calls)
	h.calls = append(h.calls, c)
	for _, f := range h.faults {
		if f.matches(c) && f.takes() {
			return c.Seq, f
		}
	}
	return c.Seq, nil
}

func (f *fault) matches(c Call) bool {
	return (f.Service == "" || f.Service == c.Service) && (f.Method == "" || f.Method == c.Method) &&
		f.path.MatchString(c.Path)
}

// takes counts a matching call and says whether it is hit.
func (f *fault) takes() bool {
	f.seen++
	if f.seen <= f.Skip || f.Times > 0 && f.hit >= f.Times {
		return false
	}
	f.hit++
	return true
}

func (h *Hub) end(seq, status int, took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := seq - h.first; i >= 0 && i < len(h.calls) {
		h.calls[i].Status, h.calls[i].Took = status, took
	}
}

// sleep says whether it slept to the end.
func (h *Hub) sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-h.done:
	}
	return false
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// discard takes the answer that AfterEffect throws away.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
