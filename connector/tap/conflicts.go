package tap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/recovery"
	"pullprint/connector/store"
	"pullprint/policy/badge"
)

// The limits of comparing badges with the directory.
const (
	// maxCompares is how many badges wait to be compared: as many as taps over NATS are answered
	// at once. A badge that finds no room is compared when it is shown again.
	maxCompares = 64
	// maxDiffering is how many that differ are remembered: more than anybody goes through.
	maxDiffering = 1000
	// sayDiffering is how often the log tells of one of them.
	sayDiffering = 24 * time.Hour
)

// comparison finds enrolled badges whose numbers are the employeeIds of other people by
// now: nobody was asked about that since the badge was enrolled. The enrolled owner is the
// one who opens the badge. It is done beside the tap, which does not wait for it.
type comparison struct {
	waiting chan shownCard
	log     *zap.Logger

	mu     sync.Mutex           // guards differ
	differ map[string]differing // by the id of the badge
}

// shownCard is an enrolled badge that was shown. The number is in memory only.
type shownCard struct {
	canonical string
	badge     badge.Badge
}

type differing struct {
	owner, holder string
	said          time.Time
}

// later has a badge compared that was shown.
func (b *BadgeOwners) later(number string, found badge.Badge) {
	if b.directory == nil {
		return
	}
	canonical, err := b.registry.Canonical(number)
	if err != nil {
		return
	}
	select {
	case b.compared.waiting <- shownCard{canonical, found}:
	default:
	}
}

// Run compares what was shown, until ctx ends.
func (b *BadgeOwners) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s := <-b.compared.waiting:
			if err := recovery.Catch(func() error { return b.compare(ctx, s) }); err != nil {
				b.compared.log.Debug("badge not compared with the directory", zap.String("badge", s.badge.ID), zap.Error(err))
			}
		}
	}
}

func (b *BadgeOwners) compare(ctx context.Context, s shownCard) error {
	holder, err := b.lookUp(ctx, s.canonical)
	if err != nil && !errors.Is(err, ErrBadgeUnknown) {
		return err
	}
	c, now := b.compared, time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if holder == "" || strings.EqualFold(holder, s.badge.Owner) {
		delete(c.differ, s.badge.ID)
		return nil
	}
	was := c.differ[s.badge.ID]
	next := differing{s.badge.Owner, holder, was.said}
	if now.Sub(was.said) >= sayDiffering {
		next.said = now
		c.log.Warn("enrolled badge is the employeeId of somebody else, its enrolled owner opens it",
			zap.String("badge", s.badge.ID), zap.String("owner", next.owner), zap.String("holder", next.holder))
	}
	if len(c.differ) >= maxDiffering {
		clear(c.differ)
	}
	c.differ[s.badge.ID] = next
	return nil
}

// Differing names the badges that were shown and are the employeeIds of others; nil when
// there is none.
func (b *BadgeOwners) Differing() error {
	c := b.compared
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.differ) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(c.differ))
	var list []string
	for _, id := range ids[:min(len(ids), store.MaxNamed)] {
		list = append(list, fmt.Sprintf("badge %s is enrolled for %s and is the employeeId of %s in Entra", id,
			c.differ[id].owner, c.differ[id].holder))
	}
	if more := len(ids) - len(list); more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("%s: whom it is enrolled for opens it; end it by `pullprint badge revoke --id ID`, or correct the "+
		"employeeId", strings.Join(list, "; "))
}
