package connector

import (
	"context"
	"fmt"
	"sync"
	"time"

	"pullprint/trigger/graph"
)

// DefaultGroupTTL is how long the groups of a person are believed when the
// configuration says nothing.
const DefaultGroupTTL = 15 * time.Minute

// How long groups are used when the directory does not answer, and after how long
// it is asked again then; so many people are remembered. One reading may take
// groupsWithin: the longest that a caller of ours has (actWithin).
const (
	groupStale   = 24 * time.Hour
	groupRetry   = 30 * time.Second
	groupsWithin = actWithin
	maxGroups    = 20_000
)

// directory remembers who is in which groups, and what people read. One call is
// made for a person at a time, however many ask.
type directory struct {
	graph interface {
		Groups(ctx context.Context, user string) ([]graph.Group, error)
		Language(ctx context.Context, user string) (string, error)
	}
	flight flight[membership]

	mu        sync.Mutex
	ttl       time.Duration
	known     map[string]membership
	languages map[string]spoken
}

// membership is what the directory said of a person.
type membership struct {
	groups []string
	read   time.Time
	// again is when the directory is to be asked next.
	again time.Time
	// stale is true when it did not answer the last time.
	stale bool
}

type spoken struct {
	language string
	again    time.Time
}

// age is how old the groups are, beyond what is ordinary; zero when they are
// not.
func (m membership) age(now time.Time) time.Duration {
	if !m.stale {
		return 0
	}
	return now.Sub(m.read)
}

func newDirectory(g Graph, ttl time.Duration) *directory {
	if ttl <= 0 {
		ttl = DefaultGroupTTL
	}
	return &directory{graph: g, ttl: ttl, known: map[string]membership{}, languages: map[string]spoken{}}
}

// of lists the names and ids of a person's groups. When the directory does not
// answer, those that were read within a day are what there is; the error says
// that there are none.
func (d *directory) of(ctx context.Context, user string) (membership, error) {
	d.mu.Lock()
	old, ok := d.known[user]
	d.mu.Unlock()
	if ok && time.Now().Before(old.again) {
		return old, nil
	}
	m, _, err := d.flight.do(ctx, user, groupsWithin, func(ctx context.Context) (membership, error) {
		list, err := d.graph.Groups(ctx, user)
		now := time.Now()
		if err != nil && ok && now.Sub(old.read) < groupStale {
			old.again, old.stale = now.Add(groupRetry), true
			d.remember(user, old)
			return old, nil
		}
		if err != nil {
			return membership{}, fmt.Errorf("read groups of the owner: %w", err)
		}
		fresh := membership{groups: make([]string, 0, 2*len(list)), read: now, again: now.Add(d.ttl)}
		for _, g := range list {
			fresh.groups = append(fresh.groups, g.DisplayName, g.ID)
		}
		d.remember(user, fresh)
		return fresh, nil
	})
	return m, err
}

func (d *directory) remember(user string, m membership) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.known) >= maxGroups {
		clear(d.known)
	}
	d.known[user] = m
}

// language is what a person reads, as de-CH; empty when the directory does not
// say. It is only for words, so nothing waits for it twice.
func (d *directory) language(ctx context.Context, user string) string {
	d.mu.Lock()
	s, ok := d.languages[user]
	d.mu.Unlock()
	if ok && time.Now().Before(s.again) {
		return s.language
	}
	language, err := d.graph.Language(ctx, user)
	next := spoken{language, time.Now().Add(groupStale)}
	if err != nil {
		next = spoken{s.language, time.Now().Add(d.ttl)}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.languages) >= maxGroups {
		clear(d.languages)
	}
	d.languages[user] = next
	return next.language
}
