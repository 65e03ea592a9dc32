package tap

import (
	"context"
	"errors"
	"time"

	"pullprint/connector/decision"
	"pullprint/policy/pin"
)

// Shown is what a reader tells of: a badge, or the name of a person, who have to prove by a PIN that it
// is theirs where the device asks for one.
type Shown struct {
	Device string
	// Number is that of the badge; User, in its place, a user name or an employee id.
	Number, User string
	// PIN was typed at the reader, if it has a keypad. Where a badge is enough it is not looked at.
	PIN string
	// Actor is empty for the reader of the device, else the name of the API token that shows the
	// badge: it is recorded in the decisions.
	Actor string
}

// asked is what asks for the jobs of a tap.
func (s Shown) asked() decision.Origin {
	switch {
	case s.User != "" && s.Actor != "":
		return decision.AskedByPINToken
	case s.User != "":
		return decision.AskedByPIN
	case s.Actor != "":
		return decision.AskedByBadgeToken
	}
	return decision.AskedByBadge
}

// ownerOf is whom a tap is of: whoever has proven it, and has the badge by now.
func (t *Taps) ownerOf(ctx context.Context, s Shown, proven Visitor, now time.Time) (string, error) {
	if s.User != "" {
		return proven.Owner, nil
	}
	owner, err := t.badges.Owner(ctx, s.Number, now)
	if err == nil && proven.PIN != "" && owner != proven.Owner {
		return "", ErrBadgeInvalid // it was given to another since the PIN was typed
	}
	return owner, err
}

// resultOf is the label of a tap that was refused.
func resultOf(err error) string {
	var locked *LockedError
	var pinLocked *pin.LockedError
	switch {
	case errors.As(err, &locked), errors.As(err, &pinLocked):
		return tapLocked
	case errors.Is(err, pin.ErrWrong):
		return tapWrongPIN
	case errors.Is(err, ErrNeedsPIN):
		return tapNeedsPIN
	case errors.Is(err, ErrNoBadges), errors.Is(err, ErrNoNames):
		return tapNotTaken
	}
	return tapFailed
}
