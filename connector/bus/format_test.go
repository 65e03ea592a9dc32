package bus_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
)

// A store of a newer version is refused, and what to do is told; one that a newer
// version wrote so that we can read it is not.
func TestFormatNewer(t *testing.T) {
	dir := filepath.Join(bustest.TempDir(t), "nats")
	set := func(value string) {
		t.Helper()
		b, err := bus.Open(t.Context(), config(dir), bus.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, rev, err := b.State().Get(t.Context(), "format")
		if err != nil || rev == 0 {
			t.Fatal(rev, err)
		}
		mustSet(t, b.State(), "format", value, rev, 0)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	set(`{"format":7,"readable_by":1}`)
	set(`{"format":7,"readable_by":2}`)
	_, err := bus.Open(t.Context(), config(dir), bus.Options{})
	if !errors.Is(err, bus.ErrFormat) || !strings.Contains(err.Error(), "format 7 and this program knows 1") ||
		!strings.Contains(err.Error(), "pullprint restore FILE") {
		t.Errorf("%v", err)
	}
}

// A step is done once, in order; one that fails is done again; a store that was made
// before there was a number is of format 1.
func TestFormatSteps(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	b := bustest.Open(t, bustest.With(bus.Options{Logger: zap.New(core)}))
	_, rev, err := b.State().Get(t.Context(), "format")
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := b.State().Delete(t.Context(), "format", rev); !ok || err != nil {
		t.Fatal(ok, err)
	}
	var done []string
	fail := errors.New("the disk is full")
	second := func(context.Context, *bus.Bus) error { done = append(done, "two"); return fail }
	run := func() error {
		return bus.Upgrade(t.Context(), b,
			bus.Step(2, "badges get an end", 1, func(context.Context, *bus.Bus) error { done = append(done, "one"); return nil }),
			bus.Step(3, "keys change", 3, func(ctx context.Context, b *bus.Bus) error { return second(ctx, b) }))
	}
	if err := run(); !errors.Is(err, fail) || !strings.Contains(err.Error(), "format 3 (keys change)") {
		t.Fatalf("%v", err)
	}
	if told := logs.FilterMessage("state upgraded").All(); len(told) != 1 || told[0].ContextMap()["format"] != int64(2) {
		t.Errorf("a step that failed is told as done: %v", told)
	}
	second = func(context.Context, *bus.Bus) error { done = append(done, "three"); return nil }
	for range 2 {
		if err := run(); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(done, " "); got != "one two three" {
		t.Errorf("done: %s", got)
	}
	value, _, err := b.State().Get(t.Context(), "format")
	if err != nil || !strings.Contains(string(value), `"format":3,"readable_by":3`) {
		t.Errorf("%s %v", value, err)
	}
}

// When another replica stores a format at the same time, that one counts: what it has done is not done again.
func TestFormatOfAnother(t *testing.T) {
	b := bustest.Open(t)
	again := false
	err := bus.Upgrade(t.Context(), b,
		bus.Step(2, "badges get an end", 1, func(ctx context.Context, b *bus.Bus) error {
			_, rev, err := b.State().Get(ctx, "format")
			if err != nil {
				return err
			}
			mustSet(t, b.State(), "format", `{"format":3,"readable_by":1}`, rev, 0)
			return nil
		}),
		bus.Step(3, "keys change", 1, func(context.Context, *bus.Bus) error { again = true; return nil }))
	if err != nil || again {
		t.Errorf("%v; the step of the other is done again: %t", err, again)
	}
	if value, _, err := b.State().Get(t.Context(), "format"); err != nil || !strings.Contains(string(value), `"format":3`) {
		t.Errorf("%s, %v", value, err)
	}
}

// A step that older programs can't live with waits until no other replica runs.
func TestFormatWaitsForOthers(t *testing.T) {
	url := bustest.External(t)
	other, err := bus.Open(t.Context(), bus.Config{URL: url}, bus.Options{Instance: "other"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := bus.Open(t.Context(), bus.Config{URL: url}, bus.Options{Instance: "new"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := other.Canary(t.Context()); err != nil {
		t.Fatal(err)
	}
	did := 0
	step := func(readable int) error {
		return bus.Upgrade(t.Context(), b, bus.Step(2, "keys change", readable,
			func(context.Context, *bus.Bus) error { did++; return nil }))
	}
	if err := step(2); !errors.Is(err, bus.ErrInUse) || did != 0 {
		t.Errorf("%v, done %d times", err, did)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if err := step(2); err != nil || did != 1 {
		t.Errorf("%v, done %d times", err, did)
	}
}

// Retention is that of the configuration, on streams that are there already too.
func TestRetention(t *testing.T) {
	dir := filepath.Join(bustest.TempDir(t), "nats")
	url := bustest.External(t)
	age := func(cfg bus.Config, r bus.Retention) string {
		t.Helper()
		cfg.Retention = r
		b, err := bus.Open(t.Context(), cfg, bus.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		var ages []string
		for _, name := range []string{"PULLPRINT_DECISIONS", "PULLPRINT_AUDIT", "PULLPRINT_LEDGER", "PULLPRINT_DEAD", "PULLPRINT_TASKS"} {
			s, err := b.JetStream().Stream(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			ages = append(ages, s.CachedInfo().Config.MaxAge.String())
		}
		return strings.Join(ages, " ")
	}
	const usual, short = "720h0m0s 8760h0m0s 9600h0m0s 720h0m0s 168h0m0s", "48h0m0s 720h0m0s 9600h0m0s 720h0m0s 168h0m0s"
	shorter := bus.Retention{Decisions: 48e9 * 3600, Audit: 720e9 * 3600}
	for i, step := range []struct {
		cfg  bus.Config
		r    bus.Retention
		want string
	}{
		{config(dir), bus.Retention{}, usual},
		{config(dir), shorter, short},
		{config(dir), bus.Retention{}, usual},
		{bus.Config{URL: url}, bus.Retention{}, usual},
		{bus.Config{URL: url}, shorter, short},
		{bus.Config{URL: url}, bus.Retention{}, short}, // whoever runs that server may have said so
	} {
		if got := age(step.cfg, step.r); got != step.want {
			t.Errorf("%d: %s, want %s", i, got, step.want)
		}
	}
}
