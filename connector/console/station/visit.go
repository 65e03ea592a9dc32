package station

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"pullprint/connector/store"
	"pullprint/connector/tap"
)

// visitLife is how long a visit lasts after its person did something. A page ends it sooner,
// after forgetAfter; this is for a browser that has stopped.
const visitLife = 60 * time.Second

// visit is who is at a station. There is one for each device, so that a card ends
// the visit of whoever was there. It is stored, for every replica and over restarts.
//
// Each page of a visit has a ticket, which the first form that is sent with it uses up, for
// all forms of the page. A form that is sent a second time, from a page that was left, after
// the visit or at another device does nothing.
type visit struct {
	Device string `json:"device"`
	// Owner is empty when nobody is there.
	Owner string `json:"owner,omitempty"`
	// Badge names the badge that the visit was begun with; see tap.Visitor. It is
	// empty in a visit that an earlier version stored, which no page goes on with.
	Badge string    `json:"badge,omitempty"`
	Until time.Time `json:"until"`
	// PIN names the PIN that was typed, and Named is set of who has no badge there; see tap.Visitor.
	PIN   string `json:"pin_version,omitempty"`
	Named bool   `json:"named,omitempty"`
	// Shown names the card that was shown last, while its owner is looked up: only that
	// card begins a visit. Cards count in the order in which they came to the store, as
	// the clocks of replicas differ.
	Shown string `json:"shown,omitempty"`
	// Ticket names that of the page that is shown, Used the one before; the tickets
	// are not stored.
	Ticket string `json:"ticket,omitempty"`
	Used   string `json:"used,omitempty"`
	// Offer is the code of an unknown card, while nobody is there: the page with it is shown once.
	Offer string `json:"offer,omitempty"`
	// Claims is who somebody says to be, while nobody is there: their PIN is asked for.
	Claims *tap.Claim `json:"claims,omitempty"`
}

func (v *visit) visitor() tap.Visitor {
	return tap.Visitor{Owner: v.Owner, Badge: v.Badge, PIN: v.PIN, Named: v.Named}
}

// use is what a ticket is good for.
type use int

const (
	useEnded use = iota // nothing: the visit is over
	useFirst            // what the form asks for
	useAgain            // nothing more: what the form asked for is done, or is being done
)

// Visits are those at all devices, shared by all replicas.
type Visits struct{ store store.KV }

// NewVisits are the visits in a store.
func NewVisits(kv store.KV) *Visits { return &Visits{kv} }

func visitKey(device string) string { return "visit.at." + device }

// hashOf names a secret where it is stored or compared.
func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// change reads the visit at a device and stores what fn makes of it, unless fn
// reports false.
func (s *Visits) change(ctx context.Context, device string, fn func(v *visit) bool) error {
	err := store.Change(ctx, s.store, visitKey(device), visitLife, func(v *visit) bool {
		v.Device = device
		return fn(v)
	})
	if err != nil {
		return fmt.Errorf("change visit: %w", err)
	}
	return nil
}

// read reads the visit at a device. One that is damaged is none: otherwise the device could
// not be used any more.
func (s *Visits) read(ctx context.Context, device string) (visit, error) {
	v, _, err := store.Read[visit](ctx, s.store, visitKey(device))
	v.Device = device
	return v, err
}

// endForCard ends the visit of whoever is at a device, as a card was shown there, and names
// the card for begin.
func (s *Visits) endForCard(ctx context.Context, device string) (card string, err error) {
	card = rand.Text()
	return card, s.change(ctx, device, func(v *visit) bool {
		*v = visit{Device: device, Until: time.Now().Add(visitLife), Shown: card}
		return true
	})
}

// visitOf is a visit that begins now.
func visitOf(device string, who tap.Visitor) visit {
	return visit{
		Device: device, Owner: who.Owner, Badge: who.Badge, PIN: who.PIN, Named: who.Named, Until: time.Now().Add(visitLife),
	}
}

// begin begins the visit of the owner of a card. It reports false when another card was
// shown since.
func (s *Visits) begin(ctx context.Context, device string, who tap.Visitor, card string,
) (ticket string, ok bool, err error) {
	return s.follow(ctx, card, visitOf(device, who))
}

// offer keeps the code of an unknown card for the page that shows it. It reports false when another
// card was shown since.
func (s *Visits) offer(ctx context.Context, device, code, card string) (ticket string, ok bool, err error) {
	return s.follow(ctx, card, visit{Device: device, Offer: code})
}

// follow stores what follows a card that was shown, and returns the ticket of its page. It reports false when
// another card was shown since.
func (s *Visits) follow(ctx context.Context, card string, next visit) (ticket string, ok bool, err error) {
	ticket = rand.Text()
	next.Ticket, next.Until = hashOf(ticket), time.Now().Add(visitLife)
	err = s.change(ctx, next.Device, func(v *visit) bool {
		if ok = card != "" && v.Shown == card; ok {
			*v = next
		}
		return ok
	})
	return ticket, ok && err == nil, err
}

// offered is the code that a ticket of offer is for, and the ticket of the next page with it: each
// works once.
func (s *Visits) offered(ctx context.Context, device, ticket string) (code, next string, err error) {
	next = rand.Text()
	err = s.change(ctx, device, func(v *visit) bool {
		code = ""
		ok := v.Owner == "" && v.Offer != "" && v.Ticket == hashOf(ticket) && time.Now().Before(v.Until)
		if ok {
			code, v.Ticket = v.Offer, hashOf(next)
		}
		return ok
	})
	return code, next, err
}

// End ends the visit of whoever is at a device, and that of a card that is looked up.
func (s *Visits) End(ctx context.Context, device string) error {
	return s.change(ctx, device, func(v *visit) bool {
		there := v.Owner != "" || v.Shown != "" || v.Offer != "" || v.Claims != nil
		*v = visit{Device: device, Until: v.Until}
		return there
	})
}

// leave ends the visit that a ticket is of, also when it was used.
func (s *Visits) leave(ctx context.Context, device, ticket string) error {
	name := hashOf(ticket)
	return s.change(ctx, device, func(v *visit) bool {
		theirs := (v.Owner != "" || v.Claims != nil) && (v.Ticket == name || v.Used == name)
		*v = visit{Device: device, Until: v.Until}
		return theirs
	})
}

// use uses a ticket up and says who is there.
func (s *Visits) use(ctx context.Context, device, ticket string) (who tap.Visitor, u use, err error) {
	name := hashOf(ticket)
	err = s.change(ctx, device, func(v *visit) bool {
		who, u = v.visitor(), useEnded
		switch {
		case v.Owner == "" || !time.Now().Before(v.Until):
			return false
		case v.Used == name:
			u = useAgain
			return false
		case v.Ticket != name:
			return false
		}
		u = useFirst
		v.Used, v.Ticket, v.Until = name, "", time.Now().Add(visitLife)
		return true
	})
	if err != nil || u == useEnded {
		return tap.Visitor{}, useEnded, err
	}
	return who, u, nil
}

// turn is the ticket of the next page after one was used; it reports false when
// the visit has ended meanwhile.
func (s *Visits) turn(ctx context.Context, device, used string) (ticket string, ok bool, err error) {
	ticket = rand.Text()
	err = s.change(ctx, device, func(v *visit) bool {
		if ok = v.Owner != "" && v.Used == hashOf(used) && time.Now().Before(v.Until); ok {
			v.Ticket, v.Until = hashOf(ticket), time.Now().Add(visitLife)
		}
		return ok
	})
	if err != nil || !ok {
		return "", false, err
	}
	return ticket, true, nil
}
