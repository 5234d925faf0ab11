package amphora

import (
	"context"
	"net/http"
	"net/url"
)

func udpPath(listenerID string) string {
	return "/1.0/listeners/" + url.PathEscape(listenerID) + "/udp_listener"
}

// ListenerConfig returns keepalived's configuration of a UDP or SCTP listener that the agent holds; ok is false when it has none.
func (d *Driver) ListenerConfig(ctx context.Context, t Target, listenerID string) (cfg []byte, ok bool, err error) {
	answer, err := d.do(ctx, t, call{op: "get keepalived's configuration", method: http.MethodGet, path: udpPath(listenerID)})
	if missing(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	return answer.body, true, nil
}

// ApplyListener makes the agent serve a UDP or SCTP listener with cfg: uploads it when the agent's differs, and reloads (or starts)
// keepalived. An amphora that cannot serve such a listener is an *AgentError with status 409.
//
// The reload is asked for even when nothing was uploaded, for the reason that Apply does.
func (d *Driver) ApplyListener(ctx context.Context, t Target, listenerID string, cfg []byte) error {
	held, ok, err := d.ListenerConfig(ctx, t, listenerID)
	if err != nil {
		return err
	}
	if !ok || digest(held) != digest(cfg) {
		_, err := d.do(ctx, t, call{
			op: "upload keepalived's configuration", method: http.MethodPut, body: cfg,
			path: "/1.0/listeners/" + url.PathEscape(t.AmphoraID) + "/" + url.PathEscape(listenerID) + "/udp_listener",
		})
		if err != nil {
			return err
		}
	}
	_, err = d.do(ctx, t, call{op: "reload keepalived", method: http.MethodPut, path: "/1.0/loadbalancer/" + url.PathEscape(listenerID) + "/reload"})
	return err
}

// RemoveListener has the agent stop serving a UDP or SCTP listener; absent is success.
func (d *Driver) RemoveListener(ctx context.Context, t Target, listenerID string) error {
	_, err := d.do(ctx, t, call{op: "remove listener", method: http.MethodDelete, path: "/1.0/listeners/" + url.PathEscape(listenerID)})
	if missing(err) {
		return nil
	}
	return err
}

// ListenerConfig returns what ApplyListener was given.
func (n *Noop) ListenerConfig(ctx context.Context, t Target, listenerID string) (cfg []byte, ok bool, err error) {
	return n.Config(ctx, t, listenerID)
}

// ApplyListener remembers cfg.
func (n *Noop) ApplyListener(ctx context.Context, t Target, listenerID string, cfg []byte) error {
	return n.Apply(ctx, t, listenerID, cfg)
}

// RemoveListener forgets it.
func (n *Noop) RemoveListener(ctx context.Context, t Target, listenerID string) error {
	return n.Remove(ctx, t, listenerID)
}
