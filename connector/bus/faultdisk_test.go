package bus_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/bus/bustest/faultdisk"
	"pullprint/connector/store"
)

var diskCases = flag.Int("disk.cases", 6, "how many pairs of a fault and a stream TestFaultyDisk tries; 0: all")

// refusedWithin is how soon a write that can't be stored is refused. The webhook gives it
// 2 s, so that Graph has its 503 in time.
const refusedWithin = 2500 * time.Millisecond

// diskCase is a fault of the files of one stream, or of all.
type diskCase struct {
	fault  faultdisk.Fault
	stream string // empty: the whole disk
}

func (c diskCase) String() string {
	if c.stream == "" {
		return c.fault.String() + ", whole disk"
	}
	return c.fault.String() + ", " + c.stream
}

// diskCasesOf returns n of all pairs, or all.
func diskCasesOf(n int) []diskCase {
	var all []diskCase
	for _, stream := range append(slices.Sorted(maps.Keys(put)), "") {
		for _, f := range faultdisk.Faults {
			all = append(all, diskCase{f, stream})
		}
	}
	if n > 0 {
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:min(n, len(all))]
	}
	return all
}

// Whatever a disk does to a write, a stream or all of them: it is refused in time, the
// canary names what takes no writes and nothing else, and after a restart, or a power cut,
// all is there that was acknowledged.
func TestFaultyDisk(t *testing.T) {
	t.Parallel()
	for _, c := range diskCasesOf(*diskCases) {
		t.Run(c.String(), func(t *testing.T) { faultyDisk(t, c) })
	}
}

func faultyDisk(t *testing.T, c diskCase) {
	disk := faultdisk.New(t)
	dir := filepath.Join(disk.Dir, "nats")
	b := bustest.Open(t, bustest.Dir(dir))
	acknowledged := map[string][]string{} // stream → ids
	write := func(b *bus.Bus, stream, id string, limit time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		err := put[stream](ctx, b, id, fmt.Appendf(nil, `{"id":%q,"fill":%q}`, id, strings.Repeat("x", 5000)))
		if err == nil {
			acknowledged[stream] = append(acknowledged[stream], id)
		}
		return err
	}
	for stream := range put {
		if err := write(b, stream, "before", 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	part := ""
	if c.stream != "" {
		part = "/streams/" + c.stream + "/"
	}
	disk.Fail(c.fault, part)
	for stream := range put {
		began := time.Now()
		err := write(b, stream, "meanwhile", 2*time.Second)
		if took := time.Since(began); took > refusedWithin {
			t.Errorf("%s: refused only after %s", stream, took)
		}
		if affected := c.stream == "" || c.stream == stream; affected != (err != nil) {
			t.Errorf("%s: a write: %v", stream, err)
		} else if err != nil && !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v is not ErrUnavailable", stream, err)
		}
	}
	if disk.Struck() == 0 {
		t.Error("the fault never struck")
	}
	named(t, b, c)
	disk.Heal()
	healed(t, b, c)
	b = bustest.Reopen(t, b)
	if err := b.Canary(t.Context()); err != nil {
		t.Error("after the restart:", err)
	}
	for stream := range put {
		if err := write(b, stream, "after", 10*time.Second); err != nil {
			t.Errorf("%s: after the restart: %v", stream, err)
		}
	}
	holds(t, b, acknowledged)

	bustest.Kill(t, b)
	disk.PowerCut()
	b = bustest.Open(t, bustest.Dir(dir))
	holds(t, b, acknowledged)
}

// named looks that the canary tells which streams a fault is of.
func named(t *testing.T, b *bus.Bus, c diskCase) {
	t.Helper()
	err := b.Canary(t.Context())
	if err == nil {
		if c.fault != faultdisk.SlowSync || c.stream == "KV_pullprint_state" { // a slow disk answers in the end
			t.Error("the canary is content")
		}
		return
	}
	for other := range put {
		if c.stream != "" && strings.Contains(err.Error(), other) != (other == c.stream) {
			t.Errorf("the canary says %v", err)
		}
	}
}

// healed looks that what takes no writes although the disk does is told to need a restart.
func healed(t *testing.T, b *bus.Bus, c diskCase) {
	t.Helper()
	if err := b.ProbeDisk(); err != nil {
		t.Error("the disk that is well again:", err)
	}
	err := b.Canary(t.Context())
	if err != nil && !errors.Is(err, bus.ErrFrozen) {
		t.Errorf("the canary says %v", err)
	}
	if err == nil && c.fault != faultdisk.SlowSync {
		t.Log("takes writes again without a restart")
	}
}

// holds looks that all is there that was acknowledged.
func holds(t *testing.T, b *bus.Bus, acknowledged map[string][]string) {
	t.Helper()
	all := map[string]string{}
	for _, kind := range []store.Kind{store.Decisions, store.Audit, store.Ledger, store.Dead} {
		if err := b.Scan(t.Context(), kind, func(r store.Record) error {
			all["PULLPRINT_"+strings.ToUpper(string(kind))] += string(r.Body)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for name, kv := range bucketsOf(b) {
		if err := kv.Each(t.Context(), ">", func(_ string, value []byte, _ uint64) error {
			all["KV_pullprint_"+name] += string(value)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for stream, ids := range acknowledged {
		if stream == "PULLPRINT_TASKS" {
			if pending, unacked, err := b.Lag(t.Context()); err != nil || pending+unacked < len(ids) {
				t.Errorf("%d tasks of %d, %v", pending+unacked, len(ids), err)
			}
			continue
		}
		for _, id := range ids {
			if !strings.Contains(all[stream], fmt.Sprintf(`"id":%q`, id)) {
				t.Errorf("%s: %s was acknowledged and is gone", stream, id)
			}
		}
	}
}
