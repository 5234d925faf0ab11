package heartbeat_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/ottavino/ottavino/amphora/heartbeat"
)

// crowd is a pool with so many members.
func crowd(members int) heartbeat.Pool {
	p := heartbeat.Pool{Status: "UP", Members: map[string]string{}}
	for range members {
		p.Members[uuid.NewString()] = "UP"
	}
	return p
}

// TestEncodeToFit: whatever an amphora serves, its heartbeats can be sent, and tell of as much as possible.
func TestEncodeToFit(t *testing.T) {
	shared, small, large := crowd(1500), crowd(10), crowd(4000)
	for name, c := range map[string]struct {
		pools map[string]heartbeat.Pool
		kept  []string
		left  []string
	}{
		"small":                 {map[string]heartbeat.Pool{"s:1": small, "s:2": small}, []string{"s:1", "s:2"}, nil},
		"of several listeners":  {map[string]heartbeat.Pool{"p:1": shared, "p:2": shared, "p:3": shared, "p:4": shared, "s:1": small}, []string{"p:4", "s:1"}, nil},
		"more than can be told": {map[string]heartbeat.Pool{"p:1": shared, "p:2": shared, "l:1": large, "s": small}, []string{"p:2", "s"}, []string{"l:1"}},
	} {
		m := heartbeat.Message{ID: "a", Ver: heartbeat.Version, Pools: c.pools, Listeners: map[string]heartbeat.Listener{}}
		for i := range 5 {
			m.Listeners[fmt.Sprint(i)] = heartbeat.Listener{Status: "OPEN", Stats: heartbeat.Stats{TX: 1}}
		}
		datagram, left, err := heartbeat.EncodeToFit(m, key)
		if err != nil || len(datagram) > heartbeat.MaxDatagram || !slices.Equal(left, c.left) {
			t.Errorf("%s: got %d bytes, without %v, %v", name, len(datagram), left, err)
		}
		got, err := heartbeat.Decode(datagram, key)
		if err != nil || len(got.Listeners) != 5 || len(got.Pools) != len(c.kept) {
			t.Errorf("%s: got %d listeners and %d pools, %v", name, len(got.Listeners), len(got.Pools), err)
		}
		for _, kept := range c.kept {
			if len(got.Pools[kept].Members) != len(c.pools[kept].Members) {
				t.Errorf("%s: got %d members of %s", name, len(got.Pools[kept].Members), kept)
			}
		}
	}
}
