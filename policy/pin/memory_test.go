package pin

import (
	"context"
	"slices"
	"sync"
	"time"
)

// memory is a bucket with the compare-and-set of the real one.
type memory struct {
	mu   sync.Mutex
	rev  uint64
	data map[string]entry
}

type entry struct {
	value []byte
	rev   uint64
}

func newMemory() *memory { return &memory{data: map[string]entry{}} }

func (m *memory) Get(_ context.Context, key string) ([]byte, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.data[key]
	return e.value, e.rev, nil
}

func (m *memory) CompareAndSet(
	_ context.Context, key string, value []byte, rev uint64, _ time.Duration,
) (uint64, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.data[key].rev != rev {
		return 0, false, nil
	}
	m.rev++
	m.data[key] = entry{slices.Clone(value), m.rev}
	return m.rev, true, nil
}

func (m *memory) Delete(_ context.Context, key string, rev uint64) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if rev == 0 || m.data[key].rev != rev {
		return false, nil
	}
	delete(m.data, key)
	return true, nil
}
