package keystone

import (
	"encoding/binary"
	"testing"
	"time"
)

func TestCacheIsBounded(t *testing.T) {
	now := time.Now()
	c := newCache(func() time.Time { return now })
	key := func(i int) (k cacheKey) {
		binary.BigEndian.PutUint64(k[:], uint64(i))
		return k
	}
	for i := range 3 * maxCached {
		c.put(key(i), verdict{until: now.Add(time.Minute)})
	}
	if n := len(c.verdicts); n > maxCached {
		t.Errorf("got %d tokens, want at most %d", n, maxCached)
	}
	if _, ok := c.get(key(3*maxCached - 1)); !ok {
		t.Error("the newest is not there")
	}
	now = now.Add(time.Hour)
	for i := range maxCached {
		c.put(key(-i-1), verdict{until: now.Add(time.Minute)})
	}
	for k, v := range c.verdicts {
		if !v.until.After(now) {
			t.Fatalf("%x is old and still there", k[:4])
		}
	}
}
