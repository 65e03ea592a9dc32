package connector

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"pullprint/trigger/graph"
)

// groupTTL is how long a user's groups are remembered, maxGroups for how many
// users.
const (
	groupTTL  = 15 * time.Minute
	maxGroups = 20_000
)

// directory remembers the groups of users, so that a busy user costs one Graph
// call per groupTTL.
type directory struct {
	graph interface {
		Groups(ctx context.Context, user string) ([]graph.Group, error)
	}
	flight singleflight.Group

	mu    sync.Mutex
	known map[string]membership
}

type membership struct {
	groups []string
	until  time.Time
}

func newDirectory(g Graph) *directory {
	return &directory{graph: g, known: map[string]membership{}}
}

// of lists the names and ids of the groups a user is in, however deep.
func (d *directory) of(ctx context.Context, user string) ([]string, error) {
	d.mu.Lock()
	m, ok := d.known[user]
	d.mu.Unlock()
	if ok && time.Now().Before(m.until) {
		return m.groups, nil
	}
	v, err, _ := d.flight.Do(user, func() (any, error) {
		list, err := d.graph.Groups(ctx, user)
		if err != nil {
			return nil, fmt.Errorf("read groups of the owner: %w", err)
		}
		groups := make([]string, 0, 2*len(list))
		for _, g := range list {
			groups = append(groups, g.DisplayName, g.ID)
		}
		d.remember(user, groups)
		return groups, nil
	})
	if err != nil {
		return nil, err
	}
	groups, _ := v.([]string)
	return groups, nil
}

func (d *directory) remember(user string, groups []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.known) >= maxGroups {
		clear(d.known)
	}
	d.known[user] = membership{groups: groups, until: time.Now().Add(groupTTL)}
}
