package graphtest

import (
	"fmt"
	"sync"
)

// dice draw reproducible chances: each depends on the seed, on the question, and on how often it was asked
// before, but not on other questions in between.
type dice struct {
	seed uint64

	mu    sync.Mutex
	asked map[question]uint64
}

type question struct{ what, about string }

func newDice(seed uint64) *dice { return &dice{seed: seed, asked: make(map[question]uint64)} }

// chance is true with probability p.
func (d *dice) chance(p float64, what, about string) bool {
	if p <= 0 {
		return false
	}
	return p >= 1 || d.unit(what, about) < p
}

// unit draws from [0, 1).
func (d *dice) unit(what, about string) float64 {
	return float64(d.draw(what, about)>>11) / (1 << 53)
}

// pick draws from 0..n-1.
func (d *dice) pick(n int, what, about string) int {
	if n <= 1 {
		return 0
	}
	return int(d.draw(what, about) % uint64(n)) //nolint:gosec // n is positive, the rest is below it
}

func (d *dice) draw(what, about string) uint64 {
	q := question{what, about}
	d.mu.Lock()
	n := d.asked[q]
	d.asked[q] = n + 1
	d.mu.Unlock()
	return mix(hash(hash(d.seed, what), about) + n*0x9e3779b97f4a7c15)
}

// guid makes an id of the shape Entra and Universal Print use; the same arguments give the same id under the same seed.
func (d *dice) guid(what, about string) string {
	h := hash(hash(d.seed, what), about)
	a, b := mix(h), mix(h+0x9e3779b97f4a7c15)
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, 0x8000|b>>48&0x3fff, b&0xffffffffffff)
}

// hash is FNV-1a, begun at h.
func hash(h uint64, s string) uint64 {
	h ^= 14695981039346656037
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// mix is the finaliser of splitmix64.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
