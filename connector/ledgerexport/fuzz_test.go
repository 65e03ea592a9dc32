package ledgerexport

import (
	"bytes"
	"context"
	"testing"
	"time"

	"pullprint/trigger/fuzztest"
)

// historyOf is a history of bodies that were stored late, so that each may be one that is repeated.
type historyOf [][]byte

func (h historyOf) LedgerFrom(
	_ context.Context, _ string, sequence uint64, fn func(sequence uint64, stored time.Time, body []byte) error,
) error {
	for i, body := range h {
		if s := uint64(i) + 1; s >= sequence {
			if err := fn(s, time.Date(2026, 3, 10, 12, 0, i, 0, time.UTC), body); err != nil {
				return err
			}
		}
	}
	return nil
}

// FuzzEntries: whatever the history of accounts has, it is exported in its order, each entry once and as
// it was stored, and the next export goes on behind it.
func FuzzEntries(f *testing.F) {
	entry := []byte(`{"account":"user:ada","seq":1,"at":"2026-03-01T12:00:00Z","kind":"reserve","job":"p/1","amount":1.25}`)
	f.Add(bytes.Join([][]byte{entry, entry, []byte(`{"was":1}`), []byte("x"), nil, entry}, []byte("\n")), uint64(1))
	f.Add([]byte(`{"seq":18446744073709551615,"amount":92233720368547758.07,"at":"9999-12-31T23:59:59Z"}`), uint64(0))
	watch := fuzztest.New(f, fuzztest.Small)
	f.Fuzz(func(t *testing.T, bodies []byte, from uint64) {
		if len(bodies) > 64<<10 {
			return
		}
		defer watch.Input(t)()
		history := historyOf(bytes.Split(bodies, []byte("\n")))
		e := &Exporter{history: history}
		list, next, err := e.collect(t.Context(), position{Next: from})
		if err != nil || next != max(from, uint64(len(history))+1) {
			t.Fatalf("%v; the next is %d of %d", err, next, len(history))
		}
		before := uint64(0)
		for _, c := range list {
			if c.sequence <= before || c.sequence < from || !bytes.Equal(c.body, history[c.sequence-1]) {
				t.Errorf("%d after %d: %q", c.sequence, before, c.body)
			}
			before = c.sequence
		}
	})
}
