package badge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Which says which badges are meant: the first field that is set counts. Owner beside ID means the badge
// only if it is that person's.
type Which struct {
	// Number is what a reader tells.
	Number string
	// ID is Badge.ID.
	ID string
	// Owner means all of that person.
	Owner string
	// KeyID means all under a key that is lost or to be given up: they are
	// removed. It is not the current one.
	KeyID string
}

// Revoke ends badges and lists those that were not revoked before; ErrUnknown
// says that there are none. Which of them were stored before an error can be
// listed; doing it again does no harm.
func (reg *Registry) Revoke(ctx context.Context, w Which, by string, now time.Time) ([]Badge, error) {
	w.Owner = canonicalOwner(w.Owner)
	canonical := ""
	if w.Number != "" {
		var err error
		if canonical, err = reg.chain.Apply(w.Number); err != nil {
			return nil, err
		}
	}
	remove := w == Which{KeyID: w.KeyID}
	if remove && w.KeyID == reg.keys.list[0].id {
		return nil, fmt.Errorf("%w: %s is the current key; put another on top of the key file first", ErrEnrolment, w.KeyID)
	}
	var done []Badge
	matched := false
	// A badge may be on its way to another key while we look: so look until there
	// is nothing left to do.
	for range maxConflicts {
		found, err := reg.which(ctx, w, canonical)
		if err != nil {
			return done, err
		}
		matched = matched || len(found) > 0
		found = slices.DeleteFunc(found, func(s stored) bool { return !remove && !s.Revoked.IsZero() })
		if len(found) == 0 {
			if !matched {
				return nil, ErrUnknown
			}
			return done, nil
		}
		for _, s := range found {
			ok, err := reg.end(ctx, s, remove, by, now)
			if err != nil {
				return done, err
			}
			if ok && !slices.ContainsFunc(done, func(d Badge) bool { return d.ID == s.ID }) {
				s.Revoked, s.RevokedBy = now.UTC().Round(0), by
				done = append(done, s.Badge)
			}
		}
	}
	return done, ErrConflict
}

// which lists the badges that are meant, copies as well. One that can't be read is meant
// by its number, its place or its key; whose it is it does not tell.
func (reg *Registry) which(ctx context.Context, w Which, canonical string) (found []stored, err error) {
	if w.Number != "" {
		_, found, err = reg.findNumber(ctx, w.Number, canonical)
		if errors.Is(err, ErrUnknown) || errors.Is(err, ErrDamaged) {
			return found, nil
		}
		return found, err
	}
	err = reg.records(ctx, 0, func(s stored) error {
		switch {
		case w.ID != "" && s.ID == w.ID && (w.Owner == "" || s.Owner == w.Owner),
			w.ID == "" && w.Owner != "" && s.Owner == w.Owner,
			w.ID == "" && w.Owner == "" && w.KeyID != "" && s.keyID() == w.KeyID:
			found = append(found, s)
		}
		return nil
	})
	return found, err
}

func (reg *Registry) end(ctx context.Context, s stored, remove bool, by string, now time.Time) (bool, error) {
	if remove || s.damaged {
		ok, err := reg.kv.Delete(ctx, s.at, s.rev)
		if err != nil {
			return false, fmt.Errorf("remove badge: %w", err)
		}
		return ok, nil
	}
	s.Revoked, s.RevokedBy = now.UTC().Round(0), by
	return reg.put(ctx, s.at, s.Badge, s.rev)
}
