package cache

import (
	"strconv"
	"testing"
	"time"
)

// A person may ask so often in a time, others beside them; what is remembered of all of them is bounded, and
// makes room once its time has passed.
func TestLimit(t *testing.T) {
	l, now := Limit{Times: 2, In: time.Hour}, time.Now()
	for i, want := range []bool{true, true, false} {
		if got := l.Allows("anna", now); got != want {
			t.Errorf("request %d: %t", i, got)
		}
	}
	if !l.Allows("bert", now) || !l.Allows("anna", now.Add(time.Hour)) {
		t.Error("another person, or the same an hour later, may not ask")
	}
	for i := range maxCounted + 10 {
		l.Allows(strconv.Itoa(i), now.Add(time.Hour))
	}
	if len(l.counted) > maxCounted {
		t.Errorf("%d people are counted", len(l.counted))
	}
	if l.Allows("late", now.Add(time.Hour)) || !l.Allows("late", now.Add(2*time.Hour)) {
		t.Error("when all are counted another may ask, or may not later")
	}
}
