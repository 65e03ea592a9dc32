package connector

import (
	"context"
	"strings"
	"sync"
	"time"

	"pullprint/trigger/graph"
)

// userTTL is how long a user name is believed to be the same person's: long enough for a
// script that asks for one account after the other, and short enough that a name that was
// just given to somebody else is.
const userTTL = time.Minute

// Users remembers for a minute who has a user name, and asks once however many want to
// know at the same time. That there is nobody of a name is not remembered: a person who
// was just created is found at once.
type Users struct {
	directory UserDirectory
	flight    flight[foundUser]

	mu    sync.Mutex
	known map[string]foundUser
}

type foundUser struct {
	user  graph.User
	ok    bool
	until time.Time
}

// NewUsers asks d.
func NewUsers(d UserDirectory) *Users { return &Users{directory: d, known: map[string]foundUser{}} }

// User implements UserDirectory.
func (u *Users) User(ctx context.Context, user string) (graph.User, bool, error) {
	key := strings.ToLower(user)
	u.mu.Lock()
	f, ok := u.known[key]
	u.mu.Unlock()
	if ok && time.Now().Before(f.until) {
		return f.user, true, nil
	}
	f, _, err := u.flight.do(ctx, key, groupsWithin, func(ctx context.Context) (foundUser, error) {
		found, ok, err := u.directory.User(ctx, user)
		f := foundUser{found, ok, time.Now().Add(userTTL)}
		if err == nil && ok {
			u.remember(key, f)
		}
		return f, err
	})
	return f.user, f.ok, err
}

func (u *Users) remember(key string, f foundUser) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.known) >= maxGroups {
		clear(u.known)
	}
	u.known[key] = f
}
