package connector

import (
	"context"
	"fmt"
	"time"
)

// DefaultGroupTTL is how long the groups of a person are cached by default.
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

// directory caches the groups and the language of people. Concurrent callers for the same
// person share one call.
type directory struct {
	graph     EvaluatorGraph
	flight    flight[membership]
	ttl       time.Duration
	known     *ttlCache[membership]
	languages *ttlCache[string]
}

// membership is what the directory said of a person.
type membership struct {
	groups []string
	read   time.Time
	// stale is true when the directory did not answer the last time.
	stale bool
}

// age is how old the groups are, beyond what is ordinary; zero when they are
// not.
func (m membership) age(now time.Time) time.Duration {
	if !m.stale {
		return 0
	}
	return now.Sub(m.read)
}

func newDirectory(g EvaluatorGraph, ttl time.Duration) *directory {
	if ttl <= 0 {
		ttl = DefaultGroupTTL
	}
	return &directory{
		graph: g, ttl: ttl, known: newTTLCache[membership](ttl, maxGroups), languages: newTTLCache[string](groupStale, maxGroups),
	}
}

// of returns the names and ids of a person's groups. If the directory does not answer, it
// returns the groups that were read within a day; the error says that there are none.
func (d *directory) of(ctx context.Context, user string) (membership, error) {
	old, fresh := d.known.get(user)
	if fresh {
		return old, nil
	}
	m, _, err := d.flight.do(ctx, user, groupsWithin, func(ctx context.Context) (membership, error) {
		list, err := d.graph.Groups(ctx, user)
		now := time.Now()
		if err != nil && !old.read.IsZero() && now.Sub(old.read) < groupStale {
			old.stale = true
			d.known.putFor(user, old, groupRetry)
			return old, nil
		}
		if err != nil {
			return membership{}, fmt.Errorf("read groups of the owner: %w", err)
		}
		m := membership{groups: make([]string, 0, 2*len(list)), read: now}
		for _, g := range list {
			m.groups = append(m.groups, g.DisplayName, g.ID)
		}
		d.known.put(user, m)
		return m, nil
	})
	return m, err
}

// language is the language of a person, such as de-CH; empty when the directory does not say.
// It only selects the wording, so a failed lookup is not repeated.
func (d *directory) language(ctx context.Context, user string) string {
	old, fresh := d.languages.get(user)
	if fresh {
		return old
	}
	language, err := d.graph.Language(ctx, user)
	if err != nil {
		d.languages.putFor(user, old, d.ttl)
		return old
	}
	d.languages.put(user, language)
	return language
}
