package agent

import (
	"context"
	"io"
	"log/slog"
	"log/syslog"
	"os"
	"strings"
	"sync"
)

// logSocket is where the image's rsyslog listens, with whose rules logs reach operators and tenants.
const logSocket = "/run/rsyslog/octavia/log"

// NewLog returns a logger as the configuration wants it: to standard output, and with use_syslog to the image's rsyslog.
func NewLog(conf Config) *slog.Logger {
	level := slog.LevelInfo
	if conf.Debug {
		level = slog.LevelDebug
	}
	options := &slog.HandlerOptions{Level: level}
	handlers := []slog.Handler{slog.NewTextHandler(os.Stdout, options)}
	if facility, ok := facilities[conf.SyslogFacility]; ok && conf.UseSyslog {
		options := &slog.HandlerOptions{Level: level, ReplaceAttr: withoutTime}
		for s, severity := range map[slog.Level]syslog.Priority{
			slog.LevelDebug: syslog.LOG_DEBUG, slog.LevelInfo: syslog.LOG_INFO, slog.LevelWarn: syslog.LOG_WARNING, slog.LevelError: syslog.LOG_ERR,
		} {
			w := &lateWriter{priority: facility | severity}
			handlers = append(handlers, only{slog.NewTextHandler(w, options), s})
		}
	}
	return slog.New(slog.NewMultiHandler(handlers...))
}

// facilities are the values that syslog_log_facility has in an amphora.
var facilities = map[string]syslog.Priority{
	"LOG_LOCAL0": syslog.LOG_LOCAL0, "LOG_LOCAL1": syslog.LOG_LOCAL1, "LOG_LOCAL2": syslog.LOG_LOCAL2, "LOG_LOCAL3": syslog.LOG_LOCAL3,
	"LOG_LOCAL4": syslog.LOG_LOCAL4, "LOG_LOCAL5": syslog.LOG_LOCAL5, "LOG_LOCAL6": syslog.LOG_LOCAL6, "LOG_LOCAL7": syslog.LOG_LOCAL7,
	"LOG_USER": syslog.LOG_USER, "LOG_DAEMON": syslog.LOG_DAEMON,
}

// withoutTime leaves out what rsyslog adds.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// lateWriter opens rsyslog's socket when there is something to say: rsyslog may be started later, and again.
type lateWriter struct {
	priority syslog.Priority

	mu sync.Mutex
	to *syslog.Writer
}

func (w *lateWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.to == nil {
		to, err := syslog.Dial("unixgram", logSocket, w.priority, "amphora-agent")
		if err != nil {
			return 0, err
		}
		w.to = to
	}
	_, err := io.WriteString(w.to, strings.TrimSpace(string(line))) // it connects anew once
	return len(line), err
}

// only handles records of one level and those up to the next.
type only struct {
	slog.Handler
	level slog.Level
}

const between = slog.LevelInfo - slog.LevelDebug

// Enabled says whether a record is for this handler.
func (o only) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= o.level && l < o.level+between && o.Handler.Enabled(ctx, l)
}

// WithAttrs returns a handler with attributes.
func (o only) WithAttrs(attrs []slog.Attr) slog.Handler {
	return only{o.Handler.WithAttrs(attrs), o.level}
}

// WithGroup returns a handler with a group.
func (o only) WithGroup(name string) slog.Handler { return only{o.Handler.WithGroup(name), o.level} }
