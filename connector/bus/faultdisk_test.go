package bus_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/bus/bustest/faultdisk"
	"pullprint/connector/bus/disk"
	"pullprint/connector/store"
)

var diskCases = flag.Int("disk.cases", 3, "how many pairs of a fault and a stream TestFaultyDisk tries; 0: all")

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

// part is the part of the paths that the fault is of.
func (c diskCase) part() string {
	if c.stream == "" {
		return ""
	}
	return "/streams/" + c.stream + "/"
}

// drawnCases are those of -disk.cases.
func drawnCases(t *testing.T) []diskCase {
	t.Helper()
	var all []diskCase
	for _, stream := range append(slices.Sorted(maps.Keys(put)), "") {
		for _, f := range faultdisk.Faults {
			all = append(all, diskCase{f, stream})
		}
	}
	return faultdisk.Draw(t, all, *diskCases)
}

// Whatever a disk does to a write, a stream or all of them: it is refused in time, the
// canary names what takes no writes and nothing else, and after a restart, or a power cut,
// all is there that was acknowledged.
func TestFaultyDisk(t *testing.T) {
	t.Parallel()
	for _, c := range drawnCases(t) {
		t.Run(c.String(), func(t *testing.T) { faultyDisk(t, c) })
	}
}

func faultyDisk(t *testing.T, c diskCase) {
	disk := faultdisk.New(t)
	dir := filepath.Join(disk.Dir, "nats")
	b := bustest.Open(t, bustest.Dir(dir))
	var mu sync.Mutex
	acknowledged := map[string][]string{} // stream → ids, guarded by mu
	write := func(b *bus.Bus, stream, id string, limit time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		err := put[stream](ctx, b, id, fmt.Appendf(nil, `{"id":%q,"fill":%q}`, id, strings.Repeat("x", 5000)))
		mu.Lock()
		defer mu.Unlock()
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
	disk.Fail(c.fault, c.part())
	var wg sync.WaitGroup
	for stream := range put {
		wg.Go(func() {
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
		})
	}
	wg.Wait()
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
	for _, kind := range []store.Kind{store.Decisions, store.Audit, store.Ledger, store.Dead, store.Notices} {
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

// A start while the disk fails, from its beginning or from some moment on, may be refused, and
// costs nothing: once the disk is well again all is there that was acknowledged.
func TestStartOnFaultyDisk(t *testing.T) {
	t.Parallel()
	for _, c := range drawnCases(t) {
		if c.fault == faultdisk.SlowSync {
			continue
		}
		t.Run(c.String(), func(t *testing.T) { startOnFaultyDisk(t, c) })
	}
}

func startOnFaultyDisk(t *testing.T, c diskCase) {
	disk := faultdisk.New(t)
	dir := filepath.Join(disk.Dir, "nats")
	b := bustest.Open(t, bustest.Dir(dir))
	acknowledged := map[string][]string{}
	for i := range 3 {
		for stream := range put {
			id := fmt.Sprint("before", i)
			if err := put[stream](t.Context(), b, id, fmt.Appendf(nil, `{"id":%q}`, id)); err != nil {
				t.Fatal(err)
			}
			acknowledged[stream] = append(acknowledged[stream], id)
		}
	}
	if c.stream != "" { // a write that fails may leave a part of itself
		disk.Fail(c.fault, c.part())
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_ = put[c.stream](ctx, b, "meanwhile", []byte(`{"id":"meanwhile"}`))
		cancel()
	}
	disk.Kill(b)
	refused, step := 0, 1
	if c.stream == "" {
		step = 7 // there are more moments than time
	}
	for spared := 0; spared < 60; spared += step {
		disk.FailAfter(c.fault, c.part(), spared)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		b, err := bus.Open(ctx, config(dir), bus.Options{})
		if err == nil {
			err = b.Close()
		}
		cancel()
		if err != nil {
			refused++
		}
		if disk.Heal() == 0 {
			break
		}
		if err != nil && spared%2 > 0 { // the next start may be one on a disk that fails as well
			continue
		}
		if b, err = bus.Open(t.Context(), config(dir), bus.Options{}); err != nil {
			t.Fatalf("the disk failed after %d: %v", spared, err)
		}
		holds(t, b, acknowledged)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d starts refused", refused)
	b = bustest.Open(t, bustest.Dir(dir))
	holds(t, b, acknowledged)
}

// A process that dies in its start, after the server has removed a stream that it could not
// read, leaves everything for the next one.
func TestStartDies(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(bustest.TempDir(t), "nats")
	b := bustest.Open(t, bustest.Dir(dir))
	acknowledged := map[string][]string{}
	for stream := range put {
		if err := put[stream](t.Context(), b, "before", []byte(`{"id":"before"}`)); err != nil {
			t.Fatal(err)
		}
		acknowledged[stream] = []string{"before"}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for _, stream := range []string{"KV_pullprint_quota", "PULLPRINT_AUDIT"} {
		to := filepath.Join(dir, "starting", "$G", "streams")
		if err := os.MkdirAll(to, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "jetstream", "$G", "streams", stream), filepath.Join(to, stream)); err != nil {
			t.Fatal(err)
		}
	}
	b = bustest.Open(t, bustest.Dir(dir))
	holds(t, b, acknowledged)
	for _, left := range []string{"starting", "started"} {
		if _, err := os.Stat(filepath.Join(dir, left)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", left, err)
		}
	}
}

// A start died, and a version that knows nothing of the links used the store since: what it
// removed, as the oldest messages of a full stream, is not put back over what is there.
func TestStartDiesAndAnOlderVersionRuns(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(bustest.TempDir(t), "nats")
	b := bustest.Open(t, bustest.Dir(dir))
	write := func(b *bus.Bus, id string) {
		t.Helper()
		if err := put["PULLPRINT_AUDIT"](t.Context(), b, id, []byte(`{"id":"`+id+`"}`)); err != nil {
			t.Fatal(err)
		}
	}
	write(b, "before")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	const stream = "$G/streams/PULLPRINT_AUDIT"
	if _, err := disk.Keep(dir, dir+".mark"); err != nil { // and the process dies
		t.Fatal(err)
	}
	links := filepath.Join(dir, "starting")
	aside := filepath.Join(bustest.TempDir(t), "starting")
	if err := os.Rename(links, aside); err != nil {
		t.Fatal(err)
	}
	blocks, err := filepath.Glob(filepath.Join(aside, stream, "msgs", "*.blk"))
	if err != nil || len(blocks) == 0 {
		t.Fatal(blocks, err)
	}
	for _, block := range blocks { // that the older version writes anew
		src, err := os.ReadFile(block)
		if err := errors.Join(err, os.Remove(block), os.WriteFile(block, src, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	b = bustest.Open(t, bustest.Dir(dir))
	write(b, "since")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(aside, links); err != nil {
		t.Fatal(err)
	}
	first := filepath.Join(links, stream, "msgs", "9999.blk") // that the older version removed
	if err := os.WriteFile(first, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	b = bustest.Open(t, bustest.Dir(dir))
	holds(t, b, map[string][]string{"PULLPRINT_AUDIT": {"before", "since"}})
}
