package tap

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/cache"
	"pullprint/connector/directory"
	"pullprint/policy/badge"
	"pullprint/trigger/graph"
)

// The limits of the answers of the directory that are remembered.
const (
	// lookupTTL is how long the owner of a card is remembered: as long as groups are by default.
	lookupTTL = 15 * time.Minute
	// nobodyTTL is how long it is remembered that a card is nobody's: the card of a new employee
	// works a minute after it is in the directory.
	nobodyTTL = time.Minute
	// maxLookups is how many answers are kept.
	maxLookups = 10_000
)

// Directory finds people by employee id, and tells that of a person; *graph.Client is one.
type Directory interface {
	UserByEmployeeID(ctx context.Context, employeeID string) (graph.User, bool, error)
	EmployeeID(ctx context.Context, user string) (string, error)
}

// BadgeOwners finds the owners of badges in a registry of enrolled badges and, if there is one, the
// directory for badges that are not enrolled. Answers of the directory are cached in memory for
// a while and never stored, so that the badge of a person who leaves stops working.
type BadgeOwners struct {
	registry  *badge.Registry
	directory Directory
	flight    cache.Flight[string]
	compared  *comparison
	found     *cache.TTL[string] // owners by canonical number; empty: nobody
	cards     *cache.TTL[string] // canonical numbers of the cards in found, by Hash
}

// NewBadgeOwners resolves badges; d may be nil. Run compares badges that are shown with d.
func NewBadgeOwners(registry *badge.Registry, d Directory, log *zap.Logger) *BadgeOwners {
	return &BadgeOwners{
		registry: registry, directory: d, found: cache.NewTTL[string](lookupTTL, maxLookups),
		cards: cache.NewTTL[string](lookupTTL, maxLookups),
		compared: &comparison{
			waiting: make(chan shownCard, maxCompares), log: log.Named("badges"), differ: map[string]differing{},
		},
	}
}

// Canonical is a number in the form that all readers share; it is never stored.
func (b *BadgeOwners) Canonical(number string) (string, error) { return b.registry.Canonical(number) }

// GuessTag identifies a guess for all replicas; see badge.Registry.GuessTag.
func (b *BadgeOwners) GuessTag(text string) string { return b.registry.GuessTag(text) }

// Owner finds the owner of a badge. The error is ErrBadgeUnknown, ErrBadgeInvalid, or that of the
// lookup; it never quotes the number.
func (b *BadgeOwners) Owner(ctx context.Context, number string, now time.Time) (string, error) {
	found, err := b.registry.Resolve(ctx, number, now)
	switch {
	case err == nil:
		b.later(number, found)
		return found.Owner, nil
	case errors.Is(err, badge.ErrUnknown):
		canonical, err := b.registry.Canonical(number)
		if err != nil {
			return "", ErrBadgeUnknown
		}
		return b.lookUp(ctx, canonical)
	case errors.Is(err, badge.ErrNotValid):
		return "", ErrBadgeInvalid
	}
	return "", err
}

// lookUp finds the owner of a card that is not enrolled, by its canonical number.
func (b *BadgeOwners) lookUp(ctx context.Context, canonical string) (string, error) {
	if b.directory == nil {
		return "", ErrBadgeUnknown
	}
	owner, fresh := b.found.Get(canonical)
	if !fresh {
		var err error
		owner, _, err = b.flight.Do(ctx, canonical, directory.LookupWithin, func(ctx context.Context) (string, error) {
			u, _, err := b.directory.UserByEmployeeID(ctx, canonical)
			switch {
			case err != nil:
			case u.ID == "":
				b.found.PutFor(canonical, "", nobodyTTL)
			default:
				b.found.Put(canonical, u.ID)
				b.cards.Put(b.registry.Hash(canonical), canonical)
			}
			return u.ID, err
		})
		if err != nil {
			return "", fmt.Errorf("look the badge up in the directory: %w", err)
		}
	}
	if owner == "" {
		return "", ErrBadgeUnknown
	}
	return owner, nil
}
