package bus_test

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/bus/disk"
	"pullprint/connector/bus/stored"
	"pullprint/connector/store"
	"pullprint/trigger/racetest"
)

var rotRounds = flag.Int("rot", 12, "how often a stored file is damaged in TestRot")

// contents is all that a store holds, by bucket or kind and by key.
type contents map[string]map[string]string

// furnish stores a little of everything; some of it is written anew and some deleted.
func furnish(t *testing.T, b *bus.Bus) {
	t.Helper()
	ctx := t.Context()
	for name, kv := range bucketsOf(b) {
		for round := range 3 {
			for i := range 12 {
				key := fmt.Sprintf("k.%02d", i)
				_, rev, err := kv.Get(ctx, key)
				if err == nil {
					_, _, err = kv.CompareAndSet(ctx, key, fmt.Appendf(nil, `{"bucket":%q,"key":%d,"round":%d,"fill":%q}`, name, i, round,
						strings.Repeat("x", 30000)), rev, 0)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		_, rev, err := kv.Get(ctx, "k.03")
		if err == nil {
			_, err = kv.Delete(ctx, "k.03", rev)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 40 {
		for stream, write := range put {
			if strings.HasPrefix(stream, "KV_") {
				continue
			}
			if err := write(ctx, b, fmt.Sprint("r", i), fmt.Appendf(nil, `{"stream":%q,"n":%d}`, stream, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func bucketsOf(b *bus.Bus) map[string]*stored.KV {
	return map[string]*stored.KV{"badges": b.Badges(), "quota": b.Quota(), "state": b.State(), "jobs": b.Jobs()}
}

// everything reads it all, or says what can't be read.
func everything(ctx context.Context, b *bus.Bus) (contents, error) {
	all := contents{}
	for name, kv := range bucketsOf(b) {
		all[name] = map[string]string{}
		if err := kv.Each(ctx, "k.>", func(key string, value []byte, _ uint64) error {
			all[name][key] = string(value)
			return nil
		}); err != nil {
			return all, err
		}
		for key := range maps.Clone(all[name]) {
			if value, _, err := kv.Get(ctx, key); err != nil {
				return all, err
			} else if string(value) != all[name][key] {
				return all, fmt.Errorf("%s: one reader has %.20q, the other %.20q", key, value, all[name][key])
			}
		}
	}
	for _, kind := range []store.Kind{store.Decisions, store.Audit, store.Ledger, store.Dead} {
		all[string(kind)] = map[string]string{}
		if err := b.Scan(ctx, kind, func(r store.Record) error {
			all[string(kind)][fmt.Sprint(r.Sequence)] = string(r.Body)
			return nil
		}); err != nil {
			return all, err
		}
	}
	pending, unacked, err := b.Lag(ctx)
	all["tasks"] = map[string]string{"count": fmt.Sprint(pending + unacked)}
	return all, err
}

// damage changes one of the files of a store, half of the times one that holds messages, and
// tells what it did.
func damage(t *testing.T, dice *rand.Rand, dir string) (what string) {
	t.Helper()
	var blocks, indexes, others []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir():
		case strings.HasSuffix(path, ".blk"):
			blocks = append(blocks, path)
		case filepath.Base(path) == "index.db":
			indexes = append(indexes, path)
		default: // what streams and consumers are, and what was delivered
			others = append(others, path)
		}
		return err
	})
	others = append(others, filepath.Dir(dir)+".mark")
	if err != nil {
		t.Fatal(err)
	}
	without := dice.IntN(2) == 0
	if without {
		for _, f := range indexes {
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
	} else {
		blocks = append(blocks, indexes...)
	}
	if dice.IntN(2) == 0 {
		blocks = others
	}
	file := blocks[dice.IntN(len(blocks))]
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) == 0 {
		return "nothing: an empty file"
	}
	at := dice.IntN(len(text))
	rel, _ := filepath.Rel(dir, file)
	if dice.IntN(3) == 0 {
		what, text = fmt.Sprintf("%s cut off at %d of %d", rel, at, len(text)), text[:at]
	} else {
		bit := dice.IntN(8)
		what = fmt.Sprintf("bit %d of byte %d of %s flipped", bit, at, rel)
		text[at] ^= 1 << bit
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if without {
		what += ", without index.db"
	}
	return what
}

// Whatever happens to the files of a store that is stopped, a start says so and ends,
// or everything is there: never is a part of it taken for the whole, and nothing hangs.
func TestRot(t *testing.T) {
	racetest.Skip(t, "one damaged file after the other")
	origin := bustest.TempDir(t)
	store := filepath.Join(origin, "nats")
	b := bustest.Open(t, bustest.Dir(store), bustest.MaxStore(64<<20))
	furnish(t, b)
	want, err := everything(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	seed := uint64(7)
	refused := 0
	for round := range *rotRounds {
		dice := rand.New(rand.NewPCG(seed, uint64(round)))
		dir := filepath.Join(bustest.TempDir(t), "nats")
		copyWithMark(t, dir, store)
		what := damage(t, dice, filepath.Join(dir, "jetstream"))
		cfg := bus.Config{Embedded: &bus.Embedded{StoreDir: dir, MaxStore: 64 << 20}}
		for start := range 2 { // the first may have cut off what it could not read
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
			b, err := bus.Open(ctx, cfg, bus.Options{})
			if err == nil {
				var got contents
				got, err = everything(ctx, b)
				if err == nil {
					for part := range want {
						if part == "tasks" && strings.Contains(what, "o.dat") {
							continue // it has no checksum; the sweep finds the jobs of tasks that it takes for done
						}
						if !maps.Equal(got[part], want[part]) {
							t.Errorf("round %d, %s: start %d is silent, and %s has %d of %d: %v", round, what, start,
								part, len(got[part]), len(want[part]),
								slices.Sorted(maps.Keys(got[part])))
						}
					}
				}
				if cerr := b.Close(); cerr != nil && err == nil {
					t.Error(cerr)
				}
			}
			if ctx.Err() != nil {
				t.Errorf("round %d, %s: start %d hangs: %v", round, what, start, err)
			}
			cancel()
			if err != nil {
				refused++
				t.Logf("round %d, %s: %v", round, what, err)
			}
		}
	}
	t.Logf("%d of %d starts refused; the others have everything", refused, 2**rotRounds)
}

func copyWithMark(t *testing.T, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	mark, err := os.ReadFile(from + ".mark")
	if err == nil {
		err = os.WriteFile(to+".mark", mark, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// One bit that flips in the sequence of a message, of a stream that only grows, is told at the
// start: the server would ask for gigabytes of memory. What can be read is kept by accept-loss.
func TestSequenceFarAhead(t *testing.T) {
	racetest.Skip(t, "one file after the other")
	t.Parallel()
	for _, stream := range []string{
		"PULLPRINT_LEDGER", "PULLPRINT_AUDIT", "PULLPRINT_DECISIONS", "PULLPRINT_DEAD", "PULLPRINT_NOTICES", "PULLPRINT_TASKS",
	} {
		dir := filepath.Join(bustest.TempDir(t), "nats")
		b := bustest.Open(t, bustest.Dir(dir))
		for i := range 5 {
			if err := put[stream](t.Context(), b, fmt.Sprint(i), []byte(`{}`)); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", stream, "msgs", "1.blk"))
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		block, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		second := binary.LittleEndian.Uint32(block) &^ (1 << 31)
		block[second+4+4] ^= 1 // bit 32 of the sequence: 16 GiB
		if err := os.WriteFile(files[0], block, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = bus.Open(t.Context(), config(dir), bus.Options{})
		if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), stream) {
			t.Fatalf("%s: %v", stream, err)
		}
		lost, err := bus.AcceptLoss(t.Context(), config(dir), bus.Options{}, "ada", func([]disk.Loss) error { return nil })
		if err != nil || len(lost) == 0 {
			t.Fatalf("%s: %v, %v", stream, lost, err)
		}
		if b, err = bus.Open(t.Context(), config(dir), bus.Options{}); err != nil {
			t.Fatalf("%s: %v", stream, err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}
