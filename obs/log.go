package obs

import (
	"context"
	"io"
	"log/slog"
)

// LogConfig says what a process's log looks like. The zero value is text at level info.
type LogConfig struct {
	Debug bool // level debug
	JSON  bool // one JSON object per line instead of key=value
}

// NewLogger returns a logger that writes one line per record to w, which must take concurrent writes of whole
// lines as *os.File does. Lines carry the ids of the context they were logged with: request_id,
// project_id, loadbalancer_id, amphora_id.
func NewLogger(w io.Writer, cfg LogConfig) *slog.Logger {
	opts := &slog.HandlerOptions{Level: slog.LevelInfo}
	if cfg.Debug {
		opts.Level = slog.LevelDebug
	}
	var h slog.Handler = slog.NewTextHandler(w, opts)
	if cfg.JSON {
		h = slog.NewJSONHandler(w, opts)
	}
	return slog.New(idHandler{h})
}

// idHandler adds the context's ids to each record.
type idHandler struct{ slog.Handler }

// Handle adds the ids that the context has and the record does not name itself.
func (h idHandler) Handle(ctx context.Context, r slog.Record) error {
	attrs := From(ctx).attrs()
	if len(attrs) == 0 {
		return h.Handler.Handle(ctx, r)
	}
	r = r.Clone()
	for _, a := range attrs {
		if !names(r, a.Key) {
			r.AddAttrs(a)
		}
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps the wrapper around the handler with more attributes.
func (h idHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return idHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the wrapper. The ids then stand in the group.
func (h idHandler) WithGroup(name string) slog.Handler {
	return idHandler{h.Handler.WithGroup(name)}
}

func names(r slog.Record, key string) bool {
	found := false
	r.Attrs(func(a slog.Attr) bool {
		found = a.Key == key
		return !found
	})
	return found
}

// attrs are the ids that are not empty.
func (ids IDs) attrs() []slog.Attr {
	var attrs []slog.Attr
	for _, id := range []struct{ key, value string }{
		{"request_id", ids.RequestID},
		{"project_id", ids.ProjectID},
		{"loadbalancer_id", ids.LoadBalancerID},
		{"amphora_id", ids.AmphoraID},
	} {
		if id.value != "" {
			attrs = append(attrs, slog.String(id.key, id.value))
		}
	}
	return attrs
}
