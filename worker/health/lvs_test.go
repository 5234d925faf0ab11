package health_test

import (
	"testing"

	"github.com/ottavino/ottavino/amphora/heartbeat"
	"github.com/ottavino/ottavino/db/dbtest"
)

// TestUDPListener: pools of keepalived are not named after listeners, and one member's restart is no news.
func TestUDPListener(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite, agents{}, nil)
	tell := func(status string, words [2]string) {
		m := r.message()
		m.Pools = map[string]heartbeat.Pool{r.pool: {Status: status, Members: map[string]string{r.members[0]: words[0], r.members[1]: words[1]}}}
		r.send(m)
		r.seq++
	}
	for _, c := range []struct {
		pool  string
		words [2]string
		want  [5]string
	}{
		{"UP", [2]string{"UP", "UP"}, [5]string{"ONLINE", "ONLINE", "ONLINE", "ONLINE", "ONLINE"}},
		{"UP", [2]string{"DOWN", "RESTARTING"}, [5]string{"DEGRADED", "ONLINE", "DEGRADED", "ERROR", "ONLINE"}},
		{"UP", [2]string{"no check", "DRAIN"}, [5]string{"ONLINE", "ONLINE", "ONLINE", "NO_MONITOR", "DRAINING"}},
		{"DOWN", [2]string{"DOWN", "MAINT"}, [5]string{"ERROR", "ONLINE", "ERROR", "ERROR", "OFFLINE"}},
	} {
		tell(c.pool, c.words)
		r.until("statuses are as told", func() bool { return r.statuses() == c.want })
	}
}
