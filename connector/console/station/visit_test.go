package station

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/tap"
)

// visitor is somebody with the ticket of a page.
type visitor struct {
	t      *testing.T
	visits *Visits
	ticket string
}

func arrive(t *testing.T, v *Visits, device, owner string) *visitor {
	t.Helper()
	card, err := v.endForCard(t.Context(), device)
	if err != nil {
		t.Fatal(err)
	}
	ticket, ok, err := v.begin(t.Context(), device, tap.Visitor{Owner: owner, Badge: "badge"}, card)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	return &visitor{t, v, ticket}
}

// may uses the ticket at a device.
func (g *visitor) may(device string) use {
	g.t.Helper()
	who, u, err := g.visits.use(g.t.Context(), device, g.ticket)
	if err != nil || (u == useEnded) != (who.Owner == "") {
		g.t.Fatal(who.Owner, u, err)
	}
	return u
}

// next takes the ticket of the page that comes then.
func (g *visitor) next(device string) bool {
	g.t.Helper()
	ticket, ok, err := g.visits.turn(g.t.Context(), device, g.ticket)
	if err != nil {
		g.t.Fatal(err)
	}
	g.ticket = ticket
	return ok
}

// A ticket is good once, at its device, in its time, and until another badge is
// shown or its holder has left.
func TestVisits(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		v := NewVisits(bustest.Open(t).State())
		ada := arrive(t, v, "west", "ada")
		if ada.may("east") != useEnded || (&visitor{t, v, "guessed"}).may("west") != useEnded ||
			(&visitor{t, v, ""}).may("west") != useEnded {
			t.Error("known at another device, by a guess or by nothing")
		}
		if ada.may("west") != useFirst || ada.may("west") != useAgain {
			t.Error("not good once, or good twice")
		}
		old := *ada
		for range 3 {
			if !ada.next("west") {
				t.Fatal("no further page")
			}
			time.Sleep(visitLife - time.Second)
			if ada.may("west") != useFirst {
				t.Error("not known although they did something")
			}
		}
		if old.may("west") != useEnded {
			t.Error("the ticket of an earlier page is good")
		}
		ada.next("west")
		time.Sleep(visitLife + time.Second)
		if ada.may("west") != useEnded {
			t.Error("known after the time")
		}

		ada = arrive(t, v, "west", "ada")
		grace := arrive(t, v, "west", "grace")
		if ada.may("west") != useEnded || ada.next("west") {
			t.Error("known after another badge")
		}
		used := arrive(t, v, "west", "ada")
		if grace.may("west") != useEnded || used.may("west") != useFirst {
			t.Error("of three badges not the last one counts")
		}
		if err := v.leave(t.Context(), "west", used.ticket); err != nil {
			t.Fatal(err)
		}
		if used.next("west") || used.may("west") != useEnded {
			t.Error("known after leaving")
		}
	})
}

// A card that was shown before the one that counts, and took longer to be looked
// up, does not end its visit.
func TestVisitOvertaken(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		v := NewVisits(bustest.Open(t).State())
		earlier, err := v.endForCard(t.Context(), "west")
		if err != nil {
			t.Fatal(err)
		}
		grace := arrive(t, v, "west", "grace")
		_, ok, err := v.begin(t.Context(), "west", tap.Visitor{Owner: "ada"}, earlier)
		if err != nil || ok || grace.may("west") != useFirst {
			t.Errorf("an earlier card came after: %t, %v", ok, err)
		}
		if earlier, err = v.endForCard(t.Context(), "west"); err != nil {
			t.Fatal(err)
		}
		if err := v.End(t.Context(), "west"); err != nil { // a tap, by NATS
			t.Fatal(err)
		}
		if _, ok, err := v.begin(t.Context(), "west", tap.Visitor{Owner: "ada"}, earlier); err != nil || ok {
			t.Errorf("a card that was looked up while another was shown: %t, %v", ok, err)
		}
	})
}

// A card ends the visit before it, and whoever leaves has left, however far ahead the
// clock of the replica is that began the visit.
func TestVisitClocks(t *testing.T) {
	for name, ends := range map[string]func(ctx context.Context, v *Visits, ticket string) error{
		"card":  func(ctx context.Context, v *Visits, _ string) error { _, err := v.endForCard(ctx, "west"); return err },
		"tap":   func(ctx context.Context, v *Visits, _ string) error { return v.End(ctx, "west") },
		"leave": func(ctx context.Context, v *Visits, ticket string) error { return v.leave(ctx, "west", ticket) },
	} {
		for _, ahead := range []time.Duration{0, 3 * time.Second, time.Hour} {
			bustest.Virtual(t, func(t *testing.T) {
				v := NewVisits(bustest.Open(t).State())
				there := time.Now().Add(ahead)
				was := fmt.Sprintf(`{"device":"west","owner":"ada","until":%q,"began":%q,"ticket":%q}`,
					there.Add(visitLife).Format(time.RFC3339Nano), there.Format(time.RFC3339Nano), hashOf("of ada"))
				if _, ok, err := v.store.CompareAndSet(t.Context(), visitKey("west"), []byte(was), 0, visitLife); err != nil || !ok {
					t.Fatal(ok, err)
				}
				if err := ends(t.Context(), v, "of ada"); err != nil {
					t.Fatal(err)
				}
				if (&visitor{t, v, "of ada"}).may("west") != useEnded {
					t.Errorf("%s, a clock %v ahead: the page before acts", name, ahead)
				}
				if arrive(t, v, "west", "grace").may("west") != useFirst {
					t.Errorf("%s, a clock %v ahead: the next is locked out", name, ahead)
				}
			})
		}
	}
}

// A restore brings no visit back: its person left.
func TestNoVisitAfterRestore(t *testing.T) {
	b := bustest.Open(t)
	ada := arrive(t, NewVisits(b.State()), "west", "ada")
	file := bustest.Backup(t, b)
	ada.visits = NewVisits(bustest.Restore(t, b, file).State())
	if u := ada.may("west"); u != useEnded {
		t.Error(u)
	}
}
