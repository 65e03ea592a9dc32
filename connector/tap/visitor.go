package tap

import (
	"context"
	"errors"
	"strings"
	"time"

	"pullprint/connector/directory"
	"pullprint/policy/badge"
	"pullprint/trigger/graph"
)

// Visitor is who showed a badge at a station, and by which.
type Visitor struct {
	// Owner is the Entra object id; empty when nobody is known by the badge.
	Owner string
	// Badge names the badge by a keyed hash, from which its number can't be found.
	Badge string
	// Code is the one by which the owner of an unknown badge enrols it, where they may.
	Code string
}

// VisitorOf is the owner of a badge with a number.
func (t *Taps) VisitorOf(owner, number string) Visitor {
	return Visitor{Owner: owner, Badge: t.badges.Hash(number)}
}

// StillValid looks at the badge of a visitor once more, as each act of a visit does: it
// may be revoked while the visit lasts. The error is ErrBadgeInvalid when the badge is not
// theirs any more, or why that can't be told.
func (t *Taps) StillValid(ctx context.Context, v Visitor) error {
	if v.Badge == "" || v.Owner == "" {
		return ErrBadgeInvalid
	}
	owner, err := t.badges.OwnerByHash(ctx, v.Badge, v.Owner, time.Now())
	switch {
	case errors.Is(err, ErrBadgeUnknown):
		return ErrBadgeInvalid
	case err == nil && owner != v.Owner:
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
