// Package cache remembers values for a time, or how often something was asked for, and lets concurrent
// callers share one call.
package cache

import (
	"sync"
	"time"
)

// TTL remembers values in memory for a time; when it is full it forgets all. The clock
// is this machine's. It is safe for concurrent use.
type TTL[V any] struct {
	ttl time.Duration
	max int

	mu   sync.Mutex // guards kept
	kept map[string]cached[V]
}

type cached[V any] struct {
	value V
	until time.Time
}

// NewTTL returns a TTL that remembers at most maxKept values, each for ttl.
func NewTTL[V any](ttl time.Duration, maxKept int) *TTL[V] {
	return &TTL[V]{ttl: ttl, max: maxKept, kept: map[string]cached[V]{}}
}

// Get is what was put last; fresh is false when its time has ended, or when there is none.
func (c *TTL[V]) Get(key string) (v V, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.kept[key]
	return k.value, ok && time.Now().Before(k.until)
}

// Put remembers v for the time of the cache.
func (c *TTL[V]) Put(key string, v V) { c.PutFor(key, v, c.ttl) }

// PutFor remembers v for another time.
func (c *TTL[V]) PutFor(key string, v V, ttl time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.kept[key]; !ok && len(c.kept) >= c.max {
		clear(c.kept)
	}
	c.kept[key] = cached[V]{v, time.Now().Add(ttl)}
}
