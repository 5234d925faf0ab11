package worker

import (
	"bytes"
	"context"
	"errors"
	"net/http"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/keepalived"
	"github.com/ottavino/ottavino/db"
)

// applyListeners has the agent serve the UDP and SCTP listeners, each with a keepalived of its own, and stop serving those that go. What
// one of them breaks is its own: siblings are served, and the first failure is told.
func (p *pass) applyListeners(ctx context.Context, a *db.Amphora) error {
	if p.cfg.NoHAProxy {
		return nil
	}
	target, err := target(a)
	if err != nil {
		return err
	}
	var first error
	for _, l := range p.tree.Listeners {
		if !keepalived.Serves(l.Protocol) {
			continue
		}
		err := p.applyListener(ctx, a, target, l)
		if unanswered(err) {
			return err
		}
		if err != nil && first == nil {
			first = &failure{"AgentRefused", db.KindListener, l.ID, err}
		}
	}
	return first
}

// unanswered says that no other listener would fare better.
func unanswered(err error) bool {
	if err == nil {
		return false
	}
	var refusal *amphora.AgentError
	return !errors.As(err, &refusal) || refusal.Status == 0 || refusal.NotReady
}

func (p *pass) applyListener(ctx context.Context, a *db.Amphora, target amphora.Target, l db.ListenerTree) error {
	if l.ProvisioningStatus == db.PendingDelete {
		return p.Agent.RemoveListener(ctx, target, l.ID)
	}
	cfg, err := p.renderListener(l.ID)
	if err != nil || cfg == nil {
		return err
	}
	if p.calm && a.Status == db.Allocated {
		held, has, err := p.Agent.ListenerConfig(ctx, target, l.ID)
		if err != nil || has && bytes.Equal(held, cfg) {
			return err
		}
		if has {
			p.Log.WarnContext(ctx, "a listener's configuration had drifted and is repaired", "amphora_id", a.ID, "listener_id", l.ID)
		}
	}
	err = p.Agent.ApplyListener(ctx, target, l.ID, cfg)
	if unanswered(err) {
		return err
	}
	return p.blameRefusal(l.ID, err)
}

// renderListener is nil for a listener that cannot be rendered: it, or what breaks it, is blamed.
func (p *pass) renderListener(id string) ([]byte, error) {
	for range objects(p.tree) + 1 {
		if p.isBlamed(db.KindListener, id) {
			return nil, nil
		}
		cfg, err := keepalived.Render(p.document(), id, keepalived.Options{BasePath: p.cfg.HAProxy.BasePath})
		var object *amphora.ObjectError
		if !errors.As(err, &object) {
			return cfg, err
		}
		p.blame(db.Kind(object.Kind), object.ID, object.Reason)
	}
	return nil, nil
}

// blameRefusal blames a listener that its amphora will not serve: at once when it never can, as without IPVS in its kernel; else
// when the retry budget is used up, and then the failure is told all the same, so that the work goes on.
func (p *pass) blameRefusal(id string, err error) error {
	var refusal *amphora.AgentError
	if !errors.As(err, &refusal) {
		return err
	}
	if refusal.Status == http.StatusConflict || refusal.Status == http.StatusBadRequest {
		p.blame(db.KindListener, id, refusal.Message)
		return nil
	}
	if p.lease.Attempts+1 >= p.cfg.RetryBudget {
		p.blame(db.KindListener, id, refusal.Message)
	}
	return err
}

// onlyBlamed says that a failure of a listener is shown by the listener, so that its siblings can be finished.
func (p *pass) onlyBlamed(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.kind == db.KindListener && p.isBlamed(f.kind, f.id)
}
