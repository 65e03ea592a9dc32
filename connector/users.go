package connector

import (
	"context"
	"strings"
	"time"

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
	directory UserDirectory
	flight    flight[foundUser]
	known     *ttlCache[graph.User]
}

type foundUser struct {
	user graph.User
	ok   bool
}

// NewUsers asks d.
func NewUsers(d UserDirectory) *Users {
	return &Users{directory: d, known: newTTLCache[graph.User](userTTL, maxUsers)}
}

// User implements UserDirectory.
func (u *Users) User(ctx context.Context, user string) (graph.User, bool, error) {
	key := strings.ToLower(user)
	if known, fresh := u.known.get(key); fresh {
		return known, true, nil
	}
	f, _, err := u.flight.do(ctx, key, userWithin, func(ctx context.Context) (foundUser, error) {
		found, ok, err := u.directory.User(ctx, user)
		if err == nil && ok {
			u.known.put(key, found)
		}
		return foundUser{found, ok}, err
	})
	return f.user, f.ok, err
}
