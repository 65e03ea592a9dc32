// Package quotatest holds what tests of the ledger share: a store in memory that
// loses answers, the suite that every store has to pass, and the model that
// histories are checked against.
package quotatest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrLost is the error of a call whose outcome nobody knows.
var ErrLost = errors.New("the answer is lost")

// Memory is a KV in memory. Lose, when set, is asked before each write: it may
// have the write fail, or happen and its answer be lost.
type Memory struct {
	Lose func(write int) (before, after bool)

	mu     sync.Mutex
	writes int
	values map[string]value
	last   uint64
}

type value struct {
	body     []byte
	revision uint64
}

// Get implements ledger.KV.
func (m *Memory) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.values[key]
	return slices.Clone(v.body), v.revision, ctx.Err()
}

// CompareAndSet implements ledger.KV.
func (m *Memory) CompareAndSet(
	ctx context.Context, key string, body []byte, revision uint64, _ time.Duration,
) (uint64, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, false, err
	}
	m.writes++
	var before, after bool
	if m.Lose != nil {
		before, after = m.Lose(m.writes)
	}
	if before {
		return 0, false, ErrLost
	}
	if m.values[key].revision != revision {
		return 0, false, nil
	}
	if m.values == nil {
		m.values = map[string]value{}
	}
	m.last++
	m.values[key] = value{slices.Clone(body), m.last}
	if after {
		return 0, false, ErrLost
	}
	return m.last, true, nil
}

// Each implements ledger.KV.
func (m *Memory) Each(_ context.Context, _ string, fn func(key string, value []byte, revision uint64) error) error {
	m.mu.Lock()
	all := maps.Clone(m.values)
	m.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if err := fn(key, all[key].body, all[key].revision); err != nil {
			return err
		}
	}
	return nil
}

// History is a ledger.History in memory that keeps an entry once.
type History struct {
	Fail bool // whether nothing can be stored now

	mu   sync.Mutex
	seen map[string]bool
	all  [][]byte
}

// PublishLedger implements ledger.History.
func (h *History) PublishLedger(_ context.Context, _, msgID string, body []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.Fail {
		return ErrLost
	}
	if h.seen[msgID] {
		return nil
	}
	if h.seen == nil {
		h.seen = map[string]bool{}
	}
	h.seen[msgID] = true
	h.all = append(h.all, slices.Clone(body))
	return nil
}

// Entries are those stored that have a word in them.
func (h *History) Entries(word string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.all {
		if strings.Contains(string(e), word) {
			n++
		}
	}
	return n
}
