package connector_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/ledgerexport"
	"pullprint/connector/store"
	"pullprint/policy/quota"
	"pullprint/trigger/racetest"
)

// entry stores an entry of the history.
func entry(t *testing.T, b *bus.Bus, account string, seq uint64, at time.Time) {
	t.Helper()
	body, err := json.Marshal(quota.Entry{Account: account, Seq: seq, At: at, Kind: quota.Adjusted})
	if err == nil {
		err = b.PublishLedger(t.Context(), account, fmt.Sprintf("%s:%d", account, seq), body)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// exported are the entries of all files of a folder, in the order of their names.
func exported(t *testing.T, dir string) (list []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			var e quota.Entry
			if err := json.Unmarshal(s.Bytes(), &e); err != nil {
				t.Fatalf("%s: %s", name, s.Text())
			}
			list = append(list, fmt.Sprintf("%s:%d", e.Account, e.Seq))
		}
		_ = f.Close()
	}
	return list
}

// dyingState dies when the mark is to be stored.
type dyingState struct {
	store.KV
	dies bool
}

var errDies = errors.New("dies here")

func (d *dyingState) CompareAndSet(
	ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration,
) (uint64, bool, error) {
	if d.dies {
		return 0, false, errDies
	}
	return d.KV.CompareAndSet(ctx, key, value, revision, ttl)
}

// Every entry is in one file, once, whatever dies between the file and the mark,
// and however often the history was told the same.
func TestLedgerExport(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b, dir := bustest.Open(t), filepath.Join(t.TempDir(), "ledger")
		state := &dyingState{KV: b.State()}
		e := ledgerexport.New(ledgerexport.Config{Dir: dir, Every: time.Hour, Keep: 48 * time.Hour}, b, state, zap.NewNop())
		check := func(want string) {
			t.Helper()
			if got := strings.Join(exported(t, dir), " "); got != want {
				t.Errorf("exported %s, want %s", got, want)
			}
		}
		export := func(want error) {
			t.Helper()
			if err := e.Export(t.Context()); !errors.Is(err, want) {
				t.Fatalf("%v, want %v", err, want)
			}
		}
		export(nil)
		check("")
		begun := time.Now()
		entry(t, b, "ada", 1, begun)
		entry(t, b, "bob", 1, begun)
		export(nil)
		entry(t, b, "ada", 2, time.Now())
		state.dies = true
		export(errDies)
		check("ada:1 bob:1 ada:2")
		entry(t, b, "ada", 3, time.Now())
		export(errDies)
		state.dies = false
		entry(t, b, "bob", 2, time.Now())
		export(nil)
		export(nil)
		check("ada:1 bob:1 ada:2 ada:3 bob:2")
		// A process that does not know that an entry was told tells it again, hours
		// later; another was told late for the first time.
		time.Sleep(7 * time.Hour)
		entry(t, b, "ada", 3, begun)
		entry(t, b, "cyd", 1, begun)
		export(nil)
		check("ada:1 bob:1 ada:2 ada:3 bob:2 cyd:1")
		if files, _ := filepath.Glob(filepath.Join(dir, "*.new")); len(files) != 0 {
			t.Errorf("left over: %v", files)
		}
		// Old files go.
		old, _ := filepath.Glob(filepath.Join(dir, "*"))
		if err := os.Chtimes(old[0], begun, time.Now().Add(-49*time.Hour)); err != nil {
			t.Fatal(err)
		}
		for _, f := range old[1:] {
			if err := os.Chtimes(f, time.Now(), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		export(nil)
		if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != len(old)-1 {
			t.Errorf("left: %v of %v", left, old)
		}
	})
}

// longHistory is a history of many entries of one account, made up as it is read; the last
// tells the first once more, hours later.
type longHistory struct {
	n     uint64
	begun time.Time
	read  int // of one account
}

func (h *longHistory) LedgerFrom(
	_ context.Context, account string, from uint64, fn func(uint64, time.Time, []byte) error,
) error {
	for seq := from; seq <= h.n; seq++ {
		if account != "" {
			h.read++
		}
		e := quota.Entry{Account: "ada", Seq: seq, At: h.begun, Kind: quota.Adjusted}
		stored := h.begun
		if seq == h.n {
			e.Seq, stored = 1, h.begun.Add(time.Hour)
		}
		body, err := json.Marshal(e)
		if err == nil {
			err = fn(seq, stored, body)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// A long history is exported by files of a bounded size, and what comes late is compared
// with no more than it takes.
func TestLedgerExportIsBounded(t *testing.T) {
	if racetest.Enabled {
		t.Skip("too long with the race detector, and nothing runs beside it")
	}
	b, dir := bustest.Open(t), filepath.Join(t.TempDir(), "ledger")
	h := &longHistory{n: 120_001, begun: time.Now()}
	e := ledgerexport.New(ledgerexport.Config{Dir: dir, Every: time.Hour, Keep: 48 * time.Hour}, h, b.State(), zap.NewNop())
	if err := e.Export(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, k := range exported(t, dir) {
		if want := fmt.Sprintf("ada:%d", i+1); k != want {
			t.Fatalf("entry %d is %s, want %s", i, k, want)
		}
	}
	if n := len(exported(t, dir)); n != 120_000 {
		t.Errorf("%d entries", n)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 3 {
		t.Errorf("%v, %v", files, err)
	}
	for _, name := range files {
		if st, err := os.Stat(name); err != nil || st.Size() > 15<<20 {
			t.Errorf("%s: %v, %v", name, st, err)
		}
	}
	if h.read > 1 {
		t.Errorf("%d entries of the account were read for the one that was told again", h.read)
	}
}

// lateHistory is a history of entries of one account that were all told hours later.
type lateHistory struct {
	n     uint64
	begun time.Time
	read  uint64 // of one account
}

func (h *lateHistory) LedgerFrom(
	_ context.Context, account string, from uint64, fn func(uint64, time.Time, []byte) error,
) error {
	for seq := from; seq <= h.n; seq++ {
		if account != "" {
			if h.read++; h.read > 4*h.n {
				return errors.New("the account is read over and over")
			}
		}
		// The account was there before, and its entries had the same numbers.
		e := quota.Entry{Account: "ada", Seq: (seq-1)%(h.n/2) + 1, At: h.begun.Add(time.Duration(seq)), Kind: quota.Adjusted}
		body, err := json.Marshal(e)
		if err == nil {
			err = fn(seq, h.begun.Add(time.Hour), body)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Many late entries of one account are compared by reading it once, and those of an account
// that has been made again are not taken for those before.
func TestLedgerExportOfManyLateEntries(t *testing.T) {
	b, dir := bustest.Open(t), filepath.Join(t.TempDir(), "ledger")
	h := &lateHistory{n: 2_000, begun: time.Now()}
	e := ledgerexport.New(ledgerexport.Config{Dir: dir, Every: time.Hour, Keep: 48 * time.Hour}, h, b.State(), zap.NewNop())
	if err := e.Export(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(exported(t, dir)); n != 2_000 || h.read > h.n {
		t.Errorf("%d entries exported, %d read to compare them", n, h.read)
	}
}

// What happens after the history was lost is exported, although the new one has not come as
// far as the old one.
func TestLedgerExportOfLostHistory(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		old, b, dir := bustest.Open(t), bustest.Open(t), filepath.Join(t.TempDir(), "ledger")
		export := func(from *bus.Bus, want string) {
			t.Helper()
			cfg := ledgerexport.Config{Dir: dir, Every: time.Hour, Keep: 48 * time.Hour}
			if err := ledgerexport.New(cfg, from, from.State(), zap.NewNop()).Export(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(exported(t, dir), " "); got != want {
				t.Errorf("exported %s, want %s", got, want)
			}
		}
		for seq := range uint64(3) {
			entry(t, old, "ada", seq+1, time.Now())
		}
		entry(t, b, "ada", 1, time.Now()) // all that the older copy has
		export(old, "ada:1 ada:2 ada:3")
		position, _, err := old.State().Get(t.Context(), "export.ledger")
		if err != nil {
			t.Fatal(err)
		}
		if _, ok, err := b.State().CompareAndSet(t.Context(), "export.ledger", position, 0, 0); err != nil || !ok {
			t.Fatal(ok, err)
		}
		time.Sleep(time.Minute)
		entry(t, b, "ada", 4, time.Now())
		const after = "ada:1 ada:2 ada:3 ada:4" // the file is named by where the old one ended
		export(b, after)
		export(b, after)
		entry(t, b, "ada", 5, time.Now())
		export(b, "ada:1 ada:2 ada:3 ada:5 ada:4")
	})
}
