package pin

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	ada   = "11111111-2222-4333-8444-555555555555"
	grace = "66666666-7777-4888-8999-aaaaaaaaaaaa"
	adas  = "271828" // planted: nothing may show it
)

var now = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

func pepper(id string) Pepper { return Pepper{id, []byte(strings.Repeat(id, 32))} }

func newPINs(t *testing.T, kv KV, peppers ...Pepper) *PINs {
	t.Helper()
	if peppers == nil {
		peppers = []Pepper{pepper("k1")}
	}
	p := New(kv, peppers, rand.Reader)
	p.cost = cost{8, 1} // the least there is
	return p
}

func withAda(t *testing.T) (*PINs, *memory) {
	t.Helper()
	kv := newMemory()
	p := newPINs(t, kv)
	if err := p.Set(t.Context(), ada, adas, ada, now); err != nil {
		t.Fatal(err)
	}
	return p, kv
}

func try(owner, pin, device string) Try {
	return Try{Owner: owner, Claimed: "ada@contoso.com", Device: device, PIN: pin}
}

func (p *PINs) check(t *testing.T, owner, pin, device string, after time.Duration) error {
	t.Helper()
	_, err := p.Check(t.Context(), try(owner, pin, device), now.Add(after))
	return err
}

func isLocked(err error) bool { _, ok := errors.AsType[*LockedError](err); return ok }

func TestCheck(t *testing.T) {
	p, kv := withAda(t)
	if err := p.check(t, ada, adas, "hq", 0); err != nil {
		t.Error(err)
	}
	for name, tr := range map[string]Try{
		"another PIN":          try(ada, "271829", "d1"),
		"nobody":               try("", adas, "d2"),
		"without a PIN":        try(grace, adas, "d3"),
		"a word for an owner":  try("a.b *>", adas, "d4"),
		"not the form of one":  try(ada, strings.Repeat("9", 1<<16), "d5"),
		"a PIN of two at once": try(ada, adas+adas, "d6"),
	} {
		if _, err := p.Check(t.Context(), tr, now); !errors.Is(err, ErrWrong) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for key, e := range kv.data {
		if strings.Contains(key+string(e.value), adas) {
			t.Errorf("%s shows the PIN", key)
		}
		if err := CheckRecord(key, e.value); err != nil {
			t.Error(key, err)
		}
		if strings.Contains(string(WithoutHash(key, e.value)), hashVersion+":") {
			t.Error("an export has the hash")
		}
	}
}

// Whether somebody is not known, has no PIN or another one costs the same: one run of argon2id, and
// as many reads and writes of the store.
func TestSameWork(t *testing.T) {
	p, kv := withAda(t)
	counting := &counting{KV: kv}
	p.kv = counting
	var first [2]int64
	for i, tr := range []Try{try(ada, "271829", "d1"), try("", adas, "d2"), try(grace, adas, "d3")} {
		runs, calls := p.runs.Load(), counting.n
		if _, err := p.Check(t.Context(), tr, now); !errors.Is(err, ErrWrong) {
			t.Fatal(err)
		}
		work := [2]int64{p.runs.Load() - runs, counting.n - calls}
		if i == 0 {
			first = work
		}
		if work != first || work[0] != 1 {
			t.Errorf("%d: %v, the first %v", i, work, first)
		}
	}
}

type counting struct {
	KV
	n int64
}

func (c *counting) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	c.n++
	return c.KV.Get(ctx, key)
}

func (c *counting) CompareAndSet(
	ctx context.Context, key string, value []byte, rev uint64, ttl time.Duration,
) (uint64, bool, error) {
	c.n++
	return c.KV.CompareAndSet(ctx, key, value, rev, ttl)
}

func TestLocks(t *testing.T) {
	for name, owner := range map[string]string{"known": ada, "unknown": ""} {
		t.Run(name, func(t *testing.T) {
			p, _ := withAda(t)
			for i := range maxWrong { // at a device each
				if err := p.check(t, owner, "271829", "d"+string(rune('0'+i)), time.Duration(i)*time.Minute); !errors.Is(err, ErrWrong) {
					t.Fatal(i, err)
				}
			}
			runs := p.runs.Load()
			if err := p.check(t, owner, adas, "other", 4*time.Minute+window-1); !isLocked(err) {
				t.Error("a sixth try of the person:", err)
			}
			if p.runs.Load() != runs {
				t.Error("argon2id runs for who is locked")
			}
			err := p.check(t, owner, adas, "other", 4*time.Minute+window)
			if owner != "" && err != nil || owner == "" && !errors.Is(err, ErrWrong) {
				t.Error("after the lock:", err)
			}
		})
	}
}

// Wrong PINs of many people lock the device, and nobody besides.
func TestLocksDevice(t *testing.T) {
	p, _ := withAda(t)
	for i := range maxWrong {
		tr := Try{Claimed: string(rune('a' + i)), Device: "hq", PIN: "111222"}
		if _, err := p.Check(t.Context(), tr, now); !errors.Is(err, ErrWrong) {
			t.Fatal(err)
		}
	}
	for range 2 * maxWrong {
		if err := p.check(t, ada, adas, "hq", 0); !isLocked(err) {
			t.Fatal(err)
		}
	}
	if err := p.check(t, ada, adas, "hq-2", 0); err != nil {
		t.Error("a person is locked by a locked device:", err)
	}
}

// Whoever mistypes and gets it right in the end has not guessed: a busy device stays open. Tries at
// somebody else's PIN are not taken back by one's own.
func TestRightTakesBack(t *testing.T) {
	p, _ := withAda(t)
	if err := p.Set(t.Context(), grace, "314159", grace, now); err != nil {
		t.Fatal(err)
	}
	for range 3 * maxWrong {
		for _, pin := range []string{"271829", adas} {
			if err := p.check(t, ada, pin, "hq", 0); err != nil && !errors.Is(err, ErrWrong) {
				t.Fatal(err)
			}
		}
	}
	for range maxWrong - 1 {
		if err := p.check(t, grace, "111222", "hq", 0); !errors.Is(err, ErrWrong) {
			t.Fatal(err)
		}
		if err := p.check(t, ada, adas, "hq", 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.check(t, grace, "111223", "hq", 0); !errors.Is(err, ErrWrong) {
		t.Fatal(err)
	}
	if err := p.check(t, ada, adas, "hq", 0); !isLocked(err) {
		t.Error("guesses at another's PIN were forgotten:", err)
	}
	if err := p.check(t, grace, "314159", "hq-2", 0); !isLocked(err) {
		t.Error("guesses at another's PIN were forgotten:", err)
	}
}

// A try is counted before it is compared: one that dies between is counted.
func TestDiesBetween(t *testing.T) {
	p, _ := withAda(t)
	p.turns = make(chan struct{}) // nobody ever gets a turn
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range maxWrong {
		if _, err := p.Check(ctx, try(ada, adas, "hq"), now); !errors.Is(err, ErrBusy) {
			t.Fatal(err)
		}
	}
	p.turns = make(chan struct{}, 1)
	if err := p.check(t, ada, adas, "hq-2", 0); !isLocked(err) {
		t.Error("free tries:", err)
	}
}

// Of a hundred wrong tries at once five are compared, and no more than maxRuns run at a time.
func TestTriesAtOnce(t *testing.T) {
	p, _ := withAda(t)
	var wg sync.WaitGroup
	runs := p.runs.Load()
	for i := range 30 {
		wg.Go(func() {
			_, err := p.Check(t.Context(), try(ada, "271829", "d"+string(rune('A'+i))), now)
			if !errors.Is(err, ErrWrong) && !isLocked(err) && !errors.Is(err, ErrConflict) {
				t.Error(err)
			}
			if len(p.turns) > maxRuns {
				t.Error("too many at once")
			}
		})
	}
	wg.Wait()
	if n := p.runs.Load() - runs; n > maxWrong {
		t.Errorf("%d were compared", n)
	}
}

func TestLockedForGood(t *testing.T) {
	p, _ := withAda(t)
	after := time.Duration(0)
	for i := range maxInARow {
		if err := p.check(t, ada, "271829", "d"+string(rune('0'+i)), after); !errors.Is(err, ErrWrong) {
			t.Fatal(i, err)
		}
		if (i+1)%maxWrong == 0 {
			after += window
		}
	}
	if err := p.check(t, ada, adas, "hq", after+1000*time.Hour); !isLocked(err) {
		t.Fatal(err)
	}
	if s, err := p.StateOf(t.Context(), ada, now); err != nil || !s.LockedForGood || !s.Set {
		t.Errorf("%+v %v", s, err)
	}
	if was, err := p.Unlock(t.Context(), ada); !was || err != nil {
		t.Error(was, err)
	}
	if err := p.check(t, ada, adas, "hq", after); err != nil {
		t.Error(err)
	}
}

func TestReset(t *testing.T) {
	p, _ := withAda(t)
	before, err := p.Version(t.Context(), ada)
	if err != nil || before == "" {
		t.Fatal(err)
	}
	if was, err := p.Reset(t.Context(), ada); !was || err != nil {
		t.Error(was, err)
	}
	if v, err := p.Version(t.Context(), ada); v != "" || err != nil {
		t.Error(v, err)
	}
	if err := p.check(t, ada, adas, "hq", 0); !errors.Is(err, ErrWrong) {
		t.Error(err)
	}
	if was, err := p.Reset(t.Context(), ada); was || err != nil {
		t.Error(was, err)
	}
}

// A PIN is stored at the usual cost, which one of less is brought to.
func TestCost(t *testing.T) {
	_, kv := withAda(t)
	p := New(kv, []Pepper{pepper("k1")}, rand.Reader)
	for range 2 {
		if err := p.check(t, ada, adas, "hq", 0); err != nil {
			t.Fatal(err)
		}
	}
	if rec, _, err := p.read(t.Context(), ada); err != nil || !strings.Contains(rec.Hash, ":19456,2:") {
		t.Error(err)
	}
}

func TestWeak(t *testing.T) {
	p := newPINs(t, newMemory())
	for _, pin := range []string{
		"", "12345", "000000", "123456", "654321", "890123", "12345a", "121212", "112233", "123123", "789456", "147258",
		"159753", "963741", "１２３４５７", "2718281828459", " 271828", "271828\n",
	} {
		if err := p.Set(t.Context(), ada, pin, ada, now); !errors.Is(err, ErrWeak) {
			t.Errorf("%q: %v", pin, err)
		}
	}
	for _, owner := range []string{"", "ada@contoso.com", "a.>"} {
		if err := p.Set(t.Context(), owner, adas, ada, now); !errors.Is(err, ErrWeak) {
			t.Errorf("%q: %v", owner, err)
		}
	}
}

// A PIN outlives a change of keys, and moves to the new one; without the old key it is wrong.
func TestKeys(t *testing.T) {
	_, kv := withAda(t)
	if err := newPINs(t, kv, pepper("k2")).check(t, ada, adas, "hq", 0); !errors.Is(err, ErrWrong) {
		t.Error("without its key:", err)
	}
	if err := newPINs(t, kv, pepper("k2"), pepper("k1")).check(t, ada, adas, "hq", 0); err != nil {
		t.Error(err)
	}
	if err := newPINs(t, kv, pepper("k2")).check(t, ada, adas, "hq", 0); err != nil {
		t.Error("it did not move:", err)
	}
}

// A damaged record costs its person alone, and asks for no more memory than the bound.
func TestDamaged(t *testing.T) {
	p, kv := withAda(t)
	rec, rev, err := p.read(t.Context(), ada)
	if err != nil {
		t.Fatal(err)
	}
	for i, bad := range []string{
		"", "{}", "nonsense", `{"owner":"` + grace + `"}`,
		`{"owner":"` + ada + `","hash":"` + strings.Replace(rec.Hash, "8,1", "4294967295,1", 1) + `"}`,
		`{"owner":"` + ada + `","hash":"` + strings.Replace(rec.Hash, "8,1", "0,0", 1) + `"}`,
		`{"owner":"` + ada + `","hash":"` + rec.Hash[:len(rec.Hash)-8] + `"}`,
		`{"owner":"` + ada + `","hash":"v9` + rec.Hash[2:] + `"}`,
	} {
		var ok bool
		if rev, ok, err = kv.CompareAndSet(t.Context(), pinPrefix+ada, []byte(bad), rev, 0); err != nil || !ok {
			t.Fatal(ok, err)
		}
		if CheckRecord(pinPrefix+ada, []byte(bad)) == nil {
			t.Errorf("%d: not found", i)
		}
		if err := p.check(t, ada, adas, "d"+string(rune('0'+i)), time.Duration(i)*window); !errors.Is(err, ErrWrong) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if err := p.Set(t.Context(), ada, adas, ada, now); err != nil {
		t.Fatal(err)
	}
	if err := p.check(t, ada, adas, "hq", 0); err != nil {
		t.Error("set anew:", err)
	}
}

// A card that was typed where a PIN is asked for takes its own try back, and no other.
func TestUncount(t *testing.T) {
	p, _ := withAda(t)
	for i := range 2 * maxWrong {
		at := now.Add(time.Duration(i))
		if _, err := p.Check(t.Context(), try(ada, "0077732803", "hq"), at); !errors.Is(err, ErrWrong) {
			t.Fatal(err)
		}
		if err := p.Uncount(t.Context(), try(ada, "0077732803", "hq"), at); err != nil {
			t.Fatal(err)
		}
	}
	for i := range maxWrong {
		if i == 2 {
			if err := p.Uncount(t.Context(), try(ada, "", "hq"), now.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := p.Check(t.Context(), try(ada, "271829", "hq"), now); !errors.Is(err, ErrWrong) {
			t.Fatal(err)
		}
	}
	if err := p.check(t, ada, adas, "hq-2", 0); !isLocked(err) {
		t.Error(err)
	}
}

func TestCodes(t *testing.T) {
	p := newPINs(t, newMemory())
	for range maxWrong {
		if err := p.CountCode(t.Context(), ada, now); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.CountCode(t.Context(), ada, now.Add(codeWindow-1)); !isLocked(err) {
		t.Error(err)
	}
	if err := p.CountCode(t.Context(), grace, now); err != nil {
		t.Error("somebody else:", err)
	}
	if err := p.CountCode(t.Context(), ada, now.Add(codeWindow)); err != nil {
		t.Error(err)
	}
}

// A right code takes no wrong one back, so that a card of one's own is of no help in guessing; it never
// counts itself.
func TestRightCodeTakesNoWrongOneBack(t *testing.T) {
	p := newPINs(t, newMemory())
	for i := range maxWrong {
		at := now.Add(time.Duration(i) * time.Minute)
		right := at.Add(time.Second)
		if err := errors.Join(p.CountCode(t.Context(), ada, right), p.RightCode(t.Context(), ada, right)); err != nil {
			t.Fatalf("right code after %d wrong ones: %v", i, err)
		}
		if err := p.CountCode(t.Context(), ada, at); err != nil {
			t.Fatalf("wrong code %d: %v", i, err)
		}
	}
	if err := p.CountCode(t.Context(), ada, now.Add(10*time.Minute)); !isLocked(err) {
		t.Error(err)
	}
}
