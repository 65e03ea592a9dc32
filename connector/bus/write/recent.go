package write

import "time"

const recentCap = 16384

// recent remembers what was put lately: for half of span at least, for all of
// it at most, and for less when there is too much of it.
type recent[V any] struct {
	span     time.Duration
	turned   time.Time
	old, new map[string]V
}

func newRecent[V any](span time.Duration) recent[V] { return recent[V]{span: span} }

func (r *recent[V]) get(key string) (V, bool) {
	r.turn()
	if v, ok := r.new[key]; ok {
		return v, true
	}
	v, ok := r.old[key]
	return v, ok
}

func (r *recent[V]) put(key string, v V) {
	r.turn()
	if r.new == nil {
		r.new = make(map[string]V)
	}
	r.new[key] = v
}

func (r *recent[V]) turn() {
	now := time.Now()
	switch age := now.Sub(r.turned); {
	case age >= r.span:
		r.old, r.new, r.turned = nil, nil, now
	case age >= r.span/2 || len(r.new) >= recentCap/2:
		r.old, r.new, r.turned = r.new, nil, now
	}
}
