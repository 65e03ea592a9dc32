package tap

import (
	"context"
	"errors"
	"strings"
	"time"

	"pullprint/connector/directory"
	"pullprint/connector/printer"
	"pullprint/policy/badge"
	"pullprint/trigger/graph"
)

// Visitor is who is at a station: proven by a badge, a PIN, both, or a code. One that is stored keeps
// Owner, Badge, PIN and Named.
type Visitor struct {
	// Owner is the Entra object id; empty when nobody is proven.
	Owner string
	// Badge names the badge by a keyed hash, from which its number can't be found.
	Badge string
	// PIN names the PIN that was right, if one was asked for: see pin.PINs.Version.
	PIN string
	// Named is set of who was let in without a badge: by name, or by a code for a forgotten one.
	Named bool
	// Claims is who it may be, while Owner is empty since the device asks for a PIN besides: EnteredPIN
	// goes on with it. It is set of a badge that nobody has too.
	Claims *Claim
	// Code is the one by which the owner of an unknown badge enrols it, where they may.
	Code string
}

// ClaimOf is what the owner of a badge with a number claims by it.
func (t *Taps) ClaimOf(owner, number string) Claim {
	return Claim{Owner: owner, Badge: t.badges.Hash(number)}
}

// visitor is who a badge, or a code in its place, is of: proven where that is enough.
func (t *Taps) visitor(device string, c Claim) Visitor {
	switch t.card(device) {
	case printer.ByBadge:
		return Visitor{Owner: c.Owner, Badge: c.Badge, Named: c.Named}
	case printer.ByBadgeAndPIN:
		return Visitor{Claims: &c}
	}
	return Visitor{}
}

// StillValid looks at the badge and the PIN of a visitor at a device once more, as each act of a visit
// does: they may be ended while the visit lasts. The error is ErrBadgeInvalid when they open it no
// more, or why that can't be told.
func (t *Taps) StillValid(ctx context.Context, device string, v Visitor) error {
	if v.Owner == "" || v.Badge == "" && !v.Named || v.PIN == "" && t.card(device) != printer.ByBadge {
		return ErrBadgeInvalid
	}
	if v.PIN != "" {
		if now, err := t.factors.pins.Version(ctx, v.Owner); err != nil {
			return err
		} else if now != v.PIN {
			return ErrBadgeInvalid
		}
	}
	if v.Named {
		return nil
	}
	return t.StillOwns(ctx, Claim{Owner: v.Owner, Badge: v.Badge})
}

// StillOwns looks whether a badge is still that of who claims to be its owner. The error is
// ErrBadgeInvalid when it is not, or why that can't be told.
func (t *Taps) StillOwns(ctx context.Context, c Claim) error {
	if c.Owner == "" || c.Badge == "" {
		return ErrBadgeInvalid
	}
	owner, err := t.badges.OwnerByHash(ctx, c.Badge, c.Owner, time.Now())
	switch {
	case errors.Is(err, ErrBadgeUnknown):
		return ErrBadgeInvalid
	case err == nil && owner != c.Owner:
		return ErrBadgeInvalid
	}
	return err
}

// Hash names a badge without its number; see badge.Registry.Hash.
func (b *BadgeOwners) Hash(number string) string {
	canonical, err := b.registry.Canonical(number)
	if err != nil {
		return ""
	}
	return b.registry.Hash(canonical)
}

// OwnerByHash is Owner for a badge that is named by its hash, and was that of was a moment ago.
func (b *BadgeOwners) OwnerByHash(ctx context.Context, hash, was string, now time.Time) (string, error) {
	found, err := b.registry.ByHash(ctx, hash, now)
	switch {
	case err == nil:
		return found.Owner, nil
	case errors.Is(err, badge.ErrUnknown) && b.directory != nil:
		return b.lookUpByHash(ctx, hash, was)
	case errors.Is(err, badge.ErrNotValid):
		return "", ErrBadgeInvalid
	}
	return "", err
}

// lookUpByHash is lookUp for a hash. The directory finds nobody by a hash: the number is that
// of a card that was looked up here, or else the employee id that was has now.
func (b *BadgeOwners) lookUpByHash(ctx context.Context, hash, was string) (string, error) {
	if canonical, ok := b.cards.Get(hash); ok {
		return b.lookUp(ctx, canonical)
	}
	ctx, cancel := context.WithTimeout(ctx, directory.LookupWithin)
	defer cancel()
	id, err := b.directory.EmployeeID(ctx, was)
	if graph.IsNotFound(err) {
		return "", ErrBadgeUnknown
	} else if err != nil {
		return "", err
	}
	for _, canonical := range []string{id, strings.ToUpper(id), strings.ToLower(id)} { // Entra takes them for the same
		if id != "" && b.registry.Hash(canonical) == hash {
			return b.lookUp(ctx, canonical)
		}
	}
	return "", ErrBadgeUnknown
}
