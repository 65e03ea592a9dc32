package badge

import (
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestClaim(t *testing.T) {
	kv := newMemory()
	reg := newRegistry(t, kv, keyLine(1))
	text, err := reg.Offer(t.Context(), number, "hq", now)
	if err != nil || len(text) != codeLength+1 {
		t.Fatal(text, err)
	}
	again, err := reg.Offer(t.Context(), " "+strings.ToLower(number), "hq", now.Add(5*time.Minute))
	if err != nil || again != text || len(kv.data) != 1 {
		t.Errorf("shown again: %v, %d records, %v", again == text, len(kv.data), err)
	}
	if other, err := reg.Offer(t.Context(), number, "hq-2", now); err != nil || other == text {
		t.Error("another reader has the same code", err)
	}
	for key, e := range kv.data {
		if strings.Contains(key+string(e.value), number) || strings.Contains(string(e.value), text) {
			t.Error("the number or the code is stored")
		}
		if err := CheckRecord(key, e.value); err != nil {
			t.Error(err)
		}
	}
	// The life of the code begins when the card was shown last.
	c, err := reg.Claimed(t.Context(), text, now.Add(14*time.Minute))
	if err != nil || c.Device != "hq" || !c.Shown.Equal(now) {
		t.Errorf("%+v %v", c, err)
	}
	typed := strings.NewReplacer("0", "o", "1", "l", "-", " ").Replace(strings.ToLower(text))
	e := enrolment(ada)
	e.By, e.Now = "self", now.Add(14*time.Minute)
	b, err := reg.Claim(t.Context(), typed, e)
	if err != nil || b.Owner != ada || b.By != "self" {
		t.Fatalf("%+v %v", b, err)
	}
	if found, err := reg.Resolve(t.Context(), number, now); err != nil || found.Owner != ada || found.ID != b.ID {
		t.Errorf("%+v %v", found, err)
	}
	if _, err := reg.Claim(t.Context(), text, e); !errors.Is(err, ErrCode) {
		t.Error("used twice:", err)
	}
	if _, err := reg.Offer(t.Context(), number, "hq", now); !errors.Is(err, ErrTaken) {
		t.Error("a code for a badge that is enrolled:", err)
	}
}

func TestClaimEnds(t *testing.T) {
	reg := newRegistry(t, newMemory(), keyLine(1))
	text, err := reg.Offer(t.Context(), number, "hq", now)
	if err != nil {
		t.Fatal(err)
	}
	e := enrolment(ada)
	e.Now = now.Add(ClaimLife)
	if _, err := reg.Claim(t.Context(), text, e); !errors.Is(err, ErrCode) {
		t.Error("after its end:", err)
	}
	for _, wrong := range []string{"", "0000-0000", text + "0", strings.Repeat("0", 1<<12)} {
		if _, err := reg.Claimed(t.Context(), wrong, now); !errors.Is(err, ErrCode) {
			t.Errorf("%d characters: %v", len(wrong), err)
		}
	}
}

// A card that the help desk enrolled or ended meanwhile is not taken away, or given back.
func TestClaimOfEnrolled(t *testing.T) {
	reg := newRegistry(t, newMemory(), keyLine(1))
	text, err := reg.Offer(t.Context(), number, "hq", now)
	if err != nil {
		t.Fatal(err)
	}
	later, err := reg.Offer(t.Context(), number, "hq-2", now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reg.Enrol(t.Context(), number, enrolment(grace)); err != nil {
		t.Fatal(err)
	}
	if _, err := reg.Claim(t.Context(), text, enrolment(ada)); !errors.Is(err, ErrTaken) {
		t.Error("taken away:", err)
	}
	if _, err := reg.Revoke(t.Context(), Which{Owner: grace}, "helpdesk", now); err != nil {
		t.Fatal(err)
	}
	if _, err := reg.Claim(t.Context(), later, enrolment(ada)); !errors.Is(err, ErrRevoked) {
		t.Error("a lost card, given back:", err)
	}
	if _, err := reg.Offer(t.Context(), number, "hq", now); !errors.Is(err, ErrRevoked) {
		t.Error("a code for a lost card:", err)
	}
}

// Of many that use a code at once, one enrols the card.
func TestClaimOnce(t *testing.T) {
	reg := newRegistry(t, newMemory(), keyLine(1))
	text, err := reg.Offer(t.Context(), number, "hq", now)
	if err != nil {
		t.Fatal(err)
	}
	var done atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			owner := []string{ada, grace}[i%2]
			if _, err := reg.Claim(t.Context(), text, enrolment(owner)); err == nil {
				done.Add(1)
			} else if !errors.Is(err, ErrCode) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if done.Load() != 1 {
		t.Errorf("%d have enrolled it", done.Load())
	}
}

// A code outlives a change of keys: the badge is found under the old one, and moves.
func TestClaimAcrossKeys(t *testing.T) {
	kv := newMemory()
	text, err := newRegistry(t, kv, keyLine(1)).Offer(t.Context(), number, "hq", now)
	if err != nil {
		t.Fatal(err)
	}
	reg := newRegistry(t, kv, keyLine(2), keyLine(1))
	if _, err := reg.Claim(t.Context(), text, enrolment(ada)); err != nil {
		t.Fatal(err)
	}
	if b, err := reg.Resolve(t.Context(), number, now); err != nil || b.Owner != ada {
		t.Error(b, err)
	}
}

func nothing(string) error { return nil }

// What fails does not use the code up, which tells whose it is; of two at once one does it.
func TestUseCode(t *testing.T) {
	reg := newRegistry(t, newMemory(), keyLine(1))
	e := enrolment(ada)
	e.Code = ForPIN
	text, err := reg.IssueCode(t.Context(), e, time.Hour, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	failed, did := errors.New("busy"), 0
	if err := reg.UseCode(t.Context(), text, ForPIN, now, func(string) error { return failed }); !errors.Is(err, failed) {
		t.Error(err)
	}
	err = reg.UseCode(t.Context(), text, ForPIN, now, func(owner string) error {
		if did++; owner != ada {
			t.Error(owner)
		}
		return reg.UseCode(t.Context(), text, ForPIN, now, nothing)
	})
	if !errors.Is(err, ErrCode) || did != 1 {
		t.Errorf("used while it is being used: %v, %d", err, did)
	}
	if err := reg.UseCode(t.Context(), text, ForPIN, now.Add(time.Hour), nothing); !errors.Is(err, ErrCode) {
		t.Errorf("after its end: %v", err)
	}
}

// A code is good for what it was issued for, once, and for nothing else.
func TestCodeFor(t *testing.T) {
	reg := newRegistry(t, newMemory(), keyLine(1))
	for _, purpose := range []Purpose{ForVisit, ForPIN} {
		e := enrolment(ada)
		e.Code = purpose
		text, err := reg.IssueCode(t.Context(), e, time.Hour, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		var other *PurposeError
		_, err = reg.Redeem(t.Context(), text, number, now)
		if !errors.As(err, &other) || !errors.Is(err, ErrCode) || other.For != purpose {
			t.Errorf("%s enrols a badge: %v", purpose, err)
		}
		for _, wrong := range []Purpose{ForVisit, ForPIN} {
			if err := reg.UseCode(t.Context(), text, wrong, now, nothing); wrong != purpose && !errors.Is(err, ErrCode) {
				t.Errorf("%s is good for %s: %v", purpose, wrong, err)
			} else if wrong == purpose && err != nil {
				t.Errorf("%s: %v", purpose, err)
			}
		}
		if err := reg.UseCode(t.Context(), text, purpose, now, nothing); !errors.Is(err, ErrCode) || errors.As(err, new(*PurposeError)) {
			t.Errorf("%s twice: %v", purpose, err)
		}
	}
	text, err := reg.IssueCode(t.Context(), enrolment(ada), time.Hour, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := reg.UseCode(t.Context(), text, ForVisit, now, nothing); !errors.Is(err, ErrCode) {
		t.Errorf("a code for a badge opens a visit: %v", err)
	}
	if err := reg.UseCode(t.Context(), text, ForBadge, now.Add(time.Hour), nothing); !errors.Is(err, ErrCode) {
		t.Errorf("after its end: %v", err)
	}
}

func TestDerived(t *testing.T) {
	keys := mustKeys(t, keyLine(1), keyLine(2))
	a, b := keys.Derived("pin"), keys.Derived("other")
	if len(a) != 2 || a[0].ID != keys.IDs()[0] || string(a[0].Secret) == string(a[1].Secret) ||
		string(a[0].Secret) == string(b[0].Secret) || string(a[0].Secret) == string(keys.list[0].secret) {
		t.Error("not secrets of their own")
	}
}
