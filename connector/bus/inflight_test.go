package bus_test

import (
	"fmt"
	"testing"

	"pullprint/connector/bus/bustest"
)

// The file of what is worked on has room for a note however many were left there, and
// over restarts: the oldest makes room, what is in work stays.
func TestInflightIsNeverFull(t *testing.T) {
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
