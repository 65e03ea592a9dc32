package bus_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/racetest"
)

// A history whose share is full before its time is named once, with what it would
// take.
func TestHistoryTooShort(t *testing.T) {
	racetest.Skip(t, "TestMeasure has the same goroutines")
	bustest.Virtual(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		b := bustest.Open(t, bustest.MaxStore(100<<20), bustest.With(bus.Options{Logger: zap.New(core)}))
		ctx, stop := context.WithCancel(t.Context())
		measured := make(chan error, 1)
		go func() { measured <- b.Measure(ctx) }()
		body := append([]byte(`"`), bytes.Repeat([]byte("x"), 60<<10)...)
		body = append(body, '"')
		told := func() []observer.LoggedEntry {
			return logs.FilterMessageSnippet("records are removed before").All()
		}
		for minute := range 10 {
			for i := range 30 {
				if err := b.PublishLedger(t.Context(), "ada", fmt.Sprint(minute, ":", i), body); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Minute)
			if n := len(told()); minute < 2 && n > 0 {
				t.Errorf("in minute %d: %v", minute, told())
			}
		}
		all := told()
		if len(all) != 1 {
			t.Fatalf("told %d times", len(all))
		}
		m := all[0].ContextMap()
		if needed, ok := m["needed_bytes"].(int64); m["stream"] != "PULLPRINT_LEDGER" || !ok || needed < 400*24*60*30*60<<10 ||
			needed > 2*400*24*60*30*60<<10 {
			t.Errorf("%v", m)
		}
		stop()
		<-measured
	})
}
