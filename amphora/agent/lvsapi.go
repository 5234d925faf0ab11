package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/ottavino/ottavino/amphora/heartbeat"
	"github.com/ottavino/ottavino/amphora/keepalived"
)

func noUDPListener(id string) reply {
	return said(http.StatusNotFound, "UDP Listener Not Found", "No UDP listener with UUID: "+id)
}

func (a *Agent) getUDPListener(r *http.Request, _ []byte) reply {
	id := r.PathValue("listener")
	if bad, is := badName(id); is {
		return bad
	}
	text, err := os.ReadFile(a.lvs.configFile(id))
	if err != nil {
		return noUDPListener(id)
	}
	return reply{status: http.StatusOK, text: text, etag: md5hex(text)}
}

// putUDPListener stores keepalived's configuration of a listener. Where it could never run nothing is stored: upstream's agent answers
// in the same way when a part of its image is missing.
func (a *Agent) putUDPListener(r *http.Request, body []byte) reply {
	id := r.PathValue("listener")
	if bad, is := badName(id); is {
		return bad
	}
	if err := needIPVS(r.Context()); err != nil {
		return refused(http.StatusConflict, err.Error())
	}
	err := errors.Join(a.lvs.installChecks(), a.lvs.install(id, body))
	if err != nil {
		return said(http.StatusInternalServerError, "Error storing keepalivedlvs configuration", err.Error())
	}
	a.updateChecksFor(r.Context(), id, "reload")
	rep := ok(http.StatusOK)
	rep.etag = md5hex(body)
	return rep
}

// actUDPListener starts, stops or reloads keepalived. Upstream reloads by a restart, and says so.
func (a *Agent) actUDPListener(ctx context.Context, id, action string) reply {
	var err error
	word := action
	if action == "reload" {
		word = "restart"
	}
	switch {
	case action == "stop":
		err = a.lvs.stop(ctx, id)
	case !a.lvs.running(id):
		err = a.startUDPListener(ctx, id)
	case action == "reload":
		err = a.lvs.reload(ctx, id)
	}
	if err != nil {
		return said(http.StatusInternalServerError, "Failed to "+word+" keepalivedlvs listener "+id, err.Error())
	}
	if cfg, err := a.lvs.config(id); err == nil && action != "stop" && a.config().Topology != activeStandby {
		a.advertise(ctx, virtualIPs(cfg))
	}
	return said(http.StatusAccepted, "OK", "keepalivedlvs listener "+id+" "+word+"ed")
}

func (a *Agent) startUDPListener(ctx context.Context, id string) error {
	if err := needIPVS(ctx); err != nil {
		return err
	}
	if err := a.masquerade(ctx); err != nil {
		return err
	}
	return a.lvs.start(ctx, id)
}

// PrepareUDPListener has the kernel ready for the keepalived of a listener. It runs before a unit starts that, at boot and when it
// died, agent or not.
func (a *Agent) PrepareUDPListener(ctx context.Context, id string) error {
	if !safeName.MatchString(id) {
		return fmt.Errorf("not an id: %q", id)
	}
	if err := needIPVS(ctx); err != nil {
		return err
	}
	return errors.Join(a.masquerade(ctx), a.lvs.prepare(ctx, id))
}

func (a *Agent) removeUDPListener(ctx context.Context, id string) reply {
	if err := a.lvs.remove(ctx, id); err != nil {
		return said(http.StatusInternalServerError, "Error stopping keepalivedlvs", err.Error())
	}
	if err := a.masquerade(ctx); err != nil {
		a.log.WarnContext(ctx, "masquerading not ended", "error", err)
	}
	a.updateChecksFor(ctx, id, "reload") // of what is left
	return ok(http.StatusOK)
}

// watch starts keepalived again where it died, until ctx ends.
func (a *Agent) watch(ctx context.Context) error {
	t := time.NewTicker(look)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if a.change.TryLock() { // whoever has it may just be stopping it
			a.revive(ctx)
			a.change.Unlock()
		}
	}
}

func (a *Agent) revive(ctx context.Context) {
	for _, id := range a.lvs.dead(time.Now()) {
		if err := a.startUDPListener(ctx, id); err != nil {
			a.log.ErrorContext(ctx, "keepalived of a listener does not run", "listener_id", id, "error", err)
			continue
		}
		a.log.WarnContext(ctx, "keepalived of a listener had died and runs again", "listener_id", id)
	}
}

// measureUDP asks the kernel about every listener whose keepalived runs, and has its counters noted.
func (a *Agent) measureUDP(m heartbeat.Message) {
	a.ledger.mu.Lock()
	defer a.ledger.mu.Unlock()
	totals := map[string]counters{}
	for _, id := range a.lvs.ids() {
		s := a.lvs.state(id)
		if s.steady.TryRLock() {
			a.lvs.look(id, s, totals)
			s.steady.RUnlock()
		}
		if !s.told {
			continue
		}
		m.Listeners[id] = s.listener
		if s.poolID != "" {
			m.Pools[s.poolID] = s.pool
		}
	}
	a.ledger.note("", totals)
	a.ledger.serves("", totals)
}

// look asks the kernel about a listener. A pool that got its first members is not down because keepalived has not read of them.
func (v *lvs) look(id string, s *state, totals map[string]counters) {
	told := s.told
	s.told = false
	cfg, err := v.config(id)
	if err != nil || !cfg.Enabled || !v.running(id) {
		return
	}
	have, err := readServices(cfg)
	if err != nil {
		return
	}
	m := heartbeat.Message{Listeners: map[string]heartbeat.Listener{}, Pools: map[string]heartbeat.Pool{}}
	pending := v.pending(id)
	report(cfg, have, pending, m, totals)
	pool := m.Pools[cfg.PoolID]
	if pending && told && s.poolID == cfg.PoolID {
		pool.Status = s.pool.Status
	}
	s.told, s.listener, s.poolID, s.pool = true, m.Listeners[cfg.ListenerID], cfg.PoolID, pool
}

// report adds a listener to the message. pending says that keepalived has not read its newest configuration.
func report(cfg keepalived.Config, have []virtualServer, pending bool, m heartbeat.Message, totals map[string]counters) {
	l, sum := heartbeat.Listener{Status: "OPEN"}, counters{}
	weights := map[netip.AddrPort]int{} // of the members that the kernel has
	for _, s := range have {
		sum.Sessions += int64(s.Stats.Connections)
		sum.In += int64(s.Stats.BytesIn)
		sum.Out += int64(s.Stats.BytesOut)
		for at, d := range s.members {
			l.Stats.Conns += int64(d.ActiveConnections)
			weights[at] = d.Weight
		}
	}
	m.Listeners[cfg.ListenerID], totals[cfg.ListenerID] = l, sum
	if cfg.PoolID == "" {
		return
	}
	m.Pools[cfg.PoolID] = reportPool(cfg, weights, pending)
}

// reportPool tells of members by what the kernel has of them: keepalived takes those that fail out of it.
func reportPool(cfg keepalived.Config, weights map[netip.AddrPort]int, pending bool) heartbeat.Pool {
	pool := heartbeat.Pool{Status: "UP", Members: map[string]string{}}
	if len(weights) == 0 && cfg.Checked && len(cfg.Members) > 0 {
		pool.Status = "DOWN"
	}
	for _, member := range cfg.Members {
		weight, known := weights[member.Address]
		word := "DOWN"
		switch {
		case !member.Enabled:
			word = "MAINT"
		case known && weight == 0:
			word = "DRAIN"
		case known && cfg.Checked:
			word = "UP"
		case known, !cfg.Checked && len(weights) == 0:
			word = "no check"
		case pending:
			word = "RESTARTING"
		}
		pool.Members[member.ID] = word
	}
	return pool
}
