package cache

import "testing"

// Each key has its own share, what ends makes room, and keys for which nothing runs are not kept.
func TestShares(t *testing.T) {
	var s Shares
	take := func(key string, want bool) func() {
		t.Helper()
		free, ok := s.Take(key, 2)
		if ok != want {
			t.Errorf("%s: %t", key, ok)
		}
		return free
	}
	first, second := take("a", true), take("a", true)
	take("a", false)
	other := take("b", true)
	first()
	again := take("a", true)
	take("a", false)
	for _, free := range []func(){second, other, again} {
		free()
	}
	if len(s.running) != 0 {
		t.Errorf("still counted: %v", s.running)
	}
}
