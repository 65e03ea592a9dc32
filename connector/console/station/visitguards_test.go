package station

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/connector/store"
	"pullprint/connector/tap"
)

// keeper is a store of one visit that removes nothing when its time is over; others change the visit
// before the next writes.
type keeper struct {
	value    []byte
	revision uint64
	others   int
	writes   int
}

func (k *keeper) Get(context.Context, string) ([]byte, uint64, error) {
	return k.value, k.revision, nil
}

func (k *keeper) CompareAndSet(_ context.Context, _ string, value []byte, revision uint64, _ time.Duration) (uint64, bool, error) {
	if k.writes++; k.others > 0 {
		k.others--
		k.revision++
	}
	if revision != k.revision {
		return 0, false, nil
	}
	k.value, k.revision = value, k.revision+1
	return k.revision, true, nil
}

// came is a visit of ada at west, and the ticket of her page.
func came(t *testing.T, v *Visits) (ticket string) {
	t.Helper()
	card, err := v.endForCard(t.Context(), "west")
	if err != nil {
		t.Fatal(err)
	}
	ticket, ok, err := v.begin(t.Context(), "west", tap.Visitor{Owner: "ada", Badge: "b"}, card)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	return ticket
}

// A visit ends with its life, also where the store still has it: a server whose clock is late.
func TestVisitEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := NewVisits(&keeper{})
		ticket := came(t, v)
		time.Sleep(visitLife)
		if who, u, err := v.use(t.Context(), "west", ticket); u != useEnded || who.Owner != "" || err != nil {
			t.Errorf("used after its end: %+v, %v, %v", who, u, err)
		}
		ticket = came(t, v)
		if _, u, err := v.use(t.Context(), "west", ticket); u != useFirst || err != nil {
			t.Fatal(u, err)
		}
		time.Sleep(visitLife)
		if _, ok, err := v.turn(t.Context(), "west", ticket); ok || err != nil {
			t.Errorf("goes on after its end: %t, %v", ok, err)
		}
	})
}

// What another changes at the same moment is looked at again, a few times.
func TestVisitChangedByAnother(t *testing.T) {
	k := &keeper{}
	v := NewVisits(k)
	ticket := came(t, v)
	k.others, k.writes = 1, 0
	if _, u, err := v.use(t.Context(), "west", ticket); u != useFirst || err != nil || k.writes != 2 {
		t.Errorf("%v, %v after %d writes", u, err, k.writes)
	}
	if _, u, err := v.use(t.Context(), "west", ticket); u != useAgain || err != nil {
		t.Errorf("it was not stored: %v, %v", u, err)
	}
	k.others, k.writes = 100, 0
	if err := v.End(t.Context(), "west"); err == nil || k.writes != store.MaxConflicts {
		t.Errorf("%v after %d writes", err, k.writes)
	}
}

// A PIN whose check panics does not make the same form wait for ever when it is sent again.
func TestResultAfterPanic(t *testing.T) {
	p := &Pages{Deps: Deps{Visits: NewVisits(nil)}}
	d, _ := p.results.join("west", "ticket")
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		_ = p.enterPIN(t.Context(), d, "123456")
	}()
	select {
	case <-d.done:
	default:
		t.Error("whoever sends the form again waits")
	}
}
