package connector

import (
	"sync"
	"time"
)

// ttlCache remembers values in memory for a time; when it is full it forgets all. The Clock
// is this machine's. It is safe for concurrent use.
type ttlCache[V any] struct {
	ttl time.Duration
	max int

	mu   sync.Mutex
	kept map[string]cached[V]
}

type cached[V any] struct {
	value V
	until time.Time
}

func newTTLCache[V any](ttl time.Duration, maxKept int) *ttlCache[V] {
	return &ttlCache[V]{ttl: ttl, max: maxKept, kept: map[string]cached[V]{}}
}

// get is what was put last; fresh is false when its time has ended, or when there is none.
func (c *ttlCache[V]) get(key string) (v V, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.kept[key]
	return k.value, ok && time.Now().Before(k.until)
}

// put remembers v for the time of the cache.
func (c *ttlCache[V]) put(key string, v V) { c.putFor(key, v, c.ttl) }

// putFor remembers v for another time.
func (c *ttlCache[V]) putFor(key string, v V, ttl time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.kept[key]; !ok && len(c.kept) >= c.max {
		clear(c.kept)
	}
	c.kept[key] = cached[V]{v, time.Now().Add(ttl)}
}
