package health

import (
	"maps"
	"slices"
	"strings"

	"github.com/ottavino/ottavino/amphora/heartbeat"
	"github.com/ottavino/ottavino/db"
)

// derivation turns what an amphora reports into the operating statuses that changed. It is
// upstream's algorithm.
type derivation struct {
	changes []db.OperatingChange
	lb      db.OperatingStatus
}

// derive returns the changes, the load balancer's last.
func derive(h *db.Health, m heartbeat.Message) []db.OperatingChange {
	d := &derivation{lb: db.Online}
	for _, l := range h.Listeners {
		d.listener(h, l, m)
	}
	reported := byPool(m)
	for _, p := range h.Pools {
		r, ok := reported[p.ID]
		d.pool(h, p, r, ok)
	}
	if !h.LoadBalancer.Enabled {
		d.lb = db.Offline
	}
	d.set(h.LoadBalancer, d.lb)
	return d.changes
}

// byPool finds the pools of a message by their id. One that several listeners use is checked by each; the last of
// them counts, always the same.
func byPool(m heartbeat.Message) map[string]heartbeat.Pool {
	reported := map[string]heartbeat.Pool{}
	for _, key := range slices.Sorted(maps.Keys(m.Pools)) {
		id := key
		if cut := strings.LastIndexByte(key, ':'); cut >= 0 {
			id = key[:cut]
		}
		reported[id] = m.Pools[key]
	}
	return reported
}

func (d *derivation) set(r db.HealthRow, is db.OperatingStatus) {
	if r.OperatingStatus != is {
		d.changes = append(d.changes, db.OperatingChange{Kind: r.Kind, ID: r.ID, Status: is})
	}
}

// worsen lowers the load balancer's status; ERROR is below DEGRADED is below ONLINE.
func (d *derivation) worsen(to db.OperatingStatus) {
	if d.lb == db.Online || to == db.OpError {
		d.lb = to
	}
}

func (d *derivation) listener(h *db.Health, l db.HealthRow, m heartbeat.Message) {
	status := l.OperatingStatus
	report, ok := m.Listeners[l.ID]
	switch {
	case !ok && l.Enabled && h.LoadBalancer.ProvisioningStatus == db.Active && l.ProvisioningStatus == db.Active:
		status = db.OpError
	case !ok && l.Enabled && l.ProvisioningStatus != db.Active:
		// It is on its way, or in ERROR for a reason that the worker gave: no news.
	case !ok:
		status = db.Offline
	case report.Status == "OPEN":
		status = db.Online
	case report.Status == "FULL":
		status = db.Degraded
		d.worsen(db.Degraded)
	}
	d.set(l, status)
}

func (d *derivation) pool(h *db.Health, p db.HealthRow, report heartbeat.Pool, reported bool) {
	if !reported {
		d.set(p, db.Offline)
		return
	}
	status := p.OperatingStatus
	switch report.Status {
	case "UP":
		status = db.Online
	case "DOWN":
		status = db.OpError
		d.worsen(db.OpError)
	}
	for _, member := range h.Members {
		if member.PoolID != p.ID {
			continue
		}
		is := memberStatus(member.OperatingStatus, report.Members[member.ID])
		if is == db.OpError && status == db.Online {
			status = db.Degraded
			d.worsen(db.Degraded)
		}
		d.set(member, is)
	}
	d.set(p, status)
}

// memberStatus translates haproxy's word for a server; "" is a server that haproxy does not have.
func memberStatus(was db.OperatingStatus, word string) db.OperatingStatus {
	switch {
	case word == "" && was == db.NoMonitor:
		return was
	case word == "", word == "MAINT":
		return db.Offline
	case strings.HasPrefix(word, "UP"):
		return db.Online
	case strings.HasPrefix(word, "DOWN"):
		return db.OpError
	case word == "DRAIN":
		return db.Draining
	case word == "no check":
		return db.NoMonitor
	}
	return was // RESTARTING, or a word that is not known yet
}
