package tap

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"pullprint/connector/directory"
	"pullprint/connector/printer"
	"pullprint/policy/badge"
	"pullprint/policy/pin"
	"pullprint/trigger/graph"
)

var (
	// ErrNeedsPIN says that a badge alone releases nothing at a device.
	ErrNeedsPIN = errors.New("the device asks for a PIN besides")
	// ErrNoBadges says that badges count for nothing at a device.
	ErrNoBadges = errors.New("the device takes no badges")
	// ErrNoNames says that nobody is let in by a name at a device, with a PIN or without.
	ErrNoNames = errors.New("the device takes no names, but badges")
	// ErrCard says that what was typed for a PIN or a name is the number of a badge.
	ErrCard = errors.New("a badge was shown where a PIN or a name was asked for")
	// ErrAgain says that what was typed is the rest of a badge that was read twice.
	ErrAgain = errors.New("the badge was read a second time")
)

// People finds users by what they say to be; *graph.Client is one.
type People interface {
	User(ctx context.Context, user string) (found graph.User, ok bool, err error)
	UserByEmployeeID(ctx context.Context, employeeID string) (user graph.User, ok bool, err error)
}

// Claim is who somebody says to be at a device that asks for a PIN: by a badge, a name or a code.
type Claim struct {
	// Owner is the Entra object id; empty of somebody who is not known.
	Owner string `json:"owner,omitempty"`
	// Badge names the badge by a keyed hash, or else what was typed.
	Badge string `json:"badge,omitempty"`
	// Named is set of a name, and of a code for a forgotten badge.
	Named bool `json:"named,omitempty"`
}

// factors is what Taps need for devices at which people type PINs.
type factors struct {
	devices map[string]printer.Device
	pins    *pin.PINs
	people  People
}

// AskPINs has devices ask for what their factors say. It is called before taps are answered.
func (t *Taps) AskPINs(devices []printer.Device, pins *pin.PINs, people People) {
	t.factors = factors{map[string]printer.Device{}, pins, people}
	for _, d := range devices {
		t.factors.devices[d.ID] = d
	}
}

// card is what a badge at the device belongs to.
func (t *Taps) card(device string) printer.Factor { return t.factors.devices[device].Card() }

// asksPIN reports whether people type PINs at a device.
func (t *Taps) asksPIN(device string) bool { return t.factors.devices[device].AsksPIN() }

// proven is who has proven by a PIN that a tap is theirs; nobody where a badge is enough. Whether the
// badge or the name is known makes no difference but that no PIN of nobody is right.
func (t *Taps) proven(ctx context.Context, s Shown, now time.Time) (Visitor, error) {
	switch card := t.card(s.Device); {
	case s.User != "" && !t.factors.devices[s.Device].Takes(printer.ByPIN):
		return Visitor{}, ErrNoNames
	case s.User == "" && card == "":
		return Visitor{}, ErrNoBadges
	case s.User == "" && card == printer.ByBadge:
		return Visitor{}, nil
	case s.PIN == "":
		return Visitor{}, ErrNeedsPIN
	}
	var c Claim
	var err error
	if s.User != "" {
		c, err = t.claimOf(ctx, s.Device, s.User)
	} else {
		c, err = t.claimByBadge(ctx, s, now)
	}
	if err != nil {
		return Visitor{}, err
	}
	return t.checkPIN(ctx, s.Device, c, s.PIN, now)
}

// claimByBadge is whose a badge is. One that is unknown is counted.
func (t *Taps) claimByBadge(ctx context.Context, s Shown, now time.Time) (Claim, error) {
	owner, err := t.badges.Owner(ctx, s.Number, now)
	switch {
	case errors.Is(err, ErrBadgeUnknown):
		t.countUnknown(ctx, s.Device, s.Number, now)
	case err != nil && !errors.Is(err, ErrBadgeInvalid):
		return Claim{}, err
	}
	return t.ClaimOf(owner, s.Number), nil
}

// employeeID is what an employee id may look like: no more is asked of the directory.
var employeeID = regexp.MustCompile(`^[0-9A-Za-z._-]{1,16}$`)

// maxNames is how many names a device may ask the directory for within namesIn, known or not: more than
// people type, and few enough that a stolen token of a reader leaves Graph the time for others.
const (
	maxNames = 30
	namesIn  = time.Minute
)

// claimOf is who has a user name or an employee id. The error is pin.ErrBusy beyond maxNames.
func (t *Taps) claimOf(ctx context.Context, device, name string) (Claim, error) {
	if !t.names.Allows(device, time.Now()) {
		return Claim{}, fmt.Errorf("%w: %d names were typed at device %s within a minute", pin.ErrBusy, maxNames, device)
	}
	name = strings.TrimSpace(name)
	ctx, cancel := context.WithTimeout(ctx, directory.LookupWithin)
	defer cancel()
	var found graph.User
	var err error
	switch {
	case graph.ValidUserName(name):
		found, _, err = t.factors.people.User(ctx, name)
	case employeeID.MatchString(name):
		found, _, err = t.factors.people.UserByEmployeeID(ctx, name)
	}
	if err != nil {
		return Claim{}, fmt.Errorf("look the name up in the directory: %w", err)
	}
	owner, _ := graph.CanonicalGUID(found.ID)
	return Claim{Owner: owner, Badge: t.badges.GuessTag("claimed\x00" + strings.ToLower(name)), Named: true}, nil
}

// checkPIN is who claims to be somebody, with the PIN that was right.
func (t *Taps) checkPIN(ctx context.Context, device string, c Claim, text string, now time.Time) (Visitor, error) {
	version, err := t.factors.pins.Check(ctx, try(device, c, text), now)
	if err != nil {
		return Visitor{}, err
	}
	return Visitor{Owner: c.Owner, Badge: c.Badge, Named: c.Named, PIN: version}, nil
}

func try(device string, c Claim, text string) pin.Try {
	return pin.Try{Owner: c.Owner, Claimed: c.Badge, Device: device, PIN: text}
}

// Claimant is who a user name or an employee id is of, as somebody says at a device that takes PINs
// alone; elsewhere the error is ErrNoNames. One that nobody has is claimed by nobody, and the PIN is
// asked for all the same. ErrCard says that the text is a badge to be shown, pin.ErrBusy that too many
// names are typed there. It takes as long as a tap that finds no jobs.
func (t *Taps) Claimant(ctx context.Context, device, name string) (Claim, error) {
	now := time.Now()
	if err := t.admitted(ctx, device, now); err != nil {
		return Claim{}, err
	}
	if !t.factors.devices[device].Takes(printer.ByPIN) {
		return Claim{}, ErrNoNames
	}
	if err := t.cardForName(ctx, device, name, now); err != nil {
		return Claim{}, err
	}
	c, err := t.claimOf(ctx, device, name)
	if err != nil {
		return Claim{}, err
	}
	return c, t.equalise(ctx, now)
}

// cardForName is ErrCard of a badge that is shown where a name is asked for. Other numbers are counted whether
// or not somebody has them for a name, so that a locked reader does not tell.
func (t *Taps) cardForName(ctx context.Context, device, text string, now time.Time) error {
	if graph.ValidUserName(text) {
		return nil
	}
	guess := t.canonical(text)
	if pin.TooShort(text) || t.maybePIN(device, text) {
		guess = rand.Text()
	}
	return t.cardOrGuess(ctx, device, text, guess, now)
}

// cardOrGuess is ErrCard of a badge that is shown where something else is asked for. What may be the number
// of one, and is none, counts as an unknown badge: numbers could be tried there without an end otherwise.
// guess identifies it; of what may be a PIN, or a part of one, it has nothing, so that nothing of that is kept.
func (t *Taps) cardOrGuess(ctx context.Context, device, text, guess string, now time.Time) error {
	if t.card(device) == "" {
		return nil
	}
	switch _, err := t.badges.registry.Resolve(ctx, text, now); {
	case err == nil:
		return ErrCard
	case !errors.Is(err, badge.ErrNotValid):
		return err
	}
	t.countGuess(ctx, device, guess, now)
	return nil
}

// EnteredPIN is who claims to be somebody at a station, once the PIN that they typed is right. It takes
// as long as a tap that finds no jobs. A reader types where the focus is: ErrCard says that the text
// is a badge to be shown, ErrAgain that it is the rest of the badge that was shown just before.
// Neither counts as a PIN, nor does one that is too short or was typed without Shift, which is wrong. The other
// errors are *LockedError, those of pin.PINs.Check, and what the store failed with.
func (t *Taps) EnteredPIN(ctx context.Context, device string, c Claim, text string) (Visitor, error) {
	now := time.Now()
	if err := t.admitted(ctx, device, now); err != nil {
		return Visitor{}, err
	}
	slip := pin.TooShort(text) || pin.Mistyped(text)
	if !slip && !pin.Possible(text) {
		return Visitor{}, ErrCard
	}
	if age, ok := t.endOfTyped(device, text, now); ok && age < restFor {
		return Visitor{}, ErrAgain
	}
	if slip { // a key was missed, rather than a card shown that is so short or has no letter and no digit
		return Visitor{}, cmp.Or(t.cardOrGuess(ctx, device, text, rand.Text(), now), t.equalise(ctx, now), pin.ErrWrong)
	}
	who, err := t.checkPIN(ctx, device, c, text, now)
	if errors.Is(err, pin.ErrWrong) {
		// The directory is not asked: what may be a PIN does not leave the house.
		if _, known := t.badges.registry.Resolve(ctx, text, now); known == nil {
			if err := t.factors.pins.Uncount(ctx, try(device, c, text), now); err != nil {
				return Visitor{}, err
			}
			return Visitor{}, ErrCard
		}
	}
	result := tapShown
	if err != nil {
		result = resultOf(err)
	}
	t.metrics.taps.WithLabelValues(device, result).Inc()
	if werr := t.equalise(ctx, now); werr != nil {
		return Visitor{}, werr
	}
	return who, err
}

// Forgot calls open with whom a one-time code stands in for the badge of, for one visit: as a badge would,
// with a PIN besides where the device asks for one. The code is not used up when open fails, nor where
// badges count for nothing: the error is ErrNoBadges then. A wrong code counts as an unknown badge; one
// for something else is a *badge.PurposeError. The other errors are those of Enrol and of open.
func (t *Taps) Forgot(ctx context.Context, device, code string, open func(who Visitor) error) error {
	return t.Enrol(ctx, device, code, func(now time.Time) error {
		do := func(owner string) error {
			if t.card(device) == "" {
				return ErrNoBadges
			}
			return open(t.visitor(device, Claim{Owner: owner, Badge: t.badges.GuessTag("code\x00" + code), Named: true}))
		}
		return t.badges.registry.UseCode(context.WithoutCancel(ctx), code, badge.ForVisit, now, do)
	})
}

// SetPIN sets the PIN of the person whom a one-time code is of, once audit has recorded whose it is. The
// code is not used up by a PIN that can't be taken or stored; a wrong code counts as an unknown badge, each
// time, as the PIN may be the number of one that is tried, and nothing that is made of it is kept. The errors
// are those of Enrol, of audit and of pin.PINs.Set.
func (t *Taps) SetPIN(ctx context.Context, device, code, text string, audit func(owner string) error) error {
	if err := pin.CheckNew(text); err != nil {
		return err
	}
	return t.Enrol(ctx, device, rand.Text(), func(now time.Time) error {
		ctx := context.WithoutCancel(ctx)
		return t.badges.registry.UseCode(ctx, code, badge.ForPIN, now, func(owner string) error {
			if err := audit(owner); err != nil {
				return err
			}
			return t.factors.pins.Set(ctx, owner, text, pin.ByCode, now)
		})
	})
}
