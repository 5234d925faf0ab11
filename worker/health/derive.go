package health

import (
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
func derive(t *db.Tree, m heartbeat.Message) []db.OperatingChange {
	d := &derivation{lb: db.Online}
	for _, l := range t.Listeners {
		d.listener(t, l.Listener, m)
	}
	reported := map[string]heartbeat.Pool{}
	for key, p := range m.Pools {
		id := key
		if cut := strings.LastIndexByte(key, ':'); cut >= 0 {
			id = key[:cut]
		}
		reported[id] = p
	}
	for _, p := range t.Pools {
		r, ok := reported[p.ID]
		d.pool(p, r, ok)
	}
	if !t.LoadBalancer.Enabled {
		d.lb = db.Offline
	}
	d.set(db.KindLoadBalancer, t.LoadBalancer.ID, t.LoadBalancer.OperatingStatus, d.lb)
	return d.changes
}

func (d *derivation) set(kind db.Kind, id string, was, is db.OperatingStatus) {
	if was != is {
		d.changes = append(d.changes, db.OperatingChange{Kind: kind, ID: id, Status: is})
	}
}

// worsen lowers the load balancer's status; ERROR is below DEGRADED is below ONLINE.
func (d *derivation) worsen(to db.OperatingStatus) {
	if d.lb == db.Online || to == db.OpError {
		d.lb = to
	}
}

func (d *derivation) listener(t *db.Tree, l db.Listener, m heartbeat.Message) {
	status := l.OperatingStatus
	report, ok := m.Listeners[l.ID]
	switch {
	case !ok && l.Enabled && t.LoadBalancer.ProvisioningStatus == db.Active && l.ProvisioningStatus == db.Active:
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
	d.set(db.KindListener, l.ID, l.OperatingStatus, status)
}

func (d *derivation) pool(p db.PoolTree, report heartbeat.Pool, reported bool) {
	if !reported {
		d.set(db.KindPool, p.ID, p.OperatingStatus, db.Offline)
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
	for _, member := range p.Members {
		is := memberStatus(member.OperatingStatus, report.Members[member.ID])
		if is == db.OpError && status == db.Online {
			status = db.Degraded
			d.worsen(db.Degraded)
		}
		d.set(db.KindMember, member.ID, member.OperatingStatus, is)
	}
	d.set(db.KindPool, p.ID, p.OperatingStatus, status)
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
