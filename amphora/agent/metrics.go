package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ottavino/ottavino/amphora/metrics"
)

// PROMETHEUS listeners ask for metrics here, in the namespace; haproxy's own are there.
const (
	metricsAddress = "127.0.0.1:9102"
	metricsSource  = "http://127.0.0.1:9101/metrics"
)

// exporter serves metrics while a PROMETHEUS listener is there; otherwise nothing listens. Its socket belongs to a namespace, and is
// another one in another.
type exporter struct {
	haproxy *haproxy
	log     *slog.Logger

	mu        sync.Mutex // guards what follows
	server    *http.Server
	namespace uint64 // inode of its namespace
	ended     chan struct{}
	closed    bool
}

// run looks after the server until ctx ends; requests under way are answered then.
func (e *exporter) run(ctx context.Context) error {
	t := time.NewTicker(round)
	defer t.Stop()
	for {
		e.tend(ctx)
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			e.mu.Lock()
			defer e.mu.Unlock()
			e.closed = true
			if e.server != nil {
				_ = e.server.Shutdown(ctx)
			}
			return nil
		case <-t.C:
		}
	}
}

// tend starts or stops the server, as configurations and the namespace want it.
func (e *exporter) tend(ctx context.Context) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	var ns unix.Stat_t
	wanted := e.wanted() && unix.Stat(namespaceFile, &ns) == nil
	if e.server != nil && (!wanted || ns.Ino != e.namespace || e.hasEnded()) {
		_ = e.server.Close()
		<-e.ended
		e.server = nil
	}
	if !wanted || e.server != nil {
		return
	}
	var l net.Listener
	err := inNamespace(func() (err error) {
		var lc net.ListenConfig
		l, err = lc.Listen(ctx, "tcp", metricsAddress)
		return err
	})
	if err != nil {
		e.log.ErrorContext(ctx, "metrics are not served", "error", err)
		return
	}
	e.namespace, e.ended = ns.Ino, make(chan struct{})
	e.server = &http.Server{
		Handler: newMetricsHandler(e.log), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(e.log.Handler(), slog.LevelDebug),
	}
	go func(server *http.Server, ended chan struct{}) {
		defer close(ended)
		_ = server.Serve(l)
	}(e.server, e.ended)
}

func (e *exporter) hasEnded() bool {
	select {
	case <-e.ended:
		return true
	default:
		return false
	}
}

// wanted says whether a configuration asks for metrics.
func (e *exporter) wanted() bool {
	ids, _ := e.haproxy.ids()
	for _, id := range ids {
		if text, err := os.ReadFile(e.haproxy.configFile(id)); err == nil && bytes.Contains(text, []byte(metricsAddress)) {
			return true
		}
	}
	return false
}

type metricsHandler struct {
	client *http.Client
	log    *slog.Logger
	one    chan struct{} // holds a token while an answer is made: there is little memory
}

func newMetricsHandler(log *slog.Logger) *metricsHandler {
	dial := func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = inNamespace(func() (err error) {
			var d net.Dialer
			conn, err = d.DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
	return &metricsHandler{
		// haproxy waits 5 seconds for us. A connection that is kept would keep an old worker from ending.
		client: &http.Client{Timeout: 4 * time.Second, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}},
		log:    log, one: make(chan struct{}, 1),
	}
}

func (h *metricsHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close")
	if r.Method != http.MethodGet {
		w.WriteHeader(http.StatusNotImplemented)
		return
	}
	select {
	case h.one <- struct{}{}:
		defer func() { <-h.one }()
	case <-r.Context().Done():
		return
	}
	var out bytes.Buffer
	ofMachine(&out)
	if err := h.ofHAProxy(r.Context(), &out); err != nil {
		h.log.WarnContext(r.Context(), "haproxy's metrics are not read", "error", err)
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	w.Header().Set("Content-Length", strconv.Itoa(out.Len()))
	_, _ = w.Write(out.Bytes())
}

func (h *metricsHandler) ofHAProxy(ctx context.Context, out io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, metricsSource, nil)
	if err != nil {
		return err
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return metrics.Translate(out, resp.Body)
}

// ofMachine writes how busy and full the amphora is.
func ofMachine(out io.Writer) {
	minute := 0.0
	if l := load(); len(l) > 0 {
		minute, _ = strconv.ParseFloat(l[0], 64)
	}
	for _, g := range []struct {
		name, help string
		value      float64
	}{
		{"octavia_loadbalancer_cpu", "Load balancer CPU utilization (percentage).", minute / float64(runtime.NumCPU()) * 100},
		{"octavia_loadbalancer_memory", "Load balancer memory utilization (percentage).", memoryUsed()},
	} {
		fmt.Fprintf(out, "# HELP %[1]s %[2]s\n# TYPE %[1]s gauge\n%[1]s %.1[3]f\n", g.name, g.help, g.value)
	}
}

// memoryUsed is what is not available, in percent.
func memoryUsed() float64 {
	text, _ := os.ReadFile("/proc/meminfo")
	kB := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 1 {
			kB[words[0]], _ = strconv.ParseFloat(words[1], 64)
		}
	}
	if kB["MemTotal:"] == 0 {
		return 0
	}
	return (kB["MemTotal:"] - kB["MemAvailable:"]) / kB["MemTotal:"] * 100
}
