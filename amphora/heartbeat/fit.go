package heartbeat

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// MaxDatagram is what UDP carries, in bytes.
const MaxDatagram = 65507

// EncodeToFit is Encode for what may be too large for a datagram: an amphora whose heartbeats are not sent is taken for dead.
// A pool that several listeners use is left in once, where it counts, and then pools are left out, the largest first: their members
// keep the statuses they have. left are the keys of those.
func EncodeToFit(m Message, key []byte) (datagram []byte, left []string, err error) {
	datagram, err = Encode(m, key)
	if err != nil || len(datagram) <= MaxDatagram {
		return datagram, nil, err
	}
	m.Pools = once(m.Pools)
	bySize := slices.SortedFunc(maps.Keys(m.Pools), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(m.Pools[b].Members), len(m.Pools[a].Members)), cmp.Compare(a, b))
	})
	for {
		datagram, err = Encode(m, key)
		if err != nil || len(datagram) <= MaxDatagram || len(bySize) == 0 {
			return datagram, left, err
		}
		delete(m.Pools, bySize[0])
		left, bySize = append(left, bySize[0]), bySize[1:]
	}
}

// once has each pool under its last key only, which is the one that receivers believe.
func once(pools map[string]Pool) map[string]Pool {
	last := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(pools)) {
		id := key
		if cut := strings.LastIndexByte(key, ':'); cut >= 0 {
			id = key[:cut]
		}
		last[id] = key
	}
	out := map[string]Pool{}
	for _, key := range last {
		out[key] = pools[key]
	}
	return out
}
