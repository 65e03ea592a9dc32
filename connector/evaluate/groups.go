package evaluate

import (
	"context"
	"fmt"
	"time"

	"pullprint/connector/cache"
	"pullprint/connector/job"
)

// DefaultGroupTTL is how long the groups of a person are cached by default.
const DefaultGroupTTL = 15 * time.Minute

// The limits of the groups that are remembered.
const (
	// groupStale is how long groups are used when the directory does not answer: an outage of a
	// working day does not stop people from printing.
	groupStale = 24 * time.Hour
	// groupRetry is after how long the directory is asked again then, so that people do not wait
	// for its time-out at every job.
	groupRetry = 30 * time.Second
	// groupsWithin bounds one reading, which callers share: the longest that one of them has.
	groupsWithin = job.ActWithin
	// maxGroups is how many people are remembered: more than print within a day almost anywhere.
	maxGroups = 20_000
)

// groupCache caches the groups and the language of people. Concurrent callers for the same
// person share one call.
type groupCache struct {
	graph     Graph
	flight    cache.Flight[membership]
	ttl       time.Duration
	known     *cache.TTL[membership]
	languages *cache.TTL[string]
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

func newGroupCache(g Graph, ttl time.Duration) *groupCache {
	if ttl <= 0 {
		ttl = DefaultGroupTTL
	}
	return &groupCache{
		graph: g, ttl: ttl, known: cache.NewTTL[membership](ttl, maxGroups), languages: cache.NewTTL[string](groupStale, maxGroups),
	}
}

// of returns the names and ids of a person's groups. If the directory does not answer, it
// returns the groups that were read within a day; the error says that there are none.
func (d *groupCache) of(ctx context.Context, user string) (membership, error) {
	old, fresh := d.known.Get(user)
	if fresh {
		return old, nil
	}
	m, _, err := d.flight.Do(ctx, user, groupsWithin, func(ctx context.Context) (membership, error) {
		list, err := d.graph.Groups(ctx, user)
		now := time.Now()
		if err != nil && !old.read.IsZero() && now.Sub(old.read) < groupStale {
			old.stale = true
			d.known.PutFor(user, old, groupRetry)
			return old, nil
		}
		if err != nil {
			return membership{}, fmt.Errorf("read groups of the owner: %w", err)
		}
		m := membership{groups: make([]string, 0, 2*len(list)), read: now}
		for _, g := range list {
			m.groups = append(m.groups, g.DisplayName, g.ID)
		}
		d.known.Put(user, m)
		return m, nil
	})
	return m, err
}

// language is the language of a person, such as de-CH; empty when the directory does not say.
// It only selects the wording, so a failed lookup is not repeated.
func (d *groupCache) language(ctx context.Context, user string) string {
	old, fresh := d.languages.Get(user)
	if fresh {
		return old
	}
	language, err := d.graph.Language(ctx, user)
	if err != nil {
		d.languages.PutFor(user, old, d.ttl)
		return old
	}
	d.languages.Put(user, language)
	return language
}
