package bus_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/store"
)

// Records that are removed while they are read, as by the erasure of a person, are no damage:
// what is left is read.
func TestReadWhileRemoved(t *testing.T) {
	b := bustest.Open(t)
	const all, left = 2500, 2000 // more than are asked for at once
	var group errgroup.Group
	group.SetLimit(16)
	for i := range all {
		group.Go(func() error {
			return b.PublishDecision(t.Context(), "redirect", fmt.Sprint(i), fmt.Appendf(nil, `{"id":"%d"}`, i))
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	var later []uint64
	for i := left + 1; i <= all; i++ {
		later = append(later, uint64(i))
	}
	n, start := 0, time.Now()
	err := b.Scan(t.Context(), store.Decisions, func(store.Record) error {
		if n++; n > 1 {
			return nil
		}
		return b.Remove(t.Context(), store.Decisions, later)
	})
	if err != nil || n != left {
		t.Errorf("%d read, %v", n, err)
	}
	t.Log(time.Since(start))
}

// What can't be read is told also when others of the stream are removed meanwhile.
func TestReadDamageWhileRemoved(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(bustest.TempDir(t), "nats")
	b := bustest.Open(t, bustest.Dir(dir))
	for i := range 20 {
		if err := b.PublishDecision(t.Context(), "redirect", fmt.Sprint(i),
			fmt.Appendf(nil, `{"number":%d,"of":"decisions"}`, i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	flip(t, filepath.Join(dir, "jetstream", "*", "streams", "PULLPRINT_DECISIONS", "msgs", "*.blk"), `"number":10,`)
	b, err := bus.OpenUnchecked(t.Context(), config(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	n := 0
	err = b.Scan(t.Context(), store.Decisions, func(r store.Record) error {
		if n++; n > 1 {
			return nil
		}
		return b.Remove(t.Context(), store.Decisions, []uint64{r.Sequence})
	})
	if !errors.Is(err, store.ErrDamaged) {
		t.Errorf("%d read of 20, one of which is damaged: %v", n, err)
	}
}
