package connector_test

import (
	"errors"
	"fmt"
	"testing"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/tap"
	"pullprint/trigger/graph/graphtest"

	"go.uber.org/zap"
)

// Two replicas count the guesses at a reader together, and know the same card
// again; nothing of a number is in what they share.
func TestStrikesTogether(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		var replicas []*tap.Taps
		for range 2 {
			taps := tap.New(w.live("").release, tap.NewBadgeOwners(badgeBook(t, w.bus, badgeKey(1)), nil, zap.NewNop()), nil, zap.NewNop())
			taps.Share(w.bus.State())
			replicas = append(replicas, taps)
		}
		locked := func(number string) bool {
			t.Helper()
			var first [2]bool
			for i, taps := range replicas {
				_, err := taps.Tap(t.Context(), tap.Shown{Device: "hq-2-west", Number: number})
				var l *tap.LockedError
				first[i] = errors.As(err, &l)
			}
			return first[0] || first[1]
		}
		for i := range 4 {
			if locked(fmt.Sprint("guess-", i)) {
				t.Fatalf("locked after %d cards", i)
			}
		}
		for range 10 {
			if locked("guess-0") {
				t.Fatal("locked by a card that was counted")
			}
		}
		if _, err := replicas[0].Tap(t.Context(), tap.Shown{Device: "hq-2-west", Number: "guess-4"}); err != nil {
			t.Fatal(err)
		}
		for i, taps := range replicas {
			if _, err := taps.Tap(t.Context(), tap.Shown{Device: "hq-2-west", Number: "1001"}); err == nil {
				t.Errorf("replica %d is not locked after five", i)
			}
		}
	})
}

// The head of a badge's number is lost when the page of a station is loaded anew while a
// reader types: its parts are no guesses of whoever shows the whole of it then. Guesses of
// others stay counted.
func TestPartsOfABadge(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		book := badgeBook(t, w.bus, badgeKey(1))
		const number = "04A21BC35D80"
		if _, err := book.Enrol(t.Context(), number, badgeOf(studentID)); err != nil {
			t.Fatal(err)
		}
		var replicas []*tap.Taps
		for range 2 {
			taps := tap.New(w.live("").release, tap.NewBadgeOwners(book, nil, zap.NewNop()), nil, zap.NewNop())
			taps.Share(w.bus.State())
			replicas = append(replicas, taps)
		}
		shown := func(number string) (string, error) {
			who, err := replicas[0].Visitor(t.Context(), "hq-2-west", number)
			return who.Owner, err
		}
		if _, err := shown("somebody's guess"); err != nil {
			t.Fatal(err)
		}
		for i := range 8 {
			if _, err := shown(number[2+i:]); err != nil {
				t.Fatalf("the end %d: %v", i, err)
			}
			if _, err := shown(number[:2+i]); err != nil {
				t.Fatalf("the beginning %d: %v", i, err)
			}
			if owner, err := shown(number); err != nil || owner != studentID {
				t.Fatalf("the whole badge: %q %v", owner, err)
			}
		}
		for i := range 4 { // and one before them
			if _, err := shown(fmt.Sprint("guess-", i)); err != nil {
				t.Fatal(err)
			}
		}
		for i, taps := range replicas {
			var locked *tap.LockedError
			if _, err := taps.Visitor(t.Context(), "hq-2-west", number); !errors.As(err, &locked) {
				t.Errorf("replica %d is not locked after five guesses: %v", i, err)
			}
		}
	})
}

// One card of which a station gets a part again and again, within a minute, does not lock the
// reader, whichever parts they are and in whichever order; and numbers of one length are counted,
// also when one is part of what was typed before.
func TestPartsOfOneCardDoNotLock(t *testing.T) {
	const number = "04A21BC35D80"
	var tails, heads, both []string
	for i := range 8 {
		tails, heads = append(tails, number[2+i:]), append(heads, number[:3+i])
		both = append(both, number[9-i:], number[:10-i])
	}
	slides := []string{
		"12345678", "x12345678", "x1234567", "yx1234567", "yx123456", "zyx123456", "zyx12345", "wzyx12345",
		"wzyx1234", "vwzyx1234",
	}
	for name, c := range map[string]struct {
		typed []string
		locks bool
	}{
		"ends":                       {typed: tails},
		"beginnings":                 {typed: heads},
		"both, in another order":     {typed: both},
		"numbers of the same length": {typed: slides, locks: true},
	} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				w := newWorld(t, bustest.Open(t), graphtest.Calm())
				book := badgeBook(t, w.bus, badgeKey(1))
				if _, err := book.Enrol(t.Context(), number, badgeOf(studentID)); err != nil {
					t.Fatal(err)
				}
				taps := tap.New(w.live("").release, tap.NewBadgeOwners(book, nil, zap.NewNop()), nil, zap.NewNop())
				taps.Share(w.bus.State())
				var err error
				for _, text := range c.typed {
					if _, err = taps.Visitor(t.Context(), "hq-2-west", text); err != nil {
						break
					}
				}
				who, last := taps.Visitor(t.Context(), "hq-2-west", number)
				if c.locks && last == nil {
					t.Error("the reader is not locked")
				}
				if !c.locks && (err != nil || last != nil || who.Owner != studentID) {
					t.Errorf("%v; the whole badge: %q %v", err, who.Owner, last)
				}
			})
		})
	}
}
