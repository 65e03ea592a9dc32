package bus_test

import (
	"fmt"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/racetest"
)

// The file of what is worked on has room for a note however many were left there, and
// over restarts: the oldest makes room, what is in work stays.
func TestInflightIsNeverFull(t *testing.T) {
	racetest.Skip(t, "one note after the other")
	b := bustest.Open(t)
	put := func(key string) (uint64, error) {
		revision, ok, err := b.Inflight().CompareAndSet(t.Context(), key, []byte(`{"crashes":3}`), 0, 0)
		if err == nil && !ok {
			err = fmt.Errorf("%s is there", key)
		}
		return revision, err
	}
	for i := range 3000 {
		if _, err := put(fmt.Sprint("given-up-", i)); err != nil {
			t.Fatalf("note %d: %v", i, err)
		}
	}
	b = bustest.Reopen(t, b)
	working, err := put("working")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		if _, err := put(fmt.Sprint("later-", i)); err != nil {
			t.Fatalf("note %d: %v", i, err)
		}
	}
	for key, there := range map[string]bool{"given-up-0": false, "given-up-2999": true, "working": true, "later-0": true} {
		if value, _, err := b.Inflight().Get(t.Context(), key); err != nil || (value != nil) != there {
			t.Errorf("%s: %q, %v", key, value, err)
		}
	}
	if ok, err := b.Inflight().Delete(t.Context(), "working", working); err != nil || !ok {
		t.Error(ok, err)
	}
}

// The notes of what was given up, which are kept for long, make room last, and leave room
// for what is in work.
func TestInflightKeepsWhatWasGivenUp(t *testing.T) {
	racetest.Skip(t, "one note after the other")
	b := bustest.Open(t)
	const long, short = 365 * 24 * time.Hour, 7 * 24 * time.Hour
	put := func(key string, n int, ttl time.Duration) {
		for i := range n {
			if _, ok, err := b.Inflight().CompareAndSet(t.Context(), fmt.Sprint(key, i), []byte("{}"), 0, ttl); err != nil || !ok {
				t.Fatalf("%s%d: %t, %v", key, i, ok, err)
			}
		}
	}
	there := func(key string, n int) (found int) {
		for i := range n {
			if value, _, err := b.Inflight().Get(t.Context(), fmt.Sprint(key, i)); err != nil {
				t.Fatal(err)
			} else if value != nil {
				found++
			}
		}
		return found
	}
	put("given-up-", 5, long)
	put("left-", 3000, short)
	b = bustest.Reopen(t, b)
	put("later-", 3000, short)
	if n := there("given-up-", 5); n != 5 {
		t.Errorf("%d of 5 notes of what was given up are left after 6000 others", n)
	}
	put("in-work-", 500, short)
	put("given-up-too-", 4000, long)
	if n := there("in-work-", 500); n != 500 {
		t.Errorf("%d of 500 notes of what is in work are left after 4000 of what was given up", n)
	}
}
