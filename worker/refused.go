package worker

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/haproxy"
	"github.com/ottavino/ottavino/db"
)

// refused are the listeners that haproxy does not run as they should be. What it runs of them stays, if that is possible: it is
// traffic.
type refused struct {
	sent []byte          // the configuration that was sent last
	held []byte          // the one that the agent has
	keep map[string]bool // by listener: what is held of it stays
}

// withoutCulprits says whether haproxy's refusal is about certain listeners that can be left as they are, or out: then their
// siblings can be applied.
func (p *pass) withoutCulprits(ctx context.Context, t amphora.Target, refusal error) (again bool, err error) {
	var said *amphora.AgentError
	if !errors.As(refusal, &said) || said.Status != http.StatusBadRequest && said.Status != http.StatusInternalServerError {
		return false, nil
	}
	for _, id := range haproxy.Culprits(p.refused.sent, said.Message) {
		kept, known := p.refused.keep[id]
		switch {
		case !known:
			p.blame(db.KindListener, id, "haproxy does not run it: "+said.Message)
			p.refused.set(id, true)
		case kept: // not even as it was
			p.refused.set(id, false)
		default:
			continue
		}
		again = true
	}
	if again && p.refused.held == nil {
		p.refused.held, _, err = p.Agent.Config(ctx, t, p.tree.LoadBalancer.ID)
	}
	return again, err
}

func (r *refused) set(id string, keep bool) {
	if r.keep == nil {
		r.keep = map[string]bool{}
	}
	r.keep[id] = keep
}

// withRefused is a configuration with what stays of refused listeners.
func (p *pass) withRefused(cfg []byte, ok bool) ([]byte, bool) {
	var stay []string
	for _, id := range slices.Sorted(maps.Keys(p.refused.keep)) {
		if p.refused.keep[id] {
			stay = append(stay, id)
		}
	}
	if with, some := haproxy.WithSections(cfg, p.refused.held, stay); some {
		cfg, ok = with, true
	}
	p.refused.sent = cfg
	return cfg, ok
}
