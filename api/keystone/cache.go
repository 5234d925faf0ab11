package keystone

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/ottavino/ottavino/api"
)

// maxCached bounds the cache, in tokens.
const maxCached = 10_000

// cacheKey is the hash of a token: tokens themselves are not kept.
type cacheKey [sha256.Size]byte

// verdict is what Keystone said about a token.
type verdict struct {
	who     api.Identity // without Token
	refused bool
	until   time.Time
}

type cache struct {
	now func() time.Time

	mu       sync.Mutex
	verdicts map[cacheKey]verdict
}

func newCache(now func() time.Time) *cache {
	return &cache{now: now, verdicts: map[cacheKey]verdict{}}
}

func (c *cache) get(key cacheKey) (verdict, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.verdicts[key]
	if ok && !c.now().Before(v.until) {
		delete(c.verdicts, key)
		ok = false
	}
	return v, ok
}

func (c *cache) put(key cacheKey, v verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.verdicts) >= maxCached {
		c.evict()
	}
	c.verdicts[key] = v
}

// evict makes room: what is old goes, and when all is fresh any tenth.
func (c *cache) evict() {
	for key, v := range c.verdicts {
		if !c.now().Before(v.until) {
			delete(c.verdicts, key)
		}
	}
	for key := range c.verdicts {
		if len(c.verdicts) <= maxCached-maxCached/10 {
			return
		}
		delete(c.verdicts, key)
	}
}
