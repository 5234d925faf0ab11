package worker_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/db"
)

// refusePort is a haproxy that cannot bind ports that hold these digits, and says so of the frontend.
func refusePort(digits string) func(string) error {
	frontend := regexp.MustCompile(`frontend (\S+)\n(?:    .*\n)*?    bind \S+:` + digits)
	return func(cfg string) error {
		m := frontend.FindStringSubmatch(cfg)
		if m == nil {
			return nil
		}
		return &amphora.AgentError{
			Op: "reload haproxy", Status: 500, Err: errors.New("HTTP 500"),
			Message: fmt.Sprintf("Error reloading haproxy: frontend %s: cannot bind it: address already in use", m[1]),
		}
	}
}

// change changes rows of a load balancer as the API does.
func (r *rig) change(id string, do func(ctx context.Context, tx *db.Tx) error) {
	r.t.Helper()
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.BeginChange(ctx, id, db.AcceptPending); err != nil {
			return err
		}
		return do(ctx, tx)
	})
}

// settled waits until the load balancer is ACTIVE, and returns its listeners' statuses by port.
func (r *rig) settled(id string) map[int]db.ProvisioningStatus {
	r.t.Helper()
	out := map[int]db.ProvisioningStatus{}
	r.until("the load balancer is ACTIVE", func() bool {
		tree := r.tree(id)
		for _, l := range tree.Listeners {
			out[l.ProtocolPort] = l.ProvisioningStatus
		}
		return tree.LoadBalancer.ProvisioningStatus == db.Active
	})
	return out
}

// TestRefusedListener: a listener that haproxy does not run is in ERROR, with haproxy's words. Its siblings change, and what ran of it
// goes on, until it can be applied.
func TestRefusedListener(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.balancer()
	r.active(id)

	r.agent.refuses(refusePort("81"))
	r.change(id, func(ctx context.Context, tx *db.Tx) error {
		return db.Insert(ctx, tx, r.listener(uuid.NewString(), id, "HTTP", 81, nil))
	})
	if got := r.settled(id); got[80] != db.Active || got[81] != db.Error {
		t.Errorf("got %v, want only the new listener in ERROR", got)
	}
	if cfg := r.config(id); !strings.Contains(cfg, ":80\n") || strings.Contains(cfg, ":81\n") {
		t.Errorf("got %s, want the first listener only", cfg)
	}
	var words string
	err := r.store.Read(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		events, err := db.Where[db.Event](ctx, tx, "load_balancer_id = ? AND reason = 'NotApplicable'", id)
		for _, e := range events {
			words += e.Message
		}
		return err
	})
	if err != nil || !strings.Contains(words, "cannot bind it: address already in use") {
		t.Errorf("got events with %q, %v, want haproxy's words", words, err)
	}

	r.agent.refuses(nil)
	r.change(id, func(ctx context.Context, tx *db.Tx) error { return nil })
	if got := r.settled(id); got[80] != db.Active || got[81] != db.Active {
		t.Errorf("got %v, want all ACTIVE when haproxy takes it", got)
	}

	r.agent.refuses(refusePort("82"))
	for _, l := range r.tree(id).Listeners {
		if l.ProtocolPort == 81 {
			row := l.Listener
			row.ProtocolPort = 82
			r.change(id, func(ctx context.Context, tx *db.Tx) error { return db.Update(ctx, tx, &row, "protocol_port") })
		}
	}
	if got := r.settled(id); got[80] != db.Active || got[82] != db.Error {
		t.Errorf("got %v, want only the changed listener in ERROR", got)
	}
	if cfg := r.config(id); !strings.Contains(cfg, ":80\n") || !strings.Contains(cfg, ":81\n") || strings.Contains(cfg, ":82\n") {
		t.Errorf("got %s, want the changed listener as it was", cfg)
	}

	r.agent.refuses(refusePort("8[0-9]"))
	r.change(id, func(ctx context.Context, tx *db.Tx) error { return nil })
	if got := r.settled(id); got[80] != db.Error || got[82] != db.Error {
		t.Errorf("got %v, want all in ERROR when haproxy takes none", got)
	}
	if r.config(id) == "" {
		t.Error("what haproxy ran was taken away")
	}
	r.agent.refuses(nil)
	r.remove(id)
}

// TestRefusalOfNobody: what haproxy does not blame on a listener is tried again, and is the load balancer's failure.
func TestRefusalOfNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.balancer()
	r.active(id)
	r.agent.refuses(func(string) error { return agentError(500, false) })
	r.change(id, func(ctx context.Context, tx *db.Tx) error { return nil })
	r.until("the load balancer is in ERROR", func() bool { return r.status(id) == db.Error })
	r.agent.refuses(nil)
	r.active(id)
	r.remove(id)
}
