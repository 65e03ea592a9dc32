package badge

import (
	"context"
	"errors"
	"fmt"
)

// laterReader is a KV that can begin after a revision, as that of the bus does. Of another one
// each page is read from the start.
type laterReader interface {
	EachAfter(
		ctx context.Context, filter string, revision uint64, fn func(key string, value []byte, revision uint64) error,
	) error
}

// List calls fn with the badges of an owner, or with all when owner is empty,
// in no order, revoked and expired ones too, and none that can't be read.
func (reg *Registry) List(ctx context.Context, owner string, fn func(Badge) error) error {
	owner = canonicalOwner(owner)
	return reg.each(ctx, func(s stored) error {
		if owner != "" && s.Owner != owner {
			return nil
		}
		return fn(s.Badge)
	})
}

// errPageEnd ends the reading of badges when a page is full.
var errPageEnd = errors.New("the page is full")

// Page lists up to n badges of an owner, or of all when owner is empty, that were
// changed after a revision, those changed longest ago first. next is the revision to go
// on from; 0 when there are no more. A badge that is changed meanwhile comes again.
func (reg *Registry) Page(
	ctx context.Context, owner string, after uint64, n int,
) (page []Badge, next uint64, err error) {
	owner = canonicalOwner(owner)
	last := after
	err = reg.eachAfter(ctx, after, func(s stored) error {
		if owner != "" && s.Owner != owner {
			return nil
		}
		if len(page) == n {
			next = last
			return errPageEnd
		}
		page, last = append(page, s.Badge), s.rev
		return nil
	})
	if errors.Is(err, errPageEnd) {
		err = nil
	}
	return page, next, err
}

func (reg *Registry) each(ctx context.Context, fn func(stored) error) error {
	return reg.eachAfter(ctx, 0, fn)
}

// eachAfter calls fn with the badges that can be read: one that can't costs itself alone.
func (reg *Registry) eachAfter(ctx context.Context, after uint64, fn func(stored) error) error {
	return reg.records(ctx, after, func(s stored) error {
		if s.damaged {
			return nil
		}
		return fn(s)
	})
}

// records calls fn with the badges that were changed after a revision, damaged ones too.
func (reg *Registry) records(ctx context.Context, after uint64, fn func(stored) error) error {
	var stop error // of fn, told as it is
	take := func(at string, value []byte, rev uint64) error {
		if rev <= after {
			return nil
		}
		s, _ := read(at, value, rev) // what is damaged says so
		stop = fn(s)
		return stop
	}
	var err error
	if kv, ok := reg.kv.(laterReader); ok && after > 0 {
		err = kv.EachAfter(ctx, badgePrefix+">", after, take)
	} else {
		err = reg.kv.Each(ctx, badgePrefix+">", take)
	}
	if err != nil && stop == nil {
		return fmt.Errorf("read badges: %w", err)
	}
	return err
}
