package directory

import (
	"context"
	"strings"
	"time"

	"pullprint/connector/cache"
	"pullprint/trigger/graph"
)

// userTTL is how long a user name is believed to be the same person's: long enough for a
// script that asks for one account after the other, and short enough that a name that was
// just given to somebody else is.
const userTTL = time.Minute

// userWithin is how long a lookup may take: the longest that a caller of ours has. maxUsers is
// how many are remembered.
const (
	userWithin = 45 * time.Second
	maxUsers   = 20_000
)

// Users remembers for a minute who has a user name, and asks once however many want to
// know at the same time. That there is nobody of a name is not remembered: a person who
// was just created is found at once.
type Users struct {
	directory Finder
	flight    cache.Flight[foundUser]
	known     *cache.TTL[graph.User]
}

type foundUser struct {
	user graph.User
	ok   bool
}

// NewUsers asks d.
func NewUsers(d Finder) *Users {
	return &Users{directory: d, known: cache.NewTTL[graph.User](userTTL, maxUsers)}
}

// User implements Finder.
func (u *Users) User(ctx context.Context, user string) (graph.User, bool, error) {
	key := strings.ToLower(user)
	if known, fresh := u.known.Get(key); fresh {
		return known, true, nil
	}
	f, _, err := u.flight.Do(ctx, key, userWithin, func(ctx context.Context) (foundUser, error) {
		found, ok, err := u.directory.User(ctx, user)
		if err == nil && ok {
			u.known.Put(key, found)
		}
		return foundUser{found, ok}, err
	})
	return f.user, f.ok, err
}
