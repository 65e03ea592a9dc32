package badge

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// What is stored of a badge and can't be read costs that badge alone. It lets nobody in,
// also when an older copy can be read; it can be enrolled again, by an administrator
// but by no code, and revoked by its number, its place or its key.
func TestDamagedBadge(t *testing.T) {
	other := number + "99"
	for _, value := range []string{``, `null`, `[]`, `{}`, `{"owner":7}`, `{"owner":"` + ada} {
		kv := newMemory()
		b := newRegistry(t, kv, keyLine('1'))
		for n, owner := range map[string]string{number: ada, other: grace} {
			if _, err := b.Enrol(t.Context(), n, enrolment(owner)); err != nil {
				t.Fatal(err)
			}
		}
		code, err := b.IssueCode(t.Context(), enrolment(grace), time.Hour, strings.NewReader(strings.Repeat("abcdefgh", 9)))
		if err != nil {
			t.Fatal(err)
		}
		canonical, err := b.Canonical(number)
		if err != nil {
			t.Fatal(err)
		}
		at := storeKey(b.keys.list[0], canonical)
		damage := func() {
			t.Helper()
			_, rev, _ := kv.Get(t.Context(), at)
			if _, ok, err := kv.CompareAndSet(t.Context(), at, []byte(value), rev, 0); err != nil || !ok {
				t.Fatal(ok, err)
			}
		}
		damage()

		if err := CheckRecord(at, []byte(value)); !errors.Is(err, ErrDamaged) || strings.Contains(err.Error(), at) ||
			strings.Contains(err.Error(), ada) {
			t.Errorf("%q: %v", value, err)
		}
		if _, err := b.Resolve(t.Context(), number, now); !errors.Is(err, ErrDamaged) || errors.Is(err, ErrNotValid) {
			t.Errorf("%q resolves: %v", value, err)
		}
		if got, err := b.Resolve(t.Context(), other, now); err != nil || got.Owner != grace {
			t.Errorf("another badge: %+v, %v", got, err)
		}
		if err := b.Check(t.Context()); err != nil {
			t.Errorf("the start: %v", err)
		}
		n := 0
		if err := b.List(t.Context(), "", func(Badge) error { n++; return nil }); err != nil || n != 1 {
			t.Errorf("listed %d: %v", n, err)
		}
		if got, err := b.Revoke(t.Context(), Which{Owner: grace}, "it", now); err != nil || len(got) != 1 {
			t.Errorf("revoke others: %+v, %v", got, err)
		}
		for range 2 { // the code is not used up
			if _, err := b.Redeem(t.Context(), code, number, now); !errors.Is(err, ErrDamaged) {
				t.Errorf("redeemed: %v", err)
			}
		}
		if got, err := b.Enrol(t.Context(), number, enrolment(ada)); err != nil || got.Owner != ada || got.ID != idOf(at) {
			t.Errorf("enrolled again: %+v, %v", got, err)
		}
		if got, err := b.Resolve(t.Context(), number, now); err != nil || got.Owner != ada {
			t.Errorf("after it was enrolled again: %+v, %v", got, err)
		}
		for _, w := range []Which{{Number: number}, {ID: idOf(at)}} {
			damage()
			if got, err := b.Revoke(t.Context(), w, "it", now); err != nil || len(got) != 1 || got[0].ID != idOf(at) {
				t.Errorf("revoke %+v: %+v, %v", w, got, err)
			}
			if _, err := b.Resolve(t.Context(), number, now); !errors.Is(err, ErrUnknown) {
				t.Errorf("after %+v: %v", w, err)
			}
		}
	}
	// A copy under the key before may be of a badge that was revoked since.
	kv := newMemory()
	if _, err := newRegistry(t, kv, keyLine('1')).Enrol(t.Context(), number, enrolment(ada)); err != nil {
		t.Fatal(err)
	}
	b := newRegistry(t, kv, keyLine('2'), keyLine('1'))
	canonical, err := b.Canonical(number)
	if err != nil {
		t.Fatal(err)
	}
	newest := storeKey(b.keys.list[0], canonical)
	if _, _, err := kv.CompareAndSet(t.Context(), newest, []byte(`{`), 0, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Resolve(t.Context(), number, now); !errors.Is(err, ErrDamaged) {
		t.Errorf("an older copy counts: %v", err)
	}
	for _, short := range []string{"b.", "b.x", "b.x.12", "b..", "c.", "b.1." + strings.Repeat("0", 64)} {
		if err := CheckRecord(short, []byte(`{"id":"x"}`)); err == nil {
			t.Errorf("%s is a badge", short)
		}
	}
}
